"""From votes to preference pairs, under a stated policy. Pure but for the functions at the end that read."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

from sqlite_utils import Database

from db.adjudications import Ruling, rulings
from db.campaigns import get_campaign, list_campaigns
from db.catalog import texts_of_campaign
from db.entities.campaigns import Purpose
from db.entities.catalog import Response, bare, content_id
from db.entities.votes import Outcome, PreferencePair, Strength, Vote
from db.errors import UserError
from db.raters import get_rater
from db.votes import counted_votes
from labeling.policy import Method as Method  # re-exported: a policy and its method go together
from labeling.policy import PairPolicy as PairPolicy
from labeling.verdicts import Crowd, Verdict, usable_votes, verdicts

MARGIN = {Strength.CLEAR: 1.0, Strength.SLIGHT: 0.5, None: 0.0}
"""what a reward model must put between two responses, by how clear the vote was"""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A battle on which people chose opposite responses."""

    prompt: str
    response_a: str
    response_b: str
    votes_a: int
    votes_b: int


class LeftOut(NamedTuple):
    """A vote that is in no pair, and why."""

    vote: int
    reason: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """Preference pairs, and what became of the votes that are not in them."""

    pairs: tuple[PreferencePair, ...]
    contradictions: tuple[Contradiction, ...]
    left_out: Mapping[str, int]
    """votes by the reason they are in no pair"""
    out: tuple[LeftOut, ...] = ()
    """the same, vote by vote"""
    written: Mapping[str, Response] | None = None
    """the answers that raters wrote and pairs name; they are stored when the pairs are frozen"""


def preference_pairs(
    votes: Iterable[Vote], texts: Mapping[str, str | None], policy: PairPolicy,
    ruled: Mapping[int, Ruling] | None = None, crowd: Crowd | None = None,
) -> Pairs:  # fmt: skip
    """The pairs that counted votes make.

    texts: what each response says; None where only its vote is known. ruled: what the owner decided on a battle, which
    goes before its votes in every method but `vote`. crowd: what all votes together say, where these are not all; a
    weighed rater counts by the bits a vote of theirs tells (labeling/consensus.py). UserError where the policy needs
    more overlap.
    """
    given = list(votes)
    found, written = (
        decided_pairs(given, texts, policy, ruled or {}, crowd),
        written_pairs(given, texts, policy),
    )
    used = {vote for _, made in written for pair in made for vote in pair.votes}
    out = tuple(
        one for one in found.out if one.vote not in used
    )  # a tie, say, whose rater wrote a better answer
    return Pairs(
        found.pairs + tuple(pair for _, made in written for pair in made), found.contradictions,
        dict(Counter(reason for _, reason in out)), out, {response.id: response for response, _ in written},
    )  # fmt: skip


def decided_pairs(
    votes: Sequence[Vote], texts: Mapping[str, str | None], policy: PairPolicy, ruled: Mapping[int, Ruling], crowd: Crowd | None
) -> Pairs:  # fmt: skip
    """The pairs of responses that were shown, as preference_pairs: of whole battles, whatever is voted on others."""
    usable, unusable = usable_votes(votes, texts, policy)
    found = verdicts(usable, policy, ruled, crowd)
    out = [LeftOut(v.id, reason) for v, reason in unusable]
    pairs: list[PreferencePair] = []
    for verdict in found:
        if verdict.outcome is not None and verdict.outcome.decisive:
            pairs.append(_pair(verdict))
        out += [LeftOut(v.id, verdict.why_lost(o)) for v, o in verdict.given if not verdict.holds(o)]
    return Pairs(tuple(pairs), _contradictions(found), dict(Counter(reason for _, reason in out)), tuple(out))


def _pair(verdict: Verdict) -> PreferencePair:
    a, b = verdict.response_a, verdict.response_b
    chosen, rejected = (a, b) if verdict.outcome is Outcome.A else (b, a)
    return PreferencePair(
        verdict.prompt, chosen, rejected, tuple(v.id for v in verdict.votes), verdict.agreement,
        verdict.given[0][0].split, _margin(verdict.votes), verdict.ruled,
    )  # fmt: skip


def _margin(votes: Sequence[Vote]) -> float | None:
    """The mean margin of the votes; None where none says how clear it was."""
    if not any(v.strength for v in votes):
        return None
    return sum(MARGIN[v.strength] for v in votes) / len(votes)


def _contradictions(found: Sequence[Verdict]) -> tuple[Contradiction, ...]:
    counts: dict[tuple[str, str, str], Counter[Outcome]] = {}
    for verdict in found:
        key = (verdict.prompt, verdict.response_a, verdict.response_b)
        counts.setdefault(key, Counter()).update(outcome for _, outcome in verdict.given)
    return tuple(
        Contradiction(*key, n[Outcome.A], n[Outcome.B])
        for key, n in counts.items()
        if n[Outcome.A] and n[Outcome.B]
    )


def written_answer(vote: Vote) -> Response | None:
    """The better answer a rater wrote, as a response of no model; None where there is none."""
    if vote.better is None or not bare(vote.better):
        return None
    return Response.of(vote.prompt, None, vote.better)


