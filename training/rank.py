"""One process of a run that has several: `python -m training.rank ORDER`, started by torchrun or accelerate.

It is handed an order (the run, and how many processes there must be) in a file, and never sees the database. The first
process passes on what is logged; each says in a file why it failed. See training/launching.py for who starts it.
"""

import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.entities.runs import RunKind
from db.errors import UserError
from training.processes import mark_of, runs_still
from training.settings import ModelFiles, RunSpec, from_mapping

if TYPE_CHECKING:
    from training.metrics import Metric
    from training.running import Trained

ORDER, OBSERVED, STOP = "order.json", "observed.jsonl", "stop"
"""files of the folder that the one who starts the processes shares with them"""


@dataclass(frozen=True, slots=True)
class Order:
    """What every process of a run is told. `starter` is who started them: process id, and when it began."""

    spec: RunSpec[Any]
    processes: int
    starter: tuple[int, float]

    def write(self, path: Path) -> None:
        """As a file."""
        spec = {**asdict(self.spec), "folder": str(self.spec.folder), "rows": str(self.spec.rows)}
        told = {"spec": spec, "processes": self.processes, "starter": self.starter}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        part.rename(path)  # another machine may be waiting for it


def read_order(path: Path) -> Order:
    """What `Order.write` wrote."""
    told = json.loads(path.read_text(encoding="utf-8"))
    spec, kind = told["spec"], RunKind(told["spec"]["kind"])
    reference = ModelFiles(**spec["reference"]) if spec["reference"] else None
    return Order(
        RunSpec(kind, Path(spec["folder"]), Path(spec["rows"]), ModelFiles(**spec["start"]), reference,
                from_mapping(spec["settings"], kind)),
        int(told["processes"]), tuple(told["starter"]),
    )  # fmt: skip


def train_here(
    spec: RunSpec[Any],
    observe: Callable[["Metric"], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> "Trained":
    """Run the spec in this process with the trainer of its kind. Loads torch."""
    trained: Trained
    if spec.kind is RunKind.SFT:
        from training import sft

        trained = sft.train(spec, observe, should_stop)
    elif spec.kind is RunKind.KTO:
        from training import kto

        trained = kto.train(spec, observe, should_stop)
    elif spec.kind is RunKind.REWARD:
        from training import reward

        trained = reward.train(spec, observe, should_stop)
    else:
        from training import dpo

        trained = dpo.train(spec, observe, should_stop)
    return trained


def main(path: Path) -> int:
    """Take part in the run; the exit code is not 0 where the other processes have to end too."""
    import torch
    from accelerate import PartialState

    order, folder = read_order(path), path.parent
    state = PartialState(cpu=not torch.cuda.is_available())
    sign_in(folder, state.process_index)
    try:
        if state.num_processes != order.processes:
            raise UserError(
                f"{state.num_processes} process runs where {order.processes} were asked for",
                "check num_processes and the kind of machine in the accelerate config, or give --accelerate a number",
            )
        train_here(order.spec, passing_on(folder), stopping(folder, order.starter))
    except Exception as error:  # whatever it was, the one who started the processes reads it
        stopped = write_error(folder, state.process_index, error)
        if isinstance(error, UserError):
            return 0 if stopped else 3
        raise
    finally:
        state.destroy_process_group()
    return 0


def sign_in(folder: Path, index: int) -> None:
    """Say which process of which machine this is, so that it can be ended."""
    me = (os.getpid(), mark_of(os.getpid()), platform.node())
    (folder / f"process-{index}.json").write_text(json.dumps(me) + "\n", encoding="utf-8")


def passing_on(folder: Path) -> Callable[["Metric"], None]:
    """What is logged goes into a file that the one who started the processes reads along."""
    from training.together import first

    def observe(metric: "Metric") -> None:
        if first():
            with (folder / OBSERVED).open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(metric)) + "\n")

    return observe


def stopping(folder: Path, starter: tuple[int, float]) -> Callable[[], bool]:
    """Whether the run was asked to stop, or who started it is gone. Only the first process's answer counts."""

    return lambda: (folder / STOP).exists() or not runs_still(*starter)


def write_error(folder: Path, index: int, error: Exception) -> bool:
    """Say in a file why this process failed; True where all of them stop because they were asked to."""
    from training.following import Cancelled
    from training.running import OutOfMemory

    kind = next((k.__name__ for k in (Cancelled, OutOfMemory, UserError) if isinstance(error, k)), "bug")
    if lost_another(error):
        kind = "lost"
    told = {"kind": kind, "what": str(error) or type(error).__name__, "remedy": ""}
    if isinstance(error, UserError):
        told |= {"what": error.what, "remedy": error.remedy}
    (folder / f"error-{index}.json").write_text(json.dumps(told) + "\n", encoding="utf-8")
    return kind == "Cancelled"


def lost_another(error: Exception) -> bool:
    """Whether all that is wrong is that another process of the run is gone."""
    from torch.distributed import DistError

    gone = ("closed by peer", "reset by peer", "Broken pipe")
    return isinstance(error, DistError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in gone)
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
