"""What votes say together: one verdict a vote, or one a battle, under a policy. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from db.adjudications import Ruling
from db.entities.catalog import bare
from db.entities.votes import Outcome, Vote
from labeling.agreement import battle_key, label_of
from labeling.consensus import Given as Label
from labeling.consensus import dawid_skene, information
from labeling.policy import Method, PairPolicy

Given = tuple[Vote, Outcome]
"""a vote and its outcome with the response of the lower id in slot a"""
Battles = Mapping[tuple[str, str, str], Sequence[Given]]
"""{(prompt, response, response), lower id first: the votes on them}"""
SWAPPED = {Outcome.A: Outcome.B, Outcome.B: Outcome.A}
CLOSE = 1e-9


class Crowd(NamedTuple):
    """What all votes together say and no battle shows alone: a consensus and weighed majorities need it."""

    likely: Mapping[str, tuple[float, float, float]] = {}
    """{battle: how likely each label is}"""
    weights: Mapping[str, float] | None = None
    """{rater: how much their vote counts}; None: as much as any"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the votes on a battle say under a policy, or one vote alone. The response of the lower id is in slot a."""

    prompt: str
    response_a: str
    response_b: str
    outcome: Outcome | None
    """None: no verdict, because of `lost`"""
    given: tuple[Given, ...]
    """every vote it was found from"""
    agreement: float
    """the share of them that say so; in a consensus, how likely it is"""
    lost: str = "outvoted"
    """why a decisive vote that says otherwise is in no pair; every vote, where there is no verdict"""
    ruled: bool = False
    """whether the owner decided it"""

    @property
    def votes(self) -> tuple[Vote, ...]:
        """The votes that say so."""
        return tuple(vote for vote, outcome in self.given if outcome is self.outcome)

    def holds(self, outcome: Outcome) -> bool:
        """Whether a vote with this outcome is in the verdict's pair."""
        return outcome is self.outcome and outcome.decisive

    def why_lost(self, outcome: Outcome) -> str:
        """Why a vote with this outcome is in no pair."""
        return self.lost if self.outcome is None or outcome.decisive else outcome.value


def usable_votes(
    votes: Iterable[Vote], texts: Mapping[str, str | None], policy: PairPolicy
) -> tuple[list[Vote], list[tuple[Vote, str]]]:
    """The votes that may be in a pair, and the others with their reasons, whatever else was voted."""
    usable: list[Vote] = []
    unusable: list[tuple[Vote, str]] = []
    for vote in votes:
        reason = _unusable(vote, texts, policy)
        if reason is None:
            usable.append(vote)
        else:
            unusable.append((vote, reason))
    return usable, unusable


def _unusable(vote: Vote, texts: Mapping[str, str | None], policy: PairPolicy) -> str | None:
    a, b = texts.get(vote.response_a), texts.get(vote.response_b)
    refused = policy.refuses(vote)
    if refused is not None:
        return refused
    if a is None or b is None:
        return "no text"
    if not bare(a) or not bare(b):
        return "empty response"
    return "identical responses" if bare(a) == bare(b) else None


def verdicts(
    votes: Sequence[Vote], policy: PairPolicy, ruled: Mapping[int, Ruling], crowd: Crowd | None = None
) -> list[Verdict]:
    """One verdict a vote (method `vote`), else one a battle; without a `crowd`, these votes are all there are.

    UserError where the policy needs more overlap.
    """
    battles: dict[tuple[str, str, str], list[Given]] = {}
    for vote in votes:
        key, outcome = _canonical(vote)
        battles.setdefault(key, []).append((vote, outcome))
    if policy.method is Method.VOTE:
        return [one for key, given in battles.items() for one in _by_vote(key, given)]
    decided = {key: ruling for key, given in battles.items() if (ruling := _ruling(given, ruled)) is not None}
    open_ = {key: given for key, given in battles.items() if key not in decided}
    if crowd is None:
        crowd = crowd_of(labels(votes), policy) if open_ else Crowd()
    found = _open_verdicts(open_, policy, crowd)
    return [
        _ruled(key, given, decided[key]) if key in decided else found[key] for key, given in battles.items()
    ]


def _canonical(vote: Vote) -> tuple[tuple[str, str, str], Outcome]:
    """The battle whichever slot a response stood in (it may recur in another campaign), and the outcome in it."""
    if vote.response_a < vote.response_b:
        return (vote.prompt, vote.response_a, vote.response_b), vote.outcome
    return (vote.prompt, vote.response_b, vote.response_a), SWAPPED.get(vote.outcome, vote.outcome)


