"""What the owner ruled on battles where raters disagree: a row a ruling, append-only; the newest one stands."""

from typing import NamedTuple

from sqlite_utils import Database

from db.connection import transaction
from db.entities import Outcome
from db.errors import NotFound


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


def disputed(db: Database, campaign: str | None = None, limit: int = 200) -> list[Disputed]:
    """Battles people disagree on, those not ruled on yet first, the most votes first."""
    rows = db.conn.execute(
        """WITH split AS (
          SELECT z.battle, z.campaign, sum(z.outcome = 'a') AS a, sum(z.outcome = 'b') AS b,
            sum(z.outcome NOT IN ('a', 'b')) AS others
          FROM vote_states z JOIN raters t ON t.id = z.rater AND t.kind <> 'judge'
          WHERE z.state = 'counted' AND (?1 IS NULL OR z.campaign = (SELECT id FROM campaigns WHERE name = ?1))
          GROUP BY z.battle HAVING a > 0 AND b > 0),
        first AS (
          SELECT s.*, (SELECT outcome FROM adjudications j WHERE j.battle = s.battle ORDER BY j.id DESC LIMIT 1) AS ruled
          FROM split s ORDER BY ruled IS NOT NULL, a + b DESC, battle LIMIT ?2)
        SELECT f.battle, c.name, p.text, f.a, f.b, f.others, f.ruled FROM first f JOIN campaigns c ON c.id = f.campaign
        JOIN battles w ON w.id = f.battle JOIN prompts p ON p.id = w.prompt
        ORDER BY f.ruled IS NOT NULL, f.a + f.b DESC, f.battle""",
        (campaign, limit),
    )
    return [Disputed(*r) for r in rows]