def written_pairs(
    votes: Iterable[Vote], texts: Mapping[str, str | None], policy: PairPolicy
) -> list[tuple[Response, list[PreferencePair]]]:
    """A written answer is chosen over both responses it was written against, as far as they say something else."""
    made = []
    for vote in votes:
        response = written_answer(vote)
        if response is None or not policy.written or not policy.takes(vote):
            continue
        mine = bare(vote.better or "")
        worse = [r for r in (vote.response_a, vote.response_b) if bare(texts.get(r) or "") not in ("", mine)]
        if worse:
            made.append(
                (response, [PreferencePair(vote.prompt, response.id, r, (vote.id,), 1.0, vote.split) for r in worse])
            )  # fmt: skip
    return made


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A pair that an export leaves out because its texts are there already."""

    reason: str
    pair: PreferencePair


class TwoTexts:
    """Tells pairs that repeat others: each two texts of a prompt once (either way round). Some 200 bytes a battle.

    Several votes on the same two responses are no repetition: only other responses with the same texts are.
    """

    def __init__(self) -> None:
        self._first: dict[bytes, bytes] = {}

    def without_duplicates(
        self, pairs: Iterable[PreferencePair], texts: Mapping[str, str | None]
    ) -> tuple[list[PreferencePair], list[Duplicate]]:
        """The pairs that repeat none of these or of those seen before, and those that do."""
        kept: list[PreferencePair] = []
        refused: list[Duplicate] = []
        known: dict[tuple[str, ...], bool] = {}
        """of two responses, whether they are the first with their texts: many votes are on the same two"""
        for pair in pairs:
            both = tuple(sorted((pair.chosen, pair.rejected)))
            if both not in known:
                said = content_id(pair.prompt, sorted(bare(texts.get(r) or "") for r in both))
                responses = bytes.fromhex(content_id(both))
                known[both] = self._first.setdefault(bytes.fromhex(said), responses) == responses
            if known[both]:
                kept.append(pair)
            else:
                refused.append(Duplicate("the same two texts as another pair", pair))
        return kept, refused


# -- what each policy would give ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Effect:
    """What a policy makes of the same votes; `why_not` says why it can make nothing of them."""

    policy: PairPolicy
    pairs: int = 0
    train: int = 0
    heldout: int = 0
    left_out: int = 0
    """votes"""
    contradictions: int = 0
    why_not: str | None = None

    def __add__(self, other: Self) -> Self:
        """The effect of the same policy on the votes of both, which are on different battles."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in _COUNTS}
        return replace(self, **sums)


_COUNTS = ("pairs", "train", "heldout", "left_out", "contradictions")


def policy_effects(
    votes: Sequence[Vote], texts: Mapping[str, str | None], policy: PairPolicy,
    ruled: Mapping[int, Ruling] | None = None,
) -> tuple[Effect, ...]:  # fmt: skip
    """The counts under each method, everything else as this policy has it."""
    return tuple(effect(votes, texts, replace(policy, method=method), ruled) for method in Method)


def effect(
    votes: Sequence[Vote], texts: Mapping[str, str | None], policy: PairPolicy, ruled: Mapping[int, Ruling] | None,
    crowd: Crowd | None = None,
) -> Effect:  # fmt: skip
    """The counts under one policy; `crowd` as in preference_pairs."""
    try:
        found = preference_pairs(votes, texts, policy, ruled, crowd)
    except UserError as error:
        return Effect(policy, why_not=error.what)
    train = sum(p.split == "train" for p in found.pairs)
    return Effect(policy, len(found.pairs), train, len(found.pairs) - train, sum(found.left_out.values()),
                  len(found.contradictions))  # fmt: skip


# -- reading ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Read:
    """What pairs are made of, read from campaigns."""

    votes: tuple[Vote, ...]
    texts: Mapping[str, str | None]
    ruled: Mapping[int, Ruling]
    evaluating: int
    """votes that were left out because their campaign evaluates"""


def check_raters(db: Database, policy: PairPolicy) -> None:
    """NotFound where the policy leaves out a rater whom nobody knows."""
    for name in policy.without:
        get_rater(db, name)


def read_votes(
    db: Database, names: Sequence[str], *, training: bool = False, until: str | None = None
) -> Read:
    """The counted votes of campaigns (all of them where none is named). For training, `evaluate` ones are left out.

    until: only votes that were there at that moment (UTC ISO text).
    """
    votes: list[Vote] = []
    texts: dict[str, str | None] = {}
    ruled: dict[int, Ruling] = {}
    evaluating = 0
    for campaign in [get_campaign(db, n) for n in names] or list_campaigns(db):
        here = list(counted_votes(db, campaign.id, until))
        if training and campaign.settings.purpose is Purpose.EVALUATE:
            evaluating += len(here)
            continue
        votes += here
        texts |= texts_of_campaign(db, campaign.id)
        ruled |= rulings(db, campaign.id)
    return Read(tuple(votes), texts, ruled, evaluating)


def pairs_of(read: Read, policy: PairPolicy) -> Pairs:
    """The pairs of votes that were read."""
    found = preference_pairs(read.votes, read.texts, policy, read.ruled)
    if read.evaluating:
        return replace(found, left_out={**found.left_out, "evaluate campaign": read.evaluating})
    return found


def effects_of_campaigns(db: Database, names: Sequence[str], policy: PairPolicy) -> tuple[Effect, ...]:
    """What each method would give to train on from these campaigns, everything else as this policy has it."""
    read = read_votes(db, names, training=True)
    return policy_effects(read.votes, read.texts, policy, read.ruled)
