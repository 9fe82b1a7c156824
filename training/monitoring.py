"""Following a run of any kind: its metrics, the proof that its reference is the right one, its checkpoints, its end.

`follow` runs a trainer; every kind of run goes through it. Where a run has several processes, each follows it and the
first one writes. Light at import: the web process reads `Metric` and
`read_metrics`. The trainer's callbacks are made in a function.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from db.errors import UserError
from db.files import written_file
from training import checkpoints, looks, samples, together
from training.folders import verify
from training.settings import DpoLoss, DpoSettings, KtoSettings, RunSpec

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState
    from transformers import TrainingArguments as Args

TOLERANCE = 1e-3
ROUGH = 1e-2
"""where numbers of 16 bits meet what the reference said beforehand, in batches of other rows"""


@dataclass(frozen=True, slots=True)
class Metric:
    """What the trainer logged after `step` of `total_steps` optimizer steps, under the trainer's own keys."""

    step: int
    total_steps: int
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class ReferenceProof:
    """The first step held against what the right reference must give.

    `margin` and `loss` are the trainer's, before any weight has moved. Against the start itself the margin must
    be 0 and the loss that of margin 0; against another model both must be what plain forward passes of the two
    models give on the same pairs.
    """

    margin: float
    loss: float
    expected_margin: float
    expected_loss: float
    tolerance: float
    ok: bool


class Cancelled(UserError):
    """The run was asked to stop and did, at the end of a step."""


def starting_loss(settings: DpoSettings, margin: float = 0.0) -> float:
    """The loss of one pair whose rewards differ by `margin` (already times beta).

    Sources: DPO (2305.18290) eq. 7; robust DPO (2403.00409); IPO (2310.12036) eq. 17; APO (2408.06266) eq. 7.
    The losses that look at more than the margin (sigmoid_norm, ipo, apo_zero) are only defined here at 0.
    """
    low, high = _softplus(-margin), _softplus(margin)
    e = settings.label_smoothing
    if settings.loss is DpoLoss.SIGMOID:
        return low
    if settings.loss is DpoLoss.ROBUST:
        return ((1 - e) * low - e * high) / (1 - 2 * e)
    if settings.loss is DpoLoss.HINGE:
        return max(0.0, 1 - margin)
    if margin != 0.0:
        raise UserError(
            f"the {settings.loss} loss cannot be checked against a reference other than the start",
            "use loss=sigmoid, robust or hinge with that reference",
        )
    return {
        DpoLoss.SIGMOID_NORM: math.log(2),
        DpoLoss.IPO: 1 / (2 * settings.beta) ** 2,
        DpoLoss.APO_ZERO: 1.0,
    }[settings.loss]


def prove_reference(
    values: Mapping[str, float], expected_margin: float, expected_loss: float, tolerance: float = TOLERANCE
) -> ReferenceProof:
    """The proof from the metrics logged at step 1."""
    margin, loss = values["rewards/margins"], values["loss"]
    ok = _near(margin, expected_margin, tolerance) and _near(loss, expected_loss, tolerance)
    return ReferenceProof(margin, loss, expected_margin, expected_loss, tolerance, ok)


def tolerance_for(settings: DpoSettings | KtoSettings, on_gpu: bool) -> float:
    """How far the first step may be off. Four-bit layers and GPUs compute in 16 bits."""
    return ROUGH if settings.precompute and (settings.quantize or on_gpu) else TOLERANCE


def refuse_unproven(proof: ReferenceProof) -> None:
    """UserError where the first step shows another reference than the one that was asked for."""
    if proof.ok:
        return
    raise UserError(
        f"the reference is not the model it should be: at the first step the margin is {proof.margin:.4f} instead of "
        f"{proof.expected_margin:.4f} and the loss {proof.loss:.4f} instead of {proof.expected_loss:.4f}",
        "the run was stopped and nothing was kept; start from the model the reference was copied from",
    )


def refuse_not_a_number(step: int, values: Mapping[str, float]) -> None:
    """UserError where a loss or the gradient overflowed, naming the likely cause."""
    bad = sorted(k for k in ("loss", "eval_loss", "grad_norm") if not math.isfinite(values.get(k, 0.0)))
    if bad:
        raise UserError(
            f"{' and '.join(bad)} is not a number at step {step}",
            "start again with a lower learning_rate"
            if step > 1
            else "the start model itself is broken: check it",
        )


