"""Copies of a home's database, putting one back, and checking that nothing in it contradicts itself."""

import contextlib
import functools
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlite_utils import Database

from db import copies
from db.connection import APPLICATION_ID, Home, open_reader, open_writer
from db.entities.catalog import content_id
from db.errors import UserError
from db.files import sync
from db.lock import Lock
from db.migrations import migrations

BESIDE = ("", "-wal", "-shm")
"""the files a SQLite database may consist of"""
SQLITE = b"SQLite format 3\0"
"""how such a file begins"""


def backup(home: Home, file: Path) -> int:
    """Write a consistent copy to `file`; its size in bytes. Works beside a running server."""
    if any(file.resolve() == _part(home.database, suffix).resolve() for suffix in BESIDE):
        raise UserError(f"{file} is the home's own database", "name another file")
    if file.is_file() and not _may_be_replaced(file):
        raise UserError(
            f"{file} is there already and is no database", "name another file, or move this one away"
        )
    with contextlib.closing(open_reader(home).conn) as conn:
        return copies.write(conn, file)


def _may_be_replaced(file: Path) -> bool:
    """Whether a file is an older copy, or has nothing in it."""
    with file.open("rb") as opened:
        return opened.read(len(SQLITE)) in (SQLITE, b"")


def restore(home: Home, file: Path) -> Path | None:
    """Put a backup in place, of an older version too; what it replaces is kept in backups/ (None: there was nothing).

    UserError while a server runs, and for anything but a sound copy that this version can read; nothing is changed
    then.
    """
    if not file.is_file():
        raise UserError(f"there is no file {file}", "name a file that `backup` wrote")
    if home.database.exists() and file.samefile(home.database):
        raise UserError(f"{file} is the home's own database", "name a file that `backup` wrote")
    lock = Lock(home)
    aside = Home(home.root / ".restoring")
    try:
        shutil.rmtree(aside.root, ignore_errors=True)
        aside.root.mkdir()
        shutil.copyfile(file, aside.database)
        _refuse_unsound(aside.database, file)
        open_writer(aside).conn.close()
        sync(aside.database)
        kept = _set_aside(home)
        sync(home.backups)
        try:
            aside.database.replace(home.database)
        except OSError:
            if kept is not None and home.database.exists() and kept.samefile(home.database):
                kept.unlink()  # it is another name of what is in use
            raise
        sync(home.root)
    except OSError as error:
        raise UserError(f"cannot restore {file}: {error.strerror or error}",
                        "free some disk space, then restore again") from None  # fmt: skip
    finally:
        shutil.rmtree(aside.root, ignore_errors=True)
        lock.release()
    return kept


def _part(database: Path, suffix: str) -> Path:
    return database.with_name(database.name + suffix)


def _refuse_unsound(copy: Path, file: Path) -> None:
    """UserError where the copy of the file is no database of ours, or a damaged one."""
    try:
        with contextlib.closing(sqlite3.connect(copy)) as conn:
            mark = conn.execute("PRAGMA application_id").fetchone()[0]
            sound = conn.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise UserError(f"{file} is not a backup ({error})", "name a file that `backup` wrote") from None
    if mark != APPLICATION_ID or sound != "ok":
        raise UserError(f"{file} is not a sound Tastebench database", "name a file that `backup` wrote")


def _set_aside(home: Home) -> Path | None:
    """Move the home's database into backups/: as one file where it can be read, as it lies there where it cannot."""
    if not home.database.exists():
        return None
    kept = home.backups / f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.db"
    if _folded_in(home.database):
        try:
            os.link(home.database, kept)  # no second of work and no byte of space, however large it is
        except OSError:
            backup(home, kept)
    else:
        for suffix in BESIDE:
            if _part(home.database, suffix).exists():
                _part(home.database, suffix).replace(_part(kept, suffix))
    for suffix in BESIDE[1:]:  # they belong to the old database and would spoil the new one
        _part(home.database, suffix).unlink(missing_ok=True)
    return kept


