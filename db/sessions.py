"""Sessions: browsers that were let in, as an owner or on a rater's seat."""

from typing import NamedTuple

from sqlite_utils import Database

from db.connection import transaction


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
          s.open_link, coalesce(s.quiz_tries, 0), s.quiz_passed, s.screened_out_at IS NOT NULL
        FROM sessions x LEFT JOIN seats s ON s.id = x.seat
        LEFT JOIN owners o ON o.id = x.owner AND o.removed_at IS NULL
        WHERE x.token_hash = ? AND x.ended_at IS NULL AND x.expires_at > ?
        AND (x.role = 'rater' OR o.id IS NOT NULL)""",
        (token_hash, now),
    ).fetchone()
    if row is None:
        return None
    return Session(row[0], row[1], row[2], row[3], row[4], row[5], bool(row[6]), bool(row[7]), bool(row[8]),
                   bool(row[9]), row[10], row[11], row[12], row[13], row[14], bool(row[15]))  # fmt: skip


def bind_seat(db: Database, seat: int, session: int) -> None:
    """Let this browser hold the seat from now on. The link that was used is spent."""
    db.conn.execute("UPDATE seats SET session = ?, token_used = 1 WHERE id = ?", (session, seat))


def agree(db: Database, seat: int, version: str) -> None:
    """Remember which consent text the rater on this seat agreed to."""
    with transaction(db):
        db.conn.execute("UPDATE seats SET consent_version = ? WHERE id = ?", (version, seat))
