"""Out of memory: the run goes on from its checkpoint with half the batch, says so, and learns the same."""

import json
from dataclasses import replace

import pytest
import tiny
import torch

from db.entities import RunKind
from training.dpo import train
from training.monitoring import read_metrics
from training.presets import PRESETS
from training.running import OutOfMemory, halved
from training.settings import DpoSettings, KtoSettings, ModelFiles, RunSpec, with_overrides

SETTINGS = with_overrides(PRESETS["starter"].settings, ["batch_size=4", "epochs=2", "sft_weight=0"])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny.tiny_llama(tmp_path_factory.mktemp("base"))


@pytest.fixture
def spec(base, tmp_path):
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs(16, 4))
    return RunSpec(RunKind.DPO, tmp_path / "run", rows, ModelFiles(str(base)), None, SETTINGS)


class Full:
    """Hears every log of a run and is out of memory at these steps, once each."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def __call__(self, metric):
        if self.steps and metric.step == self.steps[0] and "loss" in metric.values:
            self.steps.pop(0)
            raise torch.OutOfMemoryError("tried to allocate more than there is")


def losses(spec):
    logged = [m for m in read_metrics(spec.folder / "metrics.jsonl") if "loss" in m.values]
    assert [m.step for m in logged] == list(range(1, 9))
    return [m.values["loss"] for m in logged]


@pytest.mark.parametrize("steps", [(1,), (5,), (3, 6)])
def test_it_goes_on_with_half_the_batch_and_learns_the_same(spec, steps, capfd):
    unbroken = replace(spec, folder=spec.folder.with_name("unbroken"))
    train(unbroken)
    trained = train(spec, Full(*steps))
    assert losses(spec) == pytest.approx(losses(unbroken), rel=1e-3, abs=1e-5)
    said = [n for n in trained.notes if n.startswith("out of memory")]
    assert said[0] == "out of memory: it goes on with batches of 2 instead of 4, and 2 of them a step"
    assert len(said) == len(steps)
    assert json.loads((spec.folder / "result.json").read_text())["notes"] == list(trained.notes)
    assert said[0] in capfd.readouterr().err
    assert trained.reference_proof.ok


def test_not_more_than_twice(spec):
    full = Full(2, 3, 4, 5)
    with pytest.raises(OutOfMemory, match="out of memory with batches of 1 rows") as e:
        train(spec, full)
    assert "checkpointing=true" in e.value.remedy
    assert full.steps == [5]
    assert not (spec.folder / "model").exists()


def test_a_batch_of_one_cannot_be_halved(spec):
    full = Full(2, 3)
    with pytest.raises(OutOfMemory):
        train(replace(spec, settings=replace(SETTINGS, batch_size=1)), full)
    assert full.steps == [3]


def test_a_step_still_sees_as_many_rows():
    for size in (2, 3, 4, 7, 16):
        s = DpoSettings(batch_size=size, gradient_accumulation=3)
        assert halved(s).batch_size == (size // 2 if size % 2 == 0 else 1)
        assert halved(s).effective_batch == s.effective_batch
    assert halved(DpoSettings(batch_size=1)) is None
    assert halved(KtoSettings(batch_size=2)) is None
