"""What must hold after any single change of the program went wrong: scenes for tests/faults/drive.py."""

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import psutil
from sqlite_utils import Database

from arena import jobs
from db import runs, upkeep
from db.connection import APPLICATION_ID, Home, Writer, home_at, open_writer, transaction
from db.entities.runs import JobStatus
from db.errors import Unwritable
from db.migrations import migrations
from labeling import joining, lending, rating
from labeling.submission import parse_submission
from tests.eras.make import FOLDER as ERAS
from tests.factories import NOW, make_home
from tests.faults.drive import Tell

Told = Sequence[Sequence[object]]
LATER = NOW + timedelta(seconds=1)


def lend(db: Database, count: int) -> tuple[str, list[str]]:
    """A new rater's cookie and the assignments they hold."""
    cookie = joining.join(db, joining.invite(db, "first", 1)[0].token, None, NOW)
    with transaction(db):
        ballots = lending.next_ballots(db, joining.session_from(db, cookie, NOW), count, NOW, None).ballots
    return cookie, [b.assignment for b in ballots]


def cast(db: Database, cookie: str, assignment: str) -> str:
    """A left vote on it; the receipt."""
    body = {"assignment": assignment, "choice": "left", "key": f"key-{assignment}"}
    with transaction(db):
        return rating.cast_vote(
            db, joining.session_from(db, cookie, LATER), parse_submission(body), LATER
        ).receipt


def give(home: Home, votes: int) -> None:
    """A new rater's votes."""
    with contextlib.closing(open_writer(home).conn) as conn:
        cookie, assignments = lend(Database(conn), votes)
        for assignment in assignments:
            cast(Database(conn), cookie, assignment)


