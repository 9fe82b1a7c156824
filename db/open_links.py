"""Links that many may use, the seats taken through them, and the withdrawal of a rater."""

from typing import NamedTuple

from sqlite_utils import Database

from db.connection import transaction
from db.entities.votes import RaterKind, Seat
from db.errors import NotFound, UserError
from db.live_turns import forget_prompts


class OpenLink(NamedTuple):
    """A link with a number of seats."""

    id: int
    campaign: int
    seats: int
    taken: int
    """seats that a browser holds"""
    created_at: str
    expires_at: str | None
    revoked_at: str | None


_LINK = """SELECT l.id, l.campaign, l.seats,
  (SELECT count(*) FROM seats s WHERE s.open_link = l.id AND s.session IS NOT NULL), l.created_at, l.expires_at,
  l.revoked_at FROM open_links l"""


def add_link(db: Database, campaign: int, token_hash: str, seats: int, expires_at: str | None) -> int:
    """A new open link; its row number."""
    if not 1 <= seats <= 100_000:
        raise UserError("an open link has 1 to 100,000 seats", "give a number in between")
    with transaction(db):
        cursor = db.conn.execute(
            "INSERT INTO open_links(campaign, token_hash, seats, expires_at) VALUES (?, ?, ?, ?)",
            (campaign, token_hash, seats, expires_at),
        )
        return int(cursor.lastrowid or 0)


def link_of_token(db: Database, token_hash: str, now: str) -> OpenLink | None:
    """The open link of a token; None where unknown, revoked or past its end."""
    row = db.conn.execute(
        f"""{_LINK} WHERE l.token_hash = ? AND l.revoked_at IS NULL AND (l.expires_at IS NULL OR l.expires_at > ?)""",
        (token_hash, now),
    ).fetchone()
    return OpenLink(*row) if row else None


def links_of(db: Database, campaign: int) -> list[OpenLink]:
    """Every open link of a campaign, the newest first."""
    return [
        OpenLink(*r) for r in db.conn.execute(f"{_LINK} WHERE l.campaign = ? ORDER BY l.id DESC", (campaign,))
    ]


def revoke_link(db: Database, campaign: int, link: int) -> None:
    """Let nobody new in by an open link; who has a seat keeps it."""
    with transaction(db):
        cursor = db.conn.execute(
            """UPDATE open_links SET revoked_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
            WHERE id = ? AND campaign = ?""",
            (link, campaign),
        )
        if cursor.rowcount == 0:
            raise NotFound(f"there is no open link {link} here", "`campaign links` lists them")


def has_room(db: Database, link: int, seat: int) -> bool:
    """Whether one more browser may take a seat of a link; one that was held before may be taken again."""
    row = db.conn.execute(
        """SELECT (SELECT count(*) FROM seats WHERE open_link = l.id AND session IS NOT NULL AND id <> ?2) < l.seats
        FROM open_links l WHERE l.id = ?1""",
        (link, seat),
    ).fetchone()
    return bool(row[0])


def mark_seat(db: Database, seat: Seat, link: int, worker: str | None, parameters: str | None) -> None:
    """Remember the open link a seat was taken through and what the crowd platform said of its rater."""
    db.conn.execute("UPDATE seats SET open_link = ?, external = ? WHERE id = ?", (link, worker, seat.id))
    db.conn.execute("UPDATE raters SET external = ? WHERE id = ?", (parameters, seat.rater))


class Participant(NamedTuple):
    """The seat that a worker of a crowd platform has in a lineage, and what the platform said of them."""

    seat: int
    revoked: bool
    parameters: str | None


def participant(db: Database, lineage: int, worker: str) -> Participant | None:
    """The seat a worker took before, by whichever open link of the lineage, closed or not; the newest one."""
    row = db.conn.execute(
        """SELECT s.id, s.revoked_at IS NOT NULL, t.external FROM seats s JOIN raters t ON t.id = s.rater
        WHERE s.lineage = ? AND s.external = ? ORDER BY s.id DESC LIMIT 1""",
        (lineage, worker),
    ).fetchone()
    return Participant(int(row[0]), bool(row[1]), row[2]) if row else None


def worker_of_seat(db: Database, seat: int) -> str | None:
    """The crowd platform's id of whoever has a seat."""
    row = db.conn.execute("SELECT external FROM seats WHERE id = ?", (seat,)).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def note_quiz(db: Database, seat: int, *, passed: str | None, tries_left: int) -> None:
    """One more try at a comprehension check; the one that is passed is remembered, without a try left the seat is screened out."""
    db.conn.execute(
        """UPDATE seats SET quiz_tries = CASE WHEN ?2 IS NULL THEN quiz_tries + 1 ELSE 0 END,
          quiz_passed = coalesce(?2, quiz_passed),
          screened_out_at = CASE WHEN ?2 IS NULL AND ?3 <= 0 THEN strftime('%Y-%m-%dT%H:%M:%fZ', 'now') END
        WHERE id = ?1""",
        (seat, passed, tries_left),
    )


def withdraw(db: Database, rater: int) -> None:
    """Forget who a rater is: name, platform ids, links, texts. A tombstone stays, and the votes leave every figure.

    Once withdrawn stays withdrawn. UserError for a machine judge.
    """
    with transaction(db):
        row = db.conn.execute("SELECT kind FROM raters WHERE id = ?", (rater,)).fetchone()
        if row[0] == RaterKind.JUDGE:
            raise UserError("a machine judge cannot withdraw", "exclude it instead")
        db.conn.execute("INSERT INTO withdrawals(rater) VALUES (?) ON CONFLICT DO NOTHING", (rater,))
        db.conn.execute(
            "INSERT INTO rater_decisions(rater, counted, reason) VALUES (?, 0, 'withdrew')", (rater,)
        )
        db.conn.execute("UPDATE raters SET external = NULL, name = 'withdrawn-' || id WHERE id = ?", (rater,))
        db.conn.execute(
            """UPDATE seats SET external = NULL, token_hash = NULL,
            revoked_at = coalesce(revoked_at, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) WHERE rater = ?""",
            (rater,),
        )
        db.conn.execute(
            """UPDATE sessions SET ended_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
            WHERE ended_at IS NULL AND seat IN (SELECT id FROM seats WHERE rater = ?)""",
            (rater,),
        )
        db.conn.execute(
            """UPDATE votes SET comment = NULL, better = NULL, reason = NULL, report = NULL WHERE rater = ?
            AND (comment IS NOT NULL OR better IS NOT NULL OR reason IS NOT NULL OR report IS NOT NULL)""",
            (rater,),
        )
        forget_prompts(db, rater)
