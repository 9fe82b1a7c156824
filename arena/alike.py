"""How alike votes are that share their rater, or their prompt. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from db.clusters import Cluster

ALIKE_RATER, ALIKE_PROMPT = 0.01, 0.2
"""where a home has no votes yet: as measured on the human votes of MT-Bench (0.008 and 0.21; docs/log.md)"""
FEWEST_ALIKE = 100
"""votes of people under which the votes themselves do not tell how alike they are"""
FEWEST_CLUSTERS = 10
"""raters (prompts) with several votes under which they do not tell either"""
MOST_ALIKE = 0.95


class Alike(NamedTuple):
    """How alike two votes are that share their rater, or their prompt: intraclass correlations, 0 to MOST_ALIKE."""

    rater: float
    prompt: float


class Seen(NamedTuple):
    """How alike votes were seen to be; None where too few share their rater (prompt) to tell."""

    rater: float | None
    prompt: float | None


def alike(raters: Sequence[Cluster], prompts: Sequence[Cluster]) -> Seen:
    """How alike votes on two models are, from the same votes by rater and by prompt.

    The share of the variance around each two models' own win rate (ties half) that votes with the same rater (prompt)
    have in common: the mean product of two such votes' residuals over their mean square.
    """
    return Seen(_shared(raters), _shared(prompts))


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums over all votes on two models, and over every two votes of a cluster."""

    squares: float
    """of the residuals"""
    free: float
    """votes, less one for each two models"""
    products: float
    pairs: float
    """votes of one cluster, two by two"""
    repeat: int
    """clusters with several votes"""


def _shared(clusters: Sequence[Cluster]) -> float | None:
    """The mean product over the variance, within 0 and MOST_ALIKE; None where too few votes or clusters tell."""
    met = [c for c in clusters if c.first != c.second]
    if not met:
        return None
    s = _sums(met)
    if s.free < FEWEST_ALIKE or s.squares == 0 or s.repeat < FEWEST_CLUSTERS or s.pairs < FEWEST_ALIKE:
        return None
    return min(MOST_ALIKE, max(0.0, s.products / s.pairs / (s.squares / s.free)))


def _sums(clusters: Sequence[Cluster]) -> _Sums:
    table = np.array(clusters, dtype=np.float64)
    won, lost, tied = table[:, 2:].T
    models = np.unique(table[:, :2], axis=0, return_inverse=True)[1].reshape(-1)
    n, points = won + lost + tied, won + tied / 2
    votes = np.bincount(models, n)
    rate = (np.bincount(models, points) / votes)[models]
    residuals = points - n * rate
    squares = won * (1 - rate) ** 2 + lost * rate**2 + tied * (0.5 - rate) ** 2
    return _Sums(
        squares=float(squares.sum()), free=float((votes - 1).sum()), products=float((residuals**2 - squares).sum()),
        pairs=float((n * (n - 1)).sum()), repeat=int((n > 1).sum()),
    )  # fmt: skip