def stored(file: Path) -> int:
    """How many votes a sound database file holds."""
    with contextlib.closing(sqlite3.connect(file)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(conn.execute("SELECT count(*) FROM votes").fetchone()[0])


class Vote:
    """Three votes, the log of writes folded into the database after each commit."""

    def build(self, place: Path) -> None:
        """A rater with three ballots."""
        home = make_home(place / "home")
        with contextlib.closing(open_writer(home).conn) as conn:
            (place / "held.json").write_text(json.dumps(lend(Database(conn), 3)))

    def prepare(self, place: Path) -> tuple[Writer, str, list[str]]:
        """The server's writer."""
        writer = Writer(home_at(place / "home"))
        writer.call(lambda db: db.conn.execute("PRAGMA wal_autocheckpoint=1").fetchall())
        cookie, assignments = json.loads((place / "held.json").read_text())
        return writer, cookie, assignments

    def act(self, prepared: tuple[Writer, str, list[str]], tell: Tell) -> None:
        """Vote."""
        writer, cookie, assignments = prepared
        refused = None
        for assignment in assignments:
            tell("sent", assignment)
            try:
                tell("saved", assignment, writer.call(lambda db, a=assignment: cast(db, cookie, a)))  # type: ignore[misc]
            except Unwritable as error:
                refused = error
        if refused is not None:
            raise refused

    def again(self, prepared: tuple[Writer, str, list[str]], tell: Tell) -> None:
        """The same votes with the same keys."""
        self.act(prepared, tell)
        prepared[0].close()

    def hold(self, place: Path, told: Told, end: str) -> None:
        """Stored: every vote that was answered, none that was not sent; asked again, each has its receipt; one row each."""
        home = home_at(place / "home")
        _, assignments = held = json.loads((place / "held.json").read_text())
        sent = {t[1] for t in told if t[0] == "sent"}
        saved = [(str(t[1]), t[2]) for t in told if t[0] == "saved"]
        assert len({a for a, _ in saved}) <= stored(home.database) <= len(sent)
        if end != "died":
            assert {a for a, _ in saved} == set(assignments)
        with contextlib.closing(open_writer(home).conn) as conn:
            receipts = {a: cast(Database(conn), held[0], a) for a in assignments}
        assert all(receipts[a] == receipt for a, receipt in saved)
        assert stored(home.database) == len(assignments)
        assert upkeep.check(home) == []


class Export:
    """An export over an older one."""

    def build(self, place: Path) -> None:
        """A home with two votes more than its export has."""
        from labeling.exporting import export

        home = make_home(place / "home")
        give(home, 2)
        export(home, place / "out")
        (place / "older").write_text(whole(place / "out"))
        give(home, 2)

    def prepare(self, place: Path) -> Path:
        """Nothing more."""
        return place

    def act(self, prepared: Path, tell: Tell) -> None:
        """Export."""
        from labeling.exporting import export

        tell("version", export(Home(prepared / "home"), prepared / "out").version)

    def again(self, prepared: Path, tell: Tell) -> None:
        """What stands; and once more."""
        tell("stood", whole(prepared / "out"))
        assert list(prepared.glob(".*")) == []
        self.act(prepared, tell)

    def hold(self, place: Path, told: Told, end: str) -> None:
        """The old folder or the new one, whole; the next export goes well and leaves nothing beside."""
        older = (place / "older").read_text()
        if end != "died":
            stood = next(t[1] for t in told if t[0] == "stood")
            assert (stood != older) if end == "done" else isinstance(stood, str)
        elif (place / "out").exists():
            whole(place / "out")
        else:
            assert [whole(p) for p in place.glob(".out.*.old")] == [older]
        if end == "died":
            self.act(place, lambda *_: None)
        assert whole(place / "out") != older
        assert [p.name for p in place.iterdir() if p.name.startswith(".")] == []
        for numbers in (place / "home/exports/.maps").glob("*.json"):
            json.loads(numbers.read_text())


def whole(folder: Path) -> str:
    """The version of an export whose every file is what its manifest says; nothing else is in the folder."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for file in manifest["files"]:
        content = (folder / file["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"]), file
    there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert there == {"manifest.json", *(f["path"] for f in manifest["files"])}
    return str(manifest["version"])


class Migration:
    """A home of an older version is opened."""

    older = "m012_live"
    """the first step that is missing"""

    def build(self, place: Path) -> None:
        """An older home with something in it."""
        home = home_at(place / "home")
        db = Database(str(home.database))
        db.conn.execute("PRAGMA journal_mode=WAL")
        migrations.apply(db, stop_before=self.older)
        db.conn.execute(f"PRAGMA application_id={APPLICATION_ID}")
        with db.conn:
            db.conn.execute("INSERT INTO settings VALUES ('kept', 'since then')")
        db.conn.close()

    def prepare(self, place: Path) -> Home:
        """Nothing more."""
        return Home(place / "home")

    def act(self, prepared: Home, tell: Tell) -> None:
        """Open it."""
        open_writer(prepared).conn.close()

    def again(self, prepared: Home, tell: Tell) -> None:
        """Once more."""
        self.act(prepared, tell)

    def hold(self, place: Path, told: Told, end: str) -> None:
        """The old schema or the new one, then the new one; the rows are there; copies made before are whole."""
        home = Home(place / "home")
        steps = [m.name for m in migrations.pending(Database(memory=True))]
        with contextlib.closing(sqlite3.connect(home.database)) as conn:
            applied = [m.name for m in migrations.applied(Database(conn))]
        assert applied in (steps[: steps.index(self.older)] if self.older else [], steps)
        with contextlib.closing(open_writer(home).conn) as conn:
            assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert conn.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
            kept = conn.execute("SELECT value FROM settings WHERE name = 'kept'").fetchall()
        assert kept == ([("since then",)] if self.older else [])
        assert [m.name for m in migrations.applied(Database(str(home.database)))] == steps
        for copy in home.backups.glob("*.db"):
            with contextlib.closing(sqlite3.connect(copy)) as conn:
                assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert [problem for problem in upkeep.check(home) if not problem.startswith("unscanned")] == []


class Era(Migration):
    """A home as an earlier version left it, with all that one had in it, is opened."""

    def __init__(self, era: str) -> None:
        steps = [m.name for m in migrations.pending(Database(memory=True))]
        self.era, self.older = era, steps[steps.index(era) + 1]

    def build(self, place: Path) -> None:
        """From the SQL that is kept of it."""
        home = home_at(place / "home")
        with contextlib.closing(sqlite3.connect(home.database)) as conn:
            conn.execute("PRAGMA journal_mode=WAL")
            conn.executescript(f"BEGIN;\n{(ERAS / f'{self.era}.sql').read_text(encoding='utf-8')}\nCOMMIT;")
            conn.execute("INSERT OR REPLACE INTO settings VALUES ('kept', 'since then')")
            conn.commit()


class NewHome(Migration):
    """A home that is not there yet is opened."""

    older = ""

    def build(self, place: Path) -> None:
        """Its folders."""
        home_at(place / "home")


class JobStart:
    """A command is started as a job, in a process of its own."""

    def build(self, place: Path) -> None:
        """A home."""
        make_home(place / "home")

    def prepare(self, place: Path) -> tuple[Home, Database]:
        """Its database."""
        home = Home(place / "home")
        return home, open_writer(home)

    def act(self, prepared: tuple[Home, Database], tell: Tell) -> None:
        """Start it."""
        tell("started", jobs.start(*prepared, ["jobs", "list"]).id)

    def again(self, prepared: tuple[Home, Database], tell: Tell) -> None:
        """Nothing more: one job is enough to look at."""

    def hold(self, place: Path, told: Told, end: str) -> None:
        """No row, or one that ended: well where its process ran, else with the reason. Never two, never one for ever."""
        home = Home(place / "home")
        deadline = time.monotonic() + 120
        while any(
            str(home.root) in p.info["cmdline"] for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"]
        ):
            assert time.monotonic() < deadline, "a job's process goes on"
            time.sleep(0.05)
        with contextlib.closing(open_writer(home).conn) as conn:
            db = Database(conn)
            db.conn.execute("UPDATE jobs SET created_at = '2026-01-01'")  # as if a minute had gone by
            jobs.reconcile(db)
            made = runs.list_jobs(db)
        assert len(made) <= 1
        assert all(job.status in (JobStatus.SUCCEEDED, JobStatus.FAILED) for job in made), made
        assert all(job.message for job in made if job.status is JobStatus.FAILED), made
        if end == "done":
            assert [job.status for job in made] == [JobStatus.SUCCEEDED], made
            assert (home.logs / f"job-{made[0].id}.log").read_text()
        assert upkeep.check(home) == []


class Backup:
    """A copy of the database over an older one."""

    def build(self, place: Path) -> None:
        """Two votes in the copy, four in the home."""
        home = make_home(place / "home")
        give(home, 2)
        upkeep.backup(home, place / "copy.db")
        give(home, 2)

    def prepare(self, place: Path) -> Path:
        """Nothing more."""
        return place

    def act(self, prepared: Path, tell: Tell) -> None:
        """Copy."""
        upkeep.backup(Home(prepared / "home"), prepared / "copy.db")

    def again(self, prepared: Path, tell: Tell) -> None:
        """What stands; and once more."""
        tell("stood", stored(prepared / "copy.db"))
        self.act(prepared, tell)

    def hold(self, place: Path, told: Told, end: str) -> None:
        """The old copy or the new one, sound; the next one goes well and leaves nothing beside."""
        if end == "died":
            assert stored(place / "copy.db") in (2, 4)
            self.act(place, lambda *_: None)
        elif end == "done":
            assert told[-1] == ["stood", 4]
        assert stored(place / "copy.db") == 4
        assert [p.name for p in place.iterdir() if p.name.startswith(".")] == []
        assert stored(place / "home/arena.db") == 4


class Restore:
    """A copy is put in the place of a database whose newest votes lie in its log of writes."""

    def build(self, place: Path) -> None:
        """Two votes in the copy; four in the home, the last ones by a process that was killed."""
        home = make_home(place / "home")
        give(home, 2)
        upkeep.backup(home, place / "copy.db")
        child = os.fork()
        if child == 0:
            kept_open = open_writer(home)  # so that closing the other folds nothing in
            give(home, 2)
            os._exit(0 if kept_open.conn.in_transaction is False else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert (home.root / "arena.db-wal").stat().st_size > 0

    def prepare(self, place: Path) -> Path:
        """Nothing more."""
        return place

    def act(self, prepared: Path, tell: Tell) -> None:
        """Restore."""
        home = Home(prepared / "home")
        tell("kept", str(upkeep.restore(home, prepared / "copy.db")))

    def again(self, prepared: Path, tell: Tell) -> None:
        """What stands."""
        tell("stood", stored(prepared / "home/arena.db"))

    def hold(self, place: Path, told: Told, end: str) -> None:
        """All four votes or the copy's two; what was replaced is kept whole; the next restore goes well."""
        home = Home(place / "home")
        assert stored(home.database) in ((2,) if end == "done" else (2, 4))
        assert upkeep.check(home) == []
        if stored(home.database) == 2:
            assert [stored(p) for p in home.backups.glob("replaced-*.db")] == [4]
        self.act(place, lambda *_: None)
        assert stored(home.database) == 2
        assert not (home.root / ".restoring").exists()


SCENES = {
    "vote": Vote, "export": Export, "migration": Migration, "new home": NewHome, "job start": JobStart,
    "backup": Backup, "restore": Restore,
    **{f"migration from {file.stem}": partial(Era, file.stem) for file in sorted(ERAS.glob("m*.sql"))},
}  # fmt: skip
