"""Who votes for or against one model whatever it says: a rater's record with it beside the others'. Pure.

Tastes differ, so a rater may like a model four times better (in odds) than the others do without a word. Beyond that the
evidence is a mixture of likelihood ratios against that limit; it holds however often one looks: for a rater within the
limit it ever reaches its threshold with chance 1 / threshold.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from db.entities.votes import Vote
from labeling.agreement import TIE, label_of

TASTE = 4.0
"""times the others' odds that a rater may prefer a model by"""
BEYOND = tuple(TASTE * 2**k for k in range(1, 7))
ENOUGH_OTHERS = 20
"""decided votes of others on two models from which their rate is known well enough"""
CAREFUL = 2.0
"""standard errors that the others' rate is taken to be off, in the rater's favour"""

Cells = dict[tuple[str, str], list[int]]
"""by (model, rival): decided votes the model won, and all decided votes"""


class Favour(NamedTuple):
    """The model a rater is for (against, where `wins` is the rival's), and the record that says so."""

    model: str
    against: bool
    wins: int
    n: int
    others: float
    """the share of those votes that it would have won by the others"""
    evidence: float


def favours(by_rater: Mapping[str, Sequence[Vote]]) -> dict[str, Favour | None]:
    """For each rater the model they favour or disfavour most, with its evidence; None where nothing can be compared."""
    own = {rater: _cells(votes) for rater, votes in by_rater.items()}
    sums: Cells = defaultdict(lambda: [0, 0])
    for cells in own.values():
        for pair, (wins, n) in cells.items():
            sums[pair][0] += wins
            sums[pair][1] += n
    return {rater: _most(cells, sums) for rater, cells in own.items()}


def hypotheses(by_rater: Mapping[str, Sequence[Vote]]) -> int:
    """How many questions each rater is asked: for and against every model. The threshold grows with them."""
    return 2 * len({m for votes in by_rater.values() for v in votes for m in (v.model_a, v.model_b)})


def _cells(votes: Sequence[Vote]) -> Cells:
    found: Cells = defaultdict(lambda: [0, 0])
    for v in votes:
        label = label_of(v.outcome, False)
        if label != TIE and v.model_a != v.model_b:
            for model, rival, won in ((v.model_a, v.model_b, label == 0), (v.model_b, v.model_a, label == 1)):
                cell = found[model, rival]
                cell[0] += won
                cell[1] += 1
    return found


def _most(mine: Cells, sums: Cells) -> Favour | None:
    by_model: dict[str, list[tuple[int, int, int, int]]] = defaultdict(list)
    for (model, rival), (wins, n) in mine.items():
        others = sums[model, rival][1] - n
        if others >= ENOUGH_OTHERS:
            by_model[model].append((wins, n, sums[model, rival][0] - wins, others))
    found = [_record(model, cells, against) for model, cells in by_model.items() for against in (False, True)]
    return max(found, key=lambda f: f.evidence, default=None)


def _record(model: str, cells: Sequence[tuple[int, int, int, int]], against: bool) -> Favour:
    """A rater's votes on one model. `cells`: wins and votes of the rater, wins and votes of the others, by rival."""
    turned = [
        (n - k, n, others - won, others) if against else (k, n, won, others) for k, n, won, others in cells
    ]
    logs = [0.0] * len(BEYOND)
    for k, n, won, others in turned:
        odds = _odds(won, others)
        usual = TASTE * odds / (1 + TASTE * odds)
        for i, times in enumerate(BEYOND):
            p = times * odds / (1 + times * odds)
            logs[i] += k * math.log(p / usual) + (n - k) * math.log((1 - p) / (1 - usual))
    top = max(logs)
    evidence = math.exp(min(600.0, top)) * sum(math.exp(x - top) for x in logs) / len(logs)
    n = sum(c[1] for c in turned)
    expected = sum(c[1] * c[2] / c[3] for c in turned) / n
    return Favour(model, against, sum(c[0] for c in turned), n, expected, evidence)


def _odds(won: int, n: int) -> float:
    """The others' odds, taken as high as they may be: Agresti and Coull's upper end."""
    size = n + CAREFUL**2
    rate = (won + CAREFUL**2 / 2) / size
    high = min(1 - 1e-6, rate + CAREFUL * math.sqrt(rate * (1 - rate) / size))
    return high / (1 - high)