def _by_vote(key: tuple[str, str, str], given: Sequence[Given]) -> list[Verdict]:
    counts = Counter(outcome for _, outcome in given)
    return [
        Verdict(*key, outcome, ((vote, outcome),), counts[outcome] / len(given)) for vote, outcome in given
    ]


def _ruling(given: Sequence[Given], ruled: Mapping[int, Ruling]) -> Outcome | None:
    """What the owner ruled last on these two responses, in the slots of the key."""
    found = [(ruled[v.battle], v) for v, _ in given if v.battle in ruled]
    if not found:
        return None
    ruling, vote = max(found, key=lambda one: one[0].id)
    swapped = vote.response_a > vote.response_b
    return SWAPPED.get(ruling.outcome, ruling.outcome) if swapped else ruling.outcome


def _ruled(key: tuple[str, str, str], given: Sequence[Given], outcome: Outcome) -> Verdict:
    share = sum(o is outcome for _, o in given) / len(given)
    return Verdict(*key, outcome, tuple(given), share, "overruled by the owner", ruled=True)


def _open_verdicts(battles: Battles, policy: PairPolicy, crowd: Crowd) -> dict[tuple[str, str, str], Verdict]:
    if policy.method is Method.CONSENSUS:
        return {key: _by_consensus(key, given, crowd.likely) for key, given in battles.items()}
    weights = crowd.weights if policy.weighted else None
    return {key: _by_majority(key, given, policy, weights) for key, given in battles.items()}


def crowd_of(given: Sequence[Label], policy: PairPolicy) -> Crowd:
    """What a policy must know of all usable votes together; UserError where they overlap too little for it."""
    if policy.method is Method.CONSENSUS:
        return Crowd(dawid_skene(given).probabilities)
    if policy.needs_crowd:
        return Crowd(weights=information(dawid_skene(given)))
    return Crowd()


def labels(votes: Iterable[Vote]) -> list[Label]:
    """Labels that mean one model throughout, for a rater may lean towards one."""
    keyed = ((vote, *battle_key(vote)) for vote in votes)
    return [(vote.rater_name, key, label_of(vote.outcome, swapped)) for vote, key, swapped in keyed]


def _by_majority(
    key: tuple[str, str, str], given: Sequence[Given], policy: PairPolicy, weights: Mapping[str, float] | None
) -> Verdict:
    counts: Counter[Outcome] = Counter()
    sums = dict.fromkeys(Outcome, 0.0)
    for vote, outcome in given:
        counts[outcome] += 1
        sums[outcome] += 1.0 if weights is None else weights.get(vote.rater_name, 0.0)
    a, b = sums[Outcome.A], sums[Outcome.B]
    total, top = sum(sums.values()), max(a, b)
    neither = sum(s for o, s in sums.items() if not o.decisive)
    if total < CLOSE:
        return Verdict(*key, None, tuple(given), 0.0, "raters whose votes tell nothing")
    if abs(a - b) < CLOSE and top >= neither - CLOSE and top:
        return Verdict(*key, None, tuple(given), top / total, "contradiction")
    if top <= neither + CLOSE:
        undecided = _commonest(counts)
        return Verdict(*key, undecided, tuple(given), counts[undecided] / len(given), "outvoted by ties")
    if policy.method is Method.MIN_AGREEMENT and top / total < policy.min_agreement - CLOSE:
        return Verdict(*key, None, tuple(given), top / total, "too little agreement")
    return Verdict(*key, Outcome.A if a > b else Outcome.B, tuple(given), top / total)


def _commonest(counts: Mapping[Outcome, int]) -> Outcome:
    """Which of the outcomes that prefer no response was pressed most; a tie where two were pressed as often."""
    kinds = (Outcome.TIE, Outcome.BOTH_GOOD, Outcome.BOTH_BAD)
    top = max(counts.get(o, 0) for o in kinds)
    most = [o for o in kinds if counts.get(o, 0) == top]
    return most[0] if len(most) == 1 else Outcome.TIE


def _by_consensus(
    key: tuple[str, str, str], given: Sequence[Given], likely: Mapping[str, tuple[float, float, float]]
) -> Verdict:
    vote = given[0][0]
    battle, swapped = battle_key(vote)
    first, second, tie = likely[battle]
    lower_is_first = (vote.response_a < vote.response_b) != swapped
    a, b = (first, second) if lower_is_first else (second, first)
    if tie >= max(a, b):
        undecided = _commonest(Counter(outcome for _, outcome in given))
        return Verdict(*key, undecided, tuple(given), tie, "the consensus is a tie")
    if abs(a - b) < CLOSE:
        return Verdict(*key, None, tuple(given), a, "contradiction")
    return Verdict(*key, Outcome.A if a > b else Outcome.B, tuple(given), max(a, b), "against the consensus")
