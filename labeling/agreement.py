"""How far raters agree with each other: percent, kappas, alpha, and what most of them say. Pure.

An opinion is a rater's label on a battle: a, b or tie (both good and both bad are ties here). A battle is the same
whichever side a response stood on: opinions are joined on the unordered two responses.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from db.entities.votes import Outcome, Vote

T = TypeVar("T", bound=Hashable)
Ints = NDArray[np.int64]

A, B, TIE = 0, 1, 2
MOST_PAIRS = 200
"""two-rater kappas kept: those with the most battles in common"""


class Repeats(StrEnum):
    """What counts where one rater voted several times on one battle."""

    LAST = "the last vote of a rater on a battle"
    EVERY = "every vote"


class Opinion(NamedTuple):
    """One rater's label (A, B or TIE) on one battle; `at` gives the order of arrival."""

    battle: str
    rater: str
    label: int
    at: int


class RaterPairs(NamedTuple):
    """Every two opinions on one battle, as arrays of one entry a pair; raters by their place in `names`."""

    first: Ints
    second: Ints
    label_1: Ints
    label_2: Ints
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PairKappa:
    """Cohen's kappa of two raters over the n battles both judged; None where both used one same label only."""

    rater_1: str
    rater_2: str
    kappa: float | None
    n: int
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement between raters. Shares are of pairs of opinions on one battle; `why` explains each None."""

    raters: int
    battles_with_2plus: int
    percent: float | None
    percent_n: int
    percent_decided: float | None
    percent_decided_n: int
    cohen_kappa: tuple[PairKappa, ...]
    fleiss_kappa: float | None
    krippendorff_alpha: float | None
    convention: str
    why: Mapping[str, str] = field(default_factory=dict)


def battle_key(vote: Vote) -> tuple[str, bool]:
    """The battle whichever slots its responses are in, and whether this vote has them the other way round.

    The first of the two is the one of the model that comes first by name, so that a label means one model throughout:
    kappa and alpha depend on how often each label is given.
    """
    a, b = vote.response_a, vote.response_b
    swapped = vote.model_b < vote.model_a or (vote.model_a == vote.model_b and b < a)
    return (f"{b}-{a}", True) if swapped else (f"{a}-{b}", False)


def label_of(outcome: Outcome, swapped: bool = False) -> int:
    """An outcome as a label; slots exchanged where the battle is swapped."""
    if not outcome.decisive:
        return TIE
    return B if (outcome is Outcome.A) == swapped else A


def opinions(votes: Iterable[Vote]) -> list[Opinion]:
    """The opinions that votes hold."""
    keyed = ((vote, *battle_key(vote)) for vote in votes)
    return [Opinion(key, v.rater_name, label_of(v.outcome, swapped), v.id) for v, key, swapped in keyed]


def codes(values: Iterable[T]) -> tuple[Ints, tuple[T, ...]]:
    """Each value's place in the list of distinct values, and that list, in order of first appearance."""
    places: dict[T, int] = {}
    found = np.fromiter((places.setdefault(v, len(places)) for v in values), np.int64)
    return found, tuple(places)


def standing(given: Iterable[Opinion], repeats: Repeats = Repeats.LAST) -> list[Opinion]:
    """The opinions that count, sorted by battle, rater and arrival: the order they came in changes nothing."""
    ordered = sorted(given, key=lambda o: (o.battle, o.rater, o.at))
    if repeats is Repeats.EVERY:
        return ordered
    return list({(o.battle, o.rater): o for o in ordered}.values())


def label_counts(given: Sequence[Opinion]) -> Ints:
    """Opinions by battle (rows) and label (three columns), one of a kind already chosen by `standing`."""
    battle, names = codes(o.battle for o in given)
    label = np.fromiter((o.label for o in given), np.int64, len(given))
    return np.bincount(battle * 3 + label, minlength=3 * len(names)).reshape(-1, 3)


def rater_pairs(given: Sequence[Opinion]) -> RaterPairs:
    """Every two opinions on one battle. `given` comes from `standing`."""
    battle, _ = codes(o.battle for o in given)
    rater, names = codes(o.rater for o in given)
    label = np.fromiter((o.label for o in given), np.int64, len(given))
    firsts, seconds = [], []
    for gap in range(1, int(np.bincount(battle).max(initial=0))):  # opinions on a battle lie side by side
        same = np.flatnonzero(battle[gap:] == battle[:-gap])
        firsts.append(same)
        seconds.append(same + gap)
    i = np.concatenate(firsts) if firsts else np.empty(0, np.int64)
    j = np.concatenate(seconds) if seconds else np.empty(0, np.int64)
    return RaterPairs(rater[i], rater[j], label[i], label[j], names)


