"""An import: opened, filled, finished. The votes it brings count from its end on."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlite_utils import Database

from db.connection import transaction
from db.entities.votes import Outcome


class ImportedVote(NamedTuple):
    """A vote that was given elsewhere."""

    receipt: str
    campaign: int
    battle: int
    rater: int
    outcome: Outcome
    created_at: str | None


def add_imported_votes(db: Database, votes: Iterable[ImportedVote], import_id: int) -> int:
    """Store votes of an import; they count once the import is finished. Those there already add nothing."""
    added = 0
    with transaction(db):
        for v in votes:
            cursor = db.conn.execute(
                """INSERT INTO votes(receipt, campaign, battle, rater, outcome, import, created_at)
                VALUES (?, ?, ?, ?, ?, ?, coalesce(?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))
                ON CONFLICT (receipt) DO NOTHING""",
                (v.receipt, v.campaign, v.battle, v.rater, v.outcome, import_id, v.created_at),
            )
            added += cursor.rowcount
    return added


class ImportCounts(NamedTuple):
    """What an import did."""

    read: int
    added: int
    already_there: int
    refused: int


def begin_import(db: Database, kind: str, source: str, campaign: int | None = None) -> int:
    """Open an import; what it brings becomes visible when it is finished."""
    with transaction(db):
        cursor = db.conn.execute(
            "INSERT INTO imports(kind, source, campaign) VALUES (?, ?, ?)", (kind, source, campaign)
        )
        return int(cursor.lastrowid or 0)


def cut_off_import(db: Database, kind: str, source: str, campaign: int | None) -> int | None:
    """The import of this file that did not come to its end, if there is one; for the one who holds the import lock."""
    row = db.conn.execute(
        """SELECT max(id) FROM imports WHERE kind = ? AND source = ? AND campaign IS ? AND finished_at IS NULL""",
        (kind, source, campaign),
    ).fetchone()
    return None if row[0] is None else int(row[0])


def finish_import(db: Database, import_id: int, counts: ImportCounts) -> None:
    """Make an import's votes count, in one step."""
    with transaction(db):
        db.conn.execute(
            """UPDATE imports SET read = ?, added = ?, already_there = ?, refused = ?,
            finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = ?""",
            (*counts, import_id),
        )
        count_import(db, import_id)


def count_import(db: Database, import_id: int) -> None:
    """Let the votes of an import count; for the caller's transaction, once an import."""
    db.conn.execute(
        """INSERT INTO vote_counts SELECT v.campaign, b.model_a, b.model_b, v.rater, v.outcome, count(*)
        FROM votes v JOIN battles b ON b.id = v.battle WHERE v.import = ? GROUP BY 1, 2, 3, 4, 5
        ON CONFLICT DO UPDATE SET n = n + excluded.n""",
        (import_id,),
    )
    for table, key in (("battle_cover", "battle"), ("campaign_sizes", "campaign")):
        db.conn.execute(
            f"""UPDATE {table} SET votes = votes + v.n FROM (
              SELECT {key}, count(*) AS n FROM votes WHERE import = ? AND outcome <> 'skip'
              AND rater NOT IN (SELECT rater FROM excluded_raters)
              AND rater NOT IN (SELECT id FROM raters WHERE kind = 'judge') GROUP BY {key}
            ) v WHERE v.{key} = {table}.{key}""",
            (import_id,),
        )
