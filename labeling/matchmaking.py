"""Which two of a campaign's models meet next. Pure: what is known of them and the source of randomness are passed in.

Each two keep a share of even chance, and the chance of the two that are drawn is stored, so that a vote can be weighed
by 1 / (among x chance) as in labeling/assignment.py.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from db.entities.campaigns import Matchmaking
from db.live_turns import Fought
from labeling.assignment import Lot


class Pairing(NamedTuple):
    """The place of the two that were drawn, their chance, and among how many."""

    at: int
    chance: float
    among: int


def chances(known: Sequence[Fought], way: Matchmaking, random_share: float) -> list[float]:
    """The chance of each two to meet: random_share of it even, the rest by what a further vote is worth."""
    worth = [_worth(k, way) for k in known]
    total = sum(worth)
    return [random_share / len(known) + (1 - random_share) * w / total for w in worth]


def pair_up(known: Sequence[Fought], way: Matchmaking, random_share: float, lot: Lot) -> Pairing:
    """Draw two of the twos that could meet; there is at least one."""
    odds = chances(known, way, random_share)
    u, at = lot.random(), 0
    while at < len(odds) - 1 and u >= odds[at]:
        u -= odds[at]
        at += 1
    return Pairing(at, odds[at], len(odds))


def _worth(known: Fought, way: Matchmaking) -> float:
    """What a further vote between two models is worth, in no unit.

    least_played: 1 / (1 + votes)^2. most_informative: how much it narrows the standard error of their win rate, the
    rule of Chatbot Arena (Chiang et al. 2024, equation 9), with the win rate under Jeffreys' prior.
    """
    votes = known.wins_a + known.wins_b + known.others
    if way is Matchmaking.LEAST_PLAYED:
        return 1.0 / (1 + votes) ** 2
    if way is Matchmaking.MOST_INFORMATIVE:
        p = (known.wins_a + known.others / 2 + 0.5) / (votes + 1)
        spread = math.sqrt(p * (1 - p))
        return spread / math.sqrt(votes + 1) - spread / math.sqrt(votes + 2)
    return 1.0
