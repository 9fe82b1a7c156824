"""How far one rater moves the result. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from db.entities.votes import Vote
from labeling.agreement import label_of

Pair = tuple[str, str]
Cells = dict[Pair, list[float]]
"""by two models: points of the first (a tie half a point), and votes"""


def influence(by_rater: Mapping[str, Sequence[Vote]]) -> dict[str, float | None]:
    """For each rater, the most that leaving them out moves a win rate of two models, as a share; None where nobody else voted."""
    own = {rater: _cells(votes) for rater, votes in by_rater.items()}
    sums: Cells = defaultdict(lambda: [0.0, 0])
    for mine in own.values():
        for pair, (points, n) in mine.items():
            sums[pair][0] += points
            sums[pair][1] += n
    return {rater: _most_moved(mine, sums) for rater, mine in own.items()}


def _cells(votes: Sequence[Vote]) -> Cells:
    found: Cells = defaultdict(lambda: [0.0, 0])
    for v in votes:
        if v.model_a != v.model_b:
            cell = found[min(v.model_a, v.model_b), max(v.model_a, v.model_b)]
            cell[0] += (1.0, 0.0, 0.5)[label_of(v.outcome, v.model_a > v.model_b)]
            cell[1] += 1
    return found


def _most_moved(mine: Mapping[Pair, Sequence[float]], sums: Mapping[Pair, Sequence[float]]) -> float | None:
    moved = [
        abs(sums[p][0] / sums[p][1] - (sums[p][0] - points) / (sums[p][1] - n))
        for p, (points, n) in mine.items()
        if sums[p][1] > n
    ]
    return max(moved) if moved else None
