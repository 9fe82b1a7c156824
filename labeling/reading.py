"""Does a rater read? How well their answers fit reading, beside pressing without looking at the texts. Pure.

Two stories are told about one rater's answers, and the likelihood of each is reckoned. *Blind*: every press is drawn
from the rater's own shares of left, right and tie, whatever the texts say (this covers dice, one side, the last press
again). *Reading*: known answers are mostly found, repeats are mostly answered alike, and answers have to do with what
others say. Readers differ, so the second story is a mixture of kinds: three grades of care, the crowd's use of ties
or the rater's own, and a taste that has nothing to do with the others'; how many readers are of each kind is learned from
the crowd (labeling/reader_kinds.py). A share of ties of one's own may be any, each as likely beforehand, and costs what that
freedom is worth. The ratio of the two likelihoods is a Bayes factor (Kass and Raftery 1995); by Ville's inequality
readers drawn from the mixture ever reach a factor of f with chance 1/f at most, however often one looks. That is a bound,
and the shares of sides, the kinds and what the others let expect are estimated: bench/raters.py measures how rare it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from labeling.agreement import TIE, A, B
from labeling.reader_kinds import STATED, Kinds

Floats = NDArray[np.float64]

FACTOR, BESIDE_FACTOR, EARLY_FACTOR = 10.0, 3.0, 100.0
"""how much better pressing blind must explain the answers before a rater is marked; less where many battles are shared
with others, who err less about a careful rater than check questions do, and more where little is known yet"""
MANY_SHARED = 20
EARLY = 30
"""ballots under which that is so"""
MOST = 1e6
"""factors are not told beyond this: the stories are no finer"""
OTHER_TASTE = 0.02
"""how likely, beforehand, a reader is to judge shared battles unlike everyone else"""
OTHER_LIKING = 0.02
"""the same for liking models or lengths otherwise than the others do, which is no fault at all"""


class Manner(NamedTuple):
    """A grade of care: chance to find a known answer, to answer a repeat alike, and to follow what is there to see."""

    gold: float
    same: float
    care: float


MANNERS = (Manner(0.97, 0.94, 1.0), Manner(0.92, 0.85, 0.85), Manner(0.85, 0.75, 0.7))


class Press(NamedTuple):
    """A label given (a, b or tie), and the label that stood on the left; None where the side is not on record."""

    label: int
    left: int | None


class Check(NamedTuple):
    """A press where one label was to be expected: the known answer, or what the rater said the first time."""

    press: Press
    expected: int


class Beside(NamedTuple):
    """A press, and how likely the others' answers make each label (a, b, tie; sums to 1)."""

    press: Press
    expected: Sequence[float]


class Crowd(NamedTuple):
    """How often the others find known answers, and answer repeats alike, beside what is expected of readers (0 to 1).

    Where even the others miss many, the questions are at fault, and nobody is held to more than the others manage.
    """

    gold: float = 1.0
    same: float = 1.0


