"""A run that is written to a tracker too: the real TensorBoard writer and reader; others only as far as they can be refused."""

import os

import pytest

from db.entities.runs import RunKind
from db.errors import UserError
from tests import tiny
from training.presets import PRESETS
from training.reporting import tracker_arguments
from training.settings import ModelFiles, ReportTo, RunSpec, with_overrides


@pytest.fixture(autouse=True)
def untouched_environment():
    """The trackers' folders are named in the environment: each test gives it back as it was."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_nothing_is_reported_by_default(tmp_path):
    assert PRESETS["lora"].settings.report_to is ReportTo.NONE
    assert tracker_arguments(ReportTo.NONE, tmp_path / "run") == {"report_to": "none"}
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("tracker", [ReportTo.TRACKIO, ReportTo.WANDB])
def test_a_tracker_that_is_not_installed_is_named_with_what_to_type(tmp_path, tracker):
    with pytest.raises(UserError, match=f"pip install {tracker}, or set report_to=none"):
        tracker_arguments(tracker, tmp_path / "run")


def test_an_unknown_tracker_names_those_there_are():
    with pytest.raises(UserError, match="one of none, tensorboard, trackio, wandb"):
        with_overrides(PRESETS["lora"].settings, ["report_to=mlflow"])


def test_a_run_in_tensorboard_has_the_losses_of_its_own_file(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from training.dpo import train
    from training.metrics import read_metrics

    start = ModelFiles(str(tiny.tiny_llama(tmp_path / "start")))
    rows = tiny.write_rows(tmp_path / "rows.jsonl", tiny.some_pairs(8, 4))
    settings = with_overrides(PRESETS["smoke"].settings, ["report_to=tensorboard"])
    spec = RunSpec(RunKind.DPO, tmp_path / "run", rows, start, None, settings)
    train(spec)
    read = EventAccumulator(str(spec.folder / "tensorboard"))
    read.Reload()
    written = [round(e.value, 5) for e in read.Scalars("train/loss")]
    assert written == [
        round(m.values["loss"], 5) for m in read_metrics(spec.folder / "metrics.jsonl") if "loss" in m.values
    ]
    assert len(written) == 3
