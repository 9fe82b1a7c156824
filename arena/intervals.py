"""Intervals and tests on a share of votes, with their assumptions named. Pure.

Heavy statistics libraries are imported where they are used: a page that shows no figure does not wait for them.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LEVEL = 0.05
ENOUGH = 1 / LEVEL
"""the e-value at which a difference counts as found"""
NOTHING = 1e-14
"""a variance that is only rounding"""
MOST_TO_GO = 20_000
"""further votes past which no forecast is made"""
WANTED_RATES = (0.55, 0.60, 0.65, 0.70)


class Interval(NamedTuple):
    """Low and high end of a 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Clustered:
    """A mean of votes with its standard error and interval. `method` says in words what was used."""

    mean: float
    se: float | None
    ci95: Interval | None
    method: str
    naive_se: float | None
    naive_ci95: Interval | None

    @property
    def design_effect(self) -> float:
        """How many times more votes are needed than if each were independent; at least 1."""
        if not self.se or not self.naive_se:
            return 1.0
        return max(1.0, (self.se / self.naive_se) ** 2)


class Anytime(NamedTuple):
    """A sequential test of "neither is preferred" that holds however often people look."""

    e_value: float
    """evidence now; its largest value so far gives p"""
    p: float
    cs95: Interval
    """confidence sequence of the decided win rate"""


class ToGo(NamedTuple):
    """Further votes until the sequential test has found enough."""

    least: int
    """if every further vote were for the one that is ahead"""
    expected: int | None
    """if the rest are as those so far, ties too; None where they would not do within MOST_TO_GO"""

    def words(self) -> str:
        """In words, without a full stop."""
        if self.expected == 0:
            return "no further votes are needed"
        if self.expected is None:
            return (
                f"at least {self.least} more votes, and as votes fall now they would not tell the two apart"
            )
        return f"about {self.expected} more votes if they go on like this, at least {self.least}"


class Needed(NamedTuple):
    """Votes in all that find a true decided win rate of `rate`, with 80 % and 90 % power."""

    rate: float
    power80: int
    power90: int


def wilson(wins: float, n: int) -> Interval | None:
    """Wilson's (1927) 95 % interval of the share wins / n; None without votes."""
    if n == 0:
        return None
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(wins, n, alpha=LEVEL, method="wilson")
    return Interval(float(low), float(high))


def sign_test(wins: int, n: int) -> float:
    """Exact two-sided p of `wins` among n decided votes if neither is preferred; 1 where none is decided."""
    if n == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(wins, n).pvalue)


def clipped(mean: float, margin: float) -> Interval:
    """mean +- margin within 0 and 1."""
    return Interval(max(0.0, mean - margin), min(1.0, mean + margin))


class _Error(NamedTuple):
    variance: float
    clusters: int | None
    words: str


def clustered_mean(y: Floats, rater: Ints, prompt: Ints, weight: Floats | None = None) -> Clustered:
    """The mean of y (shape n, 0 to 1) with a standard error robust to repeats of rater and prompt (codes).

    `weight` (shape n) makes up for uneven sampling: the mean is then Hajek's, sum(w y) / sum(w).

    Two-way where both repeat, one-way where one does, heteroscedastic (HC0, normal) where none does; t with the
    smaller number of clusters used, less one (Cameron, Gelbach and Miller, 2011). Where every vote is the same there
    is no standard error.
    """
    n = len(y)
    if n == 0:
        raise ValueError("no votes")
    weight = np.ones(n) if weight is None else weight
    mean = float(np.average(y, weights=weight))
    spread = float(y.std(ddof=1)) if n > 1 else 0.0
    if spread == 0:
        return Clustered(
            mean, None, None, "none: every vote is the same" if n > 1 else "none: one vote", None, None
        )
    naive_se = spread / math.sqrt(n)
    error = _robust_variance(y, weight, _usable(rater, n), _usable(prompt, n))
    se = math.sqrt(max(0.0, error.variance))
    naive = clipped(mean, quantile(None) * naive_se)
    if error.variance <= NOTHING:
        return Clustered(mean, None, None, f"none: {error.words} leaves no spread", naive_se, naive)
    return Clustered(mean, se, clipped(mean, quantile(error.clusters) * se), error.words, naive_se, naive)


def quantile(clusters: int | None) -> float:
    """The 97.5 % point of t with clusters - 1 degrees of freedom, or of the normal distribution."""
    from scipy.stats import norm, t

    return float(norm.ppf(1 - LEVEL / 2) if clusters is None else t.ppf(1 - LEVEL / 2, clusters - 1))


def _usable(cluster: Ints, n: int) -> Ints | None:
    """The clusters if there are at least two of them and at least one repeats."""
    size = len(np.unique(cluster))
    return np.unique(cluster, return_inverse=True)[1].astype(np.int64) if 2 <= size < n else None


