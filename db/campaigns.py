"""Campaigns with their battles; raters, seats and sessions; assignments."""

import dataclasses
import json
import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlite_utils import Database

from db.catalog import get_model, prompt_filter
from db.connection import checked_name, transaction
from db.entities import (
    Assignment,
    BallotKind,
    Battle,
    Campaign,
    CampaignSettings,
    CampaignStatus,
    Guard,
    Matchmaking,
    Purpose,
    QuizQuestion,
    Rater,
    RaterKind,
    Recruit,
    Sampling,
    Seat,
)
from db.errors import Conflict, NotFound, UserError

# -- campaigns -------------------------------------------------------------------------------------------------

_CAMPAIGN = """SELECT c.id, c.name,
  (SELECT json_group_array(name) FROM (SELECT m.name FROM campaign_models cm JOIN models m ON m.id = cm.model
   WHERE cm.campaign = c.id ORDER BY cm.position)),
  c.prompts, c.status, c.lineage, c.parent_run, c.demo, c.created_at,
  c.version, {settings} FROM campaigns c"""


def _campaign(r: Sequence[object]) -> Campaign:
    return Campaign(
        id=int(str(r[0])), name=str(r[1]), models=tuple(json.loads(str(r[2]))), prompts=str(r[3]),
        status=CampaignStatus(str(r[4])), lineage=int(str(r[5])),
        parent_run=None if r[6] is None else int(str(r[6])), demo=None if r[7] is None else str(r[7]),
        created_at=str(r[8]), version=int(str(r[9])), settings=_settings(r[10:]),
    )  # fmt: skip


_SETTINGS = tuple(f.name for f in dataclasses.fields(CampaignSettings))
_CAMPAIGN = _CAMPAIGN.format(settings=", ".join(f"c.{name}" for name in _SETTINGS))
_READ: Mapping[str, Callable[[Any], object]] = {
    "purpose": Purpose, "sampling": Sampling, "guard": Guard, "recruit": Recruit,
    "matchmaking": Matchmaking,
    "criteria": lambda text: tuple(json.loads(text)), "reason_tags": lambda text: tuple(json.loads(text)),
    "quiz": lambda text: tuple(QuizQuestion(q["question"], tuple(q["answers"]), q["correct"]) for q in json.loads(text)),
    **{f.name: bool for f in dataclasses.fields(CampaignSettings) if f.type is bool},
}  # fmt: skip


def _settings(row: Sequence[object]) -> CampaignSettings:
    values = dict(zip(_SETTINGS, row, strict=True))
    return CampaignSettings(**{name: _READ.get(name, _same)(value) for name, value in values.items()})  # type: ignore[arg-type]


def _same(value: object) -> object:
    return value


def _columns(settings: CampaignSettings) -> dict[str, object]:
    """The settings as they stand in their columns."""
    values = {name: getattr(settings, name) for name in _SETTINGS}
    values |= {"criteria": json.dumps(settings.criteria), "reason_tags": json.dumps(settings.reason_tags),
               "quiz": json.dumps([dataclasses.asdict(q) for q in settings.quiz])}  # fmt: skip
    return {name: int(value) if isinstance(value, bool) else value for name, value in values.items()}


class Created(NamedTuple):
    """A new campaign and what became of its prompts."""

    campaign: Campaign
    battles: int
    missing: int
    """(prompt, two models) without a response of both."""
    identical: int
    """(prompt, two models) whose texts are the same or empty: nothing to compare."""


def create_campaign(
    db: Database,
    name: str,
    models: Sequence[str],
    prompts: str,
    settings: CampaignSettings,
    *,
    status: CampaignStatus = CampaignStatus.OPEN,
    parent_run: int | None = None,
    lineage: int | None = None,
    demo: str | None = None,
) -> Created:
    """Make a campaign and its battles: each two of its models over each prompt of the choice that both answered."""
    checked_name(name, "campaign")
    if len(set(models)) < 2 or len(set(models)) != len(models):
        raise UserError("a campaign compares two or more different models", "name them with --models A,B")
    with transaction(db):
        if db.conn.execute("SELECT 1 FROM campaigns WHERE name = ?", (name,)).fetchone():
            raise Conflict(f"there is already a campaign named {name!r}", "choose another name")
        ids = [get_model(db, m).id for m in models]
        campaign_id = _insert_campaign(db, name, prompts, settings, status, parent_run, lineage, demo)
        db.conn.executemany(
            "INSERT INTO campaign_models VALUES (?, ?, ?)", [(campaign_id, i, m) for i, m in enumerate(ids)]
        )
        battles, missing, identical = _add_battles(db, campaign_id, ids, prompts, settings.purpose)
        return Created(get_campaign(db, name), battles, missing, identical)


