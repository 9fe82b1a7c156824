"""What a crowd says of each battle, and how far each rater can be relied on: Dawid and Skene's model. Pure.

A. P. Dawid and A. M. Skene, Maximum likelihood estimation of observer error-rates using the EM algorithm, Journal of
the Royal Statistical Society C 28 (1979), 20-28; computed by crowd-kit.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from db.errors import UserError

LABELS = 3
"""0: response a is better, 1: response b is better, 2: neither (a tie)"""
FEWEST_RATERS = 3
"""with two raters nothing tells which of them errs"""
FEWEST_SHARED = 20
"""battles that two raters or more judged, under which error rates are guesses"""

Given = tuple[str, str, int]
"""(rater, battle, label)"""


@dataclass(frozen=True, slots=True)
class Consensus:
    """How likely each label is on each battle, and each rater's error rates."""

    probabilities: Mapping[str, tuple[float, float, float]]
    """battle -> P(a), P(b), P(tie)"""
    errors: Mapping[str, tuple[tuple[float, ...], ...]]
    """rater -> 3 x 3: row true a, b, tie; column said a, b, tie; each row sums to 1"""


def why_not(given: Iterable[Given]) -> str | None:
    """Why these labels allow no consensus, in plain words; None where they do."""
    judged: defaultdict[str, set[str]] = defaultdict(set)
    for rater, battle, _ in given:
        judged[battle].add(rater)
    shared = [raters for raters in judged.values() if len(raters) >= 2]
    raters = len(set().union(*shared)) if shared else 0
    if raters < FEWEST_RATERS:
        return f"a consensus needs {FEWEST_RATERS} raters who share battles, and here are {raters}"
    if len(shared) < FEWEST_SHARED:
        return f"a consensus needs {FEWEST_SHARED} battles judged by two raters or more, and here are {len(shared)}"
    return None


def dawid_skene(given: Sequence[Given]) -> Consensus:
    """The most likely labels and error rates. The last label of a rater on a battle counts; order changes nothing else.

    UserError where too few raters share too few battles (`why_not`).
    """
    reason = why_not(given)
    if reason:
        raise UserError(reason, "raise the campaign's overlap and collect more votes, or use the majority")
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    kept = {(battle, rater): label for rater, battle, label in given}
    rows = [(battle, rater, label) for (battle, rater), label in sorted(kept.items())]
    model = DawidSkene(n_iter=100).fit(pd.DataFrame(rows, columns=["task", "worker", "label"]))
    assert model.probas_ is not None
    assert model.errors_ is not None
    probabilities = {
        str(battle): _three(dict(zip(model.probas_.columns.tolist(), row, strict=True)))
        for battle, row in zip(model.probas_.index.tolist(), model.probas_.to_numpy().tolist(), strict=True)
    }
    return Consensus(probabilities, _errors(model.errors_.to_dict("index")))


def _three(known: Mapping[Any, float]) -> tuple[float, float, float]:
    return known.get(0, 0.0), known.get(1, 0.0), known.get(2, 0.0)


def _errors(said: Mapping[Any, Mapping[Any, float]]) -> dict[str, tuple[tuple[float, ...], ...]]:
    """Turned so that rows are true labels. A true label that nobody ever gave leaves its row even: nothing is known."""
    raters: defaultdict[str, dict[int, Mapping[int, float]]] = defaultdict(dict)
    for (rater, label), by_truth in said.items():
        raters[str(rater)][label] = by_truth
    return {rater: tuple(_row(labels, truth) for truth in range(LABELS)) for rater, labels in raters.items()}


def _row(said: Mapping[int, Mapping[int, float]], truth: int) -> tuple[float, ...]:
    row = [float(said.get(label, {}).get(truth, 0.0)) for label in range(LABELS)]
    total = sum(row)
    return tuple(x / total for x in row) if total else (1 / LABELS,) * LABELS


def information(found: Consensus) -> dict[str, float]:
    """{rater: the bits that a label of theirs tells about the true one}, the labels as frequent as the consensus has them.

    Mutual information of true and said label; 0 for someone who says the same whatever is true (Cover and Thomas,
    Elements of Information Theory, 2006, section 2.3).
    """
    sums = [sum(p[label] for p in found.probabilities.values()) for label in range(LABELS)]
    priors = [s / sum(sums) for s in sums]
    return {rater: _bits(priors, rows) for rater, rows in found.errors.items()}


def _bits(priors: Sequence[float], rows: Sequence[Sequence[float]]) -> float:
    said = [sum(priors[t] * rows[t][s] for t in range(LABELS)) for s in range(LABELS)]
    return sum(
        priors[t] * rows[t][s] * math.log2(rows[t][s] / said[s])
        for t in range(LABELS)
        for s in range(LABELS)
        if priors[t] > 0 and rows[t][s] > 0
    )
