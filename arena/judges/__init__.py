"""Machine judges: what they are handed and what they say. Light; each kind of judge loads what it needs itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from db.entities.catalog import Message, bare
from db.entities.votes import Outcome


class Duel(NamedTuple):
    """A prompt and two answers, as a judge reads them."""

    prompt: Sequence[Message]
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A judge's word on a duel: a, b or tie, or None where it could not be read. Positive margins are for a."""

    outcome: Outcome | None
    margin: float | None = None
    cut: bool = False
    """whether the texts had to be cut to fit the judge"""
    details: Mapping[str, object] = field(default_factory=dict)
    """what each order gave, reasons and all"""


class Answered(NamedTuple):
    """A prompt and one answer, as a judge reads them."""

    prompt: Sequence[Message]
    answer: str


@dataclass(frozen=True, slots=True)
class Graded:
    """A judge's word on one answer: 1 to 10, or None where it could not be read."""

    grade: int | None
    details: Mapping[str, object] = field(default_factory=dict)
    """what it said, reasons and all"""


class Comparer(Protocol):
    """A judge that says of two answers which is better."""

    def compare(self, duels: Sequence[Duel]) -> list[Compared]:
        """One word on each duel, in their order."""
        ...


class LengthJudge:
    """Prefers the longer answer, in characters: the least a judge has to beat."""

    def compare(self, duels: Sequence[Duel]) -> list[Compared]:
        """One word on each duel, in their order."""
        margins = [float(len(bare(d.a)) - len(bare(d.b))) for d in duels]
        return [Compared(word_of_margin(m, -m), m) for m in margins]


def word_of_margin(forward: float, reverse: float) -> Outcome:
    """What two orders say together: positive prefers the answer that stood first; orders that disagree are a tie."""
    if forward > 0 > reverse:
        return Outcome.A
    return Outcome.B if forward < 0 < reverse else Outcome.TIE
