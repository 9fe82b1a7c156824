"""What an export holds, gathered at one moment of the database: rows to be, and what stays out with the reason.

Where rows are votes they are read chunk by chunk while they are written (`rows_of`); where they are pairs or answers, the votes
and texts they are made from are held.
"""

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain

import numpy as np
from sqlite_utils import Database

from db import exchange
from db.adjudications import rulings
from db.campaigns import get_campaign, list_campaigns
from db.catalog import list_models
from db.entities.campaigns import Campaign
from db.entities.catalog import content_id
from db.entities.votes import RaterKind, Vote
from db.errors import UserError
from db.exchange import ResponseText
from db.votes import counted_votes, votes_of
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
from labeling.surveying import Ints, Numbers, Survey, survey
from labeling.tables import JUDGED, PAIRED, ExportFormat, Gathered, Row, rows
from labeling.unpaired import Judged, judged_answers
from labeling.verdicts import usable_votes

VOTES = frozenset({ExportFormat.VOTES, ExportFormat.CSV})
"""the formats whose rows are the votes themselves"""
CHUNK = 2000
"""votes that are read at once"""
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
    votes: Ints
    """the votes that are rows, in the rows' order; none in the other formats"""

    @property
    def left_out(self) -> dict[str, int]:
        """{reason: votes}."""
        return dict(Counter(reason for _, reason in self.out))


def gather(db: Database, order: Order) -> Gathering:
    """Read everything an export needs; UserError where there is nothing to export."""
    chosen = _campaigns(db, order)
    check_raters(db, order.policy)
    return _votes(db, order, chosen) if order.shape in VOTES else _made(db, order, chosen)


def rows_of(db: Database, gathering: Gathering) -> Iterator[tuple[str, Row]]:
    """Each row with the name of its split; read from the database, at the moment of the gathering, where rows are votes."""
    order, found = gathering.order, gathering.found
    if order.shape not in VOTES:
        yield from rows(order.shape, found)
    for start in range(0, len(gathering.votes), CHUNK):
        yield from rows(order.shape, _chunk(db, found, gathering.votes[start : start + CHUNK].tolist()))


def _chunk(db: Database, found: Gathered, votes: Sequence[int]) -> Gathered:
    """What the rows of these votes are made from."""
    read = votes_of(db, votes)
    responses = exchange.response_texts(db, (r for v in read.values() for r in (v.response_a, v.response_b)))
    prompts = dict.fromkeys(v.prompt for v in read.values())
    return replace(
        found, votes=read, responses=responses, prompts=exchange.messages_of(db, prompts), tags=exchange.tags_of(db, prompts),
        remarks=exchange.remarks(db, votes), ids={v: found.ids[v] for v in votes},
    )  # fmt: skip


def _votes(db: Database, order: Order, chosen: Sequence[Campaign]) -> Gathering:
    """An export whose rows are the votes: only their numbers are held."""
    seen = survey(chain.from_iterable(counted_votes(db, c.id) for c in chosen), order.policy)
    if not len(seen.taken):
        raise _no_votes(order)
    uncounted = exchange.uncounted_votes(db, [c.id for c in chosen])
    ids = _numbers(seen, uncounted)
    found = replace(_nothing(order, chosen), ids=ids, raters=_pseudonyms(seen.taken_raters))
    ruled = {battle: ruling for c in chosen for battle, ruling in rulings(db, c.id).items()}
    facts = _facts(db, order, chosen, seen, sorted(r.id for r in ruled.values()), seen.models, 0)
    out = sorted([*seen.refused, *(LeftOut(*o) for o in uncounted)])
    return Gathering(order, found, (), tuple(out), (), facts, _name(facts), ids.in_order(seen.taken))


def _made(db: Database, order: Order, chosen: Sequence[Campaign]) -> Gathering:
    """An export whose rows are made from votes: pairs, or answers judged one by one."""
    read = read_votes(db, [c.name for c in chosen]) if chosen else Read((), {}, {}, 0)
    votes = {v.id: v for v in read.votes}
    pairs = _pairs(read, order)
    answers = (
        judged_answers(read.votes, read.texts, order.policy, read.ruled)
        if order.shape in JUDGED
        else Judged((), {}, (), {})
    )
    rounds = _rounds(db, chosen, order) if order.shape is ExportFormat.RESPONSES else []
    if order.shape is not ExportFormat.RESPONSES:
        _check_any(order, votes, pairs, answers)
    seen = survey(read.votes, order.policy)
    uncounted = exchange.uncounted_votes(db, [c.id for c in chosen])
    found = replace(
        _gathered(db, order, chosen, votes, pairs, answers, rounds),
        ids=_numbers(seen, uncounted), redacted=exchange.redacted_votes(db, [c.id for c in chosen]),
    )  # fmt: skip
    found, out, refused = _screened(found, order, read)
    out = [*out, *pairs.out, *answers.out] + [LeftOut(*o) for o in uncounted]
    if order.shape in (ExportFormat.RESPONSES, ExportFormat.SFT):
        out = []  # rows of these are no votes
    named = frozenset(r.model for r in found.responses.values() if r.model is not None)
    written = sum(r.model is None for r in found.responses.values())
    facts = _facts(db, order, chosen, seen, sorted(r.id for r in read.ruled.values()), named, written)
    return Gathering(order, found, pairs.contradictions, tuple(sorted(out)), tuple(refused), facts, _name(facts),
                     np.empty(0, np.int64))  # fmt: skip


