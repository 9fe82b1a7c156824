"""A rater beside the others: what they say of the same battles, and how much that tells. Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from db.entities.votes import Vote
from labeling.agreement import TIE, A, B, battle_key, label_of, majority
from labeling.reading import Beside, Press

Cell = tuple[str, str, int]
"""two models, and which one's answer is longer (-1, 0 or 1)"""
PRIOR_DECIDED = (4.0, 1.0, 1.0)
"""before anything is known: how often readers say the same, the opposite and a tie where the others decided"""
PRIOR_TIED = (1.0, 1.0)
"""the same where the others are tied: a decided label, a tie"""


class Given(NamedTuple):
    """A rater's last label on a battle, what stood on the left, and what kind of battle it is."""

    press: Press
    cell: Cell


class Shared(NamedTuple):
    """A rater's label on a battle, and the labels of the others there (a, b, tie)."""

    label: int
    others: tuple[int, int, int]


def given_by(votes: Iterable[Vote], lengths: Mapping[str, float]) -> dict[str, Given]:
    """A rater's last word on each battle; the battle is the same whichever side a response stood on."""
    found = {}
    for vote in votes:
        battle, swapped = battle_key(vote)
        found[battle] = Given(press_of(vote, swapped), _cell(vote, lengths, swapped))
    return found


def press_of(vote: Vote, swapped: bool | None = None) -> Press:
    """The label of a vote, and the label that stood on the left."""
    turned = battle_key(vote)[1] if swapped is None else swapped
    left = None if vote.left_is is None else (B if (vote.left_is == "a") == turned else A)
    return Press(label_of(vote.outcome, turned), left)


def _cell(vote: Vote, lengths: Mapping[str, float], swapped: bool) -> Cell:
    gap = lengths.get(vote.response_a, 0.0) - lengths.get(vote.response_b, 0.0)
    longer = (gap > 0) - (gap < 0)
    return (vote.model_b, vote.model_a, -longer) if swapped else (vote.model_a, vote.model_b, longer)


def shared(
    given: Mapping[str, Mapping[str, Given]], crowd: Collection[str] | None = None
) -> dict[str, list[Shared]]:
    """For each rater the battles that others of the crowd (everyone, if none is named) judged too."""
    counts = _counts(given, given if crowd is None else crowd)
    found: dict[str, list[Shared]] = {}
    for rater, battles in given.items():
        own = crowd is None or rater in crowd
        rows = ((g.press.label, _less(counts.get(b), g.press.label, own)) for b, g in battles.items())
        found[rater] = [Shared(label, others) for label, others in rows if sum(others)]
    return found


def _counts(given: Mapping[str, Mapping[str, Given]], crowd: Collection[str]) -> dict[str, list[int]]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for rater in crowd:
        for battle, g in given[rater].items():
            counts[battle][g.press.label] += 1
    return dict(counts)


def _less(counts: Sequence[int] | None, label: int, own: bool) -> tuple[int, int, int]:
    a, b, tie = counts or (0, 0, 0)
    if not own:
        return a, b, tie
    return a - (label == A), b - (label == B), tie - (label == TIE)


def matches(rows: Sequence[Shared]) -> tuple[int, int]:
    """Decided labels that match the others' decided majority, and how many can be compared."""
    both = [(s.label, majority(s.others)) for s in rows if s.label != TIE]
    compared = [(mine, theirs) for mine, theirs in both if theirs != TIE]
    return sum(mine == theirs for mine, theirs in compared), len(compared)


def information(rows: Sequence[Shared]) -> float:
    """Mutual information, in bits, of a rater's label with the others' majority (Miller and Madow's bias taken off).

    An always-left clicker may agree often where left often wins; this is near zero for them all the same.
    """
    table = np.zeros((3, 3))
    for cell, n in Counter((s.label, majority(s.others)) for s in rows).items():
        table[cell] = n
    total = table.sum()
    joint = table / total
    mine, theirs = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    there = joint > 0
    bits = float((joint[there] * np.log2(joint[there] / (mine @ theirs)[there])).sum())
    freedom = (int((mine > 0).sum()) - 1) * (int((theirs > 0).sum()) - 1)
    return float(max(0.0, bits - freedom / (2 * total * np.log(2))))


# -- what the others let one expect ----------------------------------------------------------------------------


class Expectations(NamedTuple):
    """A rater's presses with what the others' answers let one expect: on shared battles, and on those like them."""

    shared: list[Beside]
    alike: list[Beside]


def expectations(given: Mapping[str, Mapping[str, Given]], crowd: Collection[str]) -> dict[str, Expectations]:
    """For each rater, what the raters of the crowd let one expect; nobody is measured by their own answers."""
    counts = _counts(given, crowd)
    tables = {r: _table(given[r], counts) for r in crowd}
    cells = {r: Counter((g.cell, g.press.label) for g in given[r].values()) for r in crowd}
    every_table = sum(tables.values(), start=np.zeros((2, 3)))
    every_cell: Counter[tuple[Cell, int]] = Counter()
    for found in cells.values():
        every_cell.update(found)
    return {
        rater: _expected(battles, counts, every_table - tables.get(rater, 0.0), every_cell, cells.get(rater), rater in crowd)
        for rater, battles in given.items()
    }  # fmt: skip


def _table(battles: Mapping[str, Given], counts: Mapping[str, Sequence[int]]) -> NDArray[np.float64]:
    """Row 0: how often the label is the others' decided one, the opposite, a tie. Row 1: decided, tie, where they are tied."""
    table = np.zeros((2, 3))
    for battle, g in battles.items():
        others = _less(counts[battle], g.press.label, True)
        if sum(others):
            top = majority(others)
            if top == TIE:
                table[1, int(g.press.label == TIE)] += 1
            else:
                table[0, 0 if g.press.label == top else 2 if g.press.label == TIE else 1] += 1
    return table


def _expected(
    battles: Mapping[str, Given], counts: Mapping[str, Sequence[int]], table: NDArray[np.float64],
    cells: Mapping[tuple[Cell, int], int], own_cells: Mapping[tuple[Cell, int], int] | None, own: bool,
) -> Expectations:  # fmt: skip
    same, opposite, tied = ((table[0] + PRIOR_DECIDED) / (table[0] + PRIOR_DECIDED).sum()).tolist()
    decided, both_tied = ((table[1, :2] + PRIOR_TIED) / (table[1, :2] + PRIOR_TIED).sum()).tolist()
    by_majority = {
        A: (same, opposite, tied),
        B: (opposite, same, tied),
        TIE: (decided / 2, decided / 2, both_tied),
    }
    found = Expectations([], [])
    for battle, g in battles.items():
        others = _less(counts.get(battle), g.press.label, own)
        if sum(others):
            found.shared.append(Beside(g.press, by_majority[majority(others)]))
        else:
            n = [cells.get((g.cell, k), 0) - (own_cells or {}).get((g.cell, k), 0) + 1.0 for k in (A, B, TIE)]
            found.alike.append(Beside(g.press, [x / sum(n) for x in n]))
    return found