AS_EXPECTED = Crowd()


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything a rater did that can tell whether they read. `presses` holds every press, those below included."""

    presses: Sequence[Press]
    gold: Sequence[Check] = ()
    repeats: Sequence[Check] = ()
    shared: Sequence[Beside] = ()
    """on battles that others judged"""
    crowd: Crowd = AS_EXPECTED
    alike: Sequence[Beside] = ()
    """on battles of their own, beside what others say of the same two models and the same difference in length"""


class _Part(NamedTuple):
    """Presses beside the others as arrays: the label, its chance when pressing blind, what the others let expect."""

    label: NDArray[np.int64]
    blind: Floats
    expected: Floats
    any_ties: float
    """ln of what it costs that the share of ties in this part may be any, beside their share of all presses"""

    @property
    def pressed(self) -> float:
        """ln likelihood when pressing blind."""
        return float(np.log(self.blind).sum()) + self.any_ties


def fits(given: Answers) -> Floats:
    """ln of how many times better reading explains the answers than pressing blind; shape (manners, styles)."""
    shares = _shares(given.presses)
    parts = (_part(given.shared, shares), OTHER_TASTE), (_part(given.alike, shares), OTHER_LIKING)
    pressed = sum(math.log(_blind(c.press, shares)) for c in (*given.gold, *given.repeats))
    blind = pressed + sum(part.pressed for part, _ in parts)
    found = []
    for manner in MANNERS:
        checks = _checks(given.gold, manner.gold * given.crowd.gold, even=True)
        checks += _checks(given.repeats, manner.same * given.crowd.same, even=False)
        for tie in (None, shares[2]):
            beside = sum(_beside(part, manner.care, tie, other) for part, other in parts)
            found.append(checks + beside - blind)
    return np.array(found).reshape(len(MANNERS), -1)


def blind_factor(fit: Floats, kinds: Kinds = STATED) -> float:
    """How many times better the answers fit pressing blind than reading; at most MOST, at least 1 / MOST.

    `fit`: as of `fits`. `kinds`: how many readers are of each kind.
    """
    told = -float(np.logaddexp.reduce((fit + kinds.logs).ravel()))
    return math.exp(min(max(told, -math.log(MOST)), math.log(MOST)))


def _shares(presses: Sequence[Press]) -> tuple[float, float, float]:
    """Shares of left, right and tie, half a press added to each; decided ones are halved where no side is on record."""
    tie = sum(p.label == TIE for p in presses)
    sided = [p for p in presses if p.label != TIE and p.left is not None]
    left = sum(p.label == p.left for p in sided)
    decided = (len(presses) - tie + 1.0) / (len(presses) + 1.5)
    on_left = (left + 0.5) / (len(sided) + 1.0)
    return decided * on_left, decided * (1 - on_left), 1 - decided


def _blind(press: Press, shares: tuple[float, float, float]) -> float:
    """The chance of this label for one who presses in these shares without looking."""
    left, right, tie = shares
    if press.label == TIE:
        return tie
    if press.left is None:
        return (left + right) / 2
    return left if press.label == press.left else right


def _part(given: Sequence[Beside], shares: tuple[float, float, float]) -> _Part:
    label = np.array([g.press.label for g in given], dtype=np.int64)
    return _Part(
        label,
        np.array([_blind(g.press, shares) for g in given]),
        np.array([g.expected for g in given], dtype=np.float64).reshape(-1, 3),
        _any_share(int((label == TIE).sum()), len(given), shares[2]),
    )


def _any_share(ties: int, n: int, share: float) -> float:
    """ln of the chance of these ties where any share was as likely beforehand, beside their chance at this share."""
    even = math.lgamma(ties + 1) + math.lgamma(n - ties + 1) - math.lgamma(n + 2)
    return even - ties * math.log(share) - (n - ties) * math.log1p(-share)


def _checks(given: Sequence[Check], right: float, *, even: bool) -> float:
    """ln likelihood of check answers for a reader who is right with this chance.

    A miss falls on both other labels alike (known answers), or twice as often on a tie as on the opposite (repeats:
    the second look at a close call).
    """
    told = 0.0
    for press, expected in given:
        tied = TIE in (press.label, expected)
        part = 1 / 2 if even or expected == TIE else 2 / 3 if tied else 1 / 3
        told += float(np.log(right if press.label == expected else (1 - right) * part))
    return told


def _beside(part: _Part, care: float, tie: float | None, other: float) -> float:
    """ln likelihood beside the others for a reader of this care; `tie`: the reader's own share of ties, else the crowd's."""
    if not len(part.label):
        return 0.0
    rows = part.expected
    if tie is not None:
        decided = rows[:, [A, B]] / rows[:, [A, B]].sum(axis=1, keepdims=True)
        rows = np.column_stack([decided * (1 - tie), np.full(len(rows), tie)])
    read = care * rows[np.arange(len(rows)), part.label] + (1 - care) * part.blind
    as_others = float(np.log(read).sum()) + (0.0 if tie is None else part.any_ties)
    return float(np.logaddexp(math.log1p(-other) + as_others, math.log(other) + part.pressed))
