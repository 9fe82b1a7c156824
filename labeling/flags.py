"""What is remarkable about a rater, with the reason in words and numbers. Pure.

A flag asks the owner to look; it excludes nobody. Sides are drawn by lot for every ballot, so whoever reads presses
left and right as a fair coin falls, whatever their taste: sides are tested against that coin by a test that holds
however often one looks (a beta-binomial mixture; a reader ever reaches SIDES_EVIDENCE with chance 1 / SIDES_EVIDENCE).
"""

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from labeling.agreement import TIE
from labeling.favour import Favour
from labeling.reading import (
    BESIDE_FACTOR,
    EARLY,
    EARLY_FACTOR,
    FACTOR,
    MANY_SHARED,
    MOST,
    Answers,
    Check,
    Press,
)

SIDES_EVIDENCE, EVIDENCE = 2000.0, 200.0
"""asked of each of the two tests of sides, so that 1 reader in 1,000 at most is ever marked by one of them; and of favour
for each model"""
FEWEST = 12
"""votes under which a rater is not judged"""
FEWEST_GOLD = 4
"""known answers under which the owner's limits are not applied"""
QUICK_SECONDS = 1.5
QUICK_CHARACTERS = 500.0
"""characters a second beyond which nobody reads, not even skimming"""
DOUBT, STRICT = 0.2, 0.01
"""chances that a rater at the owner's limit, and one like the others, would do as badly: below both a warning is given"""
ENOUGH = 20.0
"""evidence at which a seat is blocked: a rater at the limit ever reaches it with chance 1 / ENOUGH, a better one less"""


class Flag(StrEnum):
    """What the owner should look at."""

    LEFT = "nearly always left"
    RIGHT = "nearly always right"
    COPY = "presses the side pressed before"
    ALTERNATES = "changes sides every time"
    FAST = "faster than anyone reads"
    FLOOR = "often under the time floor"
    SAME = "nearly always a tie"
    RANDOM = "answers no better than chance"
    GOLD = "misses known answers"
    INCONSISTENT = "contradicts itself on repeats"
    PARTIAL = "for or against one model"


SIDES = frozenset({Flag.LEFT, Flag.RIGHT, Flag.COPY, Flag.ALTERNATES})


class Raised(NamedTuple):
    """A flag and why, in words and numbers."""

    flag: Flag
    reason: str


class Limits(NamedTuple):
    """What the owner set for a campaign: seconds a ballot, and the share of known answers below which to warn."""

    time_floor: float = 0.0
    warn_below: float = 0.0


@dataclass(frozen=True, slots=True)
class Habits:
    """What a rater did that flags are raised for. `presses` in order of arrival, check questions included."""

    presses: Sequence[Press]
    seconds: Sequence[float]
    pace: Sequence[float]
    """characters of both answers a second"""
    under_floor: int = 0
    """votes that took less than their campaign's time floor"""
    floor: float = 0.0
    gold: tuple[int, int] = (0, 0)
    """known answers found, and asked"""
    warn_below: float = 0.0
    others_find: float = 1.0
    """share of known answers that the others find"""
    repeats: tuple[int, int] = (0, 0)
    """battles shown twice that were answered alike, and all of them"""


def habits_raise(h: Habits) -> tuple[Raised, ...]:
    """The flags that one rater's own habits raise, from a dozen votes on."""
    if len(h.presses) < FEWEST:
        return ()
    return (*_sides(h.presses), *_times(h), *_ties(h.presses), *_checks(h))


def _sides(presses: Sequence[Press]) -> Iterator[Raised]:
    sided = [p.label == p.left for p in presses if p.label != TIE and p.left is not None]
    left, n = sum(sided), len(sided)
    one_side = coin_evidence(left, n) >= SIDES_EVIDENCE
    if one_side and left > 0.8 * n:
        yield Raised(Flag.LEFT, f"pressed left {left} of {n} times")
    elif one_side and left < 0.2 * n:
        yield Raised(Flag.RIGHT, f"pressed right {n - left} of {n} times")
    else:
        changes, steps = sum(a != b for a, b in itertools.pairwise(sided)), n - 1
        if steps > 0 and coin_evidence(changes, steps) >= SIDES_EVIDENCE:
            flag = Flag.COPY if changes < steps / 2 else Flag.ALTERNATES
            yield Raised(flag, f"changed sides {changes} of {steps} times; sides are drawn by lot")


def coin_evidence(k: int, n: int) -> float:
    """How much more likely k of n is under a coin of any bias (uniform prior) than under a fair one."""
    from scipy.special import betaln

    return math.exp(min(float(betaln(1 + k, 1 + n - k)) + n * math.log(2), math.log(MOST)))


