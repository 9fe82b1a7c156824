"""Ratings of several models from who beat whom: Bradley-Terry on counts, with sandwich intervals. Pure.

Bradley and Terry (1952), ties as half wins. The fit and its HC0 intervals read counts by pair of models, so their cost
does not grow with the number of votes; only the interval by rater reads each vote once.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Self

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


class Counts(NamedTuple):
    """Who beat whom: wins[i, j], how often i beat j; ties[i, j] = ties[j, i], how often they tied."""

    wins: Floats
    ties: Floats

    @classmethod
    def of(cls, a: Ints, b: Ints, y: Floats, size: int) -> Self:
        """Of votes one by one: a and b are places of models, y is 1, 0 or a half."""
        met, kind = a * size + b, (2 * y).astype(np.int64)
        # each cell of this holds losses, ties and wins of the first
        cells = (
            np.bincount(met * 3 + kind, minlength=3 * size * size).astype(np.float64).reshape(size, size, 3)
        )
        return cls(cells[..., 2] + cells[..., 0].T, cells[..., 1] + cells[..., 1].T)

    @property
    def points(self) -> Floats:
        """points[i, j]: wins of i over j and half of their ties."""
        return self.wins + self.ties / 2

    def among(self, inside: Ints) -> "Counts":
        """The counts of some models alone."""
        grid = np.ix_(inside, inside)
        return Counts(self.wins[grid], self.ties[grid])


def ratings(votes: Columns) -> tuple[Rating, ...]:
    """Every model's rating, by component, best first; intervals by rater where raters repeat, else HC0."""
    counts = Counts.of(votes.a, votes.b, votes.y, len(votes.models))
    return rated(votes.models, counts, votes if len(np.unique(votes.rater)) < len(votes) else None)


class WinMatrix(NamedTuple):
    """wins[i][j]: how often model i beat model j, a tie half for each; None where they never met."""

    models: tuple[str, ...]
    wins: tuple[tuple[float | None, ...], ...]


def win_matrix(votes: Columns) -> WinMatrix:
    """Who beat whom, in the order of the models."""
    points = Counts.of(votes.a, votes.b, votes.y, len(votes.models)).points
    met = points + points.T > 0
    rows = (
        tuple(float(x) if m else None for x, m in zip(*row, strict=True))
        for row in zip(points, met, strict=True)
    )
    return WinMatrix(votes.models, tuple(rows))


def rated(models: Sequence[str], counts: Counts, votes: Columns | None = None) -> tuple[Rating, ...]:
    """Ratings from counts, by component, best lower end first. With `votes`, intervals are robust to repeated raters."""
    points = counts.points
    played = (counts.wins + counts.wins.T + counts.ties).sum(axis=1).astype(np.int64)
    bound, peeled = peel(points)
    part = components(points, bound)
    found: list[tuple[tuple[int, int, float], Rating]] = []
    for component in np.unique(part).tolist():
        inside = np.flatnonzero((part == component) & (bound == 0))
        fit = _fit(counts.among(inside), inside, len(models), votes) if len(inside) else None
        for model in np.flatnonzero(part == component).tolist():
            place = int(np.searchsorted(inside, model)) if bound[model] == 0 else None
            rating = rating_of(models[model], int(played[model]), int(bound[model]), component, fit, place)
            found.append((order_of(rating, int(peeled[model])), rating))
    return tuple(r for _, r in sorted(found, key=lambda f: (f[0], f[1].model)))


def order_of(r: Rating, peeled: int = 0) -> tuple[int, int, float]:
    """What ratings are sorted by: component, never beaten first and never won last, then the interval's lower end."""
    side = {Unbounded.ABOVE: 1, Unbounded.BELOW: -1, None: 0}[r.unbounded]
    # above: the first to leave is the best; below: the first to leave is the worst
    low = r.ci95.low if r.ci95 else r.rating or 0.0
    return r.component, -side, float(peeled * side or -low)


def peel(wins: Floats) -> tuple[Ints, Ints]:
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


def components(wins: Floats, bound: Ints) -> Ints:
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


def _fit(among: Counts, inside: Ints, size: int, votes: Columns | None) -> Fit:
    """Newton steps on the component's counts, then the sandwich covariance."""
    strength = newton(among.points)
    if len(inside) == 1:
        return Fit(strength, None, None)
    points = among.points
    bread = _inverse(_information(points + points.T, _chance(strength)))
    if votes is None:
        return Fit(strength, bread @ _meat(among, strength) @ bread, None)
    place = np.full(size, -1)
    place[inside] = np.arange(len(inside))
    mask: Bools = (place[votes.a] >= 0) & (place[votes.b] >= 0)
    clusters, meat = _meat_by_rater(votes.only(mask), place, strength)
    if not 2 <= clusters < int(mask.sum()):
        return Fit(strength, bread @ _meat(among, strength) @ bread, None)
    return Fit(strength, bread @ meat @ bread, clusters)


def newton(wins: Floats) -> Floats:
    """The centred strengths of highest likelihood; `wins` must be strongly connected."""
    games = wins + wins.T
    strength = np.zeros(len(wins))
    for _ in range(STEPS):
        chance = _chance(strength)
        gradient = wins.sum(axis=1) - (games * chance).sum(axis=1)
        step = np.linalg.solve(_held(_information(games, chance)), gradient)
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


def _held(information: Floats) -> Floats:
    """The Laplacian with its one free direction, all strengths together, held: it can then be solved and inverted."""
    return information + 1 / len(information)


def _inverse(information: Floats) -> Floats:
    """The pseudo-inverse of a Laplacian."""
    return np.asarray(np.linalg.inv(_held(information)) - 1 / len(information))


def _meat(among: Counts, strength: Floats) -> Floats:
    """The sum of squared scores of the votes one by one (HC0), from their counts."""
    chance = _chance(strength)
    weight = among.wins * (1 - chance) ** 2
    weight = weight + weight.T + among.ties * (0.5 - chance) ** 2
    return np.asarray(np.diag(weight.sum(axis=1)) - weight)


def _meat_by_rater(votes: Columns, place: Ints, strength: Floats) -> tuple[int, Floats]:
    """How many raters, and the sum of squares of their summed scores, with the correction for few of them."""
    a, b, size = place[votes.a], place[votes.b], len(strength)
    residual = votes.y - _chance(strength)[a, b]
    raters = np.unique(votes.rater, return_inverse=True)[1]
    clusters = int(raters.max(initial=-1)) + 1
    scores = np.bincount(raters * size + a, weights=residual, minlength=clusters * size)
    scores -= np.bincount(raters * size + b, weights=residual, minlength=clusters * size)
    by_rater = scores.reshape(clusters, size)
    return clusters, by_rater.T @ by_rater * clusters / max(1, clusters - 1)


def rating_of(model: str, n: int, bound: int, component: int, fit: Fit | None, place: int | None) -> Rating:
    """A model's rating from its place in a fit; `bound` is 1 where it never lost, -1 where it never won, else 0."""
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