def _folded_in(database: Path) -> bool:
    """Put what lies in the log of writes into the database itself, so that it is whole without that file.

    False where it is too damaged for that. UserError where another program has it open, or the disk has no room; nothing
    is changed then.
    """
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=2)) as conn:
            busy = bool(conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if "full" in str(error):
            raise UserError(f"cannot restore: {error}", "free some disk space, then restore again") from None
        busy = "locked" in str(error)
        if not busy:
            return False
    except sqlite3.DatabaseError:
        return False
    if busy:
        raise UserError(f"another program has {database} open", "close it, then restore again")
    return True


STANDING = """votes v JOIN battles b ON b.id = v.battle LEFT JOIN imports i ON i.id = v.import
  LEFT JOIN assignments s ON s.id = v.assignment
  WHERE coalesce(s.kind, 'battle') = 'battle' AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)
  AND (v.import IS NULL OR i.finished_at IS NOT NULL)"""
COUNTING = """v.rater NOT IN (SELECT rater FROM excluded_raters)
  AND v.rater NOT IN (SELECT id FROM raters WHERE kind = 'judge')"""
"""a machine's verdict covers no battle: people are asked all the same"""

# What must hold beyond what the schema enforces by itself: (sentence, query that finds exceptions).
INVARIANTS = (
    ("a vote is by its assignment's rater on its assignment's battle",
     """SELECT v.id FROM votes v JOIN assignments s ON s.id = v.assignment
        WHERE s.rater <> v.rater OR s.battle <> v.battle"""),
    ("no rater has two standing votes cast on one battle",
     """SELECT max(v.id) FROM votes v JOIN assignments s ON s.id = v.assignment
        WHERE NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)
        GROUP BY v.rater, v.battle, s.kind = 'repeat' HAVING count(*) > 1"""),
    ("a held-out prompt is never trained on",
     """SELECT s.snapshot FROM snapshot_rows s JOIN prompts p ON p.id = s.prompt
        WHERE s.part = 'train' AND p.split = 'heldout'"""),
    ("a vote of an evaluate campaign never trains",
     """SELECT v.id FROM snapshot_rows s JOIN json_each(s.votes) j JOIN votes v ON v.id = j.value
        JOIN campaigns c ON c.id = v.campaign WHERE c.purpose = 'evaluate'"""),
    ("an evaluate campaign shows held-out prompts only",
     """SELECT b.id FROM battles b JOIN campaigns c ON c.id = b.campaign AND c.purpose = 'evaluate'
        JOIN prompts p ON p.id = b.prompt WHERE p.split <> 'heldout'"""),
    ("no battle is there a second time with its slots turned round",
     """SELECT b.id FROM battles b JOIN battles o ON o.campaign = b.campaign
        AND o.response_a = b.response_b AND o.response_b = b.response_a"""),
    ("a vote on a check question never trains",
     """SELECT v.id FROM snapshot_rows s JOIN json_each(s.votes) j JOIN votes v ON v.id = j.value
        JOIN assignments a ON a.id = v.assignment AND a.kind <> 'battle'"""),
    ("the counts by rater and outcome equal the standing votes",
     f"""WITH standing AS (SELECT v.campaign, b.model_a, b.model_b, v.rater, v.outcome, count(*) AS n
          FROM {STANDING} GROUP BY 1, 2, 3, 4, 5), kept AS (SELECT * FROM vote_counts WHERE n <> 0)
        SELECT campaign FROM (SELECT * FROM standing EXCEPT SELECT * FROM kept)
        UNION ALL SELECT campaign FROM (SELECT * FROM kept EXCEPT SELECT * FROM standing)"""),
    ("the counts of a battle equal its standing votes and live leases",
     f"""SELECT c.battle FROM battle_cover c
        LEFT JOIN (SELECT v.battle, count(*) AS n FROM {STANDING} AND v.outcome <> 'skip' AND {COUNTING} GROUP BY 1) w USING (battle)
        LEFT JOIN (SELECT battle, count(*) AS n FROM open_leases WHERE live = 1 AND covers = 1 GROUP BY 1) l USING (battle)
        WHERE c.votes <> coalesce(w.n, 0) OR c.leases <> coalesce(l.n, 0)"""),
    ("the sizes of a campaign equal its battles and standing votes",
     f"""SELECT c.id FROM campaigns c LEFT JOIN campaign_sizes z ON z.campaign = c.id
        WHERE coalesce(z.battles, 0) <> (SELECT count(*) FROM battles WHERE campaign = c.id AND id NOT IN (SELECT battle FROM gold_pairs))
        OR coalesce(z.held, 0) <> (SELECT count(*) FROM battle_cover WHERE campaign = c.id AND held = 1)
        OR coalesce(z.votes, 0) <> (SELECT count(*) FROM {STANDING} AND v.outcome <> 'skip' AND {COUNTING} AND v.campaign = c.id)"""),
    ("what the guard holds and marks as leaked follows from its findings",
     """SELECT c.battle FROM battle_cover c JOIN guard_states g ON g.battle = c.battle
        WHERE c.held <> g.held OR c.leaked <> g.leaked"""),
    ("a report weighs by its rater's votes, and two that weigh hold a battle",
     """SELECT battle FROM report_weights WHERE weighs <> due UNION ALL
        SELECT c.battle FROM battle_cover c JOIN report_states s ON s.battle = c.battle
        WHERE c.reported = 1 AND s.reported = 0"""),
    ("the counts of check questions equal their standing votes",
     """WITH standing AS (SELECT v.campaign, v.rater, s.kind, count(*) AS n, sum(v.outcome = 'skip') AS skipped
          FROM votes v JOIN assignments s ON s.id = v.assignment AND s.kind <> 'battle'
          WHERE NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id) GROUP BY 1, 2, 3),
        kept AS (SELECT * FROM check_counts WHERE n <> 0)
        SELECT campaign FROM (SELECT * FROM standing EXCEPT SELECT * FROM kept)
        UNION ALL SELECT campaign FROM (SELECT * FROM kept EXCEPT SELECT * FROM standing)"""),
    ("a succeeded run has its model",
     """SELECT r.name FROM runs r WHERE r.status = 'succeeded'
        AND NOT EXISTS (SELECT 1 FROM models m WHERE m.run = r.id)"""),
)  # fmt: skip


def check(home: Home) -> list[str]:
    """What is wrong with a home's database, one sentence each; empty where nothing is. UserError: it cannot be opened."""
    db = open_writer(home)
    with contextlib.closing(db.conn):
        try:
            return list(problems(db))
        except sqlite3.DatabaseError as error:
            return [f"integrity: the database cannot be read through ({error})"]


def problems(db: Database) -> Iterator[str]:
    """What is wrong with an open database, one sentence each; also within a transaction."""
    damage = [str(row[0]) for row in db.conn.execute("PRAGMA integrity_check") if row[0] != "ok"]
    yield from (f"integrity: {line}" for line in damage)
    there = _schema(db)
    for (kind, name), text in _own_schema().items():
        if there.get((kind, name)) != text:
            yield f"schema: {kind} {name} is {'not what it was made as' if (kind, name) in there else 'gone'}"
    for table, row, parent, _ in db.conn.execute("PRAGMA foreign_key_check"):
        yield f"foreign key: {table} row {row} names no {parent}"
    for sentence, query in INVARIANTS:
        exceptions = db.conn.execute(query).fetchall()
        if exceptions:
            yield f"not so: {sentence} ({len(exceptions)} exceptions, first {exceptions[0][0]})"
    for (name,) in db.conn.execute("SELECT name FROM campaigns WHERE status = 'open' AND scanned_at IS NULL"):
        yield f"unscanned: campaign {name} is open and the blinding guard has not looked at it (start `serve`)"
    yield from _altered(db)


def _schema(db: Database) -> dict[tuple[str, str], str]:
    """{(table, index, trigger or view; its name): how it was made}; what SQLite makes by itself left out."""
    rows = db.conn.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {(str(r[0]), str(r[1])): str(r[2]) for r in rows}


@functools.cache
def _own_schema() -> dict[tuple[str, str], str]:
    """What the migrations make: the rules that keep votes as they were given are triggers, which any tool can drop."""
    new = Database(memory=True)
    with contextlib.closing(new.conn):
        migrations.apply(new)
        return _schema(new)


def _altered(db: Database) -> Iterator[str]:
    """Prompts and responses whose content is not what their id was made of."""
    for pid, messages in db.conn.execute("SELECT id, messages FROM prompts WHERE messages <> '[]'"):
        if content_id("prompt", json.loads(messages)) != pid:
            yield f"altered: prompt {pid} is not the text it was stored as"
    rows = db.conn.execute(
        """SELECT r.id, r.prompt, m.name, r.sample, r.text FROM responses r LEFT JOIN models m ON m.id = r.model"""
    )
    for rid, prompt, model, sample, text in rows:
        if content_id("response", prompt, model, sample, text) != rid:
            yield f"altered: response {rid} is not the text it was stored as"
