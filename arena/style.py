"""Ratings with the style of the answers held equal: length, headers, lists and bold text as covariates. Pure.

As the public arenas do it (Li, Angelopoulos and Chiang, "Does style matter?", 2024): the Bradley-Terry model with, for
each feature, z = (difference / sum) / its standard deviation (ddof 1) added to the difference of strengths.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from arena.columns import Bools, Columns, Floats, Ints
from arena.intervals import NOTHING, Interval, quantile
from arena.ratings import SCALE, STEPS, Counts, Fit, Rating, components, order_of, peel, rating_of

CLOSE, FAR = 1e-9, 30.0
"""a step that changes nothing more; strengths or coefficients that nothing bounds"""
FEATURES = ("length", "headers", "lists", "bold")

_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_HEADER = re.compile(r"^ {0,3}#{1,6}\s", re.MULTILINE)
_LIST = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s", re.MULTILINE)
_BOLD = re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__")


class Style(NamedTuple):
    """How an answer is dressed: characters, and how many headers, list items and bold parts outside code blocks."""

    length: float
    headers: float
    lists: float
    bold: float


def style_of(text: str) -> Style:
    """The style of an answer in Markdown."""
    plain = _CODE.sub("", text) if "```" in text else text
    return Style(len(text), *(float(len(found.findall(plain))) for found in (_HEADER, _LIST, _BOLD)))


class Coefficient(NamedTuple):
    """By how much one standard deviation more of a feature moves the log odds of winning."""

    value: float
    se: float | None
    ci95: Interval | None
    method: str


@dataclass(frozen=True, slots=True)
class StyledRatings:
    """Ratings at equal style. `coefficients` holds the features in which answers differ; `why` explains the others."""

    n: int
    """votes with both texts"""
    ratings: tuple[Rating, ...]
    coefficients: Mapping[str, Coefficient]
    why: Mapping[str, str] = field(default_factory=dict)


class _Design(NamedTuple):
    """Votes between models with a finite rating: places among them, outcomes, features (votes, features), raters."""

    a: Ints
    b: Ints
    y: Floats
    z: Floats
    rater: Ints
    part: Ints
    """component of each model"""


def style_controlled(votes: Columns, styles: Mapping[str, Style]) -> StyledRatings | str:
    """Ratings at equal style from the votes whose two texts are known, or why there are none."""
    z = style_differences(votes, styles)
    known: Bools = np.asarray(~np.isnan(z).any(axis=1), np.bool_)
    votes, z = votes.only(known), z[known]
    if not len(votes):
        return "no vote has both texts on record"
    spread = z.std(axis=0, ddof=1) if len(z) > 1 else np.zeros(len(FEATURES))
    used = [i for i, s in enumerate(spread) if s > NOTHING]
    if not used:
        return "the answers do not differ in style"
    points = Counts.of(votes.a, votes.b, votes.y, len(votes.models)).points
    bound, peeled = peel(points)
    part = components(points, bound)
    inside = np.flatnonzero(bound == 0)
    place = np.full(len(bound), -1)
    place[inside] = np.arange(len(inside))
    same = part[votes.a] == part[votes.b]
    mask: Bools = (place[votes.a] >= 0) & (place[votes.b] >= 0) & same
    kept = votes.only(mask)
    if not len(kept):
        return "no two models with finite ratings met"
    raters = np.unique(kept.rater, return_inverse=True)[1]
    design = _Design(
        place[kept.a], place[kept.b], kept.y, z[mask][:, used] / spread[used], raters, part[inside]
    )
    fitted = _fit(design)
    if fitted is None:
        return "style alone tells who won: no finite rating fits"
    fit, size = fitted, len(inside)
    played = np.bincount(np.concatenate([votes.a, votes.b]), minlength=len(bound))
    found = [
        (order_of(r, int(peeled[m])), r)
        for m, name in enumerate(votes.models) if played[m]
        for r in [rating_of(name, int(played[m]), int(bound[m]), int(part[m]), fit, int(place[m]) if place[m] >= 0 else None)]
    ]  # fmt: skip
    return StyledRatings(
        len(votes), tuple(r for _, r in sorted(found, key=lambda f: (f[0], f[1].model))),
        {FEATURES[u]: _coefficient(fit, size + k) for k, u in enumerate(used)},
        {name: f"no two answers differ in {name}" for i, name in enumerate(FEATURES) if i not in used},
    )  # fmt: skip


def style_differences(votes: Columns, styles: Mapping[str, Style]) -> Floats:
    """(difference / sum) of each feature, shape (votes, features); 0 where both answers have none; NaN without texts."""
    unknown = Style(*(math.nan,) * len(FEATURES))
    of_a, of_b = (
        np.array([styles.get(r, unknown) for r in side], np.float64).reshape(len(side), len(FEATURES))
        for side in (votes.response_a.tolist(), votes.response_b.tolist())
    )
    total = of_a + of_b
    return np.asarray(np.where(total == 0, 0.0, (of_a - of_b) / np.where(total == 0, 1.0, total)))


def _coefficient(fit: Fit, place: int) -> Coefficient:
    assert fit.covariance is not None
    value, variance = float(fit.strength[place]), float(fit.covariance[place, place])
    if variance <= NOTHING:
        return Coefficient(value, None, None, "the votes leave no spread")
    margin = quantile(fit.clusters) * math.sqrt(variance)
    words = "HC0" if fit.clusters is None else f"cluster-robust by rater, t({fit.clusters - 1})"
    return Coefficient(value, math.sqrt(variance), Interval(value - margin, value + margin), words)


def _fit(d: _Design) -> Fit | None:
    """Newton steps from zero on strengths and coefficients together; None where nothing bounds them."""
    size, features = len(d.part), d.z.shape[1]
    theta = np.zeros(size + features)
    held = np.zeros((len(theta), len(theta)))
    held[:size, :size] = (d.part[:, None] == d.part) / np.bincount(d.part)[d.part]
    for _ in range(STEPS):
        chance = _chances(d, theta)
        gradient = _scores(d, d.y - chance)
        step = np.linalg.lstsq(_information(d, chance * (1 - chance)) + held, gradient)[0]
        theta = theta + step * min(1.0, 2.0 / max(float(np.abs(step).max(initial=0)), 1e-300))
        if np.abs(theta).max() > FAR:
            return None
        if np.abs(step).max(initial=0) < CLOSE:
            break
    else:
        return None
    chance = _chances(d, theta)
    information = _information(d, chance * (1 - chance)) + held
    if np.linalg.cond(information) > 1 / NOTHING:
        return None
    bread = np.linalg.inv(information)
    clusters, meat = _meat(d, d.y - chance)
    return Fit(theta, bread @ meat @ bread, clusters)


def _chances(d: _Design, theta: Floats) -> Floats:
    size = len(d.part)
    return np.asarray(1 / (1 + np.exp(-(theta[d.a] - theta[d.b] + d.z @ theta[size:]))))


def _scores(d: _Design, residual: Floats) -> Floats:
    """The derivative of the log likelihood."""
    size = len(d.part)
    of_models = np.bincount(d.a, weights=residual, minlength=size) - np.bincount(
        d.b, weights=residual, minlength=size
    )
    return np.concatenate([of_models, residual @ d.z])


def _information(d: _Design, weight: Floats) -> Floats:
    """Minus the second derivative; also, with squared residuals as weights, the sum of squared scores (HC0)."""
    size = len(d.part)
    met = np.bincount(d.a * size + d.b, weights=weight, minlength=size * size).reshape(size, size)
    met = met + met.T
    weighed = d.z * weight[:, None]
    mixed = np.column_stack([
        np.bincount(d.a, weights=w, minlength=size) - np.bincount(d.b, weights=w, minlength=size) for w in weighed.T
    ])  # fmt: skip
    laplacian = np.diag(met.sum(axis=1)) - met
    return np.block([[laplacian, mixed], [mixed.T, d.z.T @ weighed]])


def _meat(d: _Design, residual: Floats) -> tuple[int | None, Floats]:
    """The sum of squared scores: by rater where raters repeat, else vote by vote."""
    size, clusters = len(d.part), int(d.rater.max()) + 1
    if not 2 <= clusters < len(d.y):
        return None, _information(d, residual**2)
    of_models = np.bincount(d.rater * size + d.a, weights=residual, minlength=clusters * size)
    of_models -= np.bincount(d.rater * size + d.b, weights=residual, minlength=clusters * size)
    of_style = [np.bincount(d.rater, weights=residual * z, minlength=clusters) for z in d.z.T]
    by_rater = np.column_stack([of_models.reshape(clusters, size), *of_style])
    return clusters, by_rater.T @ by_rater * clusters / (clusters - 1)


def features_text(styled: StyledRatings) -> Sequence[str]:
    """What each feature does, in words."""
    return [
        f"{name}: one standard deviation more is worth {SCALE * c.value:+.0f} rating points"
        + (f" (95 % interval {SCALE * c.ci95.low:+.0f} to {SCALE * c.ci95.high:+.0f})" if c.ci95 else "")
        for name, c in styled.coefficients.items()
    ]
