"""Missing responses, and only those: resumed, in samples, with settings shared between rivals."""

import os
import signal
from collections import Counter

import pytest

from arena import jobs
from arena.generating import LOT, Generated, files_of, generate, player_of, settings_like
from arena.players import GenerationSettings
from db.catalog import (
    add_model,
    add_prompts,
    add_responses,
    get_model,
    prompts_of,
    response_counts,
    responses_of,
)
from db.connection import open_writer
from db.entities.catalog import ModelKind, Prompt, Response, Split
from db.entities.runs import JobStatus
from db.errors import UserError
from tests.standin import standing_in
from tests.workshop import SHORT, ended, endpoint_home, run, trainable_home, wait_for, weights

QUICK = GenerationSettings(max_new_tokens=6, temperature=0.9, seed=3)


@pytest.fixture
def tiny_home(home, db):
    """Ten prompts (set `questions`, two of them held out) and the tiny checkpoint `one`, which answered none."""
    asked = [
        Prompt.of([{"role": "user", "content": f"Question {i}?"}], Split.HELDOUT if i < 2 else Split.TRAIN)
        for i in range(10)
    ]
    add_prompts(db, asked, prompt_set="questions")
    add_model(db, "one", ModelKind.CHECKPOINT, source=str(weights() / "one"))
    return home


def written(db, model="one"):
    return [(r.prompt, r.sample) for r in responses_of(db, model)]


def test_what_is_missing_is_written_once(tiny_home, db):
    assert generate(tiny_home, db, ["one", "one"], "questions", QUICK) == [Generated("one", 10)]
    before = list(responses_of(db, "one"))
    assert generate(tiny_home, db, ["one"], "questions", QUICK) == [Generated("one", 0)]
    assert list(responses_of(db, "one")) == before
    assert len(before) == 10


def test_every_response_says_how_it_was_made(tiny_home, db):
    generate(tiny_home, db, ["one"], "questions", QUICK, samples=2)
    for response in responses_of(db, "one"):
        assert response.finish_reason in ("stop", "length")
        tokens = response.settings["tokens"]
        assert 0 <= tokens <= 6
        assert response.settings == {
            "temperature": 0.9, "top_p": 1.0, "max_new_tokens": 6, "seed": 3 + response.sample, "system": "",
            "tokens": tokens, "revision": response.settings["revision"], "dtype": "float32", "device": "cpu",
        }  # fmt: skip


def test_samples_are_numbered_and_differ(tiny_home, db):
    generate(tiny_home, db, ["one"], "questions", QUICK)
    assert generate(tiny_home, db, ["one"], "questions", QUICK, samples=3) == [Generated("one", 20)]
    assert Counter(sample for _, sample in written(db)) == {0: 10, 1: 10, 2: 10}
    texts = {p: {r.text for r in responses_of(db, "one") if r.prompt == p} for p, _ in written(db)}
    assert max(map(len, texts.values())) == 3


def test_the_same_seed_gives_the_same_texts(tiny_home, db):
    add_model(db, "again", ModelKind.CHECKPOINT, source=str(weights() / "one"))
    generate(tiny_home, db, ["one", "again"], "questions", QUICK)
    assert [r.text for r in responses_of(db, "one")] == [r.text for r in responses_of(db, "again")]


def test_the_limit_counts_the_prompts_of_the_choice_not_the_missing_ones(tiny_home, db):
    generate(tiny_home, db, ["one"], "questions:train", QUICK, limit=3)
    generate(tiny_home, db, ["one"], "questions:train", QUICK, limit=3)
    assert [p for p, _ in written(db)] == [p.id for p in prompts_of(db, "questions:train")[:3]]


def test_it_stops_when_told_and_goes_on_where_it_was(tiny_home, db):
    samples = LOT // 10 + 2
    asked = iter([False, True])
    with pytest.raises(
        UserError, match=f"stopped after {LOT} of {10 * samples} responses of one; run it again"
    ):
        generate(tiny_home, db, ["one"], "questions", QUICK, samples=samples, should_stop=lambda: next(asked))
    assert len(written(db)) == LOT
    assert generate(tiny_home, db, ["one"], "questions", QUICK, samples=samples) == [
        Generated("one", 10 * samples - LOT)
    ]
    assert Counter(written(db)) == Counter({(p, s): 1 for p, _ in set(written(db)) for s in range(samples)})


