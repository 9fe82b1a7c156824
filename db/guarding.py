"""What the blinding guard found: kept, decided on by owners, and what follows for serving and counting.

Whether a battle is held or marked as leaked follows from its standing findings and the campaign's rule; triggers on
battle_findings keep it (view guard_states), so that a finding and its effect are one transaction.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlite_utils import Database

from db import audit
from db.connection import transaction
from db.entities.campaigns import Finding, FindingKind
from db.entities.catalog import Message
from db.errors import NotFound, UserError


class BattleText(NamedTuple):
    """A battle as the guard reads it."""

    battle: int
    messages: tuple[Message, ...]
    text_a: str | None
    text_b: str | None


def scannable(db: Database, campaign: int) -> dict[int, tuple[str, str]]:
    """{battle: its two responses} of a campaign in order; pairs with a known answer are left out."""
    rows = db.conn.execute(
        """SELECT id, response_a, response_b FROM battles
        WHERE campaign = ? AND id NOT IN (SELECT battle FROM gold_pairs) ORDER BY id""",
        (campaign,),
    )
    return {int(r[0]): (str(r[1]), str(r[2])) for r in rows}


def mark_scanned(db: Database, campaign: int) -> None:
    """Note that every battle of a campaign has been looked at; those that come later are looked at as they come."""
    with transaction(db):
        db.conn.execute(
            "UPDATE campaigns SET scanned_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = ?",
            (campaign,),
        )


def is_scanned(db: Database, campaign: int) -> bool:
    """Whether a campaign's battles have been looked at."""
    row = db.conn.execute("SELECT scanned_at FROM campaigns WHERE id = ?", (campaign,)).fetchone()
    return row is not None and row[0] is not None


def unscanned(db: Database) -> list[int]:
    """The open campaigns whose battles nobody has looked at: those of an older version, or of an import cut off."""
    rows = db.conn.execute(
        "SELECT id FROM campaigns WHERE status = 'open' AND scanned_at IS NULL ORDER BY id"
    )
    return [int(r[0]) for r in rows]


def found_in_campaign(db: Database, campaign: int) -> set[int]:
    """The battles of a campaign that are held or have a finding that stands."""
    rows = db.conn.execute(
        """SELECT battle FROM battle_cover WHERE campaign = ?1 AND held = 1 UNION
        SELECT f.battle FROM battle_findings f JOIN battles b ON b.id = f.battle
        WHERE b.campaign = ?1 AND f.dismissed_at IS NULL""",
        (campaign,),
    )
    return {int(r[0]) for r in rows}


def battle_texts(db: Database, battles: Sequence[int]) -> list[BattleText]:
    """These battles with their prompts and texts."""
    rows = db.conn.execute(
        """SELECT b.id, p.messages, x.text, y.text FROM json_each(?) j JOIN battles b ON b.id = j.value
        JOIN prompts p ON p.id = b.prompt JOIN responses x ON x.id = b.response_a JOIN responses y ON y.id = b.response_b""",
        (json.dumps(list(battles)),),
    )
    return [BattleText(r[0], tuple(json.loads(r[1])), r[2], r[3]) for r in rows]


def names_of(db: Database, models: Sequence[str]) -> tuple[str, ...]:
    """What these models, and those they were made from, are called: here, at their source, on their server."""
    rows = db.conn.execute(
        """WITH RECURSIVE family(id) AS (
          SELECT id FROM models WHERE name IN (SELECT value FROM json_each(?))
          UNION SELECT p.id FROM family f JOIN models m ON m.id = f.id JOIN models p ON p.id = m.parent)
        SELECT m.name, m.source, m.adapter, m.remote_name FROM family f JOIN models m ON m.id = f.id ORDER BY m.id""",
        (json.dumps(list(models)),),
    )
    return tuple(dict.fromkeys(str(name) for row in rows for name in row if name))


SCANNED = (FindingKind.IDENTITY, FindingKind.TEMPLATE, FindingKind.NEAR_IDENTICAL, FindingKind.EMPTY)
"""the kinds a scan finds; people give the others"""


def put_findings(db: Database, found: Mapping[int, Sequence[Finding]]) -> None:
    """Set what a scan found in these battles. What an owner dismissed stays dismissed; what is not there any more goes."""
    with transaction(db):
        stored: dict[int, set[Finding]] = {}
        rows = db.conn.execute(
            """SELECT battle, slot, kind, what FROM battle_findings
            WHERE battle IN (SELECT value FROM json_each(?)) AND kind IN (SELECT value FROM json_each(?))""",
            (json.dumps(list(found)), json.dumps(SCANNED)),
        )
        for r in rows:
            stored.setdefault(r[0], set()).add(Finding(r[1], FindingKind(r[2]), r[3]))
        gone = [(b, f.slot, f.kind, f.what) for b, old in stored.items() for f in old - set(found[b])]
        new = [
            (b, f.slot, f.kind, f.what) for b, one in found.items() for f in one if f not in stored.get(b, ())
        ]
        db.conn.executemany(
            "DELETE FROM battle_findings WHERE (battle, slot, kind, what) = (?, ?, ?, ?) AND dismissed_at IS NULL",
            gone,
        )
        db.conn.executemany("INSERT INTO battle_findings(battle, slot, kind, what) VALUES (?, ?, ?, ?)", new)


