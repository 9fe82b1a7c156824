"""Raters: who they are, what the owner decided about them, and what one did, ballot by ballot."""

import json
from typing import NamedTuple

from sqlite_utils import Database

from db.connection import checked_name, transaction
from db.entities.votes import Rater, RaterKind
from db.errors import Conflict, NotFound, UserError

_RATER = (
    """SELECT t.id, t.name, t.kind, x.reason FROM raters t LEFT JOIN excluded_raters x ON x.rater = t.id"""
)
BY_DESIGN = ("retracted", "skipped", "practice", "known answer", "repeat")
"""states of votes that were never meant to count"""


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


def standing_votes(db: Database, rater: int) -> int:
    """How many standing votes a rater has, skips left out."""
    row = db.conn.execute(
        "SELECT coalesce(sum(n), 0) FROM vote_counts WHERE rater = ? AND outcome <> 'skip'", (rater,)
    ).fetchone()
    return int(row[0])


class RaterVote(NamedTuple):
    """One stored vote of a rater."""

    vote: int
    created_at: str
    campaign: str
    prompt: str
    kind: str
    """battle, gold, repeat, practice, or import"""
    outcome: str
    left_is: str | None
    better: str | None
    """the known answer, a or b"""
    before: str | None
    """what the rater said of the same battle the first time, for a repeat"""
    seconds: float | None
    state: str
    comment: str | None


def votes_of_rater(db: Database, rater: int, most: int) -> list[RaterVote]:
    """A rater's newest votes, undone ones and check questions included, the newest first."""
    rows = db.conn.execute(
        """SELECT v.id, v.created_at, c.name, substr(p.text, 1, 200), coalesce(s.kind, 'import'), v.outcome, s.left_is,
          g.better, CASE WHEN s.kind = 'repeat' THEN (SELECT w.outcome FROM votes w JOIN assignments f ON f.id = w.assignment
            WHERE w.rater = v.rater AND w.battle = v.battle AND f.kind = 'battle'
            AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = w.id)) END,
          v.elapsed_ms / 1000.0, z.state, v.comment
        FROM votes v JOIN vote_states z ON z.vote = v.id JOIN campaigns c ON c.id = v.campaign
        JOIN battles b ON b.id = v.battle JOIN prompts p ON p.id = b.prompt
        LEFT JOIN assignments s ON s.id = v.assignment LEFT JOIN gold_pairs g ON g.battle = v.battle
        WHERE v.rater = ? ORDER BY v.id DESC LIMIT ?""",
        (rater, most),
    )
    return [RaterVote(*r) for r in rows]


class Decision(NamedTuple):
    """The owner left a rater out, or took them in again."""

    counted: bool
    reason: str
    at: str


def decisions_about(db: Database, rater: int) -> list[Decision]:
    """Every decision about a rater, the oldest first."""
    rows = db.conn.execute(
        "SELECT counted, reason, at FROM rater_decisions WHERE rater = ? ORDER BY id", (rater,)
    )
    return [Decision(bool(r[0]), str(r[1]), str(r[2])) for r in rows]


def counted_in_order(db: Database, campaign: int, most: int) -> list[bool]:
    """Whether each of the newest votes counts, the oldest of them first; those left out by design are left away."""
    rows = db.conn.execute(
        """SELECT z.state = 'counted' FROM votes v JOIN vote_states z ON z.vote = v.id JOIN raters t ON t.id = v.rater
        WHERE v.campaign = ? AND t.kind <> 'judge' AND z.state NOT IN (SELECT value FROM json_each(?))
        ORDER BY v.id DESC LIMIT ?""",
        (campaign, json.dumps(BY_DESIGN), most),
    )
    return [bool(r[0]) for r in rows][::-1]
