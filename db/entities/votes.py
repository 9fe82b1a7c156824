"""Who judges and what they say: raters, ballots, votes, and the preference pairs that follow."""

from dataclasses import dataclass
from enum import StrEnum

from db.entities.catalog import Message, Split


class RaterKind(StrEnum):
    """Who judges: a person, a made-up rater, or a machine judge."""

    PERSON = "person"
    SIMULATED = "simulated"
    JUDGE = "judge"


class Side(StrEnum):
    """A panel of the ballot."""

    LEFT = "left"
    RIGHT = "right"


class Choice(StrEnum):
    """What was pressed, in terms of the screen."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"
    BOTH_GOOD = "both_good"
    BOTH_BAD = "both_bad"
    SKIP = "skip"


class Outcome(StrEnum):
    """The same in terms of the battle, independent of sides."""

    A = "a"
    B = "b"
    TIE = "tie"
    BOTH_GOOD = "both_good"
    BOTH_BAD = "both_bad"
    SKIP = "skip"

    decisive: bool
    """whether one response won; kept, for it is asked of every vote many times"""

    def __init__(self, value: str) -> None:
        self.decisive = value in ("a", "b")


class Strength(StrEnum):
    """How clear the preference was."""

    SLIGHT = "slight"
    CLEAR = "clear"


class BallotKind(StrEnum):
    """Why a battle is lent: for its vote, or to check the rater (raters cannot tell)."""

    BATTLE = "battle"
    GOLD = "gold"
    """two answers whose better one is known"""
    REPEAT = "repeat"
    """a battle the rater has judged before, sides swapped"""
    PRACTICE = "practice"
    """a known answer before the session counts, with feedback"""


@dataclass(frozen=True, slots=True)
class Rater:
    """Who judges, known by a pseudonym."""

    id: int
    name: str
    kind: RaterKind
    excluded: str | None = None


@dataclass(frozen=True, slots=True)
class Seat:
    """A rater's place in a campaign's lineage, taken through a link whose token is stored hashed."""

    id: int
    rater: int
    campaign: int
    lineage: int
    owner: bool
    created_at: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """One battle lent to one rater: 128 random bits, the drawn side, the lease."""

    id: str
    battle: int
    rater: int
    left_is: str
    lent_at: str
    expires_at: str
    kind: BallotKind = BallotKind.BATTLE
    chance: float | None = None
    """how likely this battle was to be drawn, of `among` that could be; None where it was not drawn"""
    among: int | None = None


@dataclass(frozen=True, slots=True)
class Ballot:
    """An assignment as the rater sees it. It has no field that could name a model."""

    assignment: str
    prompt: tuple[Message, ...]
    left: str
    right: str
    criteria: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VoteDetails:
    """What may come with a choice; everything optional, already un-swapped to slots a and b."""

    strength: Strength | None = None
    acceptable_a: bool | None = None
    acceptable_b: bool | None = None
    criteria: tuple[tuple[str, Outcome], ...] = ()
    tags_a: tuple[str, ...] = ()
    tags_b: tuple[str, ...] = ()
    comment: str | None = None
    better: str | None = None
    reason: str | None = None
    report: str | None = None
    elapsed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Vote:
    """One rater's outcome on one battle, with what the figures and the pairs need of the battle."""

    id: int
    campaign: int
    battle: int
    rater: int
    outcome: Outcome
    left_is: str | None
    created_at: str
    prompt: str
    response_a: str
    response_b: str
    model_a: str
    model_b: str
    rater_name: str
    rater_kind: RaterKind
    split: Split
    strength: Strength | None = None
    elapsed_ms: int | None = None
    turn: int | None = None
    acceptable_a: bool | None = None
    acceptable_b: bool | None = None
    better: str | None = None
    """the answer the rater wrote, better than both"""
    weight: float = 1.0
    """1 / (chance x number of battles it was drawn among): 1 unless the campaign's sampling prefers some battles"""


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """Prompt, chosen, rejected, and the votes it rests on."""

    prompt: str
    chosen: str
    rejected: str
    votes: tuple[int, ...]
    agreement: float
    split: Split
    margin: float | None = None
    ruled: bool = False
    """whether the owner decided it"""
