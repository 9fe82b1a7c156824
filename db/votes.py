"""Votes and retractions, append-only: stored, found again, read."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlite_utils import Database

from db.entities.catalog import Split
from db.entities.votes import Outcome, RaterKind, Strength, Vote, VoteDetails


class StoredVote(NamedTuple):
    """A vote as the vote path needs it back."""

    id: int
    receipt: str
    outcome: Outcome
    key: str | None
    body: str | None
    created_at: str
    revealed: bool
    retracted: bool


_STORED = """SELECT v.id, v.receipt, v.outcome, v.key, v.body, v.created_at, v.revealed,
  EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id) FROM votes v"""


def _stored(row: Sequence[object] | None) -> StoredVote | None:
    if row is None:
        return None
    return StoredVote(int(str(row[0])), str(row[1]), Outcome(str(row[2])), None if row[3] is None else str(row[3]),
                      None if row[4] is None else str(row[4]), str(row[5]), bool(row[6]), bool(row[7]))  # fmt: skip


def vote_of_assignment(db: Database, assignment: str) -> StoredVote | None:
    """The vote cast with this assignment, retracted or not."""
    return _stored(db.conn.execute(f"{_STORED} WHERE v.assignment = ?", (assignment,)).fetchone())


def vote_of_key(db: Database, rater: int, key: str) -> StoredVote | None:
    """The vote a rater sent under this idempotency key."""
    return _stored(db.conn.execute(f"{_STORED} WHERE v.rater = ? AND v.key = ?", (rater, key)).fetchone())


def heard_before(db: Database, rater: int, key: str, battle: int) -> bool:
    """Whether a vote of this rater under this key or on this battle is stored, retracted or not: seldom, so asked first."""
    row = db.conn.execute(
        """SELECT 1 FROM votes WHERE rater = ?1 AND key = ?2
        UNION ALL SELECT 1 FROM votes WHERE battle = ?3 AND rater = ?1 LIMIT 1""",
        (rater, key, battle),
    ).fetchone()
    return row is not None


def standing_vote(db: Database, rater: int, battle: int, *, repeat: bool = False) -> StoredVote | None:
    """The rater's vote on the battle that is not retracted; with `repeat`, the one given when it was shown again."""
    return _stored(
        db.conn.execute(
            f"""{_STORED} LEFT JOIN assignments s ON s.id = v.assignment
            WHERE v.rater = ? AND v.battle = ? AND (coalesce(s.kind, 'battle') = 'repeat') = ?
            AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)""",
            (rater, battle, int(repeat)),
        ).fetchone()
    )


