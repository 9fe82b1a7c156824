"""Checkpoints that can be trusted: written aside, sealed with sizes and hashes, renamed, and read only if they verify.

The trainer writes into its own folder; only what is sealed and renamed into `checkpoints/` is a checkpoint. With the
weights go optimizer, schedule, random state and step (the trainer's), and what the run had proven (ours). A folder that
was cut short, emptied or changed by a single bit is passed over with its reason, and the one before it is taken.
Nothing here needs torch.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from db.errors import UserError
from db.files import sync
from training.folders import seal, verify

if TYPE_CHECKING:
    from training.settings import RunSpec

FOLDER = "checkpoints"
CARRIED = "carried.json"
"""what a checkpoint holds besides the trainer's own files"""
KEPT = 2
"""the newest so many stay: the one before the last is there for when the last is broken"""
A_RUN = 10
"""checkpoints in a run, unless the settings say how often"""
MEMORY_ONLY = {"batch_size", "gradient_accumulation", "checkpointing", "report_to"}
"""settings that change how much memory a step needs, or who hears of it, not what it computes (the batch is compared whole)"""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint: where it is, after which step, and what the run had shown by then."""

    folder: Path
    step: int
    carried: Mapping[str, Any]


class Found(NamedTuple):
    """The newest checkpoint that verifies, if any, and one sentence for each that was passed over."""

    checkpoint: Checkpoint | None
    passed_over: tuple[str, ...]


def mark_of(spec: "RunSpec[Any]") -> str:
    """What a checkpoint must have been made with to be gone on from: the rows, the kind and the settings of the run."""
    settings = {k: v for k, v in asdict(spec.settings).items() if k not in MEMORY_ONLY}
    settings["effective_batch"] = spec.settings.effective_batch
    rows = hashlib.sha256(spec.rows.read_bytes()).hexdigest()
    text = json.dumps([spec.kind, rows, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def steps_between(total: int, asked: int = 0) -> int:
    """How many steps apart: as asked, else a tenth of the run."""
    return asked or max(1, total // A_RUN)


def keep(written: Path, run: Path, step: int, carried: Mapping[str, Any]) -> Path:
    """Make what the trainer wrote a checkpoint of the run: sealed, then renamed. UserError where the disk is full."""
    (written / CARRIED).write_text(json.dumps({"step": step, **carried}) + "\n", encoding="utf-8")
    seal(written)
    folder = run / FOLDER / f"checkpoint-{step}"
    folder.parent.mkdir(exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)  # one that did not verify, from before the run went on
    written.rename(folder)
    sync(folder.parent)
    return folder


def newest(run: Path, mark: str) -> Found:
    """The newest checkpoint of the run that verifies and was made with the same rows and settings."""
    passed: list[str] = []
    for folder in reversed(_all(run)):
        try:
            verify(folder)
            carried = json.loads((folder / CARRIED).read_text(encoding="utf-8"))
        except UserError as error:
            passed.append(f"{folder.name} was passed over: {error.what}")
            continue
        if carried["mark"] != mark:
            passed.append(f"{folder.name} was passed over: it was made with other rows or settings")
            continue
        return Found(Checkpoint(folder, int(carried["step"]), carried), tuple(passed))
    return Found(None, tuple(passed))


def prune(run: Path, best: int | None = None) -> None:
    """Keep the newest checkpoints and the best one (by its step); the others go."""
    for folder in _all(run)[:-KEPT]:
        if best is None or _step(folder) != best:
            shutil.rmtree(folder)


def drop(run: Path) -> None:
    """The run has its model: its checkpoints are of no more use."""
    shutil.rmtree(run / FOLDER, ignore_errors=True)


def _all(run: Path) -> list[Path]:
    """Every checkpoint folder of a run, broken or not, steps rising."""
    return sorted((run / FOLDER).glob("checkpoint-*"), key=_step)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("checkpoint-"))