def carry_decisions(db: Database, campaign: int) -> None:
    """Dismiss what an owner dismissed before on the same two responses in the same lineage: a new version asks no twice."""
    with transaction(db):
        db.conn.execute(
            """UPDATE battle_findings SET dismissed_at = d.at, dismissed_by = d.by FROM (
              SELECT n.id AS battle, f.slot, f.kind, f.what, max(f.dismissed_at) AS at, f.dismissed_by AS by
              FROM battle_findings f JOIN battles o ON o.id = f.battle JOIN campaigns k ON k.id = o.campaign
              JOIN campaigns c ON c.id = ?1 AND c.lineage = k.lineage
              JOIN battles n ON n.campaign = ?1 AND n.response_a = o.response_a AND n.response_b = o.response_b
              WHERE f.dismissed_at IS NOT NULL AND o.campaign <> ?1 AND f.kind IN (SELECT value FROM json_each(?2))
              GROUP BY 1, 2, 3, 4) d
            WHERE (battle_findings.battle, battle_findings.slot, battle_findings.kind, battle_findings.what)
              = (d.battle, d.slot, d.kind, d.what) AND battle_findings.dismissed_at IS NULL""",
            (campaign, json.dumps(SCANNED)),
        )


def release(db: Database, battle: int, who: str, reason: str = "") -> int:
    """Dismiss what stands against a battle, so that it is served and counted again; how many findings that were."""
    with transaction(db):
        cursor = db.conn.execute(
            """UPDATE battle_findings SET dismissed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), dismissed_by = ?
            WHERE battle = ? AND dismissed_at IS NULL""",
            (who, battle),
        )
        if cursor.rowcount == 0:
            raise UserError(f"nothing stands against battle {battle}", "`campaign guard` lists what is held")
        audit.note(db, who, f"released battle {battle}{_because(reason)}")
        return int(cursor.rowcount)


def hold(db: Database, battle: int, who: str, reason: str = "") -> None:
    """Hold a battle by hand: it is not lent until it is released. Votes on it stay and count."""
    with transaction(db):
        db.conn.execute(
            """INSERT INTO battle_findings(battle, slot, kind, what) VALUES (?, 'both', 'by_hand', ?)
            ON CONFLICT DO UPDATE SET dismissed_at = NULL, dismissed_by = NULL""",
            (battle, reason.strip() or "held by the owner"),
        )
        audit.note(db, who, f"held battle {battle}{_because(reason)}")


def _because(reason: str) -> str:
    return f": {reason.strip()}" if reason.strip() else ""


