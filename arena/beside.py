"""Judges beside people: a reward model's scores, or a judge's verdicts, on the battles that people voted on. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from arena.columns import Bools, Columns, Floats, Ints
from arena.intervals import Clustered, Interval, clustered_mean, quantile, wilson
from arena.winrates import length_controlled, length_difference
from labeling.agreement import kappa_of

SCORES = "reward"
"""the kind of judge that scores answers one by one"""
GRADES = "llm_single"
"""a language model that grades answers one by one, from 1 to 10: two equal grades are its tie"""
CUTTERS = ("pairrm",)
"""the kinds of comparing judges that cut what does not fit, and say so"""
BINS, FEWEST_IN_BIN = 5, 10
MOST_POINTS = 500
NO_SCORES = "this judge votes and gives no scores"


@dataclass(frozen=True, slots=True)
class Judge:
    """A machine rater: scores by response, or verdicts by (response, other response): 1 won, 0 lost, a half tied."""

    name: str
    kind: str
    scores: Mapping[str, float] = field(default_factory=dict)
    truncated: Collection[str] = ()
    verdicts: Mapping[tuple[str, str], float] = field(default_factory=dict)
    cut: Collection[tuple[str, str]] = ()
    """pairs of responses that had to be cut to fit a judge that compares"""
    errors: int = 0
    """battles on which it was asked and gave nothing that can be read"""

    @property
    def votes(self) -> bool:
        """Whether it compares two answers, rather than score or grade each."""
        return self.kind not in (SCORES, GRADES)


class Bin(NamedTuple):
    """Agreement with people where a gap lies between low and high."""

    low: float
    high: float
    n: int
    agreement: float


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """What the judge says of two models, each battle once."""

    model_a: str
    model_b: str
    n: int
    win_rate_a: float
    win_rate_ci95: Interval | None
    draws: float
    score_a: float | None
    """mean score of model_a on these battles"""
    score_b: float | None
    score_gap: float | None
    """score_a less score_b"""
    wins_a: int
    wins_b: int
    score_gap_ci95: Interval | None
    """of the mean gap over prompts, t"""
    points: tuple[tuple[float, float], ...]
    """(score of model_a, score of model_b) of the first MOST_POINTS battles"""
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JudgeFigures:
    """A judge beside people. Rates are of model_a where two models met; `why` explains each None.

    Agreement is by vote: each vote of a person against the judge's word on that battle. Decided: people decided, and a
    judge that votes or grades decided too; exactly equal scores of a reward model count half.
    """

    name: str
    kind: str
    scored: int
    errors: int
    """battles on which its answer could not be read: no verdict, and in no figure"""
    truncated_share: float | None
    mean_score: Mapping[str, float]
    score_gap: float | None
    win_rate_a: float | None
    win_rate_ci95: Interval | None
    length_controlled_win_rate_a: float | None
    draws: float | None
    agreement_decided: float | None
    agreement_ci95: Interval | None
    agreement_n: int
    agreement_with_ties: float | None
    agreement_with_ties_n: int
    cohen_kappa: float | None
    auc: float | None
    spearman: float | None
    by_score_gap: tuple[Bin, ...]
    by_length_gap: tuple[Bin, ...]
    longer_wins_baseline: float | None
    pairs: tuple[JudgedPair, ...]
    why: Mapping[str, str] = field(default_factory=dict)


class _Word(NamedTuple):
    """The judge's word on each entry: y (1, 0, a half, NaN) and, where it scores, the score difference."""

    y: Floats
    gap: Floats | None