def _name(facts: Facts) -> str:
    return f"{facts.version}-{secrets.token_hex(4)}"


def _numbers(seen: Survey, uncounted: Sequence[tuple[int, str]]) -> Numbers:
    """A number for every stored vote of people and simulated raters that was read."""
    every = np.concatenate([seen.ids, np.array([v for v, _ in uncounted], np.int64)])
    return Numbers(every, secrets.token_bytes(8 * len(every)))


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


def _no_votes(order: Order) -> UserError:
    return UserError(f"{_where(order)} has no votes to export", "collect or import votes first")


def _where(order: Order) -> str:
    return f"the campaign {order.campaign!r}" if order.campaign else "this home"


def _check_any(order: Order, votes: Mapping[int, Vote], pairs: Pairs, answers: Judged) -> None:
    """UserError where there are no votes, or none that makes a row."""
    where = _where(order)
    if not votes:
        raise _no_votes(order)
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


def _nothing(order: Order, chosen: Sequence[Campaign]) -> Gathered:
    """What is known before anything is read."""
    return Gathered(
        (), (), {}, {}, {}, {}, {}, {}, (), {c.id: (c.name, c.settings.purpose) for c in chosen}, {}, {}, {}, frozenset(),
        comments=order.comments, written=order.policy.written, exact_times=order.exact_times,
    )  # fmt: skip


def _gathered(
    db: Database, order: Order, chosen: Sequence[Campaign], votes: Mapping[int, Vote], pairs: Pairs, answers: Judged,
    rounds: Sequence[Sequence[str]],
) -> Gathered:  # fmt: skip
    wanted = [r for v in votes.values() for r in (v.response_a, v.response_b)] + [
        r for names in rounds for r in names
    ]
    responses = exchange.response_texts(db, wanted)
    for response in (*(pairs.written or {}).values(), *answers.written.values()):
        responses[response.id] = ResponseText(response.prompt, None, response.text, 0, None)
    prompts = dict.fromkeys([v.prompt for v in votes.values()] + [r.prompt for r in responses.values()])
    return replace(
        _nothing(order, chosen), pairs=pairs.pairs, answers=answers.answers, votes=votes,
        prompts=exchange.messages_of(db, prompts), splits=exchange.splits_of(db, list(prompts)),
        tags=exchange.tags_of(db, prompts), responses=responses,
        scores=exchange.scores_of(db, responses) if rounds else {}, rounds=rounds,
        raters=_pseudonyms({v.rater_name: v.rater_kind for v in votes.values()}),
    )  # fmt: skip


def _screened(found: Gathered, order: Order, read: Read) -> tuple[Gathered, list[LeftOut], list[RefusedText]]:
    """Without the rows whose prompt is not known or whose texts are there already, and what was refused for its texts."""
    refused = _faults(read, order.policy)
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


def _pseudonyms(names: Mapping[str, RaterKind]) -> dict[str, str]:
    """A new name for each rater, in an order that tells nothing: people r001..., made-up ones s001...."""
    drawn = sorted(names.items(), key=lambda _: secrets.randbits(64))
    width = max(3, len(str(len(drawn))))
    counters: Counter[str] = Counter()
    given = {}
    for name, kind in drawn:
        letter = "s" if kind is RaterKind.SIMULATED else "r"
        counters[letter] += 1
        given[name] = f"{letter}{counters[letter]:0{width}d}"
    return given


def _facts(
    db: Database, order: Order, chosen: Sequence[Campaign], seen: Survey, ruled: Sequence[int], named: frozenset[str], written: int
) -> Facts:  # fmt: skip
    """What the card says but for what is known only when rows are written."""
    ids = [c.id for c in chosen]
    simulated = sum(k is RaterKind.SIMULATED for k in seen.raters.values())
    return Facts(
        name="", shape=order.shape, splits={}, data={}, policy=order.policy, votes=len(seen.ids),
        people=len(seen.raters) - simulated, simulated=simulated, simulated_votes=seen.simulated,
        imported_votes=seen.imported, repeated_battles=seen.repeated, agreement=seen.agreement, snapshot=seen.snapshot,
        version=content_id("export", order.shape, order.policy.to_json(), order.policy.ties, seen.snapshot, ruled, order.comments,
                           order.exact_times)[:12],
        comments=order.comments, exact_times=order.exact_times, campaigns=chosen, models=[m for m in list_models(db) if m.name in named],
        sources=exchange.sources(db, ids), consents=exchange.consents(db, ids), ruled=len(ruled), written=written,
        created_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )  # fmt: skip
