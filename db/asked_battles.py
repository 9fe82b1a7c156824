"""One battle at a time: what people said of it and what machine judges said, with their reasons."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlite_utils import Database

from db.entities.votes import Outcome
from db.judges import JudgeKind, in_slots


class People(NamedTuple):
    """How persons voted on a battle, as far as their votes count; made-up raters and machines are no persons."""

    for_a: int
    for_b: int
    neither: int

    @property
    def all(self) -> int:
        """How many voted."""
        return sum(self)


def people_on(db: Database, campaign: int, battle: int) -> People | None:
    """How persons voted on a battle of a campaign; None where the campaign has no such battle."""
    if not db.conn.execute(
        "SELECT 1 FROM battles WHERE id = ? AND campaign = ?", (battle, campaign)
    ).fetchone():
        return None
    row = db.conn.execute(
        """SELECT coalesce(sum(z.outcome = 'a'), 0), coalesce(sum(z.outcome = 'b'), 0),
          coalesce(sum(z.outcome NOT IN ('a', 'b')), 0)
        FROM votes v JOIN vote_states z ON z.vote = v.id AND z.state = 'counted'
        JOIN raters t ON t.id = v.rater AND t.kind = 'person' WHERE v.battle = ?""",
        (battle,),
    ).fetchone()
    return People(*row)


def campaign_of(db: Database, battle: int) -> str | None:
    """The name of a battle's campaign; None where there is no such battle."""
    row = db.conn.execute(
        "SELECT c.name FROM battles b JOIN campaigns c ON c.id = b.campaign WHERE b.id = ?", (battle,)
    ).fetchone()
    return str(row[0]) if row else None


def is_check_question(db: Database, battle: int) -> bool:
    """Whether a battle is one whose better answer is known."""
    return db.conn.execute("SELECT 1 FROM gold_pairs WHERE battle = ?", (battle,)).fetchone() is not None


class Asked(NamedTuple):
    """A battle that persons voted on."""

    battle: int
    campaign: str
    prompt: str
    """its last user turn"""


NEWEST = 20_000
"""votes that are looked through, so that the list comes at once however many there are"""


def voted_battles(db: Database, campaign: str | None = None, limit: int = 100) -> list[Asked]:
    """Battles that persons voted on, the last voted on first, of the newest votes; no check questions."""
    rows = db.conn.execute(
        """SELECT v.battle, c.name, p.text FROM (SELECT id, battle, campaign, rater FROM votes
          WHERE ?1 IS NULL OR campaign = (SELECT id FROM campaigns WHERE name = ?1) ORDER BY id DESC LIMIT ?2) v
        JOIN raters t ON t.id = v.rater AND t.kind = 'person' JOIN campaigns c ON c.id = v.campaign
        JOIN battles b ON b.id = v.battle JOIN prompts p ON p.id = b.prompt
        WHERE v.battle NOT IN (SELECT battle FROM gold_pairs) ORDER BY v.id DESC LIMIT ?3""",
        (campaign, NEWEST, 5 * limit),
    )
    found = {int(battle): Asked(int(battle), str(name), str(prompt)) for battle, name, prompt in rows}
    return list(found.values())[:limit]


@dataclass(frozen=True, slots=True)
class Said:
    """What a judge that compares said of a battle; `outcome` in the battle's slots, None where it could not be read."""

    judge: str
    kind: JudgeKind
    outcome: Outcome | None
    details: Mapping[str, object]
    """what each order gave"""
    turned: bool
    """whether the judge was first asked with the battle's slot b as A"""
    at: str


def judges_on(db: Database, battle: int) -> list[Said]:
    """What each judge said of the two responses of a battle, wherever they met: its last word, a readable one first."""
    rows = db.conn.execute(
        """SELECT t.name, j.kind, c.outcome, c.details, b.response_a > b.response_b, c.created_at
        FROM battles b JOIN comparisons c ON c.response_a = min(b.response_a, b.response_b)
          AND c.response_b = max(b.response_a, b.response_b)
        JOIN judges j ON j.rater = c.judge JOIN raters t ON t.id = j.rater
        WHERE b.id = ? ORDER BY t.name, c.outcome IS NOT NULL, c.id""",
        (battle,),
    )
    last = {}
    for name, kind, outcome, details, other_way, at in rows:
        word = in_slots(Outcome(outcome), other_way=bool(other_way)) if outcome else None
        last[name] = Said(name, JudgeKind(kind), word, json.loads(details), bool(other_way), at)
    return list(last.values())


Ends = tuple[str, str]
"""the two responses of a battle, in slots a and b"""


def battles_between(db: Database, campaigns: Sequence[str], ends: Iterable[Ends]) -> dict[Ends, int]:
    """{(response a, response b): their battle in the first of these campaigns that has one}."""
    rows = db.conn.execute(
        """SELECT w.value ->> 0, w.value ->> 1, b.id FROM json_each(?2) w
        JOIN campaigns c ON c.name IN (SELECT value FROM json_each(?1))
        JOIN battles b ON b.campaign = c.id AND (b.response_a = w.value ->> 0 AND b.response_b = w.value ->> 1
          OR b.response_a = w.value ->> 1 AND b.response_b = w.value ->> 0)
        ORDER BY b.campaign DESC""",
        (json.dumps(list(campaigns)), json.dumps([list(e) for e in ends])),
    )
    return {(str(a), str(b)): int(battle) for a, b, battle in rows}
