"""Which battle a rater gets next. Pure: the candidates and the source of randomness are passed in.

Under smart sampling a battle is drawn with a chance that is stored with its assignment, and never below the random
share's part, so that weighting each vote by 1 / (among x chance) gives the figures that uniform sampling would have
given (Horvitz and Thompson 1952; self-normalised in the report after Hajek 1971).
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from db.assignments import Candidate
from db.entities.campaigns import Sampling
from db.entities.votes import BallotKind

POOL = 400
"""candidates weighed at a draw; more than these are first thinned by lot, which the chance accounts for"""
BLOCK = 10
"""ballots of a rater among which the stated share are check questions"""
MOST_LIKELY = 0.75
REPEAT_GAP = 5
"""votes between a battle and its repeat"""


class Lot(Protocol):
    """What is asked of a source of randomness (random.Random, secrets.SystemRandom)."""

    def random(self) -> float: ...  # noqa: D102 - as in the standard library


class Drawn(NamedTuple):
    """A battle to lend, and how likely it was to be the one among all that could be lent."""

    battle: int
    chance: float
    among: int


def kind_of_next(
    rates: Mapping[BallotKind, float], given: Mapping[BallotKind, int], number: int, lot: Lot
) -> BallotKind:
    """What a rater's next ballot should be, after `number` ballots of which `given` were check questions.

    Of each ten ballots the stated share are check questions, at places drawn by lot, so that everybody is checked
    about as often: with a draw of its own at every ballot, one rater in thirteen would meet 4 or fewer in 40 ballots at
    two rates of 0.1. What could not be lent when it was due is made up for. No chance is over MOST_LIKELY, so that a
    kind of which none is left keeps the other from nothing.
    """
    left = BLOCK - number % BLOCK
    for kind, rate in rates.items():
        owed = math.floor(rate * (number + left) + 0.5) - given.get(kind, 0)
        if rate > 0 and lot.random() < min(MOST_LIKELY, owed / left):
            return kind
    return BallotKind.BATTLE


def draw(
    pool: Sequence[Candidate], among: int, sampling: Sampling, random_share: float, n: int, lot: Lot
) -> list[Drawn]:
    """n different battles of a pool that was itself drawn by lot from `among` candidates.

    Each is drawn with chance random_share / pool + (1 - random_share) x its weight / all weights; a second draw is
    made from what the first left, and its chance is that of its own draw.
    """
    left = list(pool)
    drawn: list[Drawn] = []
    while left and len(drawn) < n:
        weights = [weight(c, sampling) for c in left]
        total = sum(weights)
        chances = [
            random_share / len(left) + (1 - random_share) * (w / total if total else 1 / len(left))
            for w in weights
        ]
        at = _pick(chances, lot)
        thinned = len(pool) / max(among, len(pool))
        drawn.append(
            Drawn(left.pop(at).battle, min(1.0, chances[at] * thinned), max(among, len(pool)) - len(drawn))
        )
    return drawn


def _pick(chances: Sequence[float], lot: Lot) -> int:
    u, total = lot.random() * sum(chances), 0.0
    for i, chance in enumerate(chances):
        total += chance
        if u < total:
            return i
    return len(chances) - 1


def weight(candidate: Candidate, sampling: Sampling) -> float:
    """How much a vote on this battle would tell, between 0 and 1.

    most_uncertain: the entropy, in bits, of the share of a under Jeffreys' prior, falling with each vote there is.
    judge_disagreement: 4 p (1 - p) of the judges' mean probability p, 1 where they are split or undecided.
    """
    if sampling is Sampling.MOST_UNCERTAIN:
        votes = candidate.wins_a + candidate.wins_b + candidate.others
        p = (candidate.wins_a + candidate.others / 2 + 0.5) / (votes + 1)
        return -(p * math.log2(p) + (1 - p) * math.log2(1 - p)) / math.sqrt(votes + 1)
    if sampling is Sampling.JUDGE_DISAGREEMENT:
        p = 0.5 if candidate.judged is None else candidate.judged
        return 4 * p * (1 - p)
    return 1.0
