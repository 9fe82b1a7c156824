"""What each rater's votes look like: speed, side, ties, agreement with the others, and flags. Pure.

A flag asks the owner to look; it excludes nobody. Each is a test at a strict level, so that a careful rater among a
hundred is seldom flagged by chance.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from db.entities import Outcome, RaterKind, Vote
from labeling.agreement import TIE, battle_key, label_of, majority

STRICT = 0.001
FEWEST = 12
"""votes under which a rater is not judged"""
FEWEST_SHARED = 20
"""battles shared with others under which agreement is no ground for a flag, and information is not shown"""
QUICK_SECONDS = 1.5
QUICK_CHARACTERS = 500.0
"""characters a second beyond which nobody reads, not even skimming"""


class Flag(StrEnum):
    """What the owner should look at."""

    LEFT = "nearly always left"
    RIGHT = "nearly always right"
    FAST = "faster than anyone reads"
    SAME = "nearly always a tie"
    RANDOM = "agrees with the others no more than chance"
    INCONSISTENT = "contradicts itself on repeats"


@dataclass(frozen=True, slots=True)
class RaterFigures:
    """One rater's figures; shares are of decided votes where a side or a text is meant. `why` explains each None."""

    rater: str
    simulated: bool
    votes: int
    median_seconds: float | None
    left_share: float | None
    tie_share: float | None
    longer_share: float | None
    gold_accuracy: float | None
    self_consistency: float | None
    agreement: float | None
    """share of decided votes that match the majority of the others on the battle"""
    agreement_n: int
    information: float | None
    """bits that a vote tells about what the others say"""
    influence: float | None
    """the most that leaving the rater out moves a win rate of two models"""
    flags: tuple[Flag, ...]
    why: Mapping[str, str] = field(default_factory=dict)


class _Shared(NamedTuple):
    """A rater's label on a battle, and the labels of the others there (a, b, tie)."""

    label: int
    others: tuple[int, int, int]


class _Evidence(NamedTuple):
    votes: Sequence[Vote]
    shared: Sequence[_Shared]
    others_agreement: float | None
    left: tuple[int, int]
    seconds: Sequence[float]
    pace: Sequence[float]
    repeats: tuple[int, int]


def rater_figures(votes: Iterable[Vote], lengths: Mapping[str, float]) -> tuple[RaterFigures, ...]:
    """Every rater's figures, the busiest first. `lengths`: characters by response id."""
    by_rater: dict[str, list[Vote]] = defaultdict(list)
    for vote in sorted(votes, key=lambda v: v.id):
        by_rater[vote.rater_name].append(vote)
    shared = _shared(by_rater)
    hits = {rater: _matches(s) for rater, s in shared.items()}
    everyone = tuple(map(sum, zip(*hits.values(), strict=True))) if hits else (0, 0)
    influence = _influence(by_rater)
    found = []
    for rater, own in by_rater.items():
        same, n = (everyone[i] - hits[rater][i] for i in (0, 1))
        evidence = _Evidence(own, shared[rater], same / n if n else None, _left(own), _seconds(own),
                             _pace(own, lengths), _repeats(own))  # fmt: skip
        found.append(_figures(rater, evidence, hits[rater], lengths, influence[rater]))
    return tuple(sorted(found, key=lambda f: (-f.votes, f.rater)))


def _figures(
    rater: str, e: _Evidence, hits: tuple[int, int], lengths: Mapping[str, float], influence: float | None
) -> RaterFigures:
    ties = sum(not v.outcome.decisive for v in e.votes)
    longer = _longer(e.votes, lengths)
    bits = information(e.shared) if len(e.shared) >= FEWEST_SHARED else None
    values = {
        "median_seconds": statistics.median(e.seconds) if e.seconds else None,
        "left_share": _share(*e.left),
        "longer_share": _share(*longer),
        "gold_accuracy": None,
        "self_consistency": _share(*e.repeats),
        "agreement": _share(*hits),
        "information": bits,
        "influence": influence,
    }
    reasons = {
        "median_seconds": "no vote has its time on record",
        "left_share": "no decided vote has its sides on record",
        "longer_share": "no decided vote on texts of different length",
        "gold_accuracy": "no ballots with a known answer",
        "self_consistency": "no battle was shown twice",
        "agreement": "nobody else decided on the same battles",
        "information": f"fewer than {FEWEST_SHARED} battles shared with others",
        "influence": "no other rater",
    }
    return RaterFigures(
        rater=rater, simulated=e.votes[0].rater_kind is RaterKind.SIMULATED, votes=len(e.votes),
        tie_share=ties / len(e.votes), agreement_n=hits[1], flags=flags(e, ties, hits),
        why={name: reasons[name] for name, value in values.items() if value is None}, **values,
    )  # fmt: skip


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None


# -- what a rater did ------------------------------------------------------------------------------------------


def _left(votes: Sequence[Vote]) -> tuple[int, int]:
    known = [v for v in votes if v.outcome.decisive and v.left_is is not None]
    return sum(v.outcome.value == v.left_is for v in known), len(known)


def _seconds(votes: Sequence[Vote]) -> list[float]:
    return [v.elapsed_ms / 1000 for v in votes if v.elapsed_ms is not None]


def _pace(votes: Sequence[Vote], lengths: Mapping[str, float]) -> list[float]:
    """Characters of both answers a second, of the votes where both are known."""
    return [
        (lengths[v.response_a] + lengths[v.response_b]) / max(v.elapsed_ms / 1000, 0.001)
        for v in votes
        if v.elapsed_ms is not None and v.response_a in lengths and v.response_b in lengths
    ]


