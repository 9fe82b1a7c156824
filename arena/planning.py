"""How many votes, people, minutes and how much money a wanted difference takes, and what a number of votes can tell. Pure.

The plan is made for the interval the results page shows: a win rate with ties half, its error robust to raters and
prompts that repeat, t with the smaller number of those that repeat, less one (arena/intervals.py).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from arena.alike import ALIKE_PROMPT, ALIKE_RATER, Alike
from arena.intervals import ENOUGH, quantile
from db.errors import UserError

POWER = 0.8
READ_A_MINUTE = 240.0
"""words; adults read 238 a minute silently (Brysbaert, 2019, a meta-analysis of 190 studies)"""
NARROWEST, WIDEST = 0.005, 0.45
"""differences that can be planned for"""
MOST_PAY, LONGEST = 1_000_000, 86_400
"""an hour, in any currency; seconds that one vote may be said to take"""
MOST_VOTES = 20_000
"""votes up to which the test that holds however often one looks is reckoned out"""


# -- votes -----------------------------------------------------------------------------------------------------


class Crowd(NamedTuple):
    """Who votes on what: people, prompts that both models of a pair answered, and how alike votes are."""

    people: int
    prompts: int
    alike: Alike = Alike(ALIKE_RATER, ALIKE_PROMPT)
    ties: float = 0.0
    """share of votes that are ties, counted half; 0 is the safe side"""


def design_effect(votes: float, crowd: Crowd) -> float:
    """How many times more votes are needed than if each were independent (Kish, 1965), where raters and prompts repeat."""
    by_rater = max(0.0, votes / crowd.people - 1) * crowd.alike.rater if crowd.people > 1 else 0.0
    return 1 + by_rater + max(0.0, votes / crowd.prompts - 1) * crowd.alike.prompt


def _clusters(votes: int, crowd: Crowd) -> int | None:
    """The smaller number of those that repeat at this many votes; None where none does."""
    repeat = [n for n in (crowd.people, crowd.prompts) if 2 <= n < votes]
    return min(repeat, default=None)


@lru_cache(maxsize=4096)
def independent_needed(difference: float, ties: float, clusters: int | None, power: float = POWER) -> float:
    """Independent votes that find a win rate of a half plus the difference (two-sided 5 %, normal approximation).

    A tie is half a vote: the variance of a vote is (1 - ties) / 4 where neither is preferred, and
    rate x (1 - rate) - ties / 4 at the rate itself. The quantile is that of t where clusters repeat.
    """
    from scipy.stats import norm
    from statsmodels.stats.power import normal_sample_size_one_tail

    rate = 0.5 + difference
    return float(normal_sample_size_one_tail(
        difference, power, float(norm.sf(quantile(clusters))), std_null=math.sqrt((1 - ties) / 4),
        std_alternative=math.sqrt(max(0.0, rate * (1 - rate) - ties / 4)),
    ))  # fmt: skip


def votes_for(difference: float, crowd: Crowd) -> int | None:
    """Votes on two models that find a difference from a half with a chance of 80 %.

    None where these people cannot give as many, each judging each prompt once, or where more votes of the same people
    on the same prompts tell nothing new.
    """
    most = crowd.people * crowd.prompts
    for low, high in _regimes(crowd, most):
        if not _enough(high, difference, crowd):
            continue
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if _enough(middle, difference, crowd) else (middle + 1, high)
        return low
    return None


def _regimes(crowd: Crowd, most: int) -> list[tuple[int, int]]:
    """Ranges of votes within which the same clusters repeat."""
    edges = sorted({e for e in (crowd.people, crowd.prompts) if e < most} | {most})
    return [(low + 1, high) for low, high in zip([0, *edges], edges, strict=False)]


def _enough(votes: int, difference: float, crowd: Crowd) -> bool:
    wanted = independent_needed(difference, crowd.ties, _clusters(votes, crowd))
    return votes / design_effect(votes, crowd) >= wanted


def difference_for(votes: int, crowd: Crowd) -> float | None:
    """The smallest difference from a half that so many votes on two models find; None where not even WIDEST is found."""
    low, high = NARROWEST, largest_difference(crowd.ties)
    if not _enough(votes, high, crowd):
        return None
    while high - low > 0.0005:
        middle = (low + high) / 2
        low, high = (low, middle) if _enough(votes, middle, crowd) else (middle, high)
    return high


def largest_difference(ties: float) -> float:
    """The largest difference there can be with this share of ties, as far as it can be planned for."""
    return min(WIDEST, 0.99 * (1 - ties) / 2)


@lru_cache(maxsize=256)
def settled_after(difference: float, ties: float, power: float = POWER) -> int | None:
    """Votes after which the results page has called it settled with this chance, however often one looks.

    The exact chance that the beta-binomial mixture test (intervals.anytime) has reached its level: the distribution
    of wins among n decided votes, less what has crossed already, step by step. None beyond MOST_VOTES.
    """
    rate = 0.5 + difference / (1 - ties)
    alive, low, high, open_ = np.ones(1), 0, 0, 1.0
    for n in range(1, MOST_VOTES + 1):
        grown = np.zeros(len(alive) + 1)
        grown[:-1] += alive * (1 - rate)
        grown[1:] += alive * rate
        low, high = low, high + 1
        while len(grown) and _crossed(n, high):
            open_, grown, high = open_ - float(grown[-1]), grown[:-1], high - 1
        while len(grown) and _crossed(n, low):
            open_, grown, low = open_ - float(grown[0]), grown[1:], low + 1
        if open_ <= 1 - power:
            return math.ceil(n / (1 - ties))
        alive = grown
    return None


def _crossed(n: int, k: int) -> bool:
    """Whether k wins among n decided votes reach the level of the anytime test."""
    log_e = math.lgamma(1 + k) + math.lgamma(1 + n - k) - math.lgamma(2 + n) + n * math.log(2)
    return log_e >= math.log(ENOUGH)


# -- people, minutes, money ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wish:
    """What the owner wants: a difference from a half (0.1 is 60:40), people, pay an hour, the platform's fee (0.33 is a third)."""

    difference: float = 0.1
    people: int = 10
    pay: float = 0.0
    fee: float = 0.0
    seconds: float | None = None
    """a vote; None takes what is known"""
    currency: str = "EUR"


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known of a campaign: its battles, its votes, and how long one takes."""

    campaign: str
    models: int
    prompts: int
    """prompts that every pair of models is compared on, on average"""
    votes: int
    """that count"""
    wanted: int
    """by its overlap or target as it stands"""
    overlap: int
    seconds: float
    """a vote"""
    seconds_from: str
    ties: float
    alike: Alike
    alike_from: str
    checks: float = 0.0
    """share of ballots that are check questions"""
    practice: int = 0
    briefing_words: int = 0
    rater_cap: int | None = None

    @property
    def pairs(self) -> int:
        """How many pairs of models meet."""
        return self.models * (self.models - 1) // 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What a wish takes. Votes are over all pairs of models; `why` says why there is no number of votes."""

    campaign: str
    difference: float
    people: int
    votes: int | None
    votes_a_pair: int | None
    settled: int | None
    """votes after which the results page has called it settled in four of five sessions, however often one looks"""
    overlap: int | None
    """votes a battle that so many votes take"""
    ballots_each: int | None
    minutes_each: float | None
    hours: float | None
    pay: float | None
    fee: float | None
    cost: float | None
    currency: str
    seconds_a_vote: float
    tells_apart: float | None
    """the smallest difference that the votes the campaign asks for now find with these people"""
    wanted_now: int
    sentence: str
    notes: tuple[str, ...]
    why: str = ""