def add_vote(
    db: Database, *, receipt: str, assignment: str, campaign: int, battle: int, rater: int, outcome: Outcome,
    key: str, body: str, details: VoteDetails, consent_version: str | None, revealed: bool, created_at: str,
) -> int:  # fmt: skip
    """Store a vote cast on a ballot. The caller's transaction makes it durable."""
    cursor = db.conn.execute(
        """INSERT INTO votes(receipt, assignment, campaign, battle, rater, outcome, key, body, strength, acceptable_a,
          acceptable_b, criteria, tags_a, tags_b, comment, better, reason, report, elapsed_ms, consent_version, revealed,
          created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (receipt, assignment, campaign, battle, rater, outcome, key, body, details.strength,
         _flag(details.acceptable_a), _flag(details.acceptable_b), json.dumps(dict(details.criteria)),
         json.dumps(details.tags_a), json.dumps(details.tags_b), details.comment, details.better, details.reason,
         details.report, details.elapsed_ms, consent_version, int(revealed), created_at),
    )  # fmt: skip
    return int(cursor.lastrowid or 0)


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def retract(db: Database, vote: int) -> None:
    """Undo a vote: a row beside it. Once."""
    db.conn.execute("INSERT INTO retractions(vote) VALUES (?)", (vote,))


_VOTE_OF = """SELECT v.id, v.campaign, v.battle, v.rater, v.outcome, s.left_is, v.created_at, b.prompt, b.response_a,
  b.response_b, ma.name, mb.name, t.name, t.kind, p.split, v.strength, v.elapsed_ms, b.turn, v.acceptable_a,
  v.acceptable_b, CASE WHEN own.ask_better THEN v.better END, s.chance, s.among
FROM votes v JOIN campaigns own ON own.id = v.campaign
JOIN battles b ON b.id = v.battle JOIN models ma ON ma.id = b.model_a JOIN models mb ON mb.id = b.model_b
JOIN raters t ON t.id = v.rater JOIN prompts p ON p.id = b.prompt
LEFT JOIN assignments s ON s.id = v.assignment"""
_VOTE = f"{_VOTE_OF} JOIN vote_states z ON z.vote = v.id"
_OUTCOMES = {m.value: m for m in Outcome}
_KINDS = {m.value: m for m in RaterKind}
_SPLITS = {m.value: m for m in Split}
_STRENGTHS = {m.value: m for m in Strength}
MOST_SHARED = 100_000
"""texts that a reading of votes remembers"""


def _votes_from() -> Callable[[Sequence[Any]], Vote]:
    """What makes a vote of a row. Equal ids and names are one text in memory: there may be a million votes."""
    known: dict[str, str] = {}
    one = known.setdefault

    def vote(r: Sequence[Any]) -> Vote:
        if len(known) > MOST_SHARED:
            known.clear()
        (number, campaign, battle, rater, outcome, left_is, at, prompt, a, b, model_a, model_b, name, kind, split,
         strength, elapsed, turn, fine_a, fine_b, better, chance, among) = r  # fmt: skip
        return Vote(
            number, campaign, battle, rater, _OUTCOMES[outcome], left_is, at, one(prompt, prompt), one(a, a), one(b, b),
            one(model_a, model_a), one(model_b, model_b), one(name, name), _KINDS[kind], _SPLITS[split],
            _STRENGTHS[strength] if strength else None, elapsed, turn, None if fine_a is None else bool(fine_a),
            None if fine_b is None else bool(fine_b), better, 1.0 if chance is None else 1 / (chance * among),
        )  # fmt: skip

    return vote


def counted_votes(db: Database, campaign: int, until: str | None = None) -> Iterator[Vote]:
    """The votes people gave that count (simulated people too; judges not), in order of arrival.

    until: only those that were there at that moment (UTC ISO text).
    """
    rows = db.conn.execute(
        f"""{_VOTE} LEFT JOIN imports n ON n.id = v.import
        WHERE v.campaign = ?1 AND z.state = 'counted' AND t.kind <> 'judge'
        AND (?2 IS NULL OR coalesce(n.finished_at, v.created_at) <= ?2) ORDER BY v.id""",
        (campaign, until),
    )
    return map(_votes_from(), rows)


def votes_of(db: Database, votes: Sequence[int]) -> dict[int, Vote]:
    """{number: vote} of these votes, counted or not."""
    rows = db.conn.execute(
        f"{_VOTE_OF} WHERE v.id IN (SELECT value FROM json_each(?))", (json.dumps(list(votes)),)
    )
    return {vote.id: vote for vote in map(_votes_from(), rows)}


class VoteRow(NamedTuple):
    """A vote as the owner browses it."""

    vote: int
    campaign: str
    rater: str
    prompt: str
    model_a: str
    model_b: str
    outcome: str
    state: str
    created_at: str


def browse_votes(
    db: Database, campaign: str | None = None, words: str = "", limit: int = 100
) -> list[VoteRow]:
    """The newest votes, of one campaign, whose prompt or comment holds the words."""
    rows = db.conn.execute(
        """SELECT v.id, c.name, t.name, p.text, ma.name, mb.name, v.outcome, z.state, v.created_at
        FROM votes v JOIN vote_states z ON z.vote = v.id JOIN campaigns c ON c.id = v.campaign
        JOIN raters t ON t.id = v.rater JOIN battles b ON b.id = v.battle JOIN prompts p ON p.id = b.prompt
        JOIN models ma ON ma.id = b.model_a JOIN models mb ON mb.id = b.model_b
        WHERE (?1 IS NULL OR c.name = ?1)
          AND (?2 = '' OR instr(lower(p.text), lower(?2)) OR instr(lower(coalesce(v.comment, '')), lower(?2)))
        ORDER BY v.id DESC LIMIT ?3""",
        (campaign, words.strip(), limit),
    )
    return [VoteRow(*r) for r in rows]


class Cast(NamedTuple):
    """A vote by the assignment it was cast with."""

    assignment: str
    outcome: Outcome


def cast_by(db: Database, rater: int, campaign: int) -> list[Cast]:
    """A rater's standing votes in a campaign, skips left out, in order."""
    rows = db.conn.execute(
        """SELECT v.assignment, v.outcome FROM votes v WHERE v.rater = ? AND v.campaign = ? AND v.assignment IS NOT NULL
        AND v.outcome <> 'skip' AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id) ORDER BY v.id""",
        (rater, campaign),
    )
    return [Cast(r[0], Outcome(r[1])) for r in rows]


def mark_revealed(db: Database, rater: int, campaign: int) -> None:
    """Remember that a rater has seen who wrote what in a campaign."""
    db.conn.execute(
        "INSERT INTO reveals(rater, campaign) VALUES (?, ?) ON CONFLICT DO NOTHING", (rater, campaign)
    )


def revealed_to(db: Database, rater: int, campaign: int) -> bool:
    """Whether a rater has seen who wrote what in a campaign."""
    row = db.conn.execute(
        "SELECT 1 FROM reveals WHERE rater = ? AND campaign = ?", (rater, campaign)
    ).fetchone()
    return row is not None
