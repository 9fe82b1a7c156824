"""Copies of a home's database, putting one back, and checking that nothing in it contradicts itself."""

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from db.connection import APPLICATION_ID, Home, open_reader, open_writer, server_of
from db.errors import UserError


def backup(home: Home, file: Path) -> int:
    """Write a consistent copy to `file`, aside and then renamed; its size in bytes. Works beside a running server."""
    if not home.database.exists():
        raise UserError(f"{home.root} holds no arena.db", "name the home with --home")
    aside = file.with_name(file.name + ".part")
    aside.unlink(missing_ok=True)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        open_reader(home).conn.execute("VACUUM INTO ?", (str(aside),))
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.replace(file)
    except (OSError, sqlite3.OperationalError) as error:
        aside.unlink(missing_ok=True)
        raise UserError(f"cannot write {file}: {error}", "free some space or name another file") from None
    return file.stat().st_size


def restore(home: Home, file: Path) -> Path:
    """Put a backup in place; the database it replaces is kept in backups/. Refused while a server runs."""
    if server_of(home) is not None:
        raise UserError(f"a server runs on {home.root}", "stop it first")
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as probe:
        try:
            mark = probe.execute("PRAGMA application_id").fetchone()[0]
            sound = probe.execute("PRAGMA quick_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise UserError(f"{file} is not a backup ({error})", "name a file that `backup` wrote") from None
    if mark != APPLICATION_ID or sound != "ok":
        raise UserError(f"{file} is not a sound Tastebench database", "name a file that `backup` wrote")
    kept = home.backups / f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%S}.db"
    if home.database.exists():
        backup(home, kept)
    aside = home.database.with_suffix(".restoring")
    aside.write_bytes(file.read_bytes())
    for leftover in ("-wal", "-shm"):
        home.database.with_name(home.database.name + leftover).unlink(missing_ok=True)
    aside.replace(home.database)
    open_writer(home).conn.close()
    return kept


# What must hold beyond what the schema enforces by itself: (sentence, query that finds exceptions).
INVARIANTS = (
    ("a vote is by its assignment's rater on its assignment's battle",
     """SELECT v.id FROM votes v JOIN assignments s ON s.id = v.assignment
        WHERE s.rater <> v.rater OR s.battle <> v.battle"""),
    ("no rater has two standing votes cast on one battle",
     """SELECT max(v.id) FROM votes v WHERE v.assignment IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)
        GROUP BY v.rater, v.battle HAVING count(*) > 1"""),
    ("no held-out prompt was trained on",
     """SELECT s.position FROM snapshot_pairs s JOIN prompts p ON p.id = s.prompt
        WHERE s.part = 'train' AND p.split = 'heldout'"""),
    ("the kept counts equal the standing votes",
     """SELECT 1 FROM (
          SELECT v.campaign, b.model_a, b.model_b, v.rater, v.outcome, count(*) AS n FROM votes v
          JOIN battles b ON b.id = v.battle LEFT JOIN imports i ON i.id = v.import
          WHERE NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)
            AND (v.import IS NULL OR i.finished_at IS NOT NULL) GROUP BY 1, 2, 3, 4, 5
          EXCEPT SELECT * FROM vote_counts) UNION ALL
        SELECT 1 FROM (SELECT * FROM vote_counts WHERE n <> 0 EXCEPT
          SELECT v.campaign, b.model_a, b.model_b, v.rater, v.outcome, count(*) FROM votes v
          JOIN battles b ON b.id = v.battle LEFT JOIN imports i ON i.id = v.import
          WHERE NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)
            AND (v.import IS NULL OR i.finished_at IS NOT NULL) GROUP BY 1, 2, 3, 4, 5)"""),
    ("a succeeded run has its model",
     """SELECT r.id FROM runs r WHERE r.status = 'succeeded'
        AND NOT EXISTS (SELECT 1 FROM models m WHERE m.run = r.id)"""),
)  # fmt: skip


def check(home: Home) -> list[str]:
    """What is wrong with a home, one sentence each; empty where nothing is."""
    db = open_reader(home)
    found = [f"integrity: {row[0]}" for row in db.conn.execute("PRAGMA integrity_check") if row[0] != "ok"]
    found += [f"foreign key: {row[0]} row {row[1]} names no {row[2]}" for row in
              db.conn.execute("PRAGMA foreign_key_check")]  # fmt: skip
    for sentence, query in INVARIANTS:
        rows = db.conn.execute(query).fetchall()
        if rows:
            found.append(f"not so: {sentence} ({len(rows)} exceptions, first {rows[0][0]})")
    return found