def plan(wish: Wish, ground: Ground) -> Plan:
    """What the wish takes in a campaign; UserError where it cannot be planned for."""
    _check(wish, ground)
    crowd = Crowd(wish.people, ground.prompts, ground.alike, ground.ties)
    one = votes_for(wish.difference, crowd)
    seconds = wish.seconds or ground.seconds
    now = difference_for(max(1, round(ground.wanted / ground.pairs)), crowd) if ground.wanted else None
    votes = None if one is None else one * ground.pairs
    settled = settled_after(wish.difference, ground.ties)
    work = _work(votes, wish, ground, seconds)
    why = "" if votes is not None else _why_not(wish, crowd)
    return Plan(
        campaign=ground.campaign, difference=wish.difference, people=wish.people, votes=votes, votes_a_pair=one,
        settled=None if one is None or settled is None else max(one, settled) * ground.pairs,
        overlap=None if one is None else math.ceil(one / ground.prompts),
        ballots_each=work.ballots_each, minutes_each=work.minutes_each, hours=work.hours, pay=work.pay, fee=work.fee,
        cost=work.cost, currency=wish.currency, seconds_a_vote=seconds, tells_apart=now, wanted_now=ground.wanted,
        sentence=_sentence(wish, votes, work, why), notes=_notes(wish, ground, one, now), why=why,
    )  # fmt: skip


