"""Following a run of any kind from its start or its newest checkpoint to its end.

`follow` runs a trainer; every kind of run goes through it. Where a run has several processes, each follows it and the
first one writes. Light at import; the trainer's callbacks are made in a function.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from db.errors import UserError
from training import checkpoints, looks, samples, together
from training.folders import verify
from training.metrics import Metric, cut_after
from training.monitoring import Monitor, as_callback
from training.proof import ReferenceProof
from training.settings import RunSpec

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback


class Cancelled(UserError):
    """The run was asked to stop and did, at the end of a step."""


def follow(
    trainer: Trainer,
    spec: RunSpec[Any],
    observe: Callable[[Metric], None],
    should_stop: Callable[[], bool],
    prove: Callable[[Mapping[str, float]], ReferenceProof] | None = None,
    before: float = 0.0,
) -> Monitor:
    """Run a trainer from the newest checkpoint of its run that verifies, or from the start where there is none.

    `before` is how many seconds it took to ask the reference, where that was done beforehand: they count as the run's.
    Cancelled where it was asked to stop: after the step it was at, with a checkpoint kept.
    """
    found = checkpoints.newest(spec.folder, checkpoints.mark_of(spec))
    together.by_the_first(
        partial(forget_after, spec.folder, found.checkpoint.step if found.checkpoint else None)
    )
    path = spec.folder / "metrics.jsonl" if together.first() else Path(os.devnull)
    with path.open("a", encoding="utf-8") as file:
        monitor = Monitor(spec.folder, file, checkpoints.mark_of(spec), observe, should_stop, prove)
        monitor.patience = spec.settings.patience
        go_on_from(monitor, found)
        if before:
            monitor.earlier += before
            monitor.last["reference_seconds"] = before
        attach(trainer, spec, monitor)
        _leave_layers_unpacked(trainer)
        if together.agreed(should_stop()):
            raise Cancelled("the run was cancelled before its first step", "start it again when it suits")
        written = Path(str(trainer.args.output_dir))
        # What a killed run had not finished writing.
        together.by_the_first(partial(shutil.rmtree, written, ignore_errors=True))
        if found.checkpoint is None:
            trainer.train()
        else:
            # What was due at that step is evaluated already, unless the run was asked to stop just there.
            trainer.args.eval_on_start = bool(found.checkpoint.carried["owes_evaluation"])
            trainer.add_callback(_same_number_types(trainer))
            trainer.train(resume_from_checkpoint=str(found.checkpoint.folder))
        together.by_the_first(partial(shutil.rmtree, written, ignore_errors=True))
    if monitor.stopped_at is not None:
        raise Cancelled(
            f"the run was cancelled at step {monitor.stopped_at} of {trainer.state.max_steps}; it has no model yet",
            "`jobs resume` goes on from there",
        )
    take_best(trainer, monitor)
    return monitor


def attach(trainer: Trainer, spec: RunSpec[Any], monitor: Monitor) -> None:
    """Let the monitor hear a trainer, whatever it trains, and look at its model; standard output stays empty."""
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)  # standard output belongs to --json
    trainer.add_callback(as_callback(monitor))
    looks.attach(trainer, spec, monitor)


def take_best(trainer: Trainer, monitor: Monitor) -> None:
    """Where a run has patience, its model and its figures are those of its best evaluation."""
    last = trainer.state.global_step
    if not monitor.patience or monitor.best is None or monitor.best[0] in (0, last):
        return
    folder = monitor.folder / checkpoints.FOLDER / f"checkpoint-{monitor.best[0]}"
    try:
        verify(folder)
    except UserError as error:
        monitor.notes.append(f"the model is that of the last step, as the best cannot be read: {error.what}")
        return
    types = {name: p.dtype for name, p in trainer.model.named_parameters()}
    trainer._load_from_checkpoint(str(folder))
    for name, parameter in trainer.model.named_parameters():
        parameter.data = parameter.data.to(types[name])
    carried = json.loads((folder / checkpoints.CARRIED).read_text(encoding="utf-8"))
    monitor.last = dict(carried["last"])
    early = f"; the run stopped after step {last} of {trainer.state.max_steps}" if monitor.ended_early else ""
    monitor.notes.append(f"the model is that of step {monitor.best[0]}, the best on held-out rows{early}")


def go_on_from(monitor: Monitor, found: checkpoints.Found) -> None:
    """Take over what the checkpoint's run had shown, and say where the run goes on and what was passed over."""
    past = found.checkpoint
    monitor.notes += found.passed_over
    if past is not None:
        proof = past.carried["proof"]
        monitor.proof = ReferenceProof(**proof) if proof else None
        monitor.last = dict(past.carried["last"])
        monitor.earlier = float(past.carried["seconds"])
        monitor.tokens_before = monitor.last.get("num_tokens", 0.0)
        best = past.carried["best"]
        monitor.best = (int(best[0]), float(best[1])) if best else None
        monitor.waited = int(past.carried["waited"])
        monitor.owes_look = bool(past.carried["owes_look"])
        monitor.notes.append(f"the run went on from its checkpoint after step {past.step}")
    for note in monitor.notes:
        print(note, file=sys.stderr)  # the job's log


def forget_after(run: Path, step: int | None) -> None:
    """Forget what the run wrote down after a step."""
    cut_after(run / "metrics.jsonl", step)
    samples.cut_after(run, step)


def _leave_layers_unpacked(trainer: Trainer) -> None:
    """Keep bitsandbytes on a CPU from repacking the 4-bit layers at the first evaluation.

    Packing rounds their scales, so a run that goes on after one would compute with other numbers than it began with.
    """
    for layer in trainer.model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False


def _same_number_types(trainer: Trainer) -> TrainerCallback:
    """Undo that peft loads a checkpoint's adapter in 32 bits where it was trained in 16 (over a quantised base)."""
    from transformers import TrainerCallback

    types = {name: p.dtype for name, p in trainer.model.named_parameters() if p.is_floating_point()}

    class SameTypes(TrainerCallback):  # type: ignore[misc]
        """Once, after the checkpoint is loaded."""

        def on_train_begin(self, *_: object, **what: Any) -> None:  # noqa: ANN401 - the trainer's own objects
            widened = [
                (p, types[n]) for n, p in what["model"].named_parameters() if p.dtype != types.get(n, p.dtype)
            ]
            for parameter, dtype in widened:
                parameter.data = parameter.data.to(dtype)
            if widened:  # the optimizer takes its moments to the types of the weights as it loads them
                what["optimizer"].load_state_dict(what["optimizer"].state_dict())

    return SameTypes()