def _longer(votes: Sequence[Vote], lengths: Mapping[str, float]) -> tuple[int, int]:
    chosen = [
        (lengths.get(v.response_a), lengths.get(v.response_b), v.outcome is Outcome.A)
        for v in votes
        if v.outcome.decisive
    ]
    unequal = [(a > b) == won for a, b, won in chosen if a is not None and b is not None and a != b]
    return sum(unequal), len(unequal)


def _repeats(votes: Sequence[Vote]) -> tuple[int, int]:
    """Of the votes on a battle judged before: how many say what the vote before said, and how many there are."""
    last: dict[str, int] = {}
    same = n = 0
    for vote in votes:
        battle, swapped = battle_key(vote)
        label = label_of(vote.outcome, swapped)
        if battle in last:
            n += 1
            same += last[battle] == label
        last[battle] = label
    return same, n


# -- beside the others -----------------------------------------------------------------------------------------


def _shared(by_rater: Mapping[str, Sequence[Vote]]) -> dict[str, list[_Shared]]:
    """For each rater, their last label on every battle that others judged too, with the others' labels."""
    given: dict[str, dict[str, int]] = {}
    for rater, votes in by_rater.items():
        keyed = ((battle_key(v), v.outcome) for v in votes)
        given[rater] = {battle: label_of(outcome, swapped) for (battle, swapped), outcome in keyed}
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for labels in given.values():
        for battle, label in labels.items():
            counts[battle][label] += 1
    found: dict[str, list[_Shared]] = {}
    for rater, labels in given.items():
        found[rater] = []
        for battle, label in labels.items():
            a, b, tie = (n - (i == label) for i, n in enumerate(counts[battle]))
            if a + b + tie:
                found[rater].append(_Shared(label, (a, b, tie)))
    return found


def _matches(shared: Sequence[_Shared]) -> tuple[int, int]:
    """Decided labels that match the others' decided majority, and how many can be compared."""
    both = [(s.label, majority(s.others)) for s in shared if s.label != TIE]
    compared = [(mine, theirs) for mine, theirs in both if theirs != TIE]
    return sum(mine == theirs for mine, theirs in compared), len(compared)


def information(shared: Sequence[_Shared]) -> float:
    """Mutual information, in bits, of a rater's label with the others' majority (Miller and Madow's bias taken off).

    An always-left clicker may agree often where left often wins; this is near zero for them all the same.
    """
    table = np.zeros((3, 3))
    for (mine, theirs), n in Counter((s.label, majority(s.others)) for s in shared).items():
        table[mine, theirs] = n
    total = table.sum()
    joint = table / total
    rows, cols = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    there = joint > 0
    bits = float((joint[there] * np.log2(joint[there] / (rows @ cols)[there])).sum())
    freedom = (int((rows > 0).sum()) - 1) * (int((cols > 0).sum()) - 1)
    return float(max(0.0, bits - freedom / (2 * total * np.log(2))))


def _influence(by_rater: Mapping[str, Sequence[Vote]]) -> dict[str, float | None]:
    """For each rater, the most that leaving them out moves a win rate."""
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0])
    own: dict[str, dict[tuple[str, str], list[float]]] = {}
    for rater, votes in by_rater.items():
        mine: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0])
        for v in votes:
            if v.model_a == v.model_b:
                continue
            pair = (min(v.model_a, v.model_b), max(v.model_a, v.model_b))
            label = label_of(v.outcome, v.model_a > v.model_b)
            for cell in (mine[pair], sums[pair]):
                cell[0] += (1.0, 0.0, 0.5)[label]
                cell[1] += 1
        own[rater] = mine
    return {rater: _most_moved(mine, sums) for rater, mine in own.items()}


def _most_moved(
    mine: Mapping[tuple[str, str], Sequence[float]], sums: Mapping[tuple[str, str], Sequence[float]]
) -> float | None:
    moved = [
        abs(won / n - (won - mine[p][0]) / (n - mine[p][1]))
        for p, (won, n) in sums.items() if p in mine and n > mine[p][1]
    ]  # fmt: skip
    return max(moved) if moved else None


# -- flags -----------------------------------------------------------------------------------------------------


def flags(e: _Evidence, ties: int, hits: tuple[int, int]) -> tuple[Flag, ...]:
    """What is remarkable about a rater with at least a dozen votes."""
    if len(e.votes) < FEWEST:
        return ()
    left, sided = e.left
    found = {
        Flag.LEFT: sided >= FEWEST and left > 0.8 * sided and _two_sided(left, sided) < STRICT,
        Flag.RIGHT: sided >= FEWEST and left < 0.2 * sided and _two_sided(left, sided) < STRICT,
        Flag.FAST: _fast(e),
        Flag.SAME: ties > 0.9 * len(e.votes),
        Flag.RANDOM: _random(hits, e.others_agreement),
        Flag.INCONSISTENT: e.repeats[1] >= FEWEST and _upper(*e.repeats) < 0.8,
    }
    return tuple(flag for flag, there in found.items() if there)


def _two_sided(k: int, n: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(k, n).pvalue)


def _upper(k: int, n: int) -> float:
    """The upper end of a 99 % Wilson interval."""
    from statsmodels.stats.proportion import proportion_confint

    return float(proportion_confint(k, n, alpha=0.01, method="wilson")[1])


def _fast(e: _Evidence) -> bool:
    if len(e.seconds) >= FEWEST and statistics.median(e.seconds) < QUICK_SECONDS:
        return True
    return len(e.pace) >= FEWEST and statistics.median(e.pace) > QUICK_CHARACTERS


def _random(hits: tuple[int, int], others: float | None) -> bool:
    """No better than chance, and surely worse than the other raters agree among themselves."""
    same, n = hits
    if n < FEWEST_SHARED or others is None:
        return False
    from scipy.stats import binomtest

    chance = float(binomtest(same, n, alternative="greater").pvalue) > 0.05
    return chance and _upper(same, n) < others
