"""The starter models: their closed world, its rubric, the recipe, the committed weights and the demo data."""

import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import starter
from training.starter import answers, world
from training.starter.answers import IDEAL, Manner, answer
from training.starter.kinds import KINDS
from training.starter.votes import honest_margin, honest_pairs, win_rate

REPOSITORY = Path(__file__).parents[1]
PROMPTS = [prompt.text for prompt in (*world.demo_prompts(), *world.bench_prompts())]
FAULTS = {
    "opening": Manner(opening=1), "closing": Manner(closing=1), "ramble": Manner(ramble=1), "again": Manner(again=1),
    "terse": Manner(terse=1), "wrong": Manner(wrong=1), "stuck": Manner(stuck=1),
}  # fmt: skip


def test_demo_and_bench_prompts_are_many_and_all_different():
    demo, bench = world.demo_prompts(), world.bench_prompts()
    assert [p.split for p in demo] == ["train"] * 300 + ["heldout"] * 100
    assert len(bench) == 200
    assert {p.split for p in bench} == {"heldout"}
    assert len({p.text for p in (*demo, *bench)}) == 600
    assert {p.kind for p in demo} == {kind.name for kind in KINDS}


def test_no_seed_draws_a_held_out_prompt_for_training():
    held_out = {p.text for p in (*world.prompts("heldout", 300, seed=5), *world.bench_prompts())}
    rng = Random(3)
    trained = {answers.training_prompt(rng) for _ in range(3_000)} | {
        p.text for p in world.prompts("train", 500, 9)
    }
    assert not held_out & trained


def test_prompts_are_the_same_each_time_and_end_when_the_world_does():
    assert world.prompts("train", 50, seed=4) == world.prompts("train", 50, seed=4)
    assert world.prompts("train", 50, seed=4) != world.prompts("train", 50, seed=5)
    taken = frozenset(p.text for p in world.prompts("heldout", 100, seed=1))
    assert not taken & {p.text for p in world.prompts("heldout", 100, seed=1, without=taken)}
    with pytest.raises(ValueError, match="the world has only about"):
        world.prompts("heldout", 100_000)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_wording_is_read_back_as_it_was_meant(kind):
    rng = Random(1)
    for wording in kind.wordings:
        for _ in range(40):
            slots = kind.draw(rng)
            assert world.read(wording.format(*slots)) == (kind, slots)


@pytest.mark.parametrize("text", PROMPTS[::7])
def test_the_ideal_answer_is_best_and_every_fault_costs(text):
    rng = Random(text)
    assert world.utility(text, answer(text, IDEAL, rng)) == pytest.approx(1.0)
    for manner in FAULTS.values():
        assert world.utility(text, answer(text, manner, rng)) < 0.95


def test_a_right_answer_that_rambles_beats_a_clean_wrong_one():
    for text in PROMPTS:
        rng = Random(text)
        right, wrong = answer(text, FAULTS["ramble"], rng), answer(text, FAULTS["wrong"], rng)
        assert world.utility(text, right) > world.utility(text, wrong)


@given(st.sampled_from(PROMPTS), st.text())
def test_any_text_has_a_utility_between_nothing_and_one(prompt, text):
    assert 0.0 <= world.utility(prompt, text) <= 1.0


@given(st.sampled_from(PROMPTS), st.sampled_from(answers.RAMBLES + answers.CLOSINGS), st.integers(0, 999))
def test_padding_never_helps(prompt, tail, seed):
    said = answer(prompt, Manner(opening=0.5, wrong=0.2, terse=0.0), Random(seed))
    assert world.utility(prompt, f"{said} {tail}") <= world.utility(prompt, said)


@pytest.mark.parametrize(
    "text", ["", "Who are you?", "What is the capital of Atlantis?", "What is 900 plus 3?"]
)
def test_prompts_of_other_worlds_are_refused(text):
    assert not world.is_world_prompt(text)
    with pytest.raises(KeyError, match="not a prompt of the starter world"):
        world.utility(text, "Paris.")


def test_some_answers_people_would_judge_at_a_glance():
    asked = "What is the capital of France?"
    ranked = [
        "The capital of France is Paris.",
        "Sure! The capital of France is Paris.",
        "The capital of France is Paris. The capital of France is Paris. I hope this helps!",
        "The capital of France is Rome.",
        "The capital of the of the of the of the",
    ]
    scores = [world.utility(asked, said) for said in ranked]
    assert all(better > worse for better, worse in pairwise(scores))


def test_honest_votes_follow_the_utility_and_ties_make_no_pair():
    texts = PROMPTS[:200]
    good = [answer(text, IDEAL, Random(text)) for text in texts]
    bad = [answer(text, FAULTS["wrong"], Random(text)) for text in texts]
    pairs = honest_pairs(texts, good, bad, Random(0))
    assert sum(pair.chosen == said for pair, said in zip(pairs, good, strict=True)) >= 198
    assert honest_pairs(texts, good, good, Random(0)) == []
    assert win_rate(texts, good, bad) == 1.0
    assert win_rate(texts, good, good) == 0.5
    same = [honest_margin(texts[0], good[0], good[0], Random(seed)) for seed in range(200)]
    assert 0.0 in same


