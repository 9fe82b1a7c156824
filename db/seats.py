"""Seats: each a place of one rater in a campaign, made, given a new link and closed; and how they stand."""

from enum import StrEnum
from typing import NamedTuple

from sqlite_utils import Database

from db.connection import transaction
from db.entities.campaigns import Campaign
from db.entities.votes import RaterKind, Seat
from db.errors import Conflict, NotFound
from db.raters import add_rater


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


class SeatStatus(StrEnum):
    """Where a seat stands."""

    WAITING = "waiting"
    """nobody has rated on it yet; its link works"""
    IN_USE = "in use"
    EXPIRED = "expired"
    """nobody came in time"""
    SCREENED_OUT = "screened out"
    CLOSED = "closed"


class SeatState(NamedTuple):
    """A seat and how it stands; its link is not known to the program."""

    seat: int
    rater: str
    kind: RaterKind
    campaign: str
    status: SeatStatus
    open_link: int | None
    """the open link it was taken through"""
    created_at: str
    expires_at: str | None
    withdrew: bool
    worker: str | None
    """the participant's id on the crowd platform they came from"""


def seat_states(db: Database, lineage: int, now: str) -> list[SeatState]:
    """The seats of a campaign's lineage but the owner's own, the newest first."""
    rows = db.conn.execute(
        """SELECT s.id, t.name, t.kind, c.name,
          CASE WHEN s.revoked_at IS NOT NULL THEN 'closed' WHEN s.screened_out_at IS NOT NULL THEN 'screened out'
               WHEN s.session IS NOT NULL THEN 'in use' WHEN s.expires_at <= ?2 THEN 'expired' ELSE 'waiting' END,
          s.open_link, s.created_at, s.expires_at, w.rater IS NOT NULL, s.external
        FROM seats s JOIN raters t ON t.id = s.rater JOIN campaigns c ON c.id = s.campaign
        LEFT JOIN withdrawals w ON w.rater = s.rater WHERE s.lineage = ?1 AND s.owner = 0 ORDER BY s.id DESC""",
        (lineage, now),
    )
    return [
        SeatState(r[0], r[1], RaterKind(r[2]), r[3], SeatStatus(r[4]), r[5], r[6], r[7], bool(r[8]), r[9])
        for r in rows
    ]
