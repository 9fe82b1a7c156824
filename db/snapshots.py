"""Rows to train on: named pair sets, and snapshots that are frozen under their hash."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlite_utils import Database

from db.catalog import Added
from db.connection import checked_name, transaction
from db.entities.catalog import Split
from db.entities.runs import Snapshot
from db.entities.votes import PreferencePair
from db.errors import NotFound, one_of

# -- named pair sets -------------------------------------------------------------------------------------------


def add_pairs(db: Database, name: str, source: str, pairs: Iterable[tuple[str, str, str]]) -> Added:
    """Add (prompt, chosen response, rejected response) to a named pair set, kept apart from people's votes."""
    added = seen = 0
    with transaction(db):
        db.conn.execute(
            "INSERT INTO pair_sets(name, source) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (checked_name(name, "pair set"), source),
        )
        set_id = db.conn.execute("SELECT id FROM pair_sets WHERE name = ?", (name,)).fetchone()[0]
        for prompt, chosen, rejected in pairs:
            seen += 1
            added += db.conn.execute(
                "INSERT INTO pairs(pair_set, prompt, chosen, rejected) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (set_id, prompt, chosen, rejected),
            ).rowcount
    return Added(added, seen - added)


def pair_sets(db: Database) -> list[tuple[str, str, int]]:
    """(name, source, pairs) of every named pair set."""
    rows = db.conn.execute(
        """SELECT s.name, s.source, count(p.id) FROM pair_sets s LEFT JOIN pairs p ON p.pair_set = s.id
        GROUP BY s.id ORDER BY s.id"""
    )
    return [(str(r[0]), str(r[1]), int(r[2])) for r in rows]


def pairs_of_set(db: Database, name: str) -> list[PreferencePair]:
    """The pairs of a named set, in order; NotFound."""
    row = db.conn.execute("SELECT id FROM pair_sets WHERE name = ?", (name,)).fetchone()
    if row is None:
        names = one_of((n for n, _, _ in pair_sets(db)), name)
        raise NotFound(
            f"there is no pair set {name!r}", f"import one with `import pairs`, or use one of: {names}"
        )
    rows = db.conn.execute(
        """SELECT q.prompt, q.chosen, q.rejected, p.split FROM pairs q JOIN prompts p ON p.id = q.prompt
        WHERE q.pair_set = ? ORDER BY q.id""",
        (row[0],),
    )
    return [PreferencePair(r[0], r[1], r[2], (), 1.0, Split(r[3])) for r in rows]


# -- snapshots -------------------------------------------------------------------------------------------------


def freeze_rows(
    db: Database,
    snapshot_id: str,
    source: str,
    policy: Mapping[str, object],
    table: str,
    rows: Sequence[Sequence[object]],
) -> Snapshot:
    """Freeze rows under their hash, in order; the first of a row is its split. The same again give the same snapshot."""
    with transaction(db):
        if old := find_snapshot(db, snapshot_id):
            return old
        splits = [row[0] for row in rows]
        db.conn.execute(
            "INSERT INTO snapshots(id, source, policy, train, heldout) VALUES (?, ?, ?, ?, ?)",
            (
                snapshot_id,
                source,
                json.dumps(policy, sort_keys=True),
                splits.count(Split.TRAIN),
                splits.count(Split.HELDOUT),
            ),
        )
        if rows:
            marks = ", ".join("?" * (2 + len(rows[0])))
            frozen = [(snapshot_id, position, *row) for position, row in enumerate(rows)]
            db.conn.executemany(f"INSERT INTO {table} VALUES ({marks})", frozen)
        return get_snapshot(db, snapshot_id)


def add_snapshot(
    db: Database, snapshot_id: str, source: str, policy: Mapping[str, object], pairs: Sequence[PreferencePair]
) -> Snapshot:
    """Freeze pairs; a held-out prompt never trains (a trigger)."""
    rows = [
        (p.split, p.prompt, p.chosen, p.rejected, json.dumps(p.votes), p.agreement, p.margin) for p in pairs
    ]
    return freeze_rows(db, snapshot_id, source, policy, "snapshot_pairs", rows)


def find_snapshot(db: Database, snapshot_id: str) -> Snapshot | None:
    """A snapshot by its hash (or the first digits of it), or None."""
    rows = db.conn.execute(
        """SELECT id, source, policy, train, heldout, created_at FROM snapshots
        WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2""",
        (snapshot_id,),
    ).fetchall()
    return Snapshot(*rows[0]) if len(rows) == 1 and len(snapshot_id) >= 6 else None


def get_snapshot(db: Database, snapshot_id: str) -> Snapshot:
    """A snapshot by its hash; NotFound."""
    snapshot = find_snapshot(db, snapshot_id)
    if snapshot is None:
        raise NotFound(f"there is no snapshot {snapshot_id!r}", "`snapshot show` lists them")
    return snapshot


def list_snapshots(db: Database) -> list[Snapshot]:
    """Every snapshot, newest first."""
    rows = db.conn.execute(
        "SELECT id, source, policy, train, heldout, created_at FROM snapshots ORDER BY created_at DESC"
    )
    return [Snapshot(*r) for r in rows]


def snapshot_pairs(db: Database, snapshot_id: str) -> list[PreferencePair]:
    """The pairs of a snapshot as they were frozen, in order."""
    rows = db.conn.execute(
        """SELECT prompt, chosen, rejected, votes, agreement, part, margin FROM snapshot_pairs
        WHERE snapshot = ? ORDER BY position""",
        (snapshot_id,),
    )
    return [PreferencePair(r[0], r[1], r[2], tuple(json.loads(r[3])), r[4], Split(r[5]), r[6]) for r in rows]


def raters_of_snapshot(db: Database, snapshot_id: str) -> dict[str, int]:
    """{rater: their votes} behind the rows of a snapshot."""
    rows = db.conn.execute(
        """SELECT t.name, count(DISTINCT v.id) FROM snapshot_rows s JOIN json_each(s.votes) j
        JOIN votes v ON v.id = j.value JOIN raters t ON t.id = v.rater WHERE s.snapshot = ? GROUP BY t.id ORDER BY t.id""",
        (snapshot_id,),
    )
    return {str(r[0]): int(r[1]) for r in rows}


class SnapshotRow(NamedTuple):
    """A pair of a snapshot with its texts: one line of the file a trainer reads."""

    position: int
    part: str
    prompt_id: str
    prompt: list[dict[str, str]]
    chosen: str
    rejected: str
    chosen_model: str | None
    rejected_model: str | None
    votes: list[int]
    agreement: float | None
    margin: float | None


def snapshot_rows(db: Database, snapshot_id: str) -> Iterator[SnapshotRow]:
    """The pairs of a snapshot with their texts, in order."""
    rows = db.conn.execute(
        """SELECT s.position, s.part, s.prompt, p.messages, a.text, b.text, ma.name, mb.name, s.votes, s.agreement,
          s.margin FROM snapshot_pairs s JOIN prompts p ON p.id = s.prompt
        JOIN responses a ON a.id = s.chosen JOIN responses b ON b.id = s.rejected
        LEFT JOIN models ma ON ma.id = a.model LEFT JOIN models mb ON mb.id = b.model
        WHERE s.snapshot = ? ORDER BY s.position""",
        (snapshot_id,),
    )
    for r in rows:
        yield SnapshotRow(
            r[0], r[1], r[2], json.loads(r[3]), r[4], r[5], r[6], r[7], json.loads(r[8]), r[9], r[10]
        )
