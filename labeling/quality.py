"""Each rater's figures: speed, side, ties, known answers, agreement with the others, influence, and flags. Pure.

A flag asks the owner to look; it excludes nobody (labeling/flags.py says what raises one, labeling/reading.py how
answers without reading are told from answers with).
"""

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from db.checks import CheckVote
from db.entities.votes import BallotKind, Outcome, RaterKind, Vote
from labeling.agreement import battle_key, label_of
from labeling.consensus import dawid_skene, why_not
from labeling.consensus import information as consensus_information
from labeling.favour import favours, hypotheses
from labeling.flags import (
    FEWEST,
    SIDES,
    Flag,
    Habits,
    Limits,
    Raised,
    blind,
    blind_reason,
    habits_raise,
    partial,
)
from labeling.influence import influence
from labeling.others import (
    Expectations,
    Given,
    Shared,
    expectations,
    given_by,
    information,
    matches,
    press_of,
    shared,
)
from labeling.reader_kinds import kinds_of_others
from labeling.reading import Answers, Check, Crowd, Press, blind_factor, fits

FEWEST_SHARED = 20
"""battles shared with others under which information is not shown"""
GOLD_EXPECTED, SAME_EXPECTED = 0.95, 0.93
"""shares of known answers found, and of repeats answered alike, that readers are expected to reach"""
CROWD_PRIOR = 10.0
"""checks' worth of that expectation before the others are counted"""
DAWID_SKENE, MAJORITY = "Dawid and Skene's model", "the others' majority"


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
    """share of known answers found; a tie on one is a miss"""
    gold_n: int
    self_consistency: float | None
    """share of battles shown twice that were answered alike"""
    self_consistency_n: int
    agreement: float | None
    """share of decided votes that match the majority of the others on the battle"""
    agreement_n: int
    information: float | None
    """bits that a vote tells about the truth"""
    information_by: str | None
    """what stands for the truth there"""
    influence: float | None
    """the most that leaving the rater out moves a win rate of two models"""
    blind_factor: float
    """how many times better the answers fit pressing without reading than reading; small is good"""
    last_vote: str
    flags: tuple[Flag, ...]
    reasons: tuple[str, ...]
    """why each flag was raised, in the same order"""
    why: Mapping[str, str] = field(default_factory=dict)


class _Rater(NamedTuple):
    """Everything one rater did: standing votes and check questions, each in order of arrival."""

    votes: Sequence[Vote]
    checks: Sequence[CheckVote]

    @property
    def every(self) -> list[Vote]:
        """Votes and check questions together, in order of arrival; practice left out."""
        checks = [c.vote for c in self.checks if c.kind is not BallotKind.PRACTICE]
        return sorted([*self.votes, *checks], key=lambda v: v.id) if checks else list(self.votes)


class _Acts(NamedTuple):
    """A rater's presses in order of arrival, and their answers to check questions."""

    presses: Sequence[Press]
    gold: Sequence[Check]
    repeats: Sequence[Check]


def rater_figures(
    votes: Iterable[Vote], lengths: Mapping[str, float], checks: Iterable[CheckVote] = (),
    limits: Mapping[int, Limits] | None = None,
) -> tuple[RaterFigures, ...]:  # fmt: skip
    """The figures of everyone who voted, the busiest first.

    `lengths`: characters by response id. `checks`: standing votes on check questions. `limits`: by campaign.
    """
    raters = _by_rater(votes, checks)
    given = {name: given_by(r.votes, lengths) for name, r in raters.items()}
    judged = _judged(raters, given, lengths, limits or {})
    beside = shared(given)
    bits = _information(given, beside)
    moves = influence({name: r.votes for name, r in raters.items()})
    found = [
        _figures(name, r, lengths, judged[name], matches(beside[name]), bits[name], moves[name])
        for name, r in raters.items()
    ]
    return tuple(sorted(found, key=lambda f: (-f.votes, f.rater)))


class Judged(NamedTuple):
    """How many times better pressing blind explains a rater's answers than reading, and every flag that is raised."""

    factor: float
    raised: tuple[Raised, ...]


def judged(
    votes: Iterable[Vote], lengths: Mapping[str, float], checks: Iterable[CheckVote] = (),
    limits: Mapping[int, Limits] | None = None,
) -> dict[str, Judged]:  # fmt: skip
    """The flags of everyone who voted, without the other figures; arguments as of `rater_figures`."""
    raters = _by_rater(votes, checks)
    given = {name: given_by(r.votes, lengths) for name, r in raters.items()}
    return _judged(raters, given, lengths, limits or {})