@dataclass
class Pace:
    """How fast a run is and what it holds: the seconds of its steps alone, without evaluations and checkpoints."""

    began: float = 0.0
    seconds: float = 0.0
    tokens: float = 0.0

    def figures(self, logs: Mapping[str, object]) -> dict[str, float]:
        """Tokens a second since the last log of the steps, and the most memory held so far in GiB."""
        tokens = logs.get("num_tokens")
        if "loss" not in logs or not isinstance(tokens, int | float):
            return {}
        found = {"memory_gib": memory_held() / 2**30}
        if self.seconds and tokens > self.tokens:
            found["tokens_per_second"] = (tokens - self.tokens) / self.seconds
        self.tokens, self.seconds = float(tokens), 0.0
        return found


def memory_held() -> int:
    """The most bytes this process has held: on the GPU where it trains on one, else in memory."""
    import resource

    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(held if sys.platform == "darwin" else held * 1024)


@dataclass
class Monitor:
    """Receives every log of a run: writes it down, passes it on, keeps its checkpoints, and says when to stop.

    `prove` is asked once, with the metrics of the first step, and raises where the reference is wrong; None for the
    kinds of run that have no reference. On a run that goes on, `proof`, `last` and `earlier` (seconds it had taken)
    are those of its checkpoint: a policy that has moved can no longer prove its reference.
    """

    folder: Path
    file: TextIO
    mark: str
    observe: Callable[[Metric], None]
    should_stop: Callable[[], bool]
    prove: Callable[[Mapping[str, float]], ReferenceProof] | None = None
    proof: ReferenceProof | None = None
    last: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    earlier: float = 0.0
    tokens_before: float = 0.0
    started: float = field(default_factory=time.monotonic)
    stopped_at: int | None = None
    kept_at: int | None = None
    owes_evaluation: bool = False
    owes_look: bool = False
    patience: int = 0
    best: tuple[int, float] | None = None
    waited: int = 0
    pace: Pace = field(default_factory=lambda: Pace())

    @property
    def ended_early(self) -> bool:
        """Whether its patience is at an end."""
        return bool(self.patience) and self.waited >= self.patience

    @property
    def seconds(self) -> float:
        """How long the run has taken, with what it took before it went on."""
        return round(self.earlier + time.monotonic() - self.started, 2)

    def logged(self, step: int, total: int, logs: Mapping[str, object]) -> None:
        """One log of the trainer. The proof comes first, so that a wrong reference leaves no row behind."""
        values = {key: float(value) for key, value in logs.items() if isinstance(value, int | float)}
        refuse_not_a_number(step, values)
        for key in values.keys() & {"num_tokens", "eval_num_tokens"}:
            values[key] += self.tokens_before  # the trainer counts from where it went on
        if self.prove is not None and self.proof is None and "loss" in values and step == 1:
            self.proof = self.prove(values)
        metric = Metric(step, total, values)
        self.file.write(json.dumps(asdict(metric)) + "\n")
        self.file.flush()
        self.last.update(values)
        self.observe(metric)

    def wants_stop(self, step: int) -> bool:
        """Whether to end after this step; remembers where."""
        if self.stopped_at is None and together.agreed(self.should_stop()):
            self.stopped_at = step
        return self.stopped_at is not None

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Whether this evaluation is the best so far, by the held-out margin, or by the loss where there is none."""
        margin = metrics.get("eval_rewards/margins")
        value = margin if margin is not None else -metrics.get("eval_loss", math.inf)
        if self.best is not None and value <= self.best[1]:
            self.waited += 1
            return False
        self.best, self.waited = (step, value), 0
        return True

    def keep(self, written: Path, step: int) -> None:
        """Make what the trainer wrote after a step a checkpoint, with what the run has shown so far."""
        proof = asdict(self.proof) if self.proof else None
        carried = {"mark": self.mark, "proof": proof, "last": self.last, "seconds": self.seconds,
                   "owes_evaluation": self.owes_evaluation, "owes_look": self.stopped_at is not None,
                   "best": self.best, "waited": self.waited}  # fmt: skip

        def kept() -> None:
            checkpoints.keep(written, self.folder, step, carried)
            checkpoints.prune(self.folder, self.best[0] if self.best else None)

        together.by_the_first(kept)  # what every process had to add is written
        self.kept_at = step


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


def attach(trainer: Trainer, spec: RunSpec[Any], monitor: Monitor) -> None:
    """Let the monitor hear a trainer, whatever it trains, and look at its model; standard output stays empty."""
    from transformers.trainer_callback import PrinterCallback

    trainer.remove_callback(PrinterCallback)  # standard output belongs to --json
    trainer.add_callback(as_callback(monitor))
    looks.attach(trainer, spec, monitor)


def as_callback(monitor: Monitor) -> TrainerCallback:
    """The monitor in the form the trainer calls."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        """Hands the trainer's events to the monitor."""

        def on_log(self, _args: Args, state: TrainerState, _control: TrainerControl,
                   logs: dict[str, float] | None = None, **_: object) -> None:  # fmt: skip
            found = monitor.pace.figures(logs or {})
            monitor.logged(state.global_step, state.max_steps, {**(logs or {}), **found})

        def on_step_begin(self, *_: object, **__: object) -> None:
            monitor.pace.began = time.monotonic()

        def on_step_end(
            self, args: Args, state: TrainerState, control: TrainerControl, **_: object
        ) -> TrainerControl:
            monitor.pace.seconds += time.monotonic() - monitor.pace.began
            step, total = state.global_step, state.max_steps
            if monitor.wants_stop(step):
                control.should_training_stop = True
                owed_later = args.eval_strategy == "epoch" and state.epoch == int(state.epoch or 0)
                monitor.owes_evaluation = control.should_evaluate or owed_later
                control.should_evaluate, control.should_save, control.should_log = False, True, True
            elif step % checkpoints.steps_between(total) == 0 and step < total:
                control.should_save = state.epoch != int(state.epoch or 0)
                control.should_log = (
                    True  # the mean of the next log begins here, whether it goes on or begins again
                )
            return control

        def on_epoch_end(
            self, _args: Args, state: TrainerState, control: TrainerControl, **_: object
        ) -> TrainerControl:
            # The trainer closes a stopped epoch as any other; a cancelled run should not evaluate first.
            control.should_evaluate = control.should_evaluate and monitor.stopped_at is None
            # What is evaluated at the end of an epoch must be behind a checkpoint of that step.
            step, total = state.global_step, state.max_steps
            due = step % checkpoints.steps_between(total) == 0 and step < total
            control.should_save = due and monitor.kept_at != step
            return control

        def on_evaluate(self, _args: Args, state: TrainerState, control: TrainerControl,
                        metrics: dict[str, float] | None = None, **_: object) -> TrainerControl:  # fmt: skip
            if monitor.patience and monitor.evaluated(state.global_step, metrics or {}):
                control.should_save = control.should_save or state.global_step > 0
            control.should_training_stop = control.should_training_stop or monitor.ended_early
            return control

        def on_save(self, args: Args, state: TrainerState, _control: TrainerControl, **_: object) -> None:
            written = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
            monitor.keep(written, state.global_step)

    return Watch()


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


def forget_after(run: Path, step: int | None) -> None:
    """Forget what the run wrote down after a step."""
    cut_after(run / "metrics.jsonl", step)
    samples.cut_after(run, step)


def cut_after(path: Path, step: int | None) -> None:
    """Forget the metrics after a step (None: all of them): the run takes those steps again."""
    kept = [m for m in read_metrics(path) if step is not None and m.step <= step]
    with written_file(path) as aside:
        aside.write_text("".join(json.dumps(asdict(m)) + "\n" for m in kept), encoding="utf-8")


def read_metrics(path: Path) -> list[Metric]:
    """The metrics written so far; a last line still being written is left for the next reading."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [Metric(**json.loads(line)) for line in lines]


def _near(value: float, expected: float, tolerance: float) -> bool:
    """Within the tolerance, taken relative where the expected value is above 1 (IPO's loss is 25 at beta 0.1)."""
    return abs(value - expected) <= tolerance * max(1.0, abs(expected))


def _softplus(x: float) -> float:
    """log(1 + e^x) without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
