"""What one rater did, ballot by ballot, as the owner looks at it; and which votes count, in order of arrival."""

import json
from typing import NamedTuple

from sqlite_utils import Database

BY_DESIGN = ("retracted", "skipped", "practice", "known answer", "repeat")
"""states of votes that were never meant to count"""


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
