"""From votes to preference pairs, under a stated policy. Pure but for the two functions at the end that read."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from sqlite_utils import Database

from db.campaigns import get_campaign, list_campaigns
from db.entities import Outcome, PreferencePair, Purpose, RaterKind, Vote, bare
from db.votes import counted_votes, texts_of_campaign


class Method(StrEnum):
    """How votes on one battle become pairs."""

    VOTE = "vote"
    MAJORITY = "majority"


@dataclass(frozen=True, slots=True)
class PairPolicy:
    """What counts as a pair.

    vote: each decisive vote is a pair of its own.
    majority: a battle is one pair if more of its votes chose one response than chose the other or neither.
    Ties, both good and both bad give no pair in either.
    """

    method: Method = Method.MAJORITY
    simulated: bool = True
    """whether votes of simulated raters take part"""

    def to_json(self) -> dict[str, object]:
        """As it is stored with a snapshot."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A battle on which people chose opposite responses."""

    prompt: str
    response_a: str
    response_b: str
    votes_a: int
    votes_b: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """Preference pairs, and what became of the votes that are not in them."""

    pairs: tuple[PreferencePair, ...]
    contradictions: tuple[Contradiction, ...]
    left_out: Mapping[str, int]
    """votes by the reason they are in no pair"""


def preference_pairs(votes: Iterable[Vote], texts: Mapping[str, str | None], policy: PairPolicy) -> Pairs:
    """The pairs that counted votes make. `texts`: what each response says; None where only its vote is known."""
    left_out: Counter[str] = Counter()
    battles: dict[tuple[str, str, str], list[tuple[Vote, Outcome]]] = {}
    for vote in votes:
        reason = _unusable(vote, texts, policy)
        if reason:
            left_out[reason] += 1
            continue
        key, outcome = _canonical(vote)
        battles.setdefault(key, []).append((vote, outcome))
    pairs: list[PreferencePair] = []
    for key, given in battles.items():
        pairs += (
            _by_vote(key, given, left_out)
            if policy.method is Method.VOTE
            else _by_majority(key, given, left_out)
        )
    return Pairs(tuple(pairs), _contradictions(battles), dict(left_out))


def _unusable(vote: Vote, texts: Mapping[str, str | None], policy: PairPolicy) -> str | None:
    """Why a vote can be in no pair whatever the others on its battle say; None where it can."""
    a, b = texts.get(vote.response_a), texts.get(vote.response_b)
    if vote.rater_kind is RaterKind.SIMULATED and not policy.simulated:
        return "simulated rater"
    if a is None or b is None:
        return "no text"
    if not bare(a) or not bare(b):
        return "empty response"
    return "identical responses" if bare(a) == bare(b) else None


def _canonical(vote: Vote) -> tuple[tuple[str, str, str], Outcome]:
    """The battle whichever slot a response stood in (it may recur in another campaign), and the outcome in it."""
    if vote.response_a < vote.response_b:
        return (vote.prompt, vote.response_a, vote.response_b), vote.outcome
    swap = {Outcome.A: Outcome.B, Outcome.B: Outcome.A}
    return (vote.prompt, vote.response_b, vote.response_a), swap.get(vote.outcome, vote.outcome)


def _by_vote(
    key: tuple[str, str, str], given: Sequence[tuple[Vote, Outcome]], left_out: Counter[str]
) -> list[PreferencePair]:
    counts = Counter(outcome for _, outcome in given)
    pairs = []
    for vote, outcome in given:
        if outcome.decisive:
            pairs.append(_pair(key, outcome, [vote], counts[outcome] / len(given)))
        else:
            left_out[outcome.value] += 1
    return pairs


def _by_majority(
    key: tuple[str, str, str], given: Sequence[tuple[Vote, Outcome]], left_out: Counter[str]
) -> list[PreferencePair]:
    counts = Counter(outcome for _, outcome in given)
    undecided = len(given) - counts[Outcome.A] - counts[Outcome.B]
    first = Outcome.A if counts[Outcome.A] > counts[Outcome.B] else Outcome.B
    second = Outcome.B if first is Outcome.A else Outcome.A
    if counts[first] == counts[second] and counts[first] >= undecided and counts[first]:
        left_out["contradiction"] += len(given)
        return []
    if counts[first] <= undecided:
        for _, outcome in given:
            left_out[outcome.value if not outcome.decisive else "outvoted by ties"] += 1
        return []
    for _, outcome in given:
        if outcome is not first:
            left_out[outcome.value if not outcome.decisive else "outvoted"] += 1
    return [_pair(key, first, [v for v, o in given if o is first], counts[first] / len(given))]


def _pair(
    key: tuple[str, str, str], outcome: Outcome, votes: Sequence[Vote], agreement: float
) -> PreferencePair:
    prompt, a, b = key
    chosen, rejected = (a, b) if outcome is Outcome.A else (b, a)
    return PreferencePair(prompt, chosen, rejected, tuple(v.id for v in votes), agreement, votes[0].split)


def _contradictions(
    battles: Mapping[tuple[str, str, str], Sequence[tuple[Vote, Outcome]]],
) -> tuple[Contradiction, ...]:
    found = []
    for (prompt, a, b), given in battles.items():
        counts = Counter(outcome for _, outcome in given)
        if counts[Outcome.A] and counts[Outcome.B]:
            found.append(Contradiction(prompt, a, b, counts[Outcome.A], counts[Outcome.B]))
    return tuple(found)


# -- reading ---------------------------------------------------------------------------------------------------


def pairs_of_campaigns(
    db: Database, names: Sequence[str], policy: PairPolicy, *, training: bool = False
) -> Pairs:
    """The pairs of campaigns (all of them where none is named). For training, `evaluate` campaigns are left out."""
    chosen = [get_campaign(db, n) for n in names] or list_campaigns(db)
    votes: list[Vote] = []
    texts: dict[str, str | None] = {}
    evaluating = 0
    for campaign in chosen:
        here = list(counted_votes(db, campaign.id))
        if training and campaign.settings.purpose is Purpose.EVALUATE:
            evaluating += len(here)
            continue
        votes += here
        texts |= texts_of_campaign(db, campaign.id)
    found = preference_pairs(votes, texts, policy)
    if evaluating:
        return Pairs(found.pairs, found.contradictions, {**found.left_out, "evaluate campaign": evaluating})
    return found