def judge_figures(judge: Judge, votes: Columns, lengths: Mapping[str, float]) -> JudgeFigures:
    """A judge on the battles of these votes (or of battles nobody judged yet), and how far it agrees with people."""
    there = votes.only(~np.isnan(_word(judge, votes).y))
    each = there.only(np.unique(there.battle, return_index=True)[1])
    word, beside = _word(judge, each), _word(judge, there)
    pairs = _pairs(judge, each)
    only = pairs[0] if len(pairs) == 1 else None
    controlled = length_controlled(word.y, length_difference(each, lengths)) if only else None
    share, agreed_n = _decided(judge, there, beside)
    classes = ~np.isnan(there.y)
    table = np.zeros((3, 3), np.int64)
    np.add.at(table, (_label(there.y[classes]), _label(beside.y[classes])), 1)
    n = int(classes.sum())
    decided = there.decided
    longer = _longer_wins(there, lengths)
    rate_ci = only.win_rate_ci95 if only else None
    share_ci = wilson(share * agreed_n, agreed_n) if share is not None else None
    values: dict[str, float | None] = {
        "truncated_share": _truncated(judge, each),
        "score_gap": only.score_gap if only else None,
        "win_rate_a": only.win_rate_a if only else None,
        "length_controlled_win_rate_a": controlled.value if controlled else None,
        "draws": float((word.y == 0.5).mean()) if len(each) else None,
        "agreement_decided": share,
        "agreement_with_ties": float(np.trace(table) / n) if n else None,
        "cohen_kappa": kappa_of(table),
        "auc": _auc(there.y[decided], beside.gap[decided]) if beside.gap is not None else None,
        "spearman": _spearman(there.y[classes], beside.gap[classes]) if beside.gap is not None else None,
        "longer_wins_baseline": longer,
    }
    why = _why({**values, "win_rate_ci95": rate_ci, "agreement_ci95": share_ci}, judge, len(pairs),
               controlled.why if controlled else "")  # fmt: skip
    gaps = np.abs(beside.gap) if beside.gap is not None else np.full(len(there), np.nan)
    return JudgeFigures(
        name=judge.name, kind=judge.kind, scored=len(each), errors=judge.errors, mean_score=_mean_scores(judge, each), agreement_n=agreed_n,
        agreement_with_ties_n=n, by_score_gap=_bins(judge, there, beside, gaps),
        by_length_gap=_bins(judge, there, beside, np.abs(length_difference(there, lengths))), pairs=pairs,
        win_rate_ci95=rate_ci, agreement_ci95=share_ci,
        why=why, **values,
    )  # fmt: skip


def _word(judge: Judge, votes: Columns) -> _Word:
    if judge.votes:
        both = zip(votes.response_a.tolist(), votes.response_b.tolist(), strict=True)
        return _Word(np.fromiter((judge.verdicts.get(p, np.nan) for p in both), np.float64, len(votes)), None)
    of_a, of_b = votes.values(judge.scores)
    gap = of_a - of_b
    return _Word(np.where(np.isnan(gap), np.nan, (np.sign(gap) + 1) / 2), gap)


def _label(y: Floats) -> Ints:
    """1, 0, a half as the labels 0, 1, 2."""
    return np.where(y == 1, 0, np.where(y == 0, 1, 2)).astype(np.int64)


def _pairs(judge: Judge, each: Columns) -> tuple[JudgedPair, ...]:
    found = []
    for pair, battles in each.pairs():
        word = _word(judge, battles)
        rate = clustered_mean(word.y, np.zeros(len(battles), np.int64), battles.prompt)
        gap = float(word.gap.mean()) if word.gap is not None else None
        scores = None if gap is None else battles.values(judge.scores)
        of_a, of_b = (None, None) if scores is None else (float(s.mean()) for s in scores)
        draws = float((word.y == 0.5).mean())
        points = () if scores is None else zip(*(s[:MOST_POINTS].tolist() for s in scores), strict=True)
        band = _gap_interval(word.gap, battles)
        found.append(JudgedPair(
            *pair, len(battles), rate.mean, rate.ci95, draws, of_a, of_b, gap, int((word.y == 1).sum()),
            int((word.y == 0).sum()), band, tuple(points),
            _why_not(rate, gap, band),
        ))  # fmt: skip
    return tuple(found)


def _why_not(rate: Clustered, gap: float | None, band: Interval | None) -> dict[str, str]:
    """The reason of each figure of two models that is None."""
    why = {} if rate.ci95 is not None else {"win_rate_ci95": rate.method.removeprefix("none: ")}
    if gap is None:
        return why | dict.fromkeys(("score_a", "score_b", "score_gap", "score_gap_ci95"), NO_SCORES)
    return why if band is not None else why | {"score_gap_ci95": "the gaps leave no spread"}


def _gap_interval(gap: Floats | None, battles: Columns) -> Interval | None:
    """The 95 % interval of a mean score gap; prompts that repeat count as one cluster each."""
    if gap is None:
        return None
    mean = clustered_mean(gap, np.zeros(len(gap), np.int64), battles.prompt)
    if mean.se is None:
        return None
    wide = quantile(len(np.unique(battles.prompt))) * mean.se
    return Interval(mean.mean - wide, mean.mean + wide)


def _mean_scores(judge: Judge, each: Columns) -> dict[str, float]:
    """The mean score of each model over its distinct responses."""
    by_model: dict[str, dict[str, float]] = {}
    for places, responses in ((each.a, each.response_a), (each.b, each.response_b)):
        for place, response in zip(places.tolist(), responses.tolist(), strict=True):
            if response in judge.scores:
                by_model.setdefault(each.models[place], {})[response] = judge.scores[response]
    return {m: float(np.mean(list(by_model[m].values()))) for m in each.models if m in by_model}


