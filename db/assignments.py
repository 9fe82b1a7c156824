"""Assignments: battles lent to raters, and which could be lent next."""

import dataclasses
import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlite_utils import Database

from db.entities.campaigns import Campaign, Sampling
from db.entities.votes import Assignment, BallotKind

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
    """The rater's assignments in a campaign that wait for a vote, expired ones too, the battle that was lent first first.

    So a battle that is lent again after an undo comes before those that were lent after it.
    """
    rows = db.conn.execute(
        f"""{_ASSIGNMENT} JOIN open_leases o ON o.assignment = s.id JOIN battles b ON b.id = s.battle
        LEFT JOIN battle_cover c ON c.battle = b.id
        WHERE coalesce(c.held, 0) = 0 AND o.rater = ? AND b.campaign = ? ORDER BY (SELECT min(f.number)
          FROM assignments f WHERE f.rater = s.rater AND f.battle = s.battle AND f.kind = s.kind), s.number""",
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
    """Let go of battles whose lease is over; the assignment stays with its rater for a late vote.

    One that ends later than any lent now could was lent before the clock was set back: it is over too.
    """
    db.conn.execute("UPDATE open_leases SET live = 0 WHERE live = 1 AND expires_at <= ?", (now,))
    db.conn.execute(
        """UPDATE open_leases SET live = 0 WHERE live = 1 AND expires_at > strftime('%Y-%m-%dT%H:%M:%fZ', ?,
          (SELECT max(lease_seconds) FROM campaigns) || ' seconds')""",
        (now,),
    )


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
    """mean over the machine judges of the chance that a is better: of one that scores, the sigmoid of the gap
    (Bradley-Terry); of one that compares or votes, 1, 0 or a half. None where none said anything"""


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
          AND v.rater NOT IN (SELECT id FROM raters WHERE kind = 'judge')
          AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id) GROUP BY pool.battle""",
        values,
    )
    found = [Candidate(*r) for r in rows]
    if campaign.settings.sampling is Sampling.JUDGE_DISAGREEMENT:
        judged = _judged(db, [c.battle for c in found])
        found = [c._replace(judged=judged.get(c.battle)) for c in found]
    return found, there


_WORDS = """WITH here AS (SELECT id, response_a AS a, response_b AS b FROM battles
    WHERE id IN (SELECT value FROM json_each(?1))),
  out AS (SELECT t.id, t.name FROM excluded_raters x JOIN raters t ON t.id = x.rater AND t.kind = 'judge')
SELECT h.id, x.score - y.score, NULL FROM here h JOIN scores x ON x.response = h.a
  JOIN scores y ON y.response = h.b AND y.scorer = x.scorer WHERE x.scorer NOT IN (SELECT name FROM out)
UNION ALL SELECT h.id, NULL, CASE c.outcome WHEN 'tie' THEN 0.5 ELSE (c.outcome = 'a') = (h.a < h.b) END
  FROM here h JOIN comparisons c ON c.response_a = min(h.a, h.b) AND c.response_b = max(h.a, h.b)
  WHERE c.outcome IS NOT NULL AND c.judge NOT IN (SELECT id FROM out)
UNION ALL SELECT h.id, NULL, CASE z.outcome WHEN 'a' THEN 1.0 WHEN 'b' THEN 0.0 ELSE 0.5 END
  FROM here h JOIN votes v ON v.battle = h.id JOIN vote_states z ON z.vote = v.id AND z.state = 'counted'
  JOIN raters t ON t.id = v.rater AND t.kind = 'judge' WHERE t.id NOT IN (SELECT rater FROM judges)"""
"""(battle, gap of scores, chance that a is better) of each machine judge: those that score, that compare, and that came
with an import; excluded ones left out"""


def _judged(db: Database, battles: Sequence[int]) -> dict[int, float]:
    chances: dict[int, list[float]] = {}
    for battle, gap, chance in db.conn.execute(_WORDS, (json.dumps(list(battles)),)):
        word = chance if gap is None else 1 / (1 + math.exp(-max(-30.0, min(30.0, gap))))
        chances.setdefault(battle, []).append(word)
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
