"""Which battle a rater gets next. Pure: randomness is passed in."""

import random
from collections.abc import Sequence

from db.campaigns import FreeBattle


def pick(free: Sequence[FreeBattle], n: int, rng: random.Random) -> list[int]:
    """Up to n battles, least covered first, by lot among equals."""
    order = sorted(free, key=lambda f: (f.covered, rng.random()))
    return [f.battle for f in order[:n]]