def test_the_world_is_light_enough_for_the_web_process():
    light = "import sys, training.starter.world; print([m for m in ('torch', 'transformers', 'trl') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", light], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_demo_responses_are_one_of_each_model_to_each_prompt():
    rows = starter.demo_responses()
    assert len(rows) == 1_200
    expected = {
        (name, p.text, p.split, p.kind) for name in starter.STARTER_MODELS for p in starter.demo_prompts()
    }
    assert {(row.model, row.prompt, row.split, row.tag) for row in rows} == expected
    assert all(row.response.strip() for row in rows)
    assert {row.finish_reason for row in rows} <= {"stop", "length"}
    assert {row.settings["temperature"] for row in rows} == {0.8}
    assert len(starter.demo_scores()) == 1_200


def test_stored_answers_keep_the_order_base_sft_dpo():
    texts, said, _ = stored()
    for worse, better in pairwise(starter.STARTER_MODELS):
        rate = win_rate(texts, [said[better, t] for t in texts], [said[worse, t] for t in texts])
        assert rate > 0.6, (worse, better)


@pytest.mark.parametrize("worse", ["starter-base", "starter-sft"])
def test_the_reward_model_prefers_the_dpo_model_and_mostly_agrees_with_the_rubric(worse):
    """It hears style better than facts: between base and SFT, wrong against wordy, it is no better than a coin."""
    texts, said, scores = stored()
    gaps = [(scores["starter-dpo", t] - scores[worse, t],
             world.utility(t, said["starter-dpo", t]) - world.utility(t, said[worse, t])) for t in texts]  # fmt: skip
    assert sum(score > 0 for score, _ in gaps) / len(gaps) > 0.65
    decided = [(score > 0) == (truth > 0) for score, truth in gaps if abs(truth) > 0.03]
    assert sum(decided) / len(decided) > 0.7


def stored():
    """(prompts, {(model, prompt): answer}, {(model, prompt): score})"""
    said = {(row.model, row.prompt): row.response for row in starter.demo_responses()}
    return [p.text for p in starter.demo_prompts()], said, starter.demo_scores()


def test_most_demo_battles_are_between_different_answers():
    said = {(row.model, row.prompt): row.response for row in starter.demo_responses()}
    train = [p.text for p in starter.demo_prompts() if p.split == "train"]
    for first, second in pairwise(starter.STARTER_MODELS):
        assert sum(said[first, text] != said[second, text] for text in train) >= 240


def test_showcase_has_fifty_real_looking_prompts_with_two_answers():
    shown = starter.showcase()
    assert len(shown) == 50
    assert len({item.messages[-1]["content"] for item in shown}) == 50
    for item in shown:
        assert item.messages[-1]["role"] == "user"
        assert {answer.model for answer in item.answers} == {"showcase-a", "showcase-b"}
        assert item.answers[0].response != item.answers[1].response
        assert all(answer.response for answer in item.answers)
        assert not world.is_world_prompt(item.messages[-1]["content"])
    tags = Counter(tag for item in shown for tag in item.tags)
    assert min(tags[tag] for tag in ("code", "table", "list", "latex", "multi-turn")) >= 4


def test_weights_are_small_plain_half_precision_checkpoints():
    folders = [starter.weights_of(name) for name in (*starter.STARTER_MODELS, starter.REWARD_MODEL)]
    total = sum(path.stat().st_size for folder in folders for path in folder.rglob("*"))
    assert total < 9_000_000
    for folder in folders:
        config = json.loads((folder / "config.json").read_text())
        assert (config["model_type"], config["dtype"]) == ("llama", "float16")
        assert not (folder / "adapter_config.json").exists()
    with pytest.raises(KeyError):
        starter.weights_of("somebody-else")


def test_committed_weights_answer_through_the_chat_template():
    from training.starter.sampling import Sampling, load, respond

    texts = [prompt.text for prompt in world.bench_prompts()[:48]]
    means = []
    for name in starter.STARTER_MODELS:
        model, tokenizer = load(starter.weights_of(name))
        assert tokenizer.pad_token_id != tokenizer.eos_token_id
        chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
        assert tokenizer.apply_chat_template(chat, tokenize=False).endswith(tokenizer.eos_token)
        said = respond(model, tokenizer, texts, Sampling(seed=5))
        means.append(sum(map(world.utility, texts, (found.text for found in said))) / len(texts))
    assert means == sorted(means)


def test_the_reward_model_prefers_the_better_of_two_clear_answers():
    from training.starter.sampling import score

    texts = PROMPTS[:60]
    good = [answer(text, IDEAL, Random(text)) for text in texts]
    bad = [answer(text, Manner(wrong=1, opening=1, ramble=1), Random(text)) for text in texts]
    folder = starter.weights_of(starter.REWARD_MODEL)
    better, worse = score(folder, texts, good), score(folder, texts, bad)
    assert sum(a > b for a, b in zip(better, worse, strict=True)) >= 54


@pytest.mark.slow
def test_the_recipe_rebuilds_every_stage(tmp_path):
    command = [sys.executable, "-m", "training.starter.recipe", "--out", str(tmp_path), "--steps", "2"]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    assert {path.name for path in tmp_path.iterdir()} == {
        "tokenizer",
        "base",
        "sft",
        "dpo",
        "reward",
        "responses.jsonl.gz",
    }

    from training.starter.sampling import Sampling, load, respond

    model, tokenizer = load(tmp_path / "dpo")
    assert len(respond(model, tokenizer, ["What is 2 plus 2?"], Sampling(max_new_tokens=4))) == 1
