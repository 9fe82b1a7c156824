"""Head to head: what the votes on two models say, and how sure that is. Pure; definitions with their sources beside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from arena.columns import BOTH_BAD, BOTH_GOOD, TIE, WIN_A, WIN_B, Columns, Floats, TwoModels
from arena.intervals import (
    LEVEL,
    Anytime,
    Clustered,
    Interval,
    Needed,
    anytime,
    clustered_mean,
    sign_test,
    votes_needed,
    wilson,
)

LENGTH_FLOOR = 50
"""votes under which a length-controlled rate is not shown"""
LENGTH_WARNING = 0.10
NO_DIFFERENCE = 0.05
"""an interval within this of a half means that the two are as good as each other"""


@dataclass(frozen=True, slots=True)
class HeadToHead:
    """The votes on two models. Rates are of model_a; `why` explains each None."""

    model_a: str
    model_b: str
    n: int
    raters: int
    wins_a: int
    wins_b: int
    ties: int
    both_good: int
    both_bad: int
    win_rate_a: float | None
    se: float | None
    ci95: Interval | None
    ci_method: str
    naive_ci95: Interval | None
    decided_win_rate_a: float | None
    decided_ci95: Interval | None
    wins_of_all_a: float
    """wins of model_a among all votes: a tie is no win"""
    wins_of_all_ci95: Interval | None
    sign_test_p: float
    anytime: Anytime
    length_controlled_win_rate_a: float | None
    left_win_share: float | None
    left_win_ci95: Interval | None
    votes_needed: tuple[Needed, ...]
    trained_on_share: float | None
    verdict: str
    settled: bool
    """whether the anytime test and the interval both say that one is preferred"""
    why: Mapping[str, str] = field(default_factory=dict)

    @property
    def decided(self) -> int:
        """Votes in which one response won."""
        return self.wins_a + self.wins_b

    @property
    def tied(self) -> int:
        """Votes in which none did."""
        return self.ties + self.both_good + self.both_bad


class Rate(NamedTuple):
    """A figure or the reason there is none."""

    value: float | None
    why: str = ""


def head_to_head(
    pair: TwoModels, votes: Columns, lengths: Mapping[str, float], trained_on_share: float | None = None
) -> HeadToHead:
    """Every figure of two models from their votes (at least one). `lengths`: characters by response id."""
    counts = np.bincount(votes.outcome, minlength=5)
    wins_a, wins_b = int(counts[WIN_A]), int(counts[WIN_B])
    decided = wins_a + wins_b
    rate = clustered_mean(votes.y, votes.rater, votes.prompt, votes.weight)
    weighed = "" if np.allclose(votes.weight, 1) else "; votes weighed by their chance of being sampled"
    over_time = anytime(votes.outcome[votes.decided] == WIN_A)
    controlled = length_controlled(votes.y, length_difference(votes, lengths))
    left, left_ci = left_wins(votes)
    settled = over_time.p <= LEVEL and (rate.ci95 is None or not rate.ci95.low <= 0.5 <= rate.ci95.high)
    raters = len(np.unique(votes.rater))
    why = {
        "se": "" if rate.se is not None else rate.method.removeprefix("none: "),
        "ci95": "" if rate.ci95 else f"{rate.method.removeprefix('none: ')}; see decided_ci95",
        "naive_ci95": "" if rate.naive_ci95 else rate.method.removeprefix("none: "),
        "decided_win_rate_a": "" if decided else "every vote is a tie",
        "decided_ci95": "" if decided else "every vote is a tie",
        "length_controlled_win_rate_a": controlled.why,
        "left_win_share": "" if left is not None else "no decided vote has its sides on record",
        "left_win_ci95": "" if left is not None else "no decided vote has its sides on record",
        "trained_on_share": "" if trained_on_share is not None else "not looked up",
    }
    return HeadToHead(
        model_a=pair.model_a, model_b=pair.model_b, n=len(votes), raters=raters, wins_a=wins_a, wins_b=wins_b,
        ties=int(counts[TIE]), both_good=int(counts[BOTH_GOOD]), both_bad=int(counts[BOTH_BAD]),
        win_rate_a=rate.mean, se=rate.se, ci95=rate.ci95, ci_method=rate.method + weighed, naive_ci95=rate.naive_ci95,
        decided_win_rate_a=wins_a / decided if decided else None, decided_ci95=wilson(wins_a, decided),
        wins_of_all_a=wins_a / len(votes), wins_of_all_ci95=wilson(wins_a, len(votes)),
        sign_test_p=sign_test(wins_a, decided), anytime=over_time, length_controlled_win_rate_a=controlled.value,
        left_win_share=left, left_win_ci95=left_ci,
        votes_needed=votes_needed(rate.design_effect, decided / len(votes)), trained_on_share=trained_on_share,
        verdict=_verdict(pair, rate, over_time, wins_a, wins_b, raters, settled), settled=settled,
        why={name: reason for name, reason in why.items() if reason},
    )  # fmt: skip


def left_wins(votes: Columns) -> tuple[float | None, Interval | None]:
    """The share of decided votes that the left response won, of those whose sides are on record; Wilson interval."""
    known = votes.decided & (votes.left >= 0)
    n = int(known.sum())
    if n == 0:
        return None, None
    wins = int(((votes.outcome == WIN_A) == (votes.left == 1))[known].sum())
    return wins / n, wilson(wins, n)


def length_difference(votes: Columns, lengths: Mapping[str, float]) -> Floats:
    """Characters of a's response less b's; NaN where a text is not known."""
    of_a, of_b = votes.values(lengths)
    return of_a - of_b


def length_controlled(y: Floats, difference: Floats) -> Rate:
    """The win rate that a logistic regression of y on tanh(length difference / its sd) gives at no difference.

    The minimal form of length-controlled AlpacaEval (Dubois et al., 2024): length and a constant. y may hold halves.
    """
    known = ~np.isnan(difference) & ~np.isnan(y)
    y, difference = y[known], difference[known]
    if len(y) < LENGTH_FLOOR:
        return Rate(None, f"fewer than {LENGTH_FLOOR} votes with both texts")
    spread = float(difference.std(ddof=1))
    if spread == 0:
        return Rate(None, "every pair of answers differs in length by the same")
    x = np.tanh(difference / spread)
    if _separated(x, y):
        return Rate(None, "length alone tells who won every vote, or every vote went one way")
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    fit = GLM(y, np.column_stack([np.ones(len(x)), x]), family=Binomial()).fit()
    return Rate(float(1 / (1 + np.exp(-fit.params[0]))))


def _separated(x: Floats, y: Floats) -> bool:
    """Whether a threshold on x parts the wins from the losses (a tie is half of each), so that no estimate exists."""
    wins, losses = x[y > 0], x[y < 1]
    if not len(wins) or not len(losses):
        return True
    return bool(losses.max() <= wins.min() or wins.max() <= losses.min())


def _verdict(
    pair: TwoModels, rate: Clustered, over_time: Anytime, wins_a: int, wins_b: int, raters: int, settled: bool
) -> str:
    """One plain sentence: who is preferred, by how much, how sure."""
    ahead_a = rate.mean >= 0.5
    better, worse = (pair.model_a, pair.model_b) if ahead_a else (pair.model_b, pair.model_a)
    share = rate.mean if ahead_a else 1 - rate.mean
    alone = " This speaks for one rater alone." if raters == 1 else ""
    seen = f"{percent(share)} of votes, ties half{_range(rate.ci95, ahead_a)}"
    if wins_a + wins_b == 0:
        return f"No difference seen: every vote on {pair.model_a} and {pair.model_b} is a tie.{alone}"
    if settled:
        return f"{better} is preferred to {worse}: it wins {seen}.{alone}"
    if over_time.p <= LEVEL:
        return f"{better} is ahead of {worse} ({seen}), but the interval still holds 50 %.{alone}"
    if rate.ci95 and rate.ci95.low >= 0.5 - NO_DIFFERENCE and rate.ci95.high <= 0.5 + NO_DIFFERENCE:
        return (
            f"{pair.model_a} and {pair.model_b} are about as good as each other: {better} wins {seen}.{alone}"
        )
    if share == 0.5:
        return f"{pair.model_a} and {pair.model_b} are level so far; more votes are needed to tell.{alone}"
    return f"{better} is ahead of {worse} so far ({seen}), but there are too few votes to be sure.{alone}"


def _range(interval: Interval | None, ahead_a: bool) -> str:
    if interval is None:
        return ""
    low, high = interval if ahead_a else (1 - interval.high, 1 - interval.low)
    return f", 95 % interval {percent(low)} to {percent(high)}"


def percent(share: float) -> str:
    """A share in words, to a whole percent."""
    return f"{100 * share:.0f} %"