def campaign_of(db: Database, battle: int) -> int:
    """The campaign of a battle; NotFound, and UserError for a pair with a known answer, which is never held."""
    row = db.conn.execute(
        "SELECT campaign, id IN (SELECT battle FROM gold_pairs) FROM battles WHERE id = ?", (battle,)
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no battle {battle}", "`campaign guard NAME` lists them by number")
    if row[1]:
        raise UserError(f"battle {battle} is a pair with a known answer", "the guard leaves those alone")
    return int(row[0])


def covered_words(db: Database, battle: int) -> dict[str, list[str]]:
    """{slot: the words to cover} of a battle whose campaign serves leaks covered; empty under any other rule."""
    rows = db.conn.execute(
        """SELECT f.slot, f.what FROM battle_findings f JOIN battles b ON b.id = f.battle
        JOIN campaigns k ON k.id = b.campaign AND k.guard = 'redact'
        WHERE f.battle = ? AND f.dismissed_at IS NULL AND f.kind IN ('identity', 'template')""",
        (battle,),
    )
    words: dict[str, list[str]] = {}
    for slot, what in rows:
        words.setdefault(slot, []).append(what)
    return words


class FindingRow(NamedTuple):
    """A finding as the owner sees it: with the texts, and what became of the battle."""

    battle: int
    slot: str
    kind: FindingKind
    what: str
    """the words found; for a report, what the rater wrote"""
    by: str | None
    """the rater who reported it, by pseudonym"""
    prompt: str
    text: str
    """the response of the slot; both, for a finding that is about both"""
    held: bool
    leaked: bool
    votes: int
    """standing votes on the battle, skips left out"""
    found_at: str
    dismissed_at: str | None
    dismissed_by: str | None


_ROWS = """SELECT f.battle, f.slot, f.kind, f.what, t.name, p.text,
  CASE f.slot WHEN 'a' THEN x.text WHEN 'b' THEN y.text ELSE coalesce(x.text, '') || char(10, 10) || coalesce(y.text, '') END,
  coalesce(c.held, 0), coalesce(c.leaked, 0), coalesce(c.votes, 0), f.found_at, f.dismissed_at, f.dismissed_by,
  (SELECT v.report FROM votes v WHERE v.battle = f.battle AND v.rater = t.id AND v.report IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id) ORDER BY v.id DESC LIMIT 1)
FROM battle_findings f JOIN battles b ON b.id = f.battle JOIN prompts p ON p.id = b.prompt
JOIN responses x ON x.id = b.response_a JOIN responses y ON y.id = b.response_b
LEFT JOIN battle_cover c ON c.battle = f.battle
LEFT JOIN raters t ON f.kind = 'reported' AND t.id = CAST(f.what AS INTEGER)
WHERE b.campaign = ? ORDER BY f.dismissed_at IS NOT NULL, f.battle, f.kind, f.slot LIMIT ?"""


def findings_of(db: Database, campaign: int, limit: int = -1) -> list[FindingRow]:
    """The findings of a campaign, those that stand first; all of them unless limited."""
    return [
        FindingRow(r[0], r[1], FindingKind(r[2]), str(r[13] or "") if r[2] == "reported" else r[3], r[4], r[5] or "",
                   r[6] or "", bool(r[7]), bool(r[8]), r[9], r[10], r[11], r[12])
        for r in db.conn.execute(_ROWS, (campaign, limit))
    ]  # fmt: skip


def finding_count(db: Database, campaign: int) -> int:
    """How many findings a campaign has, dismissed ones too."""
    row = db.conn.execute(
        "SELECT count(*) FROM battle_findings f JOIN battles b ON b.id = f.battle WHERE b.campaign = ?",
        (campaign,),
    ).fetchone()
    return int(row[0])


class Found(NamedTuple):
    """In how many battles of a campaign something was found, dismissed or not."""

    battles: int
    held: int
    only: int
    """battles with one certain finding, counted here and nowhere else"""


def found_beside(db: Database, campaign: int, what: str) -> Found:
    """Count the battles with findings, those with the finding `what` apart."""
    row = db.conn.execute(
        """SELECT coalesce(sum(1 - apart), 0), coalesce(sum(held AND NOT apart), 0), coalesce(sum(apart), 0) FROM (
          SELECT max(f.what = ?2) AS apart, coalesce(max(c.held), 0) AS held
          FROM battles b JOIN battle_findings f ON f.battle = b.id LEFT JOIN battle_cover c ON c.battle = b.id
          WHERE b.campaign = ?1 GROUP BY b.id)""",
        (campaign, what),
    ).fetchone()
    return Found(*row)


class GuardCounts(NamedTuple):
    """How much of a campaign the guard touches."""

    held: int
    leaked: int
    reported: int
    """battles with a report that stands"""
    left_out: int
    """votes that are not counted because their battle gives a model away"""
    marked: int
    """imported votes on such battles, which count"""
    kinds: dict[str, int]
    """{kind: battles with a finding of it that stands}"""


def guard_counts(db: Database, campaign: int) -> GuardCounts:
    """What is held, leaked and reported in a campaign, and the votes that are left out for it."""
    held, leaked = db.conn.execute(
        "SELECT coalesce(sum(held), 0), coalesce(sum(leaked), 0) FROM battle_cover WHERE campaign = ?",
        (campaign,),
    ).fetchone()
    kinds = dict(
        db.conn.execute(
            """SELECT f.kind, count(DISTINCT f.battle) FROM battle_findings f JOIN battles b ON b.id = f.battle
            WHERE b.campaign = ? AND f.dismissed_at IS NULL GROUP BY f.kind""",
            (campaign,),
        ).fetchall()
    )
    left_out, marked = db.conn.execute(
        """SELECT coalesce(sum(s.state = 'identity leak'), 0), coalesce(sum(s.state = 'counted' AND v.import IS NOT NULL), 0)
        FROM battle_cover c CROSS JOIN votes v ON v.battle = c.battle CROSS JOIN vote_states s ON s.vote = v.id
        WHERE c.campaign = ? AND c.leaked = 1""",
        (campaign,),
    ).fetchone()
    return GuardCounts(held, leaked, kinds.get("reported", 0), left_out, marked, kinds)