def _times(h: Habits) -> Iterator[Raised]:
    if len(h.seconds) >= FEWEST and statistics.median(h.seconds) < QUICK_SECONDS:
        yield Raised(
            Flag.FAST, f"half of {len(h.seconds)} votes took under {statistics.median(h.seconds):.1f} seconds"
        )
    elif len(h.pace) >= FEWEST and statistics.median(h.pace) > QUICK_CHARACTERS:
        yield Raised(
            Flag.FAST,
            f"half of {len(h.pace)} votes came at over {statistics.median(h.pace):,.0f} characters a second",
        )
    if len(h.seconds) >= FEWEST and h.under_floor > len(h.seconds) / 2:
        yield Raised(
            Flag.FLOOR,
            f"{h.under_floor} of {len(h.seconds)} votes took under the floor of {h.floor:g} seconds",
        )


def _ties(presses: Sequence[Press]) -> Iterator[Raised]:
    ties = sum(p.label == TIE for p in presses)
    if ties > 0.9 * len(presses):
        yield Raised(Flag.SAME, f"preferred neither answer {ties} of {len(presses)} times")


def _checks(h: Habits) -> Iterator[Raised]:
    (hits, asked), (same, twice) = h.gold, h.repeats
    if below(hits, asked, h.warn_below, h.others_find):
        limits = f"the limit is {100 * h.warn_below:.0f} %, the others find {100 * h.others_find:.0f} %"
        yield Raised(Flag.GOLD, f"found {hits} of {asked} known answers; {limits}")
    if twice >= FEWEST and _upper(same, twice) < 0.8:
        yield Raised(Flag.INCONSISTENT, f"answered {same} of {twice} repeats as the first time")


def _upper(k: int, n: int) -> float:
    """The upper end of a 99 % Wilson interval."""
    from statsmodels.stats.proportion import proportion_confint

    return float(proportion_confint(k, n, alpha=0.01, method="wilson")[1])


def below(hits: int, asked: int, limit: float, others_find: float) -> bool:
    """Whether to warn: fewer known answers found than the limit, and fewer than the others find, neither by chance.

    Where the others miss them as well, the questions are at fault.
    """
    if asked < FEWEST_GOLD or hits >= limit * asked:
        return False
    from scipy.special import bdtr

    return float(bdtr(hits, asked, limit)) < DOUBT and float(bdtr(hits, asked, others_find)) < STRICT


def blocked(gold_hits: int, gold_n: int, block_below: float) -> bool:
    """Whether a seat gets no more ballots: the evidence that the rater finds fewer known answers than the limit is strong.

    The evidence is the mean, over every rate under the limit, of the likelihood beside that of the limit itself. For
    whoever is at the limit or above it is a supermartingale, so it ever reaches ENOUGH with chance 1 / ENOUGH at most,
    however often it is looked at. At a limit of 0.7 it takes no hit in 4, 1 in 8 or 4 in 14. A limit of 0 blocks nobody.
    """
    if block_below <= 0 or gold_n < FEWEST_GOLD or gold_hits >= block_below * gold_n:
        return False
    if block_below >= 1:
        return True
    from scipy.special import betainc, betaln

    k, n, limit = gold_hits, gold_n, block_below
    mixed = float(betaln(k + 1, n - k + 1)) + math.log(float(betainc(k + 1, n - k + 1, limit)) / limit)
    return mixed - k * math.log(limit) - (n - k) * math.log1p(-limit) >= math.log(ENOUGH)


def partial(found: Favour | None, hypotheses: int) -> tuple[Raised, ...]:
    """The flag of a rater who votes for or against a model far beyond what others think of it."""
    if found is None or found.evidence < EVIDENCE * hypotheses:
        return ()
    side = "against" if found.against else "for"
    would = f"by the others' votes it would be {100 * found.others:.0f} %"
    return (Raised(Flag.PARTIAL, f"voted {side} {found.model} {found.wins} of {found.n} times; {would}"),)


def blind_reason(given: Answers, factor: float, matched: tuple[int, int]) -> str:
    """Why answers look no better than chance: the counts behind the factor."""
    parts = [f"found {_right(given.gold)} of {len(given.gold)} known answers"] if given.gold else []
    parts += (
        [f"answered {_right(given.repeats)} of {len(given.repeats)} repeats as the first time"]
        if given.repeats
        else []
    )
    parts += [f"sided with the others on {matched[0]} of {matched[1]} battles"] if matched[1] else []
    times = f"over {MOST / 10:,.0f}" if factor > MOST / 10 else f"{factor:,.0f}"
    counted = "; ".join(parts)
    return (
        f"{counted}{'; ' if counted else ''}pressing without reading fits {times} times better than reading"
    )


def _right(checks: Sequence[Check]) -> int:
    return sum(c.press.label == c.expected for c in checks)


def blind(presses: int, factor: float, shared: int) -> bool:
    """Whether a factor is enough to raise RANDOM; `shared`: decided battles on which others say which is better."""
    enough = BESIDE_FACTOR if shared >= MANY_SHARED else FACTOR
    return presses >= FEWEST and factor >= (EARLY_FACTOR if presses < EARLY else enough)
