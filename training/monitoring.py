"""What a run shows while it goes on: every log written down and passed on, its checkpoints kept, its stop found.

Light at import; the form in which the trainer calls the monitor is made in a function.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from db.errors import UserError
from training import checkpoints, together
from training.metrics import Metric
from training.proof import ReferenceProof

if TYPE_CHECKING:
    from transformers import TrainerCallback, TrainerControl, TrainerState
    from transformers import TrainingArguments as Args


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
