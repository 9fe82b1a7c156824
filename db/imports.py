"""An import: what is there already, what it adds; opened, filled, finished. Its votes count from its end on."""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlite_utils import Database

from db.campaigns import _insert_campaign, get_campaign
from db.catalog import _set_id
from db.connection import checked_name, transaction
from db.entities.campaigns import Campaign, CampaignSettings, CampaignStatus
from db.entities.catalog import Split
from db.entities.votes import Outcome, RaterKind
from db.errors import Conflict

# -- what is there, what is added --------------------------------------------------------------------------------


def add_empty_campaign(
    db: Database, name: str, prompts: str, settings: CampaignSettings, status: CampaignStatus
) -> Campaign:
    """A campaign without battles or models, for an import to fill; Conflict where the name is taken."""
    with transaction(db):
        if db.conn.execute("SELECT 1 FROM campaigns WHERE name = ?", (name,)).fetchone():
            raise Conflict(f"there is already a campaign named {name!r}", "choose another name")
        _insert_campaign(db, checked_name(name, "campaign"), prompts, settings, status, None, None, None)
        return get_campaign(db, name)


def drop_empty_campaign(db: Database, campaign: int) -> bool:
    """Take back a campaign that an import made and put nothing in; whether it was one."""
    with transaction(db):
        empty = """id = ? AND status IN ('closed', 'draft') AND id NOT IN (SELECT campaign FROM battles)
          AND id NOT IN (SELECT campaign FROM campaign_models)"""
        found = db.conn.execute(f"SELECT 1 FROM campaigns WHERE {empty}", (campaign,)).fetchone() is not None
        if found:
            db.conn.execute("UPDATE campaigns SET lineage = NULL WHERE id = ?", (campaign,))
            db.conn.execute("DELETE FROM campaigns WHERE id = ?", (campaign,))
        return found


def add_to_set(db: Database, name: str, prompts: Iterable[str]) -> None:
    """Put stored prompts into a set, made where missing, in one step."""
    with transaction(db):
        set_id = _set_id(db, name)
        db.conn.executemany(
            "INSERT OR IGNORE INTO prompt_set_members VALUES (?, ?)", [(set_id, p) for p in prompts]
        )


def has_pair_set(db: Database, name: str) -> bool:
    """Whether there is a pair set of this name."""
    return db.conn.execute("SELECT 1 FROM pair_sets WHERE name = ?", (name,)).fetchone() is not None


def rename_pair_set(db: Database, old: str, new: str) -> None:
    """Give a pair set that an import filled its own name, in one step."""
    with transaction(db):
        db.conn.execute("UPDATE pair_sets SET name = ? WHERE name = ?", (new, old))


def splits_of(db: Database, prompts: Sequence[str]) -> dict[str, Split]:
    """{prompt: the split it is stored with} for those that are stored."""
    rows = db.conn.execute(
        "SELECT id, split FROM prompts WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(prompts)),),
    )
    return {str(r[0]): Split(str(r[1])) for r in rows}


class StoredText(NamedTuple):
    """A stored response without its settings; `text` None where only votes know it."""

    id: str
    text: str | None
    sample: int


def texts_of_model(db: Database, prompt: str, model: int | None) -> list[StoredText]:
    """A model's responses to one prompt (or those of no model), in order of their sample numbers."""
    rows = db.conn.execute(
        "SELECT id, text, sample FROM responses WHERE prompt = ? AND model IS ? ORDER BY sample, number",
        (prompt, model),
    )
    return [StoredText(*r) for r in rows]


class KnownRater(NamedTuple):
    """A rater's kind, and whether a seat of this home is theirs."""

    kind: RaterKind
    seated: bool


def rater_kind(db: Database, name: str) -> KnownRater | None:
    """What is known of a rater by name; None where there is none."""
    row = db.conn.execute(
        "SELECT kind, EXISTS (SELECT 1 FROM seats WHERE rater = r.id) FROM raters r WHERE name = ?", (name,)
    ).fetchone()
    return KnownRater(RaterKind(row[0]), bool(row[1])) if row else None


