"""Watching a run: its metrics, the proof that its reference is the right one, and how it is stopped.

Light at import: the web process reads `Metric` and `read_metrics`. The trainer's callback is made in a function.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from db.errors import UserError
from training.settings import DpoLoss, DpoSettings

if TYPE_CHECKING:
    from transformers import TrainerCallback, TrainerControl, TrainerState
    from transformers import TrainingArguments as Args

TOLERANCE = 1e-3


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
    values: Mapping[str, float], expected_margin: float, expected_loss: float
) -> ReferenceProof:
    """The proof from the metrics logged at step 1."""
    margin, loss = values["rewards/margins"], values["loss"]
    ok = _near(margin, expected_margin) and _near(loss, expected_loss)
    return ReferenceProof(margin, loss, expected_margin, expected_loss, TOLERANCE, ok)


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
class Monitor:
    """Receives every log of a run: writes it down, passes it on, and says when to stop.

    `prove` is asked once, with the metrics of the first step, and raises where the reference is wrong.
    """

    file: TextIO
    observe: Callable[[Metric], None]
    should_stop: Callable[[], bool]
    prove: Callable[[Mapping[str, float]], ReferenceProof]
    proof: ReferenceProof | None = None
    last: dict[str, float] = field(default_factory=dict)
    stopped_at: int | None = None

    def logged(self, step: int, total: int, logs: Mapping[str, object]) -> None:
        """One log of the trainer. The proof comes first, so that a wrong reference leaves no row behind."""
        values = {key: float(value) for key, value in logs.items() if isinstance(value, int | float)}
        refuse_not_a_number(step, values)
        if self.proof is None and "rewards/margins" in values and step == 1:
            self.proof = self.prove(values)
        metric = Metric(step, total, values)
        self.file.write(json.dumps(asdict(metric)) + "\n")
        self.file.flush()
        self.last.update(values)
        self.observe(metric)

    def wants_stop(self, step: int) -> bool:
        """Whether to end after this step; remembers where."""
        if self.stopped_at is None and self.should_stop():
            self.stopped_at = step
        return self.stopped_at is not None


def as_callback(monitor: Monitor) -> TrainerCallback:
    """The monitor in the form the trainer calls."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        """Hands the trainer's events to the monitor."""

        def on_log(self, _args: Args, state: TrainerState, _control: TrainerControl,
                   logs: dict[str, float] | None = None, **_: object) -> None:  # fmt: skip
            monitor.logged(state.global_step, state.max_steps, logs or {})

        def on_epoch_end(
            self, _args: Args, _state: TrainerState, control: TrainerControl, **_: object
        ) -> TrainerControl:
            # The trainer closes a stopped epoch as any other; a cancelled run should not evaluate first.
            control.should_evaluate = control.should_evaluate and monitor.stopped_at is None
            return control

        def on_step_end(
            self, _args: Args, state: TrainerState, control: TrainerControl, **_: object
        ) -> TrainerControl:
            if monitor.wants_stop(state.global_step):
                control.should_training_stop = True
                control.should_evaluate = False
            return control

    return Watch()


def read_metrics(path: Path) -> list[Metric]:
    """The metrics written so far; a last line still being written is left for the next reading."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [Metric(**json.loads(line)) for line in lines]


def _near(value: float, expected: float) -> bool:
    """Within the tolerance, taken relative where the expected value is above 1 (IPO's loss is 25 at beta 0.1)."""
    return abs(value - expected) <= TOLERANCE * max(1.0, abs(expected))


def _softplus(x: float) -> float:
    """log(1 + e^x) without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