def _by_rater(votes: Iterable[Vote], checks: Iterable[CheckVote]) -> dict[str, _Rater]:
    """Everyone with a standing vote."""
    given: dict[str, list[Vote]] = defaultdict(list)
    for vote in sorted(votes, key=lambda v: v.id):
        given[vote.rater_name].append(vote)
    checked: dict[str, list[CheckVote]] = defaultdict(list)
    for check in sorted(checks, key=lambda c: c.vote.id):
        checked[check.vote.rater_name].append(check)
    return {name: _Rater(own, checked[name]) for name, own in given.items()}


class _Bits(NamedTuple):
    value: float | None
    by: str | None
    why: str | None


def _figures(
    name: str, r: _Rater, lengths: Mapping[str, float], judged: Judged, hits: tuple[int, int], bits: _Bits,
    moves: float | None,
) -> RaterFigures:  # fmt: skip
    seconds, left, longer = _seconds(r.every), _left(r.votes), _longer(r.votes, lengths)
    gold, twice = _gold(r), _repeats(r)
    values = {
        "median_seconds": statistics.median(seconds) if seconds else None, "left_share": _share(*left),
        "longer_share": _share(*longer), "gold_accuracy": _share(_right(gold), len(gold)),
        "self_consistency": _share(_right(twice), len(twice)), "agreement": _share(*hits), "information": bits.value,
        "influence": moves,
    }  # fmt: skip
    reasons = {
        "median_seconds": "no vote has its time on record", "left_share": "no decided vote has its sides on record",
        "longer_share": "no decided vote on texts of different length",
        "gold_accuracy": "no ballots with a known answer", "self_consistency": "no battle was shown twice",
        "agreement": "nobody else decided on the same battles", "information": bits.why, "information_by": bits.why,
        "influence": "no other rater",
    }  # fmt: skip
    ties = sum(not v.outcome.decisive for v in r.votes)
    return RaterFigures(
        rater=name, simulated=r.votes[0].rater_kind is RaterKind.SIMULATED, votes=len(r.votes),
        tie_share=ties / len(r.votes), gold_n=len(gold), self_consistency_n=len(twice), agreement_n=hits[1], information_by=bits.by,
        blind_factor=judged.factor, last_vote=max(v.created_at for v in r.every),
        flags=tuple(f.flag for f in judged.raised), reasons=tuple(f.reason for f in judged.raised),
        why={key: str(reasons[key]) for key, value in {**values, "information_by": bits.by}.items() if value is None},
        **values,
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


def _gold(r: _Rater) -> list[Check]:
    return [
        Check(press_of(c.vote), label_of(c.better, battle_key(c.vote)[1]))
        for c in r.checks
        if c.kind is BallotKind.GOLD and c.better is not None
    ]


def _repeats(r: _Rater) -> list[Check]:
    """Each vote on a battle that the rater judged before, beside the vote before."""
    last: dict[str, int] = {}
    found = []
    again = [c.vote for c in r.checks if c.kind is BallotKind.REPEAT]
    for vote in sorted([*r.votes, *again], key=lambda v: v.id) if again else r.votes:
        battle, swapped = battle_key(vote)
        press = press_of(vote, swapped)
        if battle in last:
            found.append(Check(press, last[battle]))
        last[battle] = press.label
    return found


def _right(checks: Sequence[Check]) -> int:
    return sum(c.press.label == c.expected for c in checks)


def _habits(
    r: _Rater, own: _Acts, lengths: Mapping[str, float], limits: Mapping[int, Limits], others_find: float
) -> Habits:
    every = r.every
    timed = [
        (v.elapsed_ms / 1000, limits.get(v.campaign, Limits()).time_floor)
        for v in every
        if v.elapsed_ms is not None
    ]
    set_for = [limits[v.campaign] for v in every if v.campaign in limits]
    return Habits(
        presses=own.presses, seconds=[s for s, _ in timed], pace=_pace(r.votes, lengths),
        under_floor=sum(s < floor for s, floor in timed), floor=max((floor for _, floor in timed), default=0.0),
        gold=(_right(own.gold), len(own.gold)), warn_below=min((x.warn_below for x in set_for), default=0.0),
        others_find=others_find, repeats=(_right(own.repeats), len(own.repeats)),
    )  # fmt: skip


# -- whether they read -----------------------------------------------------------------------------------------


def _judged(
    raters: Mapping[str, _Rater], given: Mapping[str, Mapping[str, Given]], lengths: Mapping[str, float],
    limits: Mapping[int, Limits],
) -> dict[str, Judged]:  # fmt: skip
    """Every rater's factor and flags.

    The crowd that a rater is held beside leaves out who is flagged: first for habits, then for the first factors.
    """
    acts = {name: _Acts([press_of(v) for v in r.every], _gold(r), _repeats(r)) for name, r in raters.items()}
    habits = {}
    for name, r in raters.items():
        others = GOLD_EXPECTED * _manage(
            [a.gold for other, a in acts.items() if other != name], GOLD_EXPECTED
        )
        habits[name] = habits_raise(_habits(r, acts[name], lengths, limits, others))
    crowd = {name for name in given if not habits[name]}
    factors = _factors(acts, given, crowd)
    kept = {name for name in crowd if not factors[name].raised}
    if kept != crowd:
        factors = _factors(acts, given, kept)
    given_votes = {name: r.votes for name, r in raters.items()}
    favoured, asked = favours(given_votes), hypotheses(given_votes)
    return {
        name: Judged(f.factor, habits[name] if _one_sided(habits[name])
                     else (*habits[name], *f.raised, *partial(favoured[name], asked)))
        for name, f in factors.items()
    }  # fmt: skip


def _one_sided(raised: Sequence[Raised]) -> bool:
    """Whether the sides say it all: that pressing one of them is no reading needs no second flag."""
    return any(r.flag in SIDES for r in raised)


def _factors(
    acts: Mapping[str, _Acts], given: Mapping[str, Mapping[str, Given]], crowd: Collection[str]
) -> dict[str, Judged]:
    answers = _answers(acts, expectations(given, crowd), crowd)
    fit = {name: fits(a) for name, a in answers.items() if len(a.presses) >= FEWEST}
    kinds, beside = kinds_of_others(fit, crowd), shared(given, crowd)
    found = {}
    for name, own in answers.items():
        factor = blind_factor(fit[name], kinds[name]) if name in fit else 1.0
        matched = matches(beside[name])
        raised = blind(len(own.presses), factor, matched[1])
        reason = blind_reason(own, factor, matched) if raised else ""
        found[name] = Judged(factor, (Raised(Flag.RANDOM, reason),) if raised else ())
    return found


def _answers(
    acts: Mapping[str, _Acts], expected: Mapping[str, Expectations], crowd: Collection[str]
) -> dict[str, Answers]:
    """What each rater did, beside what the others of the crowd say and manage."""
    found = {}
    for name, own in acts.items():
        others = [acts[other] for other in crowd if other != name]
        manage = Crowd(
            _manage([a.gold for a in others], GOLD_EXPECTED),
            _manage([a.repeats for a in others], SAME_EXPECTED),
        )
        found[name] = Answers(*own, expected[name].shared, manage, expected[name].alike)
    return found


def _manage(others: Sequence[Sequence[Check]], expected: float) -> float:
    """The share of checks that the others get right, beside the share expected of readers; 1 where it is as much."""
    right = sum(_right(checks) for checks in others) + CROWD_PRIOR * expected
    return min(1.0, right / (sum(map(len, others)) + CROWD_PRIOR) / expected)


# -- how much they tell ----------------------------------------------------------------------------------------


def _information(
    given: Mapping[str, Mapping[str, Given]], beside: Mapping[str, Sequence[Shared]]
) -> dict[str, _Bits]:
    """Bits a vote tells about the truth: by Dawid and Skene's model where enough battles are shared, else the majority."""
    labels = [(name, battle, g.press.label) for name, own in given.items() for battle, g in own.items()]
    few = f"fewer than {FEWEST_SHARED} battles shared with others"
    enough = {name: len(rows) >= FEWEST_SHARED for name, rows in beside.items()}
    if why_not(labels) is None:
        bits = consensus_information(dawid_skene(labels))
        return {
            n: _Bits(bits[n], DAWID_SKENE, None) if ok else _Bits(None, None, few) for n, ok in enough.items()
        }
    return {
        n: _Bits(information(beside[n]), MAJORITY, None) if ok else _Bits(None, None, few)
        for n, ok in enough.items()
    }
