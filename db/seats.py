"""The seats of a campaign as whoever invites sees them: which wait, are in use, are over."""

from enum import StrEnum
from typing import NamedTuple

from sqlite_utils import Database

from db.entities import RaterKind


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