def _truncated(judge: Judge, each: Columns) -> float | None:
    """The share of what it read that was cut: of the distinct responses it scored, or of the battles it compared."""
    if judge.kind == GRADES:
        return None
    if judge.kind in CUTTERS:
        both = list(zip(each.response_a.tolist(), each.response_b.tolist(), strict=True))
        cut = set(judge.cut)
        return sum((a, b) in cut or (b, a) in cut for a, b in both) / len(both) if both else None
    scored = {r for r in (*each.response_a.tolist(), *each.response_b.tolist()) if r in judge.scores}
    return len(scored & set(judge.truncated)) / len(scored) if scored else None


def _compared(judge: Judge, votes: Columns, word: _Word) -> Bools:
    """Where both have a say: people decided, and so did a judge that votes or grades."""
    said = ~np.isnan(word.y) & ((word.y != 0.5) | (judge.kind == SCORES))
    return np.asarray(votes.decided & said, np.bool_)


def _right(votes: Columns, word: _Word) -> Floats:
    """1 where the judge's word is the vote's, a half where the judge is even."""
    return 1 - np.abs(votes.y - word.y)


def _decided(judge: Judge, votes: Columns, word: _Word) -> tuple[float | None, int]:
    compared = _compared(judge, votes, word)
    n = int(compared.sum())
    return (float(_right(votes, word)[compared].mean()) if n else None), n


def _auc(y: Floats, gap: Floats) -> float | None:
    """The chance that a preferred answer has the larger gap; each vote in both orders, so slots do not matter."""
    if not len(y):
        return None
    from scipy.stats import mannwhitneyu

    won = np.where(y == 1, gap, -gap)
    return float(mannwhitneyu(won, -won).statistic / len(won) ** 2)


def _spearman(y: Floats, gap: Floats) -> float | None:
    """Rank correlation of votes with score gaps, each vote in both orders."""
    both_y, both_gap = np.concatenate([y, 1 - y]), np.concatenate([gap, -gap])
    if len(np.unique(both_y)) < 2 or len(np.unique(both_gap)) < 2:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(both_y, both_gap).statistic)


def _longer_wins(votes: Columns, lengths: Mapping[str, float]) -> float | None:
    """The share of decided votes that went to the longer answer; equal lengths count half."""
    difference = length_difference(votes, lengths)
    known = votes.decided & ~np.isnan(difference)
    if not known.any():
        return None
    longer = (np.sign(difference[known]) + 1) / 2
    return float((1 - np.abs(votes.y[known] - longer)).mean())


def _bins(judge: Judge, votes: Columns, word: _Word, gaps: Floats) -> tuple[Bin, ...]:
    """Agreement on decided votes in up to five bins of equal size by the gap."""
    compared = _compared(judge, votes, word) & ~np.isnan(gaps)
    gap, right = gaps[compared], _right(votes, word)[compared]
    bins = min(BINS, len(gap) // FEWEST_IN_BIN)
    if bins == 0:
        return ()
    edges = np.unique(np.quantile(gap, np.linspace(0, 1, bins + 1)))
    place = np.clip(np.searchsorted(edges, gap, side="right") - 1, 0, max(len(edges) - 2, 0))
    return tuple(
        Bin(float(gap[place == i].min()), float(gap[place == i].max()), int((place == i).sum()),
            float(right[place == i].mean()))
        for i in np.unique(place).tolist()
    )  # fmt: skip


def _why(values: Mapping[str, object], judge: Judge, pairs: int, controlled: str) -> dict[str, str]:
    """The reason of each figure that is None."""
    many = "no battle was judged" if pairs == 0 else "more than two models: see pairs"
    reasons = {
        "truncated_share": _uncut(judge),
        "score_gap": NO_SCORES if judge.votes and pairs == 1 else many,
        "win_rate_a": many,
        "win_rate_ci95": "every battle went the same way" if pairs == 1 else many,
        "length_controlled_win_rate_a": controlled or many,
        "draws": "no battle was judged",
        "agreement_decided": "no battle that both decided",
        "agreement_ci95": "no battle that both decided",
        "agreement_with_ties": "no battle with both votes and a verdict",
        "cohen_kappa": "no votes to compare with, or all of one kind",
        "auc": NO_SCORES if judge.votes else "no decided vote on scored answers",
        "spearman": NO_SCORES if judge.votes else "no votes to compare with, or all of one kind",
        "longer_wins_baseline": "no decided vote on known texts",
    }
    return {name: reasons[name] for name, value in values.items() if value is None}


def _uncut(judge: Judge) -> str:
    """Why a judge has no share of cut texts."""
    if judge.kind in (*CUTTERS, SCORES):
        return "nothing was judged"
    return (
        "it reads texts whole"
        if judge.kind in ("llm", GRADES, "length")
        else "verdicts from elsewhere do not say"
    )
