"""Alarms in plain words over the curves of a run: what went wrong, and what to change. Pure.

A curve is the (step, value) pairs of one of the trainer's own metrics, steps rising. The rules are rules of thumb, each from
runs that went wrong that way; their figures are named below, and tests hold each against recorded runs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import mean, median

from db.entities.runs import RunKind

Curve = Sequence[tuple[int, float]]
Curves = Mapping[str, Curve]

START_MARGIN = 1e-2
"""a margin further from 0 than this at the first step, against the start itself, is another model's"""
LEARNED_AT_ONCE = 0.05
"""a DPO loss below this within the first tenth: the answers were known, or the reference is another model"""
STILL = (0.68, 0.71)
"""a DPO loss that ends between these is still ln 2, that of a coin"""
MOVED = 0.02
"""a margin below this at the end is none; an SFT loss that fell by less than this share of itself neither"""
BY_HEART, WORSE = 0.95, 1.05
"""accuracy on the pairs it trains on, and how many times its own lowest the held-out loss is, in overfit"""
FELL = 0.2
"""share of its log-probability that the chosen answer may lose"""
GREW, STOPPED, REPEATED = 1.5, 0.25, 0.3
"""answers that many times as long; shares of answers that no longer stop, of text that repeats itself"""
STEEP, JUMP, BEFORE = 100.0, 10.0, 5
"""a gradient that many times the median of those before it (at least so many) is a blow-up; above STEEP, twice is enough"""
PERPLEXITY, DIVERGENCE = 1.5, 1.0
"""plain text that many times as perplexing; nats a token away from the start model on it"""


