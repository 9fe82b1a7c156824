import json
import math

import pytest
import tiny
import torch

from db.entities.runs import RunKind
from training import neutral, samples
from training.dpo import train
from training.loading import load_policy
from training.metrics import read_metrics
from training.presets import PRESETS
from training.settings import ModelFiles, RunSpec, with_overrides

SETTINGS = with_overrides(PRESETS["starter"].settings, ["batch_size=4", "epochs=2", "max_length=64"])


@pytest.fixture(scope="module")
def loaded(base):
    return load_policy(ModelFiles(str(base)))


def question(text):
    return [{"role": "user", "content": text}]


def test_the_prompts_are_held_out_ones_where_there_are_any(tmp_path):
    rows = tiny.write_rows(tmp_path / "rows", [*tiny.some_pairs(8, 4), *tiny.some_pairs(8, 4)])
    asked = [p[0]["content"] for p in samples.fixed_prompts(rows, 3)]
    assert asked == [f"Question {i}, please?" for i in (8, 9, 10)]
    tiny.write_rows(rows, tiny.some_pairs(2, 0))
    assert [p[0]["content"] for p in samples.fixed_prompts(rows)] == [
        f"Question {i}, please?" for i in (0, 1)
    ]


def test_answers_in_one_batch_are_those_of_each_alone(loaded):
    prompts = [question("Hi"), question("What is the capital of France, and why is it there?")]
    together = samples.answer(*loaded, prompts, 3, 256)
    alone = [samples.answer(*loaded, [p], 3, 256)[0] for p in prompts]
    assert together == alone
    assert [s.step for s in together] == [3, 3]
    assert together[0].tokens <= 64


def test_a_prompt_as_long_as_the_rows_is_left_out(loaded):
    assert samples.answer(*loaded, [question("long " * 100)], 0, 64) == []
    assert samples.figures([]) == {}


def test_an_answer_that_ends_by_itself_is_told_from_one_that_is_cut(loaded):
    """A model whose end token is likelier than any other stops at once; one that never gives it is cut."""
    model, tokenizer = loaded
    head = model.lm_head.weight
    was = head.data.clone()
    try:
        head.data[tokenizer.eos_token_id] = 0
        endless = samples.answer(model, tokenizer, [question("Hi")], 0, 64)[0]
        # a steep column along the last hidden state of that very prompt
        ids = torch.tensor([samples._ids(tokenizer, question("Hi"))])
        head.data[tokenizer.eos_token_id] = model.model(ids).last_hidden_state[0, -1] * 100
        ended = samples.answer(model, tokenizer, [question("Hi")], 0, 64)[0]
    finally:
        head.data.copy_(was)
    assert (endless.stopped, endless.tokens) == (False, 16)
    assert (ended.stopped, ended.tokens, ended.text) == (True, 0, "")


def test_repetition():
    assert samples.repetition([1, 2, 3, 4, 5]) == 0
    assert samples.repetition([7] * 12) == pytest.approx(0.9)
    assert samples.repetition([1, 2, 3] * 4) == pytest.approx(0.7)
    assert samples.repetition([1]) == 0


def test_the_divergence_is_the_one_torch_reckons_and_nothing_at_the_start(loaded, base, tmp_path):
    model, tokenizer = loaded
    start = neutral.read(model, tokenizer)
    same = neutral.moved(start, start.logps)
    assert same.divergence == pytest.approx(0, abs=1e-6)
    other = neutral.read(tiny_other(tmp_path), tokenizer)
    found = neutral.moved(other, start.logps)
    expected = torch.nn.functional.kl_div(other.logps, start.logps, reduction="batchmean", log_target=True)
    assert found.divergence == pytest.approx(float(expected), rel=1e-5)
    loss = torch.nn.functional.nll_loss(other.logps, other.next_ids)
    assert found.perplexity == pytest.approx(math.exp(float(loss)), rel=1e-5)
    assert neutral.moved(other, None).divergence is None


def tiny_other(folder):
    return load_policy(ModelFiles(str(tiny.tiny_llama(folder / "other", seed=5))))[0]


def test_a_run_is_looked_at_from_its_start_to_its_end(tmp_path, base):
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs(8, 4))
    spec = RunSpec(RunKind.DPO, tmp_path / "run", rows, ModelFiles(str(base)), None, SETTINGS)
    trained = train(spec)
    seen = samples.read_samples(spec.folder)
    assert [s.step for s in seen] == [0] * 4 + [2] * 4 + [4] * 4
    assert len({s.prompt for s in seen}) == 4
    logged = read_metrics(spec.folder / "metrics.jsonl")
    looked = [(m.step, m.values) for m in logged if "neutral/perplexity" in m.values]
    assert [step for step, _ in looked] == [0, 1, 2, 3, 4]
    assert looked[0][1]["neutral/divergence"] == pytest.approx(0, abs=1e-6)
    assert looked[-1][1]["neutral/divergence"] > 1e-5
    assert trained.metrics["samples/tokens"] == looked[-1][1]["samples/tokens"]
    # the start is the model before any step: the very answers the start model gives
    start = samples.answer(*load_policy(spec.start), samples.fixed_prompts(rows), 0, SETTINGS.max_length)
    assert seen[:4] == start
    steps = [m.values for m in logged if "loss" in m.values]
    assert all(v["tokens_per_second"] > 0 and v["memory_gib"] > 0.05 for v in steps)


def test_a_line_still_being_written_is_left_for_the_next_reading(tmp_path):
    one = samples.Sample(0, "p", "t", 1, True, 0.0)
    samples.write(tmp_path, [one, samples.Sample(4, "p", "t", 1, True, 0.0)])
    with (tmp_path / samples.FILE).open("a") as file:
        file.write(json.dumps({"step": 5})[:4])
    assert [s.step for s in samples.read_samples(tmp_path)] == [0, 4]
    samples.cut_after(tmp_path, 2)
    assert samples.read_samples(tmp_path) == [one]
    samples.cut_after(tmp_path, None)
    assert samples.read_samples(tmp_path) == []