def battles_of(
    db: Database, campaign: int, prompt: str, turn: int | None, models: Iterable[int]
) -> dict[int, int]:
    """{battle: the model in its slot a} of a campaign's battles on a prompt and turn between these two models.

    `models` are two, different ones. Found by their responses: battles have no index by prompt.
    """
    rows = db.conn.execute(
        """SELECT b.id, b.model_a FROM responses r INDEXED BY responses_by_model
        CROSS JOIN battles b ON b.campaign = ?1 AND b.response_a = r.id WHERE r.model IN (?4, ?5) AND r.prompt = ?2
        AND b.turn IS ?3 AND b.model_a IN (?4, ?5) AND b.model_b IN (?4, ?5) AND b.model_a <> b.model_b""",
        (campaign, prompt, turn, *models),
    )
    return {int(r[0]): int(r[1]) for r in rows}


class StoredReceipt(NamedTuple):
    """A vote that is there already: what it says, and whether the import that brought it was cut off."""

    outcome: Outcome
    import_id: int | None
    cut_off: bool


def vote_of_receipt(db: Database, receipt: str) -> StoredReceipt | None:
    """The stored vote of a receipt, or None."""
    row = db.conn.execute(
        """SELECT v.outcome, v.import, i.id IS NOT NULL AND i.finished_at IS NULL
        FROM votes v LEFT JOIN imports i ON i.id = v.import WHERE v.receipt = ?""",
        (receipt,),
    ).fetchone()
    return StoredReceipt(Outcome(row[0]), row[1], bool(row[2])) if row else None


class Item(NamedTuple):
    """Two responses to one prompt, as a source's votes know them."""

    prompt: str
    response_a: str
    response_b: str
    model_a: int
    model_b: int


def add_items(db: Database, items: Iterable[tuple[str, str, str]]) -> int:
    """Remember (item, response a, response b); how many were new."""
    with transaction(db):
        rows = [
            db.conn.execute("INSERT OR IGNORE INTO item_refs VALUES (?, ?, ?)", item).rowcount
            for item in items
        ]
        return sum(rows)


def items_of_ref(db: Database, item: str) -> list[Item]:
    """What a source's item id stands for; more than one where two sources use the same id."""
    rows = db.conn.execute(
        """SELECT a.prompt, a.id, b.id, a.model, b.model FROM item_refs i
        JOIN responses a ON a.id = i.response_a JOIN responses b ON b.id = i.response_b WHERE i.ref = ?""",
        (item,),
    )
    return [Item(*r) for r in rows]


# -- votes -----------------------------------------------------------------------------------------------------


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


def last_vote(db: Database) -> int:
    """The number of the newest vote, 0 where there is none."""
    return int(db.conn.execute("SELECT coalesce(max(id), 0) FROM votes").fetchone()[0])


def finish_import(db: Database, import_id: int, counts: ImportCounts, after: int = 0) -> None:
    """Make an import's votes count, in one step; they are all `after` this vote."""
    with transaction(db):
        db.conn.execute(
            """UPDATE imports SET read = ?, added = ?, already_there = ?, refused = ?,
            finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = ?""",
            (*counts, import_id),
        )
        count_import(db, import_id, after)


def count_import(db: Database, import_id: int, after: int = 0) -> None:
    """Let the votes of an import count; for the caller's transaction, once an import.

    Votes have no index by their import: every vote `after` this one is looked at, by number (hence the +).
    """
    db.conn.execute(
        """INSERT INTO vote_counts SELECT v.campaign, b.model_a, b.model_b, v.rater, v.outcome, count(*)
        FROM votes v JOIN battles b ON b.id = v.battle WHERE v.import = ? AND v.id > ? GROUP BY 1, 2, 3, 4, 5
        ON CONFLICT DO UPDATE SET n = n + excluded.n""",
        (import_id, after),
    )
    for table, key in (("battle_cover", "battle"), ("campaign_sizes", "campaign")):
        db.conn.execute(
            f"""UPDATE {table} SET votes = votes + v.n FROM (
              SELECT {key}, count(*) AS n FROM votes WHERE import = ? AND id > ? AND outcome <> 'skip'
              AND rater NOT IN (SELECT rater FROM excluded_raters)
              AND rater NOT IN (SELECT id FROM raters WHERE kind = 'judge') GROUP BY +{key}
            ) v WHERE v.{key} = {table}.{key}""",
            (import_id, after),
        )