def _insert_campaign(
    db: Database, name: str, prompts: str, settings: CampaignSettings, status: CampaignStatus,
    parent_run: int | None, lineage: int | None, demo: str | None,
) -> int:  # fmt: skip
    values = _columns(settings)
    cursor = db.conn.execute(
        f"""INSERT INTO campaigns(name, prompts, status, parent_run, lineage, demo, {", ".join(values)})
        VALUES ({", ".join("?" * (6 + len(values)))})""",
        (name, prompts, status, parent_run, lineage, demo, *values.values()),
    )
    campaign_id = int(cursor.lastrowid or 0)
    if lineage is None:
        db.conn.execute("UPDATE campaigns SET lineage = id WHERE id = ?", (campaign_id,))
    return campaign_id


def _add_battles(
    db: Database, campaign: int, models: Sequence[int], prompts: str, purpose: Purpose
) -> tuple[int, int, int]:
    where, values = prompt_filter(db, prompts)
    if purpose is Purpose.EVALUATE:
        where += " AND p.split = 'heldout'"
    total = int(db.conn.execute(f"SELECT count(*) FROM prompts p WHERE {where}", values).fetchone()[0])
    added = missing = identical = 0
    for i, first in enumerate(models):
        for second in models[i + 1 :]:
            both = f"""FROM prompts p
                JOIN responses a ON a.prompt = p.id AND a.model = ? AND a.sample = 0 AND a.text IS NOT NULL
                JOIN responses b ON b.prompt = p.id AND b.model = ? AND b.sample = 0 AND b.text IS NOT NULL
                WHERE {where}"""
            pair = (first, second, *values)
            n = int(db.conn.execute(f"SELECT count(*) {both}", pair).fetchone()[0])
            cursor = db.conn.execute(
                f"""INSERT OR IGNORE INTO battles(campaign, prompt, response_a, response_b, model_a, model_b)
                SELECT ?, p.id, a.id, b.id, a.model, b.model {both}
                AND trim(a.text, ' ' || char(9, 10, 13)) <> trim(b.text, ' ' || char(9, 10, 13))
                AND trim(a.text, ' ' || char(9, 10, 13)) <> '' AND trim(b.text, ' ' || char(9, 10, 13)) <> ''
                ORDER BY p.number""",
                (campaign, *pair),
            )
            added += cursor.rowcount
            missing += total - n
            identical += n - cursor.rowcount
    return added, missing, identical


