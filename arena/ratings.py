"""Ratings of several models from who beat whom: Bradley-Terry on counts, with sandwich intervals. Pure.

Bradley and Terry (1952), ties as half wins. The fit reads counts by pair of models, so its cost does not grow with
the number of votes; only the interval by rater reads each vote once.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from arena.columns import Bools, Columns, Floats, Ints
from arena.intervals import NOTHING, Interval, quantile

CENTRE, SCALE = 1000.0, 400 / math.log(10)
ENOUGH_VOTES = 100
"""votes under which a rating is preliminary"""
STEPS, CLOSE = 100, 1e-10


class Unbounded(StrEnum):
    """A model without a finite rating: it never lost (above) or never won (below)."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Rating:
    """One model's place. Ratings compare within one `component`: models that met, even indirectly."""

    model: str
    rating: float | None
    se: float | None
    ci95: Interval | None
    n: int
    preliminary: bool
    unbounded: Unbounded | None
    component: int
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fit:
    """Strengths (natural logarithm of odds, centred) of the models of one component and their covariance."""

    strength: Floats
    covariance: Floats | None
    clusters: int | None


def ratings(votes: Columns) -> tuple[Rating, ...]:
    """Every model's rating, by component, best first."""
    size = len(votes.models)
    wins = win_matrix(votes.a, votes.b, votes.y, size)
    played = np.bincount(np.concatenate([votes.a, votes.b]), minlength=size)
    bound, peeled = _peel(wins)
    part = _components(wins, bound)
    found: list[tuple[tuple[int, int, float], Rating]] = []
    for component in np.unique(part).tolist():
        inside = np.flatnonzero((part == component) & (bound == 0))
        fit = _fit(votes, wins, inside) if len(inside) else None
        for model in np.flatnonzero(part == component).tolist():
            place = int(np.searchsorted(inside, model)) if bound[model] == 0 else None
            rating = _rating(
                votes.models[model], int(played[model]), int(bound[model]), component, fit, place
            )
            # above: the first to leave is the best; below: the first to leave is the worst
            tier = (
                component,
                -int(bound[model]),
                float(peeled[model] * bound[model] or -(rating.rating or 0.0)),
            )
            found.append((tier, rating))
    return tuple(r for _, r in sorted(found, key=lambda f: (f[0], f[1].model)))


def win_matrix(a: Ints, b: Ints, y: Floats, size: int) -> Floats:
    """wins[i, j]: how often i beat j, a tie half for each."""
    wins = np.bincount(a * size + b, weights=y, minlength=size * size)
    losses = np.bincount(b * size + a, weights=1 - y, minlength=size * size)
    table: Floats = np.asarray(wins + losses, np.float64).reshape(size, size)
    return table


def _peel(wins: Floats) -> tuple[Ints, Ints]:
    """For each model 1 (never lost), -1 (never won) or 0, and the round in which it was taken out.

    Taking one out can leave another without a loss or a win, so it goes on until none is.
    """
    size = len(wins)
    bound, peeled = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for step in range(1, size + 1):
        left = bound == 0
        among = wins * np.outer(left, left)
        won, lost = among.sum(axis=1), among.sum(axis=0)
        above, below = left & (won > 0) & (lost == 0), left & (won == 0) & (lost > 0)
        if not (above | below).any():
            break
        bound[above], bound[below] = 1, -1
        peeled[above | below] = step
    return bound, peeled