class AlarmKind(StrEnum):
    """What can be wrong with a run."""

    WRONG_REFERENCE = "wrong reference"
    NOTHING_LEARNED = "nothing learned"
    OVERFIT = "overfit"
    CHOSEN_FALLS = "chosen answers less likely"
    LONGER = "answers just got longer"
    ENDLESS = "answers no longer stop"
    REPEATS = "answers repeat themselves"
    BLOW_UP = "gradient blow-up"
    FORGETTING = "forgetting"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong: in figures, and what to change."""

    kind: AlarmKind
    what: str
    change: str


@dataclass(frozen=True, slots=True)
class Course:
    """A run as far as it has come: its curves, which kind it is, and whether it has reached its last step.

    `own_reference`: the reference is the model it started from, so that the first margin must be 0.
    """

    kind: RunKind
    curves: Curves
    ended: bool = True
    own_reference: bool = True

    def curve(self, name: str) -> Curve:
        """A curve, without the values that are no numbers."""
        return [(s, v) for s, v in self.curves.get(name, ()) if math.isfinite(v)]

    def values(self, name: str) -> list[float]:
        """The values of a curve alone."""
        return [v for _, v in self.curve(name)]

    def late(self, name: str) -> float | None:
        """The mean of a curve's last quarter: one batch alone says little."""
        values = self.values(name)
        return mean(values[-max(1, len(values) // 4) :]) if values else None

    def early(self, name: str) -> float | None:
        """The mean of its first tenth."""
        values = self.values(name)
        return mean(values[: max(1, len(values) // 10)]) if values else None

    def both_ends(self, name: str) -> tuple[float, float] | None:
        """First and last value of a curve that has at least two."""
        values = self.values(name)
        return (values[0], values[-1]) if len(values) > 1 else None


def alarms(course: Course) -> tuple[Alarm, ...]:
    """Every alarm that a run gives by now, the gravest first."""
    return tuple(alarm for rule in RULES if (alarm := rule(course)) is not None)


def wrong_reference(c: Course) -> Alarm | None:
    """The first margin against the start itself is not 0, or the loss was near 0 at once."""
    if c.kind is not RunKind.DPO:
        return None
    margins = c.curve("rewards/margins")
    if c.own_reference and margins and margins[0][0] == 1 and abs(margins[0][1]) > START_MARGIN:
        return Alarm(AlarmKind.WRONG_REFERENCE,
                     f"the first margin is {margins[0][1]:.3f}; against the model it started from it must be 0",
                     "stop the run and start it from the model that the reference was copied from")  # fmt: skip
    losses = c.curve("loss")
    early = [(s, v) for s, v in losses if s <= max(1, losses[-1][0] // 10)] if c.ended else []
    at = next((s for s, v in early if v < LEARNED_AT_ONCE), None)
    if at is None:
        return None
    return Alarm(AlarmKind.WRONG_REFERENCE,
                 f"the loss was already near 0 at step {at}: the pairs are told apart by something trivial, or the "
                 "reference is another model",
                 "look at the rows (Train, Look at the rows) and check which reference the run names")  # fmt: skip


def nothing_learned(c: Course) -> Alarm | None:
    """The loss of a coin, at the end of the run."""
    loss, margin, accuracy = c.late("loss"), c.late("rewards/margins"), c.late("rewards/accuracies")
    change = "try a higher learning rate, more epochs, or more votes"
    if not c.ended or loss is None or len(c.curve("loss")) < 2:
        return None
    if c.kind is RunKind.SFT:
        first = c.early("loss") or loss
        if (first - loss) < MOVED * abs(first):
            return Alarm(AlarmKind.NOTHING_LEARNED, f"the loss hardly moved: {first:.3f} at first, {loss:.3f} at the end",
                         change)  # fmt: skip
        return None
    if c.kind is not RunKind.DPO or margin is None or accuracy is None:
        return None
    if abs(margin) < MOVED or (STILL[0] <= loss <= STILL[1] and accuracy < 0.6):
        return Alarm(AlarmKind.NOTHING_LEARNED,
                     f"the loss ends at {loss:.3f} and the margin at {margin:.3f}: a model that never learned has 0.693 "
                     "and 0, so this one answers as its parent does", change)  # fmt: skip
    return None


def overfit(c: Course) -> Alarm | None:
    """Held-out pairs get worse while the others are learned by heart."""
    held, train, heart = c.values("eval_loss"), c.late("loss"), c.late("rewards/accuracies")
    first = c.early("loss")
    if (
        len(held) < 3
        or train is None
        or first is None
        or held[-1] < WORSE * min(held)
        or held[-1] == min(held)
    ):
        return None
    if train >= first or (heart is not None and heart < BY_HEART):
        return None
    at = c.curve("eval_loss")[held.index(min(held))][0]
    return Alarm(AlarmKind.OVERFIT,
                 f"the loss on held-out rows was lowest at step {at} ({min(held):.3f}) and is {held[-1]:.3f} now, while "
                 "the rows it trains on still improve: it learns them by heart",
                 "train for fewer epochs, or set patience so that the run stops by itself")  # fmt: skip


def chosen_falls(c: Course) -> Alarm | None:
    """The chosen answers lose likelihood, the rejected ones only more."""
    name = "eval_logps/chosen" if len(c.curve("eval_logps/chosen")) > 1 else "logps/chosen"
    values = c.values(name)
    if len(values) < 2 or values[0] >= 0:
        return None
    first = values[0] if name.startswith("eval") else c.early(name)
    last = values[-1] if name.startswith("eval") else c.late(name)
    if first is None or last is None or last >= first * (1 + FELL):
        return None
    return Alarm(AlarmKind.CHOSEN_FALLS,
                 f"the chosen answers became less likely: their log-probability fell from {first:.0f} to {last:.0f}. "
                 "The model learns what not to say faster than what to say",
                 "set sft_weight=1 or more, lower the learning rate, or raise beta")  # fmt: skip


def longer(c: Course) -> Alarm | None:
    """The answers on the fixed prompts grew."""
    ends = c.both_ends("samples/tokens")
    if ends is None or ends[1] < GREW * ends[0] or ends[1] - ends[0] < 5:
        return None
    return Alarm(AlarmKind.LONGER,
                 f"the answers just got longer: {ends[1]:.0f} tokens on average instead of {ends[0]:.0f}. People and "
                 "judges tend to prefer the longer answer whether or not it is better",
                 "set loss=sigmoid_norm, which looks at the mean token, and compare with the longer-answer judge")  # fmt: skip


def endless(c: Course) -> Alarm | None:
    """Fewer answers end by themselves."""
    ends = c.both_ends("samples/stopped")
    if ends is None or ends[0] - ends[1] < STOPPED:
        return None
    return Alarm(AlarmKind.ENDLESS,
                 f"{ends[1]:.0%} of the answers end by themselves, at the start {ends[0]:.0%} did: the model unlearns "
                 "to stop",
                 "look for rows that are cut (they lose their end), raise max_length, or lower the learning rate")  # fmt: skip


def repeats(c: Course) -> Alarm | None:
    """Answers go round in circles."""
    ends = c.both_ends("samples/repetition")
    if ends is None or ends[1] - ends[0] < REPEATED:
        return None
    return Alarm(AlarmKind.REPEATS,
                 f"{ends[1]:.0%} of the answers' text repeats what they said before, at the start {ends[0]:.0%} did",
                 "lower the learning rate, raise beta, or set sft_weight=1 or more")  # fmt: skip


def blow_up(c: Course) -> Alarm | None:
    """A gradient far out of line, or no number at all."""
    broken = next((s for s, v in c.curves.get("grad_norm", ()) if not math.isfinite(v)), None)
    if broken is not None:
        return Alarm(AlarmKind.BLOW_UP, f"the gradient was no number at step {broken}", SLOWER)
    norms = c.curve("grad_norm")
    for n, (step, norm) in enumerate(norms[BEFORE:], BEFORE):
        usual = median(v for _, v in norms[:n])
        if norm > max(1.0, JUMP * usual) or norm > max(STEEP, 2 * usual):
            return Alarm(AlarmKind.BLOW_UP,
                         f"the gradient's norm jumped to {norm:.0f} at step {step}, where {usual:.1f} had been usual",
                         SLOWER)  # fmt: skip
    return None


SLOWER = "lower the learning rate or max_grad_norm, or warm up for longer"


def forgetting(c: Course) -> Alarm | None:
    """Plain text that nobody voted on reads as less likely than before."""
    change = "lower the learning rate, train for fewer steps, raise beta, or set sft_weight=1 or more"
    ends, away = c.both_ends("neutral/perplexity"), c.both_ends("neutral/divergence")
    if ends is not None and ends[1] > PERPLEXITY * ends[0]:
        times = ends[1] / ends[0]
        shown = f"{times:.1f}" if times < 1000 else "over 1,000"
        return Alarm(AlarmKind.FORGETTING,
                     f"it forgets: plain text that nobody voted on is {shown} times as perplexing as before", change)  # fmt: skip
    if away is not None and away[1] > DIVERGENCE:
        return Alarm(AlarmKind.FORGETTING,
                     f"it is far from the model it started from also where nobody voted: {away[1]:.2f} nats a token on "
                     "plain text", change)  # fmt: skip
    return None


RULES: tuple[Callable[[Course], Alarm | None], ...] = (
    wrong_reference, blow_up, nothing_learned, overfit, forgetting, chosen_falls, endless, repeats, longer,
)  # fmt: skip