def agreement(given: Iterable[Opinion], repeats: Repeats = Repeats.LAST) -> Agreement:
    """Every figure of agreement between the raters who gave these opinions."""
    kept = standing(given, repeats)
    counts = label_counts(kept)
    several = counts[counts.sum(axis=1) >= 2]
    pairs = rater_pairs(kept)
    decided = (pairs.label_1 != TIE) & (pairs.label_2 != TIE)
    same = pairs.label_1 == pairs.label_2
    why: dict[str, str] = {}
    if not len(same):
        why["percent"] = "no battle has votes of two raters"
    if not decided.any():
        why["percent_decided"] = "no battle has two decided votes"
    fleiss, reason = fleiss_kappa(several)
    why |= {"fleiss_kappa": reason} if reason else {}
    alpha, reason = krippendorff_alpha(several)
    why |= {"krippendorff_alpha": reason} if reason else {}
    return Agreement(
        raters=len(pairs.names), battles_with_2plus=len(several),
        percent=float(same.mean()) if len(same) else None, percent_n=len(same),
        percent_decided=float(same[decided].mean()) if decided.any() else None, percent_decided_n=int(decided.sum()),
        cohen_kappa=cohen_kappas(pairs), fleiss_kappa=fleiss, krippendorff_alpha=alpha, convention=repeats.value,
        why=why,
    )  # fmt: skip


def cohen_kappas(pairs: RaterPairs, most: int = MOST_PAIRS) -> tuple[PairKappa, ...]:
    """Cohen's kappa of each two raters on the battles both judged, at most `most`: those with the most in common first."""
    names = sorted(pairs.names)
    places = {name: i for i, name in enumerate(names)}
    rank = np.fromiter((places[n] for n in pairs.names), np.int64, len(names))
    first, second = rank[pairs.first], rank[pairs.second]
    other = first != second  # one rater twice, where every vote counts
    swap = first > second
    label_1, label_2 = (
        np.where(swap, pairs.label_2, pairs.label_1),
        np.where(swap, pairs.label_1, pairs.label_2),
    )
    two = (np.minimum(first, second) * len(names) + np.maximum(first, second))[other]
    cell = (label_1 * 3 + label_2)[other]
    found, n = np.unique(two, return_counts=True)
    kept = found[np.lexsort((found, -n))][:most]  # a smaller code is earlier by name
    inside = np.isin(two, kept)
    place = np.searchsorted(np.sort(kept), two[inside])
    tables = np.bincount(place * 9 + cell[inside], minlength=9 * len(kept)).reshape(-1, 3, 3)
    by_code = dict(zip(np.sort(kept).tolist(), tables, strict=True))
    kappas = {code: kappa_of(by_code[code]) for code in kept.tolist()}
    return tuple(
        PairKappa(
            names[code // len(names)], names[code % len(names)], kappa, int(by_code[code].sum()),
            {"kappa": "both gave one same answer throughout"} if kappa is None else {},
        )
        for code, kappa in kappas.items()
    )  # fmt: skip


def kappa_of(table: NDArray[np.int64]) -> float | None:
    """Cohen's kappa (1960), (observed - chance) / (1 - chance), of a table of counts: one rater's label by the other's.

    None where chance alone would agree always (one same label).
    """
    from statsmodels.stats.inter_rater import cohens_kappa

    n = table.sum()
    if n == 0 or (table.sum(axis=0) * table.sum(axis=1)).sum() == n * n:
        return None
    return float(cohens_kappa(table, return_results=False))


def fleiss_kappa(counts: Ints) -> tuple[float | None, str]:
    """Fleiss' kappa (1971) of label counts, shape (battles, labels), of two or more votes a battle; or None and why."""
    from statsmodels.stats.inter_rater import fleiss_kappa as fleiss

    sizes = counts.sum(axis=1)
    if not len(counts):
        return None, "no battle has votes of two raters"
    if len(set(sizes.tolist())) > 1:
        return None, "battles have different numbers of votes"
    if (counts.sum(axis=0) > 0).sum() == 1:
        return None, "everyone gave the same label"
    return float(fleiss(counts)), ""


def krippendorff_alpha(counts: Ints) -> tuple[float | None, str]:
    """Krippendorff's alpha for nominal labels from label counts by battle, or None and why.

    1 - observed / expected disagreement, both from the coincidence counts: a battle with m opinions weighs each of
    its pairs 1 / (m - 1) (Krippendorff, Content Analysis, 2004, chapter 11). Battles with one opinion say nothing.
    """
    several = counts[counts.sum(axis=1) >= 2]
    sizes = several.sum(axis=1)
    total = int(sizes.sum())
    if not total:
        return None, "no battle has votes of two raters"
    totals = several.sum(axis=0)
    expected = (total**2 - int((totals**2).sum())) / (total - 1)
    if expected == 0:
        return None, "everyone gave the same label"
    observed = ((sizes**2 - (several**2).sum(axis=1)) / (sizes - 1)).sum()
    return float(1 - observed / expected), ""


def majority(counts: Sequence[int]) -> int:
    """The label with strictly the most opinions, else TIE."""
    a, b, tie = counts
    return A if a > max(b, tie) else B if b > max(a, tie) else TIE