def _components(wins: Floats, bound: Ints) -> Ints:
    """The component of each model, the largest first.

    Models that met, even indirectly, share one. Where one group won every vote against another (though no single
    model is unbeaten) nothing bounds the gap between the groups, and they are components of their own.
    """
    from scipy.sparse.csgraph import connected_components

    _, met = connected_components(wins + wins.T > 0, directed=False)
    left = bound == 0
    _, strong = connected_components((wins * np.outer(left, left)) > 0, directed=True, connection="strong")
    group = np.where(left, strong, -1)
    for whole in np.unique(met):
        mine = np.unique(group[(met == whole) & left])
        group[(met == whole) & ~left] = mine[0] if len(mine) else len(wins) + int(whole)
    _, first, sizes = np.unique(group, return_index=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    number = {int(group[first[g]]): place for place, g in enumerate(order.tolist())}
    return np.array([number[int(g)] for g in group], np.int64)


def _fit(votes: Columns, wins: Floats, inside: Ints) -> Fit:
    """Newton steps on the component's counts, then the sandwich covariance."""
    among = wins[np.ix_(inside, inside)]
    strength = newton(among)
    if len(inside) == 1:
        return Fit(strength, None, None)
    place = np.full(len(wins), -1)
    place[inside] = np.arange(len(inside))
    mask: Bools = (place[votes.a] >= 0) & (place[votes.b] >= 0)
    return Fit(strength, *_sandwich(votes.only(mask), place, strength, among))


def newton(wins: Floats) -> Floats:
    """The centred strengths of highest likelihood; `wins` must be strongly connected."""
    games = wins + wins.T
    strength = np.zeros(len(wins))
    for _ in range(STEPS):
        chance = _chance(strength)
        gradient = wins.sum(axis=1) - (games * chance).sum(axis=1)
        step = np.linalg.pinv(_information(games, chance), hermitian=True) @ gradient
        strength = strength + step * min(1.0, 2.0 / max(float(np.abs(step).max(initial=0)), 1e-300))
        if np.abs(step).max(initial=0) < CLOSE:
            break
    centred: Floats = strength - strength.mean()
    return centred


def _chance(strength: Floats) -> Floats:
    """The chance that the row's model beats the column's."""
    gap: Floats = strength[:, None] - strength[None, :]
    return 1 / (1 + np.exp(-gap))


def _information(games: Floats, chance: Floats) -> Floats:
    """Minus the second derivative of the log likelihood: a Laplacian, its rows sum to zero."""
    weight = games * chance * (1 - chance)
    return np.diag(weight.sum(axis=1)) - weight


def _sandwich(votes: Columns, place: Ints, strength: Floats, among: Floats) -> tuple[Floats, int | None]:
    """Covariance robust to what the model misses: by rater where raters repeat, else HC0."""
    a, b = place[votes.a], place[votes.b]
    chance = _chance(strength)
    bread = np.linalg.pinv(_information(among + among.T, chance), hermitian=True)
    residual = votes.y - chance[a, b]
    size = len(strength)
    raters = np.unique(votes.rater, return_inverse=True)[1]
    clusters = int(raters.max()) + 1
    if 2 <= clusters < len(votes):
        scores = np.bincount(raters * size + a, weights=residual, minlength=clusters * size)
        scores -= np.bincount(raters * size + b, weights=residual, minlength=clusters * size)
        by_rater = scores.reshape(clusters, size)
        return bread @ (by_rater.T @ by_rater) @ bread * clusters / (clusters - 1), clusters
    weight = np.bincount(a * size + b, weights=residual**2, minlength=size * size).reshape(size, size)
    weight = weight + weight.T
    return bread @ (np.diag(weight.sum(axis=1)) - weight) @ bread, None


def _rating(model: str, n: int, bound: int, component: int, fit: Fit | None, place: int | None) -> Rating:
    preliminary = n < ENOUGH_VOTES
    if bound:
        side = Unbounded.ABOVE if bound > 0 else Unbounded.BELOW
        reason = "it never lost" if bound > 0 else "it never won"
        why = dict.fromkeys(("rating", "se", "ci95"), f"{reason}: no finite rating fits")
        return Rating(model, None, None, None, n, preliminary, side, component, why)
    assert fit is not None
    assert place is not None
    rating = CENTRE + SCALE * float(fit.strength[place])
    variance = float(fit.covariance[place, place]) if fit.covariance is not None else 0.0
    if variance <= NOTHING:
        reason = (
            "no other model to be compared with" if fit.covariance is None else "the votes leave no spread"
        )
        return Rating(
            model, rating, None, None, n, preliminary, None, component, {"se": reason, "ci95": reason}
        )
    se = SCALE * math.sqrt(variance)
    margin = quantile(fit.clusters) * se
    return Rating(
        model, rating, se, Interval(rating - margin, rating + margin), n, preliminary, None, component
    )
