from dataclasses import replace

import pytest
import tiny
import torch

from arena.players.scorer import RewardScorer
from db.entities.runs import RunKind
from db.errors import UserError
from training.folders import verify
from training.loading import load_base, load_scorer, load_tokenizer, stored_dtype
from training.preflight import read_rows
from training.presets import preset_of
from training.reward import build_trainer, train
from training.scoring import preflight_scored
from training.settings import ModelFiles, RunSpec, with_overrides

SETTINGS = with_overrides(
    preset_of(RunKind.REWARD, "starter").settings, ["batch_size=4", "learning_rate=5e-3"]
)


@pytest.fixture
def spec(base, tmp_path):
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs())
    return RunSpec(RunKind.REWARD, tmp_path / "run", rows, ModelFiles(str(base)), None, SETTINGS)


def accuracy(spec, folder):
    rows = read_rows(spec.rows)
    scorer = RewardScorer(str(folder))
    said = [(r.prompt, side[0]["content"]) for r in rows for side in (r.chosen, r.rejected)]
    scores = [s.score for s in scorer.score(said)]
    return sum(a > b for a, b in zip(scores[::2], scores[1::2], strict=True)) / len(rows)


@pytest.mark.parametrize("how", ["lora=true", "lora=false", "quantize=4bit"])
def test_the_scorer_loads_what_was_trained_and_agrees_with_the_trainers_figures(spec, how):
    trained = train(replace(spec, settings=with_overrides(SETTINGS, [how, "epochs=6"])))
    verify(trained.model_folder)
    assert (trained.is_adapter, trained.reference_proof) == (False, None)
    assert "adapter" not in {p.name for p in trained.model_folder.iterdir()}
    assert trained.metrics["eval_accuracy"] == 1.0
    assert accuracy(spec, trained.model_folder) == 1.0


@pytest.mark.parametrize("make", [tiny.tiny_gpt2, tiny.tiny_reward])
def test_a_model_without_a_template_and_a_reward_model_start_too(spec, make, tmp_path):
    base = make(tmp_path / "start")
    trained = train(replace(spec, start=ModelFiles(str(base)), settings=replace(SETTINGS, epochs=6)))
    assert accuracy(spec, trained.model_folder) > 0.9
    assert stored_dtype(str(trained.model_folder)) == stored_dtype(str(base))


def test_the_margin_grows_with_how_clear_the_votes_were(spec, base):
    rows = tiny.some_pairs(3, 0)
    tiny.write_rows(spec.rows, [row | {"margin": m} for row, m in zip(rows, (1.0, 0.5, None), strict=True)])
    settings = replace(SETTINGS, margin=2.0)
    trainer = build_trainer(replace(spec, settings=settings), *load_scorer(str(base)))
    assert list(trainer.train_dataset["margin"]) == [2.0, 1.0, 0.0]


def test_an_adapter_is_merged_first_and_a_reward_model_writes_no_text(spec, base, tmp_path):
    adapter = tiny.tiny_adapter(base, tmp_path / "adapter")
    with pytest.raises(UserError, match="`merge` the adapter into its base first"):
        train(replace(spec, start=ModelFiles(str(base), str(adapter))))
    with pytest.raises(UserError, match="is a reward model: it scores answers and writes none"):
        load_base(str(tiny.tiny_reward(tmp_path / "reward")))


def test_what_the_trainer_will_see(spec, base):
    rows = [
        *tiny.some_pairs(2, 1),
        tiny.pair(5, "Long " * 300, "Yes.", "No."),
        tiny.pair(6, "Same?", "a", "a"),
    ]
    tokenizer = load_tokenizer(str(base))
    report = preflight_scored(read_rows(tiny.write_rows(spec.rows, rows)), tokenizer, SETTINGS)
    assert (report.trained, report.evaluated, report.cut, report.identical) == (3, 1, (5,), (6,))
    assert any("from the left of the prompt" in p for p in report.problems)
    shown = report.rendered[0]
    assert shown.prompt.endswith("assistant\n")
    assert "".join(t.text for t in shown.chosen) == "Yes, thank you: 0.<|im_end|>"


def test_out_of_memory_it_goes_on_with_half_the_batch(spec):
    full = iter([torch.OutOfMemoryError("tried to allocate more than there is")])

    def observe(metric):
        if metric.step == 1 and (error := next(full, None)) is not None:
            raise error

    settings = with_overrides(SETTINGS, ["epochs=2"])
    trained = train(replace(spec, settings=settings), observe)
    assert trained.notes[0].startswith("out of memory: it goes on with batches of 2 instead of 4")
    assert trained.steps == 4