def _check(wish: Wish, ground: Ground) -> None:
    most = largest_difference(ground.ties)
    if not NARROWEST <= wish.difference <= most:
        raise UserError(f"a difference of {wish.difference:g} cannot be planned for",
                        f"give one between {NARROWEST:g} and {most:.2f}; 0.1 is a preference of 60:40")  # fmt: skip
    if not 1 <= wish.people <= 100_000:
        raise UserError("a session has 1 to 100,000 people", "give a number in between")
    if not (0 <= wish.pay <= MOST_PAY and 0 <= wish.fee <= 10):
        raise UserError("pay and fee are not negative, and no more than 1,000,000 an hour and ten times the pay",
                        "give 0.33 for a fee of a third of the pay")  # fmt: skip
    if wish.seconds is not None and not 0 < wish.seconds <= LONGEST:
        raise UserError(
            "a vote takes more than 0 and at most 86,400 seconds", "leave it out, and the votes tell"
        )
    if not ground.prompts or not ground.pairs:
        raise UserError(f"campaign {ground.campaign!r} has no battles to vote on", "give it prompts that its models answered")  # fmt: skip


class _Work(NamedTuple):
    ballots_each: int | None = None
    minutes_each: float | None = None
    hours: float | None = None
    pay: float | None = None
    fee: float | None = None
    cost: float | None = None


def _work(votes: int | None, wish: Wish, ground: Ground, seconds: float) -> _Work:
    """What each person does, and what all of them are paid for it."""
    if votes is None:
        return _Work()
    ballots = math.ceil(votes / wish.people / (1 - ground.checks)) + ground.practice
    minutes = ballots * seconds / 60 + ground.briefing_words / READ_A_MINUTE
    hours = wish.people * minutes / 60
    return _Work(
        ballots,
        minutes,
        hours,
        hours * wish.pay,
        hours * wish.pay * wish.fee,
        hours * wish.pay * (1 + wish.fee),
    )


def _why_not(wish: Wish, crowd: Crowd) -> str:
    """Why there is no number of votes, and what would help."""
    for people in (int(crowd.people * step) for step in (1.5, 2, 3, 5, 10, 20, 50, 100)):
        if votes_for(wish.difference, crowd._replace(people=people)) is not None:
            return f"{people} people could tell"
    for prompts in (int(crowd.prompts * step) for step in (1.5, 2, 3, 5, 10, 20, 50, 100)):
        if votes_for(wish.difference, crowd._replace(prompts=prompts)) is not None:
            return f"{prompts:,} prompts in place of {crowd.prompts:,} could tell"
    return "it takes both more people and more prompts"