def add_battle(
    db: Database, campaign: int, prompt: str, response_a: str, response_b: str, model_a: int, model_b: int,
    turn: int | None = None, chance: float = 1.0,
) -> tuple[int, bool]:  # fmt: skip
    """The battle between two responses in a campaign, made if missing; and whether its slots are the other way round."""
    find = "SELECT id FROM battles WHERE campaign = ? AND response_a = ? AND response_b = ?"
    for swapped, (x, y) in ((False, (response_a, response_b)), (True, (response_b, response_a))):
        row = db.conn.execute(find, (campaign, x, y)).fetchone()
        if row:
            return int(row[0]), swapped
    cursor = db.conn.execute(
        """INSERT INTO battles(campaign, prompt, response_a, response_b, model_a, model_b, turn, chance)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (campaign, prompt, response_a, response_b, model_a, model_b, turn, chance),
    )
    return int(cursor.lastrowid or 0), False


def add_campaign_models(db: Database, campaign: int, models: Sequence[int]) -> None:
    """Let further models take part in a campaign that an import fills."""
    for model in models:
        db.conn.execute(
            """INSERT OR IGNORE INTO campaign_models
            SELECT ?1, coalesce(max(position), -1) + 1, ?2 FROM campaign_models WHERE campaign = ?1""",
            (campaign, model),
        )


def find_campaign(db: Database, name: str) -> Campaign | None:
    """A campaign by name, or None."""
    row = db.conn.execute(f"{_CAMPAIGN} WHERE c.name = ?", (name,)).fetchone()
    return _campaign(row) if row else None


def get_campaign(db: Database, name: str) -> Campaign:
    """A campaign by name; NotFound lists what there is."""
    campaign = find_campaign(db, name)
    if campaign is None:
        names = ", ".join(c.name for c in list_campaigns(db)) or "none yet"
        raise NotFound(
            f"there is no campaign {name!r}", f"create it with `campaign create`, or use one of: {names}"
        )
    return campaign


def campaign_by_id(db: Database, campaign_id: int) -> Campaign:
    """A campaign by its row number, which must exist."""
    return _campaign(db.conn.execute(f"{_CAMPAIGN} WHERE c.id = ?", (campaign_id,)).fetchone())


def list_campaigns(db: Database, *, lineage: int | None = None) -> list[Campaign]:
    """Every campaign (of one lineage), oldest first."""
    where, values = ("", ()) if lineage is None else (" WHERE c.lineage = ?", (lineage,))
    return [_campaign(r) for r in db.conn.execute(f"{_CAMPAIGN}{where} ORDER BY c.id", values)]


def set_status(db: Database, name: str, status: CampaignStatus) -> Campaign:
    """Open, pause or close a campaign."""
    with transaction(db):
        campaign = get_campaign(db, name)
        db.conn.execute("UPDATE campaigns SET status = ? WHERE id = ?", (status, campaign.id))
        return get_campaign(db, name)


def change_settings(db: Database, campaign: Campaign, settings: CampaignSettings) -> Campaign:
    """Give a campaign other settings, in one transaction; Conflict where it has votes and what raters see would change."""
    values = _columns(settings)
    with transaction(db):
        try:
            db.conn.execute(
                f"UPDATE campaigns SET {', '.join(f'{name} = ?' for name in values)} WHERE id = ?",
                (*values.values(), campaign.id),
            )
        except sqlite3.IntegrityError as error:
            raise Conflict(str(error), "make a new version") from None
        return get_campaign(db, campaign.name)


def mark_version(db: Database, campaign: Campaign, previous: Campaign) -> Campaign:
    """Say that a campaign is the next version of another."""
    with transaction(db):
        db.conn.execute(
            "UPDATE campaigns SET version = ?, previous = ? WHERE id = ?",
            (previous.version + 1, previous.id, campaign.id),
        )
        return get_campaign(db, campaign.name)


def has_votes(db: Database, campaign: int) -> bool:
    """Whether anything was voted on in a campaign, undone or not."""
    return (
        db.conn.execute("SELECT 1 FROM votes WHERE campaign = ? LIMIT 1", (campaign,)).fetchone() is not None
    )


def shared_campaigns(db: Database, lineage: int) -> list[str]:
    """The closed campaigns of a lineage whose results its raters may see, the newest first."""
    rows = db.conn.execute(
        "SELECT name FROM campaigns WHERE lineage = ? AND share_results = 1 AND status = 'closed' ORDER BY id DESC",
        (lineage,),
    )
    return [str(r[0]) for r in rows]


class Coverage(NamedTuple):
    """How far a campaign is."""

    battles: int
    """battles that are served: those the guard holds are left out"""
    votes: int
    """standing votes, skips left out"""
    wanted: int
    """battles x overlap, or the campaign's target where one is set; votes on battles held since are as many more"""
    held: int = 0
    """battles that are not served"""
    held_votes: int = 0
    """standing votes on those"""


def coverage(db: Database, campaign: Campaign) -> Coverage:
    """Battles, standing votes and votes wanted of a campaign, from the kept counts."""
    row = db.conn.execute(
        """SELECT battles - held, votes, held, CASE held WHEN 0 THEN 0 ELSE
          (SELECT coalesce(sum(c.votes), 0) FROM battle_cover c WHERE c.campaign = z.campaign AND c.held = 1) END
        FROM campaign_sizes z WHERE campaign = ?""",
        (campaign.id,),
    ).fetchone()
    battles, votes, held, held_votes = row or (0, 0, 0, 0)
    wanted = battles * campaign.settings.overlap + held_votes
    return Coverage(battles, votes, campaign.settings.target or wanted, held, held_votes)


def last_votes(db: Database) -> dict[int, int]:
    """{campaign: number of its newest vote cast here}; campaigns that hold none, or imported ones only, are left out."""
    rows = db.conn.execute(
        "SELECT c.id, (SELECT max(v.id) FROM votes v WHERE v.campaign = c.id AND v.import IS NULL) FROM campaigns c"
    )
    return {int(r[0]): int(r[1]) for r in rows if r[1] is not None}


# -- raters, seats, sessions -----------------------------------------------------------------------------------


def add_rater(db: Database, name: str, kind: RaterKind, external: str | None = None) -> int:
    """The rater of this pseudonym, made if missing; its row number."""
    db.conn.execute(
        "INSERT INTO raters(name, kind, external) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (checked_name(name, "rater"), kind, external),
    )
    return int(db.conn.execute("SELECT id FROM raters WHERE name = ?", (name,)).fetchone()[0])


def get_rater(db: Database, name: str) -> Rater:
    """A rater by pseudonym; NotFound."""
    row = db.conn.execute(f"{_RATER} WHERE t.name = ?", (name,)).fetchone()
    if row is None:
        raise NotFound(f"there is no rater {name!r}", "`raters list` shows them")
    return Rater(row[0], row[1], RaterKind(row[2]), row[3])


_RATER = (
    """SELECT t.id, t.name, t.kind, x.reason FROM raters t LEFT JOIN excluded_raters x ON x.rater = t.id"""
)


def list_raters(db: Database) -> list[Rater]:
    """Every rater, in order of arrival."""
    rows = db.conn.execute(f"{_RATER} ORDER BY t.id")
    return [Rater(r[0], r[1], RaterKind(r[2]), r[3]) for r in rows]


def decide_rater(db: Database, name: str, *, counted: bool, reason: str) -> None:
    """Leave a rater's votes out of the figures, or take them in again. Nothing is deleted; the reason stays."""
    if not reason.strip():
        raise UserError("a decision about a rater needs a reason", "give one with --reason")
    with transaction(db):
        rater = get_rater(db, name).id
        if db.conn.execute("SELECT 1 FROM withdrawals WHERE rater = ?", (rater,)).fetchone():
            raise Conflict(f"{name} has withdrawn", "their votes stay out of every figure")
        db.conn.execute(
            "INSERT INTO rater_decisions(rater, counted, reason) VALUES (?, ?, ?)",
            (rater, int(counted), reason.strip()),
        )


def add_seat(
    db: Database,
    campaign: Campaign,
    token_hash: str,
    *,
    kind: RaterKind = RaterKind.PERSON,
    owner: bool = False,
    expires_at: str | None = None,
) -> Seat:
    """A new seat with a new rater of its own; its link is good until it expires (UTC ISO text)."""
    with transaction(db):
        n = int(db.conn.execute("SELECT coalesce(max(id), 0) + 1 FROM raters").fetchone()[0])
        prefix = "owner" if owner else {RaterKind.PERSON: "rater", RaterKind.SIMULATED: "sim"}[kind]
        rater = add_rater(db, prefix if owner and n == 1 else f"{prefix}-{n}", kind)
        cursor = db.conn.execute(
            "INSERT INTO seats(rater, campaign, lineage, owner, token_hash, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
            (rater, campaign.id, campaign.lineage, int(owner), token_hash, expires_at),
        )
        return get_seat(db, int(cursor.lastrowid or 0))


def get_seat(db: Database, seat_id: int) -> Seat:
    """A seat by number; NotFound."""
    row = db.conn.execute(
        "SELECT id, rater, campaign, lineage, owner, created_at FROM seats WHERE id = ?", (seat_id,)
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no seat {seat_id}", "`raters list` shows the seats")
    return Seat(row[0], row[1], row[2], row[3], bool(row[4]), row[5])


def owner_seat(db: Database) -> Seat | None:
    """The owner's own seat, if there is one."""
    row = db.conn.execute("SELECT id FROM seats WHERE owner = 1 ORDER BY id LIMIT 1").fetchone()
    return get_seat(db, row[0]) if row else None


def reissue_seat(db: Database, seat_id: int, token_hash: str, *, expires_at: str | None = None) -> Seat:
    """Give a seat a new link, good until it expires (UTC ISO text), open again where the seat was closed.

    The browser that has the seat keeps it until another takes it by the new link. Conflict where its rater withdrew.
    """
    with transaction(db):
        seat = get_seat(db, seat_id)
        if db.conn.execute("SELECT 1 FROM withdrawals WHERE rater = ?", (seat.rater,)).fetchone():
            raise Conflict(f"the rater of seat {seat_id} has withdrawn", "invite a new rater instead")
        db.conn.execute(
            "UPDATE seats SET token_hash = ?, token_used = 0, revoked_at = NULL, expires_at = ? WHERE id = ?",
            (token_hash, expires_at, seat_id),
        )
        return seat


def revoke_seat(db: Database, seat_id: int) -> None:
    """Close a seat: its link and its browser stop working; its votes stay."""
    with transaction(db):
        get_seat(db, seat_id)
        db.conn.execute(
            "UPDATE seats SET revoked_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = ?", (seat_id,)
        )


def votes_of_rater(db: Database, rater: int) -> int:
    """How many standing votes a rater has, skips left out."""
    row = db.conn.execute(
        "SELECT coalesce(sum(n), 0) FROM vote_counts WHERE rater = ? AND outcome <> 'skip'", (rater,)
    ).fetchone()
    return int(row[0])


class SeatRow(NamedTuple):
    """A seat as the owner sees it."""

    seat: int
    rater: str
    kind: str
    campaign: str
    taken: bool
    revoked: bool


def list_seats(db: Database) -> list[SeatRow]:
    """Every seat with its rater."""
    rows = db.conn.execute(
        """SELECT s.id, t.name, t.kind, c.name, s.session IS NOT NULL, s.revoked_at IS NOT NULL
        FROM seats s JOIN raters t ON t.id = s.rater JOIN campaigns c ON c.id = s.campaign ORDER BY s.id"""
    )
    return [SeatRow(r[0], r[1], r[2], r[3], bool(r[4]), bool(r[5])) for r in rows]


class Session(NamedTuple):
    """A browser that was let in: an owner's, or a rater's with its seat."""

    id: int
    role: str
    seat: int | None
    rater: int | None
    campaign: int | None
    lineage: int | None
    owner_seat: bool
    bound: bool
    """whether this browser holds the seat"""
    may_bind: bool
    """whether it came by the seat's present link and no browser has used that link yet"""
    revoked: bool
    seat_created_at: str | None
    consent_version: str | None
    open_link: int | None = None
    quiz_tries: int = 0
    quiz_passed: str | None = None
    """which comprehension check the seat has passed"""
    screened_out: bool = False
    owner_name: str | None = None
    viewer: bool = False
    """whether this owner's session may only look"""


def seat_of_token(db: Database, token_hash: str, now: str) -> tuple[int, bool] | None:
    """The seat a link's token stands for and whether the link is used; None where unknown, revoked or past its end."""
    row = db.conn.execute(
        """SELECT id, token_used FROM seats WHERE token_hash = ? AND revoked_at IS NULL
        AND (expires_at IS NULL OR expires_at > ?)""",
        (token_hash, now),
    ).fetchone()
    return (int(row[0]), bool(row[1])) if row else None


def add_session(
    db: Database, token_hash: str, expires_at: str, seat: int | None = None, link: str | None = None,
    *, owner: int | None = None,
) -> int:  # fmt: skip
    """A new session: a rater's on a seat, who came by the link of this hash, or that of an owner or viewer."""
    with transaction(db):
        cursor = db.conn.execute(
            "INSERT INTO sessions(token_hash, seat, link, role, owner, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
            (token_hash, seat, link, "rater" if seat is not None else "owner", owner, expires_at),
        )
        return int(cursor.lastrowid or 0)


def session_of(db: Database, token_hash: str, now: str) -> Session | None:
    """The live session of a cookie, or None."""
    row = db.conn.execute(
        """SELECT x.id, x.role, s.id, s.rater, s.campaign, s.lineage, s.owner, s.session = x.id,
          s.token_used = 0 AND s.token_hash = x.link, s.revoked_at IS NOT NULL, s.created_at, s.consent_version,
          s.open_link, coalesce(s.quiz_tries, 0), s.quiz_passed, s.screened_out_at IS NOT NULL,
          o.name, o.role = 'viewer'
        FROM sessions x LEFT JOIN seats s ON s.id = x.seat
        LEFT JOIN owners o ON o.id = x.owner AND o.removed_at IS NULL
        WHERE x.token_hash = ? AND x.ended_at IS NULL AND x.expires_at > ?
        AND (x.role = 'rater' OR o.id IS NOT NULL)""",
        (token_hash, now),
    ).fetchone()
    if row is None:
        return None
    return Session(row[0], row[1], row[2], row[3], row[4], row[5], bool(row[6]), bool(row[7]), bool(row[8]),
                   bool(row[9]), row[10], row[11], row[12], row[13], row[14], bool(row[15]), row[16], bool(row[17]))  # fmt: skip


def bind_seat(db: Database, seat: int, session: int) -> None:
    """Let this browser hold the seat from now on. The link that was used is spent."""
    db.conn.execute("UPDATE seats SET session = ?, token_used = 1 WHERE id = ?", (session, seat))


def agree(db: Database, seat: int, version: str) -> None:
    """Remember which consent text the rater on this seat agreed to."""
    with transaction(db):
        db.conn.execute("UPDATE seats SET consent_version = ? WHERE id = ?", (version, seat))


# -- assignments -----------------------------------------------------------------------------------------------

_BATTLE = """SELECT b.id, b.campaign, b.prompt, b.response_a, b.response_b, ma.name, mb.name
  FROM battles b JOIN models ma ON ma.id = b.model_a JOIN models mb ON mb.id = b.model_b"""


def get_battle(db: Database, battle_id: int) -> Battle:
    """A battle by number, which must exist."""
    return Battle(*db.conn.execute(f"{_BATTLE} WHERE b.id = ?", (battle_id,)).fetchone())


def battles_of(db: Database, campaign: int) -> list[Battle]:
    """Every battle of a campaign, in order; pairs with a known answer are left out."""
    rows = db.conn.execute(
        f"{_BATTLE} WHERE b.campaign = ? AND b.id NOT IN (SELECT battle FROM gold_pairs) ORDER BY b.id",
        (campaign,),
    )
    return [Battle(*r) for r in rows]


_ASSIGNMENT = """SELECT s.id, s.battle, s.rater, s.left_is, s.lent_at, s.expires_at, s.kind, s.chance, s.among
  FROM assignments s"""


def _assignment(row: Sequence[Any]) -> Assignment:
    return Assignment(row[0], row[1], row[2], row[3], row[4], row[5], BallotKind(row[6]), row[7], row[8])


def get_assignment(db: Database, assignment_id: str) -> Assignment | None:
    """An assignment by its random id, or None."""
    row = db.conn.execute(f"{_ASSIGNMENT} WHERE s.id = ?", (assignment_id,)).fetchone()
    return _assignment(row) if row else None


def add_assignment(db: Database, assignment: Assignment) -> None:
    """Lend a battle to a rater."""
    db.conn.execute(
        """INSERT INTO assignments(id, battle, rater, left_is, lent_at, expires_at, kind, chance, among)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        dataclasses.astuple(assignment),
    )


def open_assignments(db: Database, campaign: int, rater: int) -> list[Assignment]:
    """The rater's assignments in a campaign that wait for a vote, expired ones too, oldest first."""
    rows = db.conn.execute(
        f"""{_ASSIGNMENT} JOIN open_leases o ON o.assignment = s.id JOIN battles b ON b.id = s.battle
        LEFT JOIN battle_cover c ON c.battle = b.id
        WHERE coalesce(c.held, 0) = 0 AND o.rater = ? AND b.campaign = ? ORDER BY s.number""",
        (rater, campaign),
    )
    return [_assignment(r) for r in rows]


def next_assignment(db: Database, assignment: Assignment) -> Assignment | None:
    """The assignment that lent the same battle to the same rater again, after this one."""
    row = db.conn.execute(
        f"""{_ASSIGNMENT} WHERE s.rater = ? AND s.battle = ? AND s.kind = ?
        AND s.number > (SELECT number FROM assignments WHERE id = ?) ORDER BY s.number LIMIT 1""",
        (assignment.rater, assignment.battle, assignment.kind, assignment.id),
    ).fetchone()
    return _assignment(row) if row else None


def expire_leases(db: Database, now: str) -> None:
    """Let go of battles whose lease is over; the assignment stays with its rater for a late vote."""
    db.conn.execute("UPDATE open_leases SET live = 0 WHERE live = 1 AND expires_at <= ?", (now,))


def live_leases(db: Database, campaign: int) -> int:
    """How many ballots of a campaign are out and could become votes that cover a battle."""
    row = db.conn.execute(
        "SELECT coalesce(sum(leases), 0) FROM battle_cover WHERE campaign = ?", (campaign,)
    ).fetchone()
    return int(row[0])


class Among(NamedTuple):
    """Which battles may be drawn: those of two models (their names in the order of the slots), and not these."""

    models: tuple[str, str]
    but: tuple[int, ...] = ()


_AMONG = """ AND c.battle NOT IN (SELECT value FROM json_each(?5))
  AND EXISTS (SELECT 1 FROM battles b JOIN models ma ON ma.id = b.model_a JOIN models mb ON mb.id = b.model_b
    WHERE b.id = c.battle AND ma.name = ?6 AND mb.name = ?7)"""


def _among(among: Among | None) -> tuple[str, tuple[object, ...]]:
    return (_AMONG, (json.dumps(among.but), *among.models)) if among else ("", ())


def least_covered(
    db: Database, campaign: Campaign, rater: int, n: int, among: Among | None = None
) -> list[int]:
    """Up to n battles still short of votes and never lent to this rater, least covered first, by lot among equals.

    Covered means standing votes (skips left out) and live leases. The lot was drawn when the battle was made.
    """
    narrowed, values = _among(among)
    rows = db.conn.execute(
        f"""SELECT c.battle FROM battle_cover c
        WHERE c.campaign = ?1 AND c.held = 0 AND c.votes + c.leases < ?2
        AND NOT EXISTS (SELECT 1 FROM assignments s WHERE s.rater = ?3 AND s.battle = c.battle){narrowed}
        ORDER BY c.votes + c.leases, c.lot LIMIT ?4""",
        (campaign.id, campaign.settings.overlap, rater, n, *values),
    )
    return [int(r[0]) for r in rows]


def twos_left(
    db: Database, campaign: Campaign, rater: int, but: Sequence[int] = ()
) -> dict[tuple[str, str], int]:
    """{(model a, model b): battles short of votes and never lent to this rater}, these battles left out."""
    rows = db.conn.execute(
        """SELECT ma.name, mb.name, count(*) FROM battle_cover c JOIN battles b ON b.id = c.battle
        JOIN models ma ON ma.id = b.model_a JOIN models mb ON mb.id = b.model_b
        WHERE c.campaign = ?1 AND c.held = 0 AND c.votes + c.leases < ?2
        AND c.battle NOT IN (SELECT value FROM json_each(?4))
        AND NOT EXISTS (SELECT 1 FROM assignments s WHERE s.rater = ?3 AND s.battle = c.battle)
        GROUP BY b.model_a, b.model_b""",
        (campaign.id, campaign.settings.overlap, rater, json.dumps(list(but))),
    )
    return {(str(r[0]), str(r[1])): int(r[2]) for r in rows}


class Candidate(NamedTuple):
    """A battle that could be lent, and what is known of it."""

    battle: int
    wins_a: int
    wins_b: int
    others: int
    """standing votes that chose neither"""
    judged: float | None = None
    """mean over the scorers of the chance that a is better (Bradley-Terry: sigmoid of the gap); None where none scored"""


def candidates(
    db: Database, campaign: Campaign, rater: int, most: int, among: Among | None = None
) -> tuple[list[Candidate], int]:
    """(up to `most` battles short of votes and never lent to this rater, by lot; how many there are in all)."""
    narrowed, more = _among(among)
    eligible = f"""FROM battle_cover c WHERE c.campaign = ?1 AND c.held = 0 AND c.votes + c.leases < ?2 AND ?4 > 0
        AND NOT EXISTS (SELECT 1 FROM assignments s WHERE s.rater = ?3 AND s.battle = c.battle){narrowed}"""
    values = (campaign.id, campaign.settings.overlap, rater, most, *more)
    there = int(db.conn.execute(f"SELECT count(*) {eligible}", values).fetchone()[0])
    rows = db.conn.execute(
        f"""WITH pool AS (SELECT c.battle {eligible} ORDER BY random() LIMIT ?4)
        SELECT pool.battle, coalesce(sum(v.outcome = 'a'), 0), coalesce(sum(v.outcome = 'b'), 0),
          coalesce(sum(v.outcome IN ('tie', 'both_good', 'both_bad')), 0)
        FROM pool LEFT JOIN votes v ON v.battle = pool.battle
          AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id) GROUP BY pool.battle""",
        values,
    )
    found = [Candidate(*r) for r in rows]
    if campaign.settings.sampling is Sampling.JUDGE_DISAGREEMENT:
        judged = _judged(db, [c.battle for c in found])
        found = [c._replace(judged=judged.get(c.battle)) for c in found]
    return found, there


def _judged(db: Database, battles: Sequence[int]) -> dict[int, float]:
    rows = db.conn.execute(
        """SELECT b.id, x.score - y.score FROM battles b JOIN scores x ON x.response = b.response_a
        JOIN scores y ON y.response = b.response_b AND y.scorer = x.scorer
        WHERE b.id IN (SELECT value FROM json_each(?))""",
        (json.dumps(list(battles)),),
    )
    chances: dict[int, list[float]] = {}
    for battle, gap in rows:
        chances.setdefault(battle, []).append(1 / (1 + math.exp(-max(-30.0, min(30.0, gap)))))
    return {battle: sum(c) / len(c) for battle, c in chances.items()}


def still_wanted(db: Database, battle: int, overlap: int) -> bool:
    """Whether a battle may be lent again: short of votes and not held. A check question always may."""
    row = db.conn.execute(
        "SELECT held = 0 AND votes + leases < ? FROM battle_cover WHERE battle = ?", (overlap, battle)
    ).fetchone()
    return bool(row[0]) if row else True


def following(db: Database, campaign: Campaign, rater: int) -> int | None:
    """A battle that carries the conversation of the rater's last vote on, short of votes and new to them."""
    row = db.conn.execute(
        """WITH last AS (SELECT p.messages AS m FROM votes v JOIN battles b ON b.id = v.battle
          JOIN prompts p ON p.id = b.prompt WHERE v.rater = ?3 AND v.campaign = ?1 ORDER BY v.id DESC LIMIT 1)
        SELECT c.battle FROM battle_cover c JOIN battles b ON b.id = c.battle JOIN prompts q ON q.id = b.prompt, last
        WHERE c.campaign = ?1 AND c.held = 0 AND c.votes + c.leases < ?2 AND length(q.messages) > length(last.m)
        AND substr(q.messages, 1, length(last.m) - 1) = substr(last.m, 1, length(last.m) - 1)
        AND NOT EXISTS (SELECT 1 FROM assignments s WHERE s.rater = ?3 AND s.battle = c.battle)
        ORDER BY length(q.messages), c.lot LIMIT 1""",
        (campaign.id, campaign.settings.overlap, rater),
    ).fetchone()
    return int(row[0]) if row else None
