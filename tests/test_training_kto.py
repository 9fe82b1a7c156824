import math
from dataclasses import replace
from functools import partial

import pytest
import tiny

from db.entities.runs import RunKind
from db.errors import UserError
from training.answers import read_answers
from training.folders import verify
from training.following import follow
from training.kto import build_trainer, in_turns, proven, starting_loss, train
from training.metrics import read_metrics
from training.presets import preset_of
from training.running import load_start
from training.settings import KtoLoss, KtoSettings, ModelFiles, RunSpec, with_overrides

SETTINGS = with_overrides(preset_of(RunKind.KTO, "starter").settings, ["batch_size=4", "epochs=4"])


@pytest.fixture
def spec(base, tmp_path):
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs())
    return RunSpec(RunKind.KTO, tmp_path / "run", rows, ModelFiles(str(base)), None, SETTINGS)


def test_good_answers_gain_on_bad_ones_and_the_first_step_proves_the_reference(spec):
    trained = train(spec)
    verify(trained.model_folder)
    proof = trained.reference_proof
    assert proof.ok
    assert (proof.margin, proof.expected_loss) == (pytest.approx(0, abs=1e-6), 0.5)
    assert proof.loss == pytest.approx(0.5, abs=1e-4)
    assert (trained.counts.trained, trained.counts.evaluated) == (16, 8)
    margins = [m.values["eval_rewards/margins"] for m in read_metrics(spec.folder / "metrics.jsonl")
               if "eval_rewards/margins" in m.values]  # fmt: skip
    assert margins[0] == pytest.approx(0, abs=1e-6)
    assert margins[-1] > 0.5


@pytest.mark.parametrize("loss", KtoLoss)
@pytest.mark.parametrize("start", ["base", "adapter", "full", "4bit"])
def test_every_start_is_proven(spec, base, adapter, loss, start):
    settings = with_overrides(SETTINGS, [f"loss={loss}", "good_weight=2", "max_steps=1",
                                         f"lora={start != 'full'}".lower(),
                                         f"quantize={'4bit' if start == '4bit' else 'none'}"])  # fmt: skip
    files = ModelFiles(str(base), str(adapter) if start == "adapter" else None)
    proof = train(replace(spec, start=files, settings=settings)).reference_proof
    assert proof.ok
    assert proof.expected_loss == pytest.approx(0.75)
    assert abs(proof.margin) < 1e-3


@pytest.mark.parametrize("lora", [True, False])
def test_a_reference_asked_beforehand_gives_the_same_run(spec, lora):
    losses = []
    for precompute in (False, True):
        run = replace(spec, folder=spec.folder / str(precompute),
                      settings=replace(SETTINGS, lora=lora, max_steps=4, precompute=precompute))  # fmt: skip
        assert train(run).reference_proof.ok
        losses.append(
            [m.values["loss"] for m in read_metrics(run.folder / "metrics.jsonl") if "loss" in m.values]
        )
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_reference_that_is_not_the_start_is_caught(spec, base, tmp_path):
    other = tiny.tiny_llama(tmp_path / "other", seed=5)
    settings = replace(SETTINGS, lora=False)
    start = load_start(replace(spec, settings=settings))
    wrong = load_start(replace(spec, start=ModelFiles(str(other)), settings=settings)).policy
    trainer = build_trainer(replace(spec, settings=settings), start, wrong)
    with pytest.raises(UserError, match="the reference is not the model it should be"):
        follow(trainer, replace(spec, settings=settings), lambda _: None, lambda: False,
               partial(proven, trainer, settings))  # fmt: skip


def test_another_reference_and_one_sided_answers_are_refused(spec, adapter):
    with pytest.raises(UserError, match="leave --reference out"):
        train(replace(spec, reference=replace(spec.start, adapter=str(adapter))))
    tiny.write_rows(spec.rows, tiny.some_answers())
    with pytest.raises(UserError, match=r"all 8 answers are good, none is bad; .*`train sft`"):
        train(spec)


def test_the_starting_loss_is_half_of_the_mean_weight():
    assert starting_loss([True, False], KtoSettings()) == 0.5
    assert starting_loss([True, True, False], KtoSettings(good_weight=2.0)) == pytest.approx(5 / 6)
    assert math.isclose(starting_loss([False], KtoSettings(bad_weight=3.0)), 1.5)


def test_no_batch_holds_one_side_only(spec):
    answers = read_answers(spec.rows)
    few = [a for a in answers if a.good] + [a for a in answers if not a.good][:3]
    drawn = in_turns(few, 7)
    assert sorted(map(id, drawn)) == sorted(map(id, few))
    assert drawn != in_turns(few, 8)
    for at in (0, 5, 10):
        assert {a.good for a in drawn[at : at + 5]} == {True, False}
