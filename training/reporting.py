"""Trackers that a run can be written to as well, where the person has one: TensorBoard, trackio, Weights & Biases.

Nothing is written to any by default. TensorBoard's and trackio's files stay on this machine; wandb sends to where its
own settings say.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from db.errors import UserError
from training.settings import ReportTo

PROJECT = "tastebench"
FOLDERS = {
    ReportTo.TENSORBOARD: "TENSORBOARD_LOGGING_DIR",
    ReportTo.TRACKIO: "TRACKIO_DIR",
    ReportTo.WANDB: "WANDB_DIR",
}
"""what names the folder a tracker writes to; one that the person has set stays"""


def tracker_arguments(tracker: ReportTo, run: Path) -> dict[str, Any]:
    """What the trainer is told so that it writes to the tracker too; UserError where its package is not installed."""
    if tracker is ReportTo.NONE:
        return {"report_to": "none"}
    if find_spec(tracker.value) is None:
        raise UserError(
            f"report_to={tracker} needs the package {tracker}, which is not installed",
            f"pip install {tracker}, or set report_to=none",
        )
    # the trainer's own folder goes when the run ends
    folder = run.parent / "trackio" if tracker is ReportTo.TRACKIO else run / tracker.value
    if tracker is ReportTo.TENSORBOARD:  # a run never writes into the folder of the one before it
        os.environ[FOLDERS[tracker]] = str(folder)
    else:
        os.environ.setdefault(FOLDERS[tracker], str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("WANDB_PROJECT", PROJECT)
    return {"report_to": [tracker.value], "run_name": run.name, "project": PROJECT, "trackio_space_id": None,
            "trackio_static_space_id": False}  # fmt: skip