# -- in words --------------------------------------------------------------------------------------------------


def as_ratio(difference: float) -> str:
    """A difference from a half as people say it: 0.1 is 60:40."""
    rate = 100 * (0.5 + difference)
    return (
        f"{rate:.0f}:{100 - rate:.0f}" if abs(rate - round(rate)) < 0.05 else f"{rate:.1f}:{100 - rate:.1f}"
    )


def minutes_in_words(minutes: float) -> str:
    """A length of time as people say it."""
    if minutes < 1.5:
        return "about a minute"
    if minutes < 90:
        return f"about {math.ceil(minutes)} minutes"
    return f"about {minutes / 60:.1f} hours"


def _sentence(wish: Wish, votes: int | None, work: _Work, why: str) -> str:
    ratio, who = as_ratio(wish.difference), f"{wish.people:,} people" if wish.people > 1 else "one person"
    if votes is None or work.minutes_each is None:
        return f"No number of votes by {who} on these prompts is enough to see a {ratio} preference: {why}."
    each = f"{who} for {minutes_in_words(work.minutes_each)}{' each' if wish.people > 1 else ''}"
    cost = f", {work.cost:,.2f} {wish.currency}".rstrip() if work.cost else ""
    fee = f" ({work.fee:,.2f} of it the platform's fee)" if work.fee else ""
    return f"To see a {ratio} preference you need about {votes:,} votes: {each}{cost}{fee}."


def _notes(wish: Wish, ground: Ground, one: int | None, now: float | None) -> tuple[str, ...]:
    """What else the owner should know, a sentence each."""
    return tuple(note for note in (
        _about_settled(wish, ground, one),
        _about_overlap(ground, one),
        _about_now(ground, now),
        "All votes of one person speak for that person alone." if wish.people == 1 else "",
        _about_cap(wish, ground, one),
        f"One vote takes {wish.seconds or ground.seconds:.0f} seconds {'as you say' if wish.seconds else ground.seconds_from}.",
        f"Votes resemble each other (0: not at all, 1: fully) {ground.alike_from}.",
    ) if note)  # fmt: skip


def _about_settled(wish: Wish, ground: Ground, one: int | None) -> str:
    if one is None:
        return ""
    settled = settled_after(wish.difference, ground.ties)
    if settled is None:
        return "That is for one look at the end, with a chance of 80 %."
    if settled <= one:
        return "With a chance of 80 %, also if you look at the results as often as you like."
    return (
        "That is for one look at the end, with a chance of 80 %. If you look while votes come in, plan "
        f"{settled * ground.pairs:,}: only then the results page calls it settled."
    )


def _about_overlap(ground: Ground, one: int | None) -> str:
    if one is None:
        return ""
    overlap = math.ceil(one / ground.prompts)
    battles = f"{ground.prompts * ground.pairs:,} battles"
    if overlap <= ground.overlap:
        return f"The {battles} there are, with an overlap of {ground.overlap}, are enough for that."
    return f"With the {battles} there are that is an overlap of {overlap}; the campaign has {ground.overlap}."


def _about_now(ground: Ground, now: float | None) -> str:
    if not ground.wanted:
        return ""
    if now is None:
        return f"As it stands the campaign asks for {ground.wanted:,} votes, which is too few to show any preference."
    closest = as_ratio(math.ceil(200 * now) / 200)
    return f"As it stands the campaign asks for {ground.wanted:,} votes, which show a preference of {closest} and nothing closer."


def _about_cap(wish: Wish, ground: Ground, one: int | None) -> str:
    if one is None or ground.rater_cap is None:
        return ""
    each = math.ceil(one * ground.pairs / wish.people / (1 - ground.checks))
    if each <= ground.rater_cap:
        return ""
    return (
        f"That is {each:,} ballots a person; the campaign lets nobody answer more than {ground.rater_cap:,}."
    )