def test_progress_goes_over_all_models_from_0_to_1(tiny_home, db):
    add_model(db, "two", ModelKind.CHECKPOINT, source=str(weights() / "two"))
    said = []
    generate(tiny_home, db, ["one", "two"], "questions", QUICK, say=lambda share, _: said.append(share))
    assert said == [0.0, 0.5, 0.5, 1.0]


def test_recorded_models_cannot_answer_but_need_not_either(tiny_home, db):
    add_model(db, "old", ModelKind.RECORDED)
    with pytest.raises(UserError, match="'old' is recorded"):
        generate(tiny_home, db, ["old"], "questions", QUICK)
    add_responses(db, [Response.of(p.id, "old", "x") for p in prompts_of(db, "questions")])
    assert generate(tiny_home, db, ["old"], "questions", QUICK) == [Generated("old", 0)]


def test_a_model_without_weights_here_has_no_files(tiny_home, db):
    add_model(db, "far", ModelKind.ENDPOINT, endpoint="http://127.0.0.1:1/v1", remote_name="x")
    with pytest.raises(UserError, match="no weights here"):
        files_of(tiny_home, get_model(db, "far"))
    assert files_of(tiny_home, get_model(db, "one")).source == str(weights() / "one")


@pytest.mark.parametrize(
    "said", [{"temperature": "hot"}, {"max_new_tokens": 0}, {"temperature": -1, "top_p": 2}]
)
def test_settings_that_no_model_can_follow_are_not_shared(tiny_home, db, said):
    first = prompts_of(db, "questions")[0]
    add_responses(db, [Response.of(first.id, "one", "from elsewhere", settings=said)])
    assert settings_like(db, "one", QUICK) == QUICK


def test_a_folder_that_is_gone_is_named(tiny_home, db):
    add_model(db, "lost", ModelKind.CHECKPOINT, source="/nowhere/model")
    with pytest.raises(UserError, match="/nowhere/model"):
        player_of(tiny_home, get_model(db, "lost"))
    assert written(db, "lost") == []


def test_rivals_share_settings(tiny_home, db):
    otherwise = GenerationSettings(seed=9, system="Be brief.")
    assert settings_like(db, "one", otherwise) == otherwise
    first, second, *_ = prompts_of(db, "questions")
    add_responses(db, [Response.of(first.id, "one", "imported, nobody knows how")])
    assert settings_like(db, "one", otherwise) == otherwise
    add_responses(
        db, [Response.of(second.id, "one", "x", settings={"temperature": 0.1, "max_new_tokens": 5})]
    )
    assert settings_like(db, "one", otherwise) == GenerationSettings(0.1, 1.0, 5, 9, "Be brief.")


def test_the_verb_prints_how_many(tiny_home, db):
    ran = run(
        tiny_home,
        "generate",
        "--models",
        "one",
        "--prompts",
        "questions:heldout",
        "--max-new-tokens",
        4,
        "--json",
    )
    assert (ran.code, ran.json) == (0, [{"model": "one", "written": 2}])
    assert "2 of 2 responses of one" in ran.err
    assert {r.settings["max_new_tokens"] for r in responses_of(db, "one")} == {4}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--models", "nobody", "--prompts", "all"], "there is no model 'nobody'"),
        (["--models", "one", "--prompts", "no such set"], "there is no prompt set 'no such set'"),
        (["--models", "one", "--prompts", "questions:half"], "is no choice of prompts"),
        (["--models", "one", "--prompts", "all", "--n", "0"], "0 responses a prompt cannot be written"),
        (["--models", "one", "--prompts", "all", "--n", "1001"], "ask for 1 to 1000"),
        (["--models", "", "--prompts", "all"], "names no model"),
        (["--models", "one", "--prompts", "all", "--temperature", "-1"], "with a temperature of -1"),
        (["--models", "one", "--prompts", "all", "--temperature", "nan"], "with a temperature of nan"),
        (["--models", "one", "--prompts", "all", "--max-new-tokens", "0"], "with answers of 0 tokens"),
        (["--models", "one", "--prompts", "all", "--seed", "-1"], "with a seed of -1"),
        (["--models", "one", "--prompts", "all", "--seed", str(2**63)], "a whole number from 0 on"),
    ],
)
def test_what_cannot_be_generated_is_one_line(tiny_home, db, words, reason):
    ran = run(tiny_home, "generate", *words)
    assert ran.code == 2
    assert reason in ran.err.splitlines()[-1]
    assert written(db) == []