def _robust_variance(y: Floats, weight: Floats, rater: Ints | None, prompt: Ints | None) -> _Error:
    """Variance of the mean, and what was used."""
    from statsmodels.regression.linear_model import WLS
    from statsmodels.stats.sandwich_covariance import cov_cluster, cov_cluster_2groups, cov_white_simple

    fit = WLS(y, np.ones(len(y)), weights=weight).fit()
    groups = {name: g for name, g in (("rater", rater), ("prompt", prompt)) if g is not None}
    sizes = {name: int(g.max()) + 1 for name, g in groups.items()}
    if not groups:
        return _Error(_one(cov_white_simple(fit, use_correction=False)), None, "HC0, normal")
    if rater is None or prompt is None:
        name, group = next(iter(groups.items()))
        words = f"cluster-robust by {name}, t({sizes[name] - 1})"
        return _Error(_one(cov_cluster(fit, group)), sizes[name], words)
    both, by_rater, by_prompt = (_one(c) for c in cov_cluster_2groups(fit, rater, prompt))
    if both > NOTHING:
        fewest = min(sizes.values())
        return _Error(both, fewest, f"two-way cluster-robust by rater and prompt, t({fewest - 1})")
    name, variance = max((("rater", by_rater), ("prompt", by_prompt)), key=lambda x: x[1])
    words = f"cluster-robust by {name}, t({sizes[name] - 1}) (the two-way variance was not positive)"
    return _Error(variance, sizes[name], words)


def _one(matrix: Floats) -> float:
    return float(np.asarray(matrix).reshape(-1)[0])


# -- as votes come in ------------------------------------------------------------------------------------------


def anytime(won: Bools) -> Anytime:
    """The beta-binomial mixture test on decided votes in order of arrival (True: the first model won).

    E(n, k) = B(1 + k, 1 + n - k) / 0.5^n with a uniform prior; p = min(1, 1 / largest E so far).
    """
    from scipy.special import betaln

    n = np.arange(1, len(won) + 1)
    k = np.cumsum(won)
    log_e = betaln(1 + k, 1 + n - k) + n * math.log(2)
    if not len(won):
        return Anytime(1.0, 1.0, Interval(0.0, 1.0))
    now, most = float(log_e[-1]), max(0.0, float(log_e.max()))
    largest = (
        math.log(np.finfo(float).max) - 1
    )  # a longer row of wins than a float can weigh is still a number
    return Anytime(math.exp(min(now, largest)), math.exp(-most), _sequence(int(n[-1]), int(k[-1])))


def votes_to_go(wins: int, losses: int, votes: int) -> ToGo:
    """Votes until wins of the first model reach ENOUGH, from `votes` so far, of which wins + losses decided."""
    n, share = wins + losses, (wins + losses) / votes if votes else 1.0
    more = np.arange(MOST_TO_GO + 1)
    least = _first_enough(n + more, wins + more)
    rate = wins / n if n else 0.5
    usual = _first_enough(n + more, (wins + rate * more).astype(np.float64)) if rate > 0.5 else None
    enough = least if least is not None else MOST_TO_GO
    return ToGo(enough, None if usual is None else math.ceil(usual / share))


def _first_enough(n: Ints, k: Floats | Ints) -> int | None:
    """The first place at which k wins of n are more than half and evidence enough."""
    from scipy.special import betaln

    found = np.flatnonzero((2 * k > n) & (betaln(1 + k, 1 + n - k) + n * math.log(2) >= math.log(ENOUGH)))
    return int(found[0]) if len(found) else None


def _sequence(n: int, k: int) -> Interval:
    """{p: E_p(n, k) < 20}: the rates that n decided votes with k wins do not yet rule out."""
    from scipy.optimize import brentq
    from scipy.special import betaln, xlog1py, xlogy

    mixture = float(betaln(1 + k, 1 + n - k)) - math.log(ENOUGH)

    def over(p: float) -> float:
        return mixture - float(xlogy(k, p) + xlog1py(n - k, -p))

    rate = k / n
    low = 0.0 if over(0.0) < 0 else float(brentq(over, 0.0 if k == 0 else 1e-300, rate))
    high = 1.0 if over(1.0) < 0 else float(brentq(over, rate, 1.0 if k == n else 1 - 1e-16))
    return Interval(low, high)


# -- planning --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def decided_needed(rate: float, power: float) -> int:
    """Decided votes, each independent, that find a true rate with this power (normal approximation, two-sided 5 %)."""
    from statsmodels.stats.power import normal_sample_size_one_tail

    spread = math.sqrt(rate * (1 - rate))
    n = normal_sample_size_one_tail(rate - 0.5, power, LEVEL / 2, std_null=0.5, std_alternative=spread)
    return math.ceil(float(n))


def votes_needed(design_effect: float = 1.0, decided_share: float = 1.0) -> tuple[Needed, ...]:
    """Votes in all for each wanted rate, at the design effect and the share of decided votes seen so far."""
    more = design_effect / decided_share if decided_share > 0 else design_effect

    def all_votes(rate: float, power: float) -> int:
        return math.ceil(decided_needed(rate, power) * more)

    return tuple(Needed(r, all_votes(r, 0.8), all_votes(r, 0.9)) for r in WANTED_RATES)
