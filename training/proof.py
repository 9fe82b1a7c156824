"""The proof that a run's reference is the right one: its first step against what it must give. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from db.errors import UserError
from training.settings import DpoLoss, DpoSettings, KtoSettings

TOLERANCE = 1e-3
ROUGH = 1e-2
"""where numbers of 16 bits meet what the reference said beforehand, in batches of other rows"""


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


def _near(value: float, expected: float, tolerance: float) -> bool:
    """Within the tolerance, taken relative where the expected value is above 1 (IPO's loss is 25 at beta 0.1)."""
    return abs(value - expected) <= tolerance * max(1.0, abs(expected))


def _softplus(x: float) -> float:
    """log(1 + e^x) without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
