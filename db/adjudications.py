"""What the owner ruled on battles where raters disagree: a row a ruling, append-only; the newest one stands."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from sqlite_utils import Database

from db.connection import transaction
from db.entities.votes import Outcome
from db.errors import NotFound

FIRST_LOOK = 500
"""battles that are looked at first for disagreement"""


class Ruling(NamedTuple):
    """What stands for a battle whatever its votes say."""

    id: int
    battle: int
    outcome: Outcome
    reason: str
    who: str
    at: str


def add_ruling(db: Database, battle: int, outcome: Outcome, reason: str, who: str) -> Ruling:
    """Rule on a battle; a later ruling takes its place, and the earlier one stays on record. NotFound."""
    with transaction(db):
        if db.conn.execute("SELECT 1 FROM battles WHERE id = ?", (battle,)).fetchone() is None:
            raise NotFound(f"there is no battle {battle}", "choose one of the list")
        cursor = db.conn.execute(
            "INSERT INTO adjudications(battle, outcome, reason, who) VALUES (?, ?, ?, ?)",
            (battle, outcome, reason.strip(), who),
        )
        row = db.conn.execute(f"{_RULING} WHERE id = ?", (cursor.lastrowid,)).fetchone()
        return _ruling(row)


_RULING = "SELECT id, battle, outcome, reason, who, at FROM adjudications"


def _ruling(row: tuple[int, int, str, str, str, str]) -> Ruling:
    return Ruling(row[0], row[1], Outcome(row[2]), row[3], row[4], row[5])


def rulings(db: Database, campaign: int) -> dict[int, Ruling]:
    """{battle: the ruling that stands} of a campaign."""
    rows = db.conn.execute(
        f"""{_RULING} WHERE id IN (SELECT max(id) FROM adjudications GROUP BY battle)
        AND battle IN (SELECT id FROM battles WHERE campaign = ?)""",
        (campaign,),
    )
    return {r[1]: _ruling(r) for r in rows}


class Disputed(NamedTuple):
    """A battle on which counted votes of people or simulated raters chose opposite responses."""

    battle: int
    campaign: str
    prompt: str
    """its last user turn"""
    votes_a: int
    votes_b: int
    others: int
    """ties, both good, both bad"""
    ruled: str | None


class Split(NamedTuple):
    """Counted votes of people and simulated raters on one battle."""

    votes_a: int = 0
    votes_b: int = 0
    others: int = 0
    """ties, both good, both bad"""


def splits(db: Database, battles: Sequence[int]) -> dict[int, Split]:
    """{battle: how its counted votes fall}; battles without any are left out."""
    rows = db.conn.execute(
        """SELECT z.battle, sum(z.outcome = 'a'), sum(z.outcome = 'b'), sum(z.outcome NOT IN ('a', 'b'))
        FROM vote_states z JOIN raters t ON t.id = z.rater AND t.kind <> 'judge'
        WHERE z.state = 'counted' AND z.battle IN (SELECT value FROM json_each(?)) GROUP BY z.battle""",
        (json.dumps(list(battles)),),
    )
    return {int(r[0]): Split(*r[1:]) for r in rows}


def disputed(db: Database, campaign: str | None = None, limit: int = 200) -> list[Disputed]:
    """Battles people disagree on, those not ruled on yet first, the most votes first.

    Read from the battles with the most votes on (`battle_cover` says how many there can be at most), until no battle that is
    left can come before those found: a home may hold a million votes.
    """
    most = db.conn.execute(
        """SELECT battle, votes FROM battle_cover WHERE votes > 1
        AND (?1 IS NULL OR campaign = (SELECT id FROM campaigns WHERE name = ?1)) ORDER BY votes DESC, battle""",
        (campaign,),
    ).fetchall()
    ruled = dict(db.conn.execute("SELECT battle, outcome FROM adjudications ORDER BY id").fetchall())
    found: list[tuple[bool, int, int, Split]] = []
    start, size = 0, FIRST_LOOK
    while start < len(most):
        part = most[start : start + size]
        for battle, split in splits(db, [battle for battle, _ in part]).items():
            if split.votes_a and split.votes_b:
                found.append((battle in ruled, -split.votes_a - split.votes_b, battle, split))
        found = sorted(found)[:limit]
        start, size = start + size, 2 * size
        if (
            start < len(most)
            and len(found) == limit
            and found[-1][:3] < (False, -most[start][1], most[start][0])
        ):
            break
    told = _told(db, [battle for *_, battle, _ in found])
    return [Disputed(battle, *told[battle], *split, ruled.get(battle)) for *_, battle, split in found]


def _told(db: Database, battles: Sequence[int]) -> dict[int, tuple[str, str]]:
    """{battle: (its campaign, its prompt)}."""
    rows = db.conn.execute(
        """SELECT w.id, c.name, p.text FROM battles w JOIN campaigns c ON c.id = w.campaign JOIN prompts p ON p.id = w.prompt
        WHERE w.id IN (SELECT value FROM json_each(?))""",
        (json.dumps(list(battles)),),
    )
    return {int(r[0]): (str(r[1]), str(r[2])) for r in rows}
