"""Does the result hang on a few raters? Win rates with excluded raters, without flagged ones, and without each one. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from arena.columns import TwoModels
from db.entities.votes import Vote
from labeling.agreement import label_of


class Rate(NamedTuple):
    """A win rate of model_a, ties half, and the votes it rests on."""

    n: int
    win_rate_a: float | None


class Influential(NamedTuple):
    """The rater without whom the rate moves most, and the rate without them."""

    rater: str
    without: Rate


@dataclass(frozen=True, slots=True)
class Robustness:
    """The win rate of two models as it is reported, and under other choices of raters. `why` explains each None."""

    model_a: str
    model_b: str
    counted: Rate
    with_excluded: Rate
    """votes of excluded raters taken in again"""
    without_flagged: Rate
    most_influential: Influential | None
    why: Mapping[str, str] = field(default_factory=dict)


Sums = dict[str, list[float]]
"""by rater: votes, their weight, points of model_a"""


def robustness(
    counted: Iterable[Vote], excluded: Iterable[Vote], flagged: Collection[str], pairs: Sequence[TwoModels]
) -> tuple[Robustness, ...]:
    """One row for each two models, in their order."""
    own, out = _sums(counted), _sums(excluded)
    return tuple(_row(pair, own[pair], out[pair], flagged) for pair in pairs)


def _sums(votes: Iterable[Vote]) -> dict[tuple[str, str], Sums]:
    """Votes, weight and points by two models, in either order, and rater."""
    found: dict[tuple[str, str], Sums] = defaultdict(lambda: defaultdict(lambda: [0, 0.0, 0.0]))
    for v in votes:
        for first, swapped in ((v.model_a, False), (v.model_b, True)):
            cell = found[first, v.model_a if swapped else v.model_b][v.rater_name]
            cell[0] += 1
            cell[1] += v.weight
            cell[2] += v.weight * (1.0, 0.0, 0.5)[label_of(v.outcome, swapped)]
    return found


def _rate(cells: Iterable[Sequence[float]]) -> Rate:
    kept = list(cells)
    weight = sum(c[1] for c in kept)
    return Rate(int(sum(c[0] for c in kept)), sum(c[2] for c in kept) / weight if weight else None)


def _row(pair: TwoModels, own: Sums, out: Sums, flagged: Collection[str]) -> Robustness:
    all_of_them = _rate(own.values())
    without_flagged = _rate(c for rater, c in own.items() if rater not in flagged)
    without = (
        {rater: _rate(c for other, c in own.items() if other != rater) for rater in own}
        if len(own) > 1
        else {}
    )
    moved = {
        r: abs(x.win_rate_a - (all_of_them.win_rate_a or 0.0))
        for r, x in without.items()
        if x.win_rate_a is not None
    }
    top = max(sorted(moved), key=moved.__getitem__, default=None)
    why = {"most_influential": "no other rater"} if top is None else {}
    if without_flagged.win_rate_a is None:
        why["without_flagged"] = "every rater is flagged"
    return Robustness(
        pair.model_a, pair.model_b, all_of_them, _rate([*own.values(), *out.values()]), without_flagged,
        Influential(top, without[top]) if top is not None else None, why,
    )  # fmt: skip