def test_killed_in_the_middle_nothing_is_written_twice(tmp_path):
    with standing_in() as server:
        server.delay = 0.03
        home = endpoint_home(tmp_path / "home", server.url, prompts=5)
        db = open_writer(home)
        job = jobs.start(home, db, ["generate", "--models", "far", "--prompts", "asked", "--n", "30"])
        wait_for(lambda: response_counts(db).get("far", 0) >= LOT)
        os.kill(job.pid, signal.SIGKILL)
        killed = ended(db, job.id)
        assert (killed.status, killed.exit_code) == (JobStatus.FAILED, None)
        kept = written(db, "far")
        assert LOT <= len(kept) < 150
        server.delay = 0.0
        server.seen.clear()
        assert run(home, "jobs", "resume", job.id).code == 0
        assert ended(db, job.id + 1).status is JobStatus.SUCCEEDED
    assert len(server.seen) == 150 - len(kept)
    asked = [p.id for p in prompts_of(db, "asked")]
    assert Counter(written(db, "far")) == Counter({(p, s): 1 for p in asked for s in range(30)})
    db.conn.close()


def test_a_home_that_can_train_shares_the_settings_of_its_votes(tmp_path):
    db = open_writer(trainable_home(tmp_path / "home"))
    assert settings_like(db, "one", GenerationSettings()).max_new_tokens == SHORT["max_new_tokens"]
    db.conn.close()


def test_adapters_over_one_base_share_it_and_answer_as_alone(home, db, tmp_path):
    from tests.tiny import tiny_adapter

    base = str(weights() / "one")
    add_prompts(
        db, [Prompt.of([{"role": "user", "content": f"Question {i}?"}]) for i in range(4)], prompt_set="q"
    )
    add_model(db, "base", ModelKind.CHECKPOINT, source=base)
    for n, name in enumerate(("first", "second")):
        folder = tiny_adapter(weights() / "one", tmp_path / name, seed=n + 1)
        add_model(db, name, ModelKind.ADAPTER, source=base, adapter=str(folder))
    asked = [p.messages for p in prompts_of(db, "q")]
    alone = {n: player_of(home, get_model(db, n)).respond(asked, QUICK) for n in ("base", "first", "second")}
    assert len({tuple(a.text for a in answers) for answers in alone.values()}) == 3
    first = player_of(home, get_model(db, "first"))
    inside = first.model.get_base_model()
    second = player_of(home, get_model(db, "second"), first)
    assert second.model.get_base_model() is inside
    assert second.respond(asked, QUICK) == alone["second"]
    bare = player_of(home, get_model(db, "base"), second)
    assert bare.model is inside
    assert bare.respond(asked, QUICK) == alone["base"]
    other = player_of(home, get_model(db, "first"), bare)
    assert other.respond(asked, QUICK) == alone["first"]
    revisions = {n: player_of(home, get_model(db, n)).made_by["revision"] for n in alone}
    assert len(set(revisions.values())) == 3


def test_what_came_before_a_server_failed_is_kept(tmp_path):
    with standing_in() as server:
        home = endpoint_home(tmp_path / "home", server.url, prompts=12)
        db = open_writer(home)
        server.statuses = [200, 200, 400]
        with pytest.raises(UserError, match="answered 400"):
            generate(home, db, ["far"], "asked", QUICK)
        kept = len(written(db, "far"))
        assert 2 <= kept < 12
        server.seen.clear()
        assert generate(home, db, ["far"], "asked", QUICK) == [Generated("far", 12 - kept)]
        assert len(server.seen) == 12 - kept
        db.conn.close()
