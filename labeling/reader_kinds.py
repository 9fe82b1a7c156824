"""What kinds of readers a crowd has: how careful they are, and whose measure of ties they use. Pure.

Beforehand stated shares are expected, worth two raters; the crowd's own answers say the rest, by expectation and
maximisation over a mixture in which some press blind (Dempster, Laird and Rubin 1977). Where twelve people read with
care, a thirteenth who does not is more likely to press blind than to be the first sloppy reader; where many are
sloppy, one more is nothing remarkable. Care and ties are taken to be independent.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WORTH = 2.0
"""raters that the stated shares count as"""
BLIND = 0.1
"""the share of a crowd that is expected to press blind"""
ROUNDS = 40


class Kinds(NamedTuple):
    """How many readers have each manner, and each style of ties (the crowd's, their own); each sums to 1."""

    manners: Floats
    styles: Floats

    @property
    def logs(self) -> Floats:
        """ln of the share of each kind, shape (manners, styles)."""
        return np.log(np.outer(self.manners, self.styles))


STATED = Kinds(np.array([0.5, 0.35, 0.15]), np.array([0.8, 0.2]))


def kinds_of_others(fits: Mapping[str, Floats], crowd: Collection[str]) -> dict[str, Kinds]:
    """For each rater, the kinds of reader that the others of the crowd are: what is learned of a rater's own answers is taken off.

    `fits`: by rater, ln of how many times better each kind of reading explains the answers than pressing blind.
    """
    there = [name for name in fits if name in crowd]
    reads = _reads(np.array([fits[name] for name in there]).reshape(-1, *STATED.logs.shape))
    own, every = dict(zip(there, reads, strict=True)), reads.sum(axis=0)
    return {name: _shares(every - own.get(name, 0.0)) for name in fits}


def _reads(fits: Floats) -> Floats:
    """The chance that each rater is a reader of each kind, shape (raters, manners, styles); the rest is pressing blind."""
    reads, kinds, blind = np.zeros_like(fits), STATED, BLIND
    for _ in range(ROUNDS):
        told = fits + kinds.logs + np.log1p(-blind)
        every = np.logaddexp(np.logaddexp.reduce(told, axis=(1, 2)), np.log(blind))
        reads = np.exp(told - every[:, None, None])
        kinds = _shares(reads.sum(axis=0))
        blind = (len(fits) - float(reads.sum()) + WORTH * BLIND) / (len(fits) + WORTH)
    return reads


def _shares(raters: Floats) -> Kinds:
    """Shares by so many raters of each kind, shape (manners, styles), with what was expected beforehand."""
    manners = WORTH * STATED.manners + raters.sum(axis=1)
    styles = WORTH * STATED.styles + raters.sum(axis=0)
    return Kinds(manners / manners.sum(), styles / styles.sum())
