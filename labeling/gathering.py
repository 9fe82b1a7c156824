"""What an export holds, gathered at one moment of the database: rows to be, and what stays out with the reason."""

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import combinations

from sqlite_utils import Database

from db import exchange
from db.campaigns import get_campaign, list_campaigns
from db.catalog import list_models
from db.entities import Campaign, Outcome, RaterKind, Vote, content_id
from db.errors import UserError
from db.exchange import ResponseText
from labeling.agreement import battle_key
from labeling.cards import Facts
from labeling.pairs import (
    Contradiction,
    LeftOut,
    Pairs,
    Read,
    check_raters,
    preference_pairs,
    read_votes,
    without_duplicates,
)
from labeling.policy import Method, PairPolicy
from labeling.tables import JUDGED, PAIRED, ExportFormat, Gathered
from labeling.unpaired import Judged, judged_answers
from labeling.verdicts import SWAPPED, usable_votes

VOTES = frozenset({ExportFormat.VOTES, ExportFormat.CSV})
"""the formats whose rows are the votes themselves"""
TEXT_FAULTS = ("no text", "empty response", "identical responses")
"""reasons that lie in the texts, not in the votes"""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: whose votes, in which shape, under which policy."""

    campaign: str | None = None
    """None: every campaign of the home"""
    shape: ExportFormat = ExportFormat.TRL
    policy: PairPolicy = field(default_factory=lambda: PairPolicy(Method.VOTE))
    comments: bool = False
    """also what raters wrote as comments, reasons and reports"""
    exact_times: bool = False
    """times to the millisecond instead of the day"""


@dataclass(frozen=True, slots=True)
class RefusedText:
    """Texts that cannot go out, by their ids."""

    reason: str
    prompt: str
    responses: tuple[str, str]
    votes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Gathering:
    """What an export writes, and what its card says but for the counts of rows."""

    order: Order
    found: Gathered
    contradictions: tuple[Contradiction, ...]
    out: tuple[LeftOut, ...]
    """every stored vote of people and simulated raters that is in no row"""
    refused: tuple[RefusedText, ...]
    facts: Facts
    name: str
    """of this very export; two exports of the same content have two"""

    @property
    def left_out(self) -> dict[str, int]:
        """{reason: votes}."""
        return dict(Counter(reason for _, reason in self.out))


def gather(db: Database, order: Order) -> Gathering:
    """Read everything an export needs; UserError where there is nothing to export."""
    chosen = _campaigns(db, order)
    check_raters(db, order.policy)
    read = read_votes(db, [c.name for c in chosen]) if chosen else Read((), {}, {}, 0)
    votes = {v.id: v for v in read.votes}
    if order.shape in VOTES:
        votes = {v.id: v for v in read.votes if order.policy.takes(v)}
    pairs = _pairs(read, order)
    answers = (
        judged_answers(read.votes, read.texts, order.policy, read.ruled)
        if order.shape in JUDGED
        else Judged((), {}, (), {})
    )
    rounds = _rounds(db, chosen, order) if order.shape is ExportFormat.RESPONSES else []
    if order.shape is not ExportFormat.RESPONSES:
        _check_any(order, votes, pairs, answers)
    found = _gathered(db, chosen, votes, pairs, answers, rounds)
    uncounted = exchange.uncounted_votes(db, [c.id for c in chosen])
    found = replace(
        found, ids=_numbers([v.id for v in read.votes] + [v for v, _ in uncounted]), written=order.policy.written,
        remarks=exchange.remarks(db, [c.id for c in chosen]), comments=order.comments, exact_times=order.exact_times,
    )  # fmt: skip
    found, out, refused = _screened(found, order, read)
    out = [*out, *pairs.out, *answers.out] + [LeftOut(*o) for o in uncounted]
    out += [
        LeftOut(v.id, order.policy.refuses(v) or "")
        for v in read.votes
        if order.shape in VOTES and v.id not in votes
    ]
    if order.shape in (ExportFormat.RESPONSES, ExportFormat.SFT):
        out = []  # rows of these are no votes
    facts = _facts(db, order, found, chosen, read)
    name = f"{facts.version}-{secrets.token_hex(4)}"
    return Gathering(order, found, pairs.contradictions, tuple(sorted(out)), tuple(refused), facts, name)


def _campaigns(db: Database, order: Order) -> list[Campaign]:
    """The campaigns that are read; for `responses`, all rounds of the named one."""
    if order.campaign is None:
        return list_campaigns(db)
    named = get_campaign(db, order.campaign)
    return list_campaigns(db, lineage=named.lineage) if order.shape is ExportFormat.RESPONSES else [named]


def _pairs(read: Read, order: Order) -> Pairs:
    if order.shape not in PAIRED:
        return Pairs((), (), {})
    return preference_pairs(read.votes, read.texts, order.policy, read.ruled)


def _rounds(db: Database, chosen: Sequence[Campaign], order: Order) -> list[list[str]]:
    """The responses of each round: campaigns of one lineage that grew out of the same run belong to one.

    Where the whole home goes out, responses that are in no campaign are in the first.
    """
    runs: dict[int, list[int]] = {}
    for campaign in chosen:
        runs.setdefault(campaign.lineage, []).append(campaign.parent_run or 0)
    places = {lineage: sorted(set(found)) for lineage, found in runs.items()}
    rounds: dict[int, dict[str, None]] = {0: {}}
    for campaign in chosen:
        place = places[campaign.lineage].index(campaign.parent_run or 0)
        rounds.setdefault(place, {}).update(dict.fromkeys(exchange.response_ids(db, campaign.id)))
    if order.campaign is None:
        known = {r for names in rounds.values() for r in names}
        rounds[0].update(dict.fromkeys(r for r in exchange.response_ids(db, None) if r not in known))
    return [list(rounds[place]) for place in sorted(rounds) if rounds[place]]


def _check_any(order: Order, votes: Mapping[int, Vote], pairs: Pairs, answers: Judged) -> None:
    """UserError where there are no votes, or none that makes a row."""
    where = f"the campaign {order.campaign!r}" if order.campaign else "this home"
    if not votes:
        raise UserError(f"{where} has no votes to export", "collect or import votes first")
    if order.shape in PAIRED and not pairs.pairs:
        raise UserError(f"{where} has no pairs to export ({_why(pairs.left_out)})",
                        "collect votes that prefer one response, or export --format votes")  # fmt: skip
    if order.shape is ExportFormat.SFT and not answers.written:
        raise UserError(f"{where} has no answers that raters wrote", "let raters write better answers: a setting of the campaign")  # fmt: skip
    if order.shape is ExportFormat.KTO and not answers.answers:
        raise UserError(f"{where} has no judged answers to export ({_why(answers.left_out)})",
                        "collect votes that prefer one response, or export --format votes")  # fmt: skip


def _why(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in left_out.items())


def _gathered(
    db: Database, chosen: Sequence[Campaign], votes: Mapping[int, Vote], pairs: Pairs, answers: Judged,
    rounds: Sequence[Sequence[str]],
) -> Gathered:  # fmt: skip
    wanted = [r for v in votes.values() for r in (v.response_a, v.response_b)] + [
        r for names in rounds for r in names
    ]
    responses = exchange.response_texts(db, wanted)
    for response in (*(pairs.written or {}).values(), *answers.written.values()):
        responses[response.id] = ResponseText(response.prompt, None, response.text, 0, None)
    prompts = dict.fromkeys([v.prompt for v in votes.values()] + [r.prompt for r in responses.values()])
    return Gathered(
        pairs.pairs, answers.answers, votes, exchange.messages_of(db, prompts), exchange.splits_of(db, list(prompts)),
        exchange.tags_of(db, prompts), responses, exchange.scores_of(db, responses) if rounds else {}, rounds,
        {c.id: (c.name, c.settings.purpose) for c in chosen}, _pseudonyms(votes.values()),
        {}, {},
    )  # fmt: skip


def _screened(found: Gathered, order: Order, read: Read) -> tuple[Gathered, list[LeftOut], list[RefusedText]]:
    """Without the rows whose prompt is not known or whose texts are there already, and what was refused for its texts."""
    refused = [] if order.shape in VOTES else _faults(read, order.policy)
    pairs = [p for p in found.pairs if found.prompts[p.prompt]]
    nameless = [p for p in found.pairs if not found.prompts[p.prompt]]
    kept, repeated = without_duplicates(pairs, {r: t.text for r, t in found.responses.items()})
    for pair, reason in [(p, "the prompt's text is not known") for p in nameless] + [
        (r.pair, r.reason) for r in repeated
    ]:
        refused.append(RefusedText(reason, pair.prompt, (pair.chosen, pair.rejected), pair.votes))
    answers = [a for a in found.answers if found.prompts[a.prompt]]
    unknown = {v for a in found.answers if not found.prompts[a.prompt] for v in a.votes}
    inside = {v for p in kept for v in p.votes} | {v for a in answers for v in a.votes}
    out = {
        v: LeftOut(v, one.reason)
        for one in refused
        for v in one.votes
        if one.reason not in TEXT_FAULTS and v not in inside
    }
    out |= {v: LeftOut(v, "the prompt's text is not known") for v in unknown - inside}
    return replace(found, pairs=kept, answers=answers), list(out.values()), refused


def _faults(read: Read, policy: PairPolicy) -> list[RefusedText]:
    """The battles whose texts can make no row, with the votes on them."""
    battles: dict[tuple[str, str, str, str], list[int]] = {}
    for vote, reason in usable_votes(read.votes, read.texts, policy)[1]:
        if reason in TEXT_FAULTS:
            battles.setdefault((reason, vote.prompt, vote.response_a, vote.response_b), []).append(vote.id)
    return [RefusedText(reason, p, (a, b), tuple(ids)) for (reason, p, a, b), ids in battles.items()]


def _pseudonyms(votes: Iterable[Vote]) -> dict[str, str]:
    """A new name for each rater, in an order that tells nothing: people r001..., made-up ones s001...."""
    names = dict.fromkeys((v.rater_name, v.rater_kind) for v in votes)
    drawn = sorted(names, key=lambda _: secrets.randbits(64))
    width = max(3, len(str(len(drawn))))
    counters: Counter[str] = Counter()
    given = {}
    for name, kind in drawn:
        letter = "s" if kind is RaterKind.SIMULATED else "r"
        counters[letter] += 1
        given[name] = f"{letter}{counters[letter]:0{width}d}"
    return given


def _numbers(votes: Sequence[int]) -> dict[int, int]:
    """A number from 1 for each vote, in an order that tells nothing."""
    drawn = sorted(set(votes), key=lambda _: secrets.randbits(64))
    return {vote: n for n, vote in enumerate(drawn, 1)}


def hash_of_votes(votes: Iterable[Vote]) -> str:
    """The hash of exactly these votes: the same ones, in any order, give the same."""
    return content_id("votes", sorted((v.id, v.outcome.value) for v in votes))


def _facts(db: Database, order: Order, found: Gathered, chosen: Sequence[Campaign], read: Read) -> Facts:
    """What the card says but for what is known only when rows are written."""
    votes, ids = read.votes, [c.id for c in chosen]
    kinds = {v.rater_name: v.rater_kind for v in votes}
    repeated, agreement = _agreement(votes)
    named = {r.model for r in found.responses.values()}
    snapshot = hash_of_votes(votes)
    ruled = sorted(r.id for r in read.ruled.values())
    return Facts(
        name="", shape=order.shape, splits={}, data={}, policy=order.policy, votes=len(votes),
        people=sum(k is not RaterKind.SIMULATED for k in kinds.values()),
        simulated=sum(k is RaterKind.SIMULATED for k in kinds.values()),
        simulated_votes=sum(v.rater_kind is RaterKind.SIMULATED for v in votes),
        imported_votes=sum(v.left_is is None for v in votes), repeated_battles=repeated, agreement=agreement,
        snapshot=snapshot,
        version=content_id("export", order.shape, order.policy.to_json(), order.policy.ties, snapshot, ruled, order.comments,
                           order.exact_times)[:12],
        comments=order.comments, exact_times=order.exact_times, campaigns=chosen, models=[m for m in list_models(db) if m.name in named],
        sources=exchange.sources(db, ids), consents=exchange.consents(db, ids), ruled=len(ruled),
        written=sum(r.model is None for r in found.responses.values()),
        created_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )  # fmt: skip


def _agreement(votes: Iterable[Vote]) -> tuple[int, float | None]:
    """(battles with two votes or more, share of the pairs of votes on one battle that say the same).

    A battle is the same in another campaign and with its slots the other way round.
    """
    battles: dict[str, list[Outcome]] = {}
    for vote in votes:
        key, swapped = battle_key(vote)
        outcome = SWAPPED.get(vote.outcome, vote.outcome) if swapped else vote.outcome
        battles.setdefault(key, []).append(outcome)
    same = [a is b for outcomes in battles.values() for a, b in combinations(outcomes, 2)]
    return sum(len(o) > 1 for o in battles.values()), sum(same) / len(same) if same else None
