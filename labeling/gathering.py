"""What an export knows before its first row: its votes as numbers, who gave them, what the card says of them.

The votes themselves are read some at a time while the rows are made (labeling/export_rows.py).
"""

import secrets
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

import numpy as np
from sqlite_utils import Database

from db import exports
from db.adjudications import Ruling, rulings
from db.campaigns import get_campaign, list_campaigns
from db.catalog import list_models
from db.entities.campaigns import Campaign
from db.entities.catalog import content_id
from db.entities.votes import RaterKind
from db.errors import UserError
from db.votes import counted_votes
from labeling.cards import Facts
from labeling.export_rounds import Round, Rounds, rounds_of
from labeling.pairs import Contradiction, LeftOut, check_raters
from labeling.policy import Method, PairPolicy
from labeling.surveying import Fates, Ints, Numbers, Survey, survey
from labeling.tables import ExportFormat, Gathered

VOTES = frozenset({ExportFormat.VOTES, ExportFormat.CSV})
"""the formats whose rows are the votes themselves"""
UNLISTED = frozenset({ExportFormat.RESPONSES, ExportFormat.SFT})
"""the formats whose rows are no votes: which are in none is not said"""


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


@dataclass(slots=True)
class Ledger:
    """What became of the votes: noted while the rows are made, whole when the last one is."""

    fates: Fates
    contradictions: list[Contradiction] = field(default_factory=list)
    refused: list[RefusedText] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    """the answers that no model gave"""


@dataclass(frozen=True, slots=True)
class Gathering:
    """What an export is made from, and what its card says but for what is known when its rows are made."""

    order: Order
    found: Gathered
    """without the votes, texts and rows"""
    seen: Survey
    ruled: Mapping[int, Ruling]
    ledger: Ledger
    facts: Facts
    name: str
    """of this very export; two exports of the same content have two"""
    numbers: Numbers
    rounds: Sequence[Round] = ()
    """of the loop, for the format `responses`"""

    @property
    def out(self) -> Iterator[LeftOut]:
        """Every stored vote of people and simulated raters that is in no row, once all are made."""
        return iter(self.ledger.fates)

    @property
    def left_out(self) -> dict[str, int]:
        """{reason: votes}, once all rows are made."""
        return self.ledger.fates.counts


def gather(db: Database, order: Order) -> Gathering:
    """What can be known before the rows; UserError where there is nothing to export."""
    chosen = _campaigns(db, order)
    check_raters(db, order.policy)
    seen = survey_of(db, chosen, order.policy)
    votes = seen.taken if order.shape in VOTES else seen.ids
    if not len(votes) and order.shape is not ExportFormat.RESPONSES:
        raise UserError(f"{where_of(order)} has no votes to export", "collect or import votes first")
    uncounted = _uncounted(db, chosen)
    every = np.concatenate([seen.ids, *uncounted.values()])
    numbers, ledger = Numbers(every, secrets.token_bytes(8 * len(every))), Ledger(Fates(every))
    for why, left in {**seen.refused, **uncounted}.items():
        ledger.fates.leave_out(left, why)
    rounds = Rounds()
    if order.shape is ExportFormat.RESPONSES:
        rounds = rounds_of(db, chosen, everything=order.campaign is None)
    raters = _pseudonyms(seen.taken_raters if order.shape in VOTES else seen.raters)
    named = seen.models if order.shape in VOTES else seen.every_model | rounds.models
    ruled = rulings_of(db, chosen)
    facts = _facts(db, order, chosen, seen, sorted(r.id for r in ruled.values()), named)
    found = Gathered(
        (), (), {}, {}, {}, {}, {}, {}, (), {}, {c.id: (c.name, c.settings.purpose) for c in chosen}, raters, numbers, {},
        frozenset(), comments=order.comments, written=order.policy.written, exact_times=order.exact_times,
    )  # fmt: skip
    name = f"{facts.version}-{secrets.token_hex(4)}"
    return Gathering(order, found, seen, ruled, ledger, facts, name, numbers, rounds.rounds)


def survey_of(db: Database, campaigns: Sequence[Campaign], policy: PairPolicy) -> Survey:
    """The counted votes of these campaigns, taken together."""
    return survey(chain.from_iterable(counted_votes(db, c.id) for c in campaigns), policy)


def rulings_of(db: Database, campaigns: Sequence[Campaign]) -> dict[int, Ruling]:
    """{battle: what the owner ruled on it} in these campaigns."""
    return {battle: ruling for c in campaigns for battle, ruling in rulings(db, c.id).items()}


def _uncounted(db: Database, chosen: Sequence[Campaign]) -> dict[str, Ints]:
    """{why: the votes that do not count}."""
    found: dict[str, array[int]] = {}
    for vote, why in exports.uncounted_votes(db, [c.id for c in chosen]):
        found.setdefault(why, array("q")).append(vote)
    return {why: np.array(votes, np.int64) for why, votes in found.items()}


def _campaigns(db: Database, order: Order) -> list[Campaign]:
    """The campaigns that are read; for `responses`, all rounds of the named one."""
    if order.campaign is None:
        return list_campaigns(db)
    named = get_campaign(db, order.campaign)
    return list_campaigns(db, lineage=named.lineage) if order.shape is ExportFormat.RESPONSES else [named]


def where_of(order: Order) -> str:
    """What is exported, in words."""
    return f"the campaign {order.campaign!r}" if order.campaign else "this home"


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
    db: Database, order: Order, chosen: Sequence[Campaign], seen: Survey, ruled: Sequence[int], named: frozenset[str]
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
        sources=exports.sources(db, ids), consents=exports.consents(db, ids), ruled=len(ruled), written=0,
        created_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )  # fmt: skip
