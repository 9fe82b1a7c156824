"""Opening a home: its folders, the database with its pragmas and migrations, transactions, and the writer thread."""

import contextlib
import queue
import re
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database as Database  # re-exported: pages name it in annotations and never open one

from db import copies
from db.errors import Busy, Unwritable, UserError
from db.migrations import migrations

T = TypeVar("T")

APPLICATION_ID = 0x54617374  # "Tast"
PROJECT = Path(__file__).resolve().parent.parent
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+@-]{0,79}")


def checked_name(name: str, noun: str) -> str:
    """The name if it is safe as a name of a model, campaign, set or run (and so of a folder), else a UserError."""
    if not NAME.fullmatch(name) or ".." in name or name.endswith((" ", ".")):
        raise UserError(
            f"{name!r} cannot be the name of a {noun}",
            "use 1 to 80 letters, digits, spaces, dots, dashes, underscores, plus or at signs, beginning with a letter or digit",
        )
    return name


@dataclass(frozen=True, slots=True)
class Home:
    """A folder that holds everything one team knows: arena.db, runs/, exports/, backups/."""

    root: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "arena.db"

    @property
    def runs(self) -> Path:
        """Where training writes."""
        return self.root / "runs"

    @property
    def exports(self) -> Path:
        """Where the studio's exports go."""
        return self.root / "exports"

    @property
    def backups(self) -> Path:
        """Where copies of the database go."""
        return self.root / "backups"

    @property
    def logs(self) -> Path:
        """Where jobs write what they print."""
        return self.root / "logs"

    @property
    def lock(self) -> Path:
        """The file that a running server holds."""
        return self.root / "serve.lock"

    def locate(self, source: str) -> str:
        """A model's source as a loader takes it: folders of the home or the project resolved, hub ids as they are."""
        for base in (self.root, PROJECT):
            if (base / source).exists():
                return str((base / source).resolve())
        return source

    def relative(self, path: Path) -> str:
        """A path as it is stored: relative where it lies in the home, so that a home can be moved."""
        resolved = path.resolve()
        root = self.root.resolve()
        return str(resolved.relative_to(root)) if resolved.is_relative_to(root) else str(resolved)


def home_at(path: Path) -> Home:
    """The home in this folder, made with its sub-folders where they are missing."""
    home = Home(path.expanduser().resolve())
    try:
        for folder in (home.root, home.runs, home.exports, home.backups, home.logs):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot use {home.root} as home: {error.strerror}", "name another folder with --home"
        ) from None
    return home


def sqlite_version() -> str:
    """The version of the SQLite library in use."""
    return sqlite3.sqlite_version


def _connect(path: str, *, uri: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode with the house's pragmas, usable from the thread that is handed it."""
    conn = sqlite3.connect(path, uri=uri, timeout=10, isolation_level=None, check_same_thread=False)
    # trusted_schema stays on: SQLite 3.40 calls json_valid() in a CHECK and fts5 in a trigger unsafe without it
    for pragma in ("foreign_keys=ON", "recursive_triggers=ON", "busy_timeout=10000"):
        conn.execute(f"PRAGMA {pragma}")
    return conn


def open_writer(home: Home) -> Database:
    """A writing connection, with the schema brought up to date first."""
    try:
        conn = _connect(str(home.database))
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "journal_size_limit=67108864"):
            conn.execute(f"PRAGMA {pragma}")
        db = Database(conn)
        _migrate(db, home)
    except sqlite3.DatabaseError as error:
        raise _unopened(home, error, "write") from None
    return db


def _unopened(home: Home, error: sqlite3.DatabaseError, what: str) -> Exception:
    """Why a database cannot be opened, in words for the person where they can mend it."""
    text = str(error)
    if "not a database" in text or "malformed" in text:
        return UserError(f"{home.database} is damaged or not a Tastebench database ({error})",
                         "restore a backup from backups/ or name another home")  # fmt: skip
    if "disk" in text or "full" in text:
        return UserError(f"cannot {what} {home.database}: {error}", "free some disk space")
    if "unable to open" in text or "readonly" in text:
        return UserError(f"cannot {what} {home.database}: {error}",
                         "make it writable (a full disk is a reason too), or name another home with --home")  # fmt: skip
    return error


def _migrate(db: Database, home: Home) -> None:
    """Apply what is pending, after a copy; refuse a database written by a newer version."""
    known = {m.name for m in migrations.pending(Database(memory=True))}
    applied = {m.name for m in migrations.applied(db)}
    if applied - known:
        raise UserError(f"this home was written by a newer version (it has {sorted(applied - known)[0]})",
                        "update the program, or name another home with --home")  # fmt: skip
    marked = db.conn.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    if applied and applied != known:
        copies.make(db.conn, home.database, home.backups, copies.Why.MIGRATION, datetime.now(UTC))
    if applied != known or not marked:
        with transaction(db):  # the whole way or not at all, and one process at a time
            migrations.apply(db)
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")


def open_reader(home: Home) -> Database:
    """A read-only connection; UserError where the home has no database yet."""
    if not home.database.exists():
        raise UserError(f"{home.root} holds no arena.db", "start `serve` there once, or import something")
    try:
        conn = _connect(f"{home.database.absolute().as_uri()}?mode=ro", uri=True)
        conn.execute("PRAGMA query_only=ON")
        conn.execute(
            "SELECT 1 FROM sqlite_schema"
        ).fetchone()  # the files beside it are made at the first look
    except sqlite3.DatabaseError as error:
        raise _unopened(home, error, "read") from None
    return Database(conn)


@contextlib.contextmanager
def transaction(db: Database) -> Iterator[None]:
    """BEGIN IMMEDIATE ... COMMIT, rolled back on any error; joins a transaction already open by a savepoint.

    Unwritable where the disk is full, Busy where another process holds the database.
    """
    nested = db.conn.in_transaction
    begin, commit, back = (
        ("SAVEPOINT step", "RELEASE step", "ROLLBACK TO step") if nested
        else ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
    )  # fmt: skip
    try:
        db.conn.execute(begin)
    except sqlite3.OperationalError as error:
        raise _plain(error) from None
    try:
        yield
        db.conn.execute(commit)
    except BaseException as error:
        if db.conn.in_transaction:  # a full disk may have rolled it back already
            db.conn.execute(back)
            if nested:
                db.conn.execute(commit)
        if not nested and (plain := _plain(error)) is not error:
            raise plain from error
        raise


class Readers:
    """One read-only connection a thread, opened on first use and closed when the thread has ended and nobody else holds it.

    Python's sqlite3 would leave that to a full look for garbage, since a connection and its cache of statements hold each
    other; a server with millions of lasting objects looks about once an hour, and held megabytes and open files until then.
    Each keeps few pages: SQLite forgets them anyway whenever a vote came in between two reads, and 2 MB for every thread
    (its own choice) is what a server's memory would creep up by while its home grows.
    """

    CACHE = 512
    """KiB of pages a connection keeps"""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._local = threading.local()

    def get(self) -> Database:
        """This thread's connection."""
        if not hasattr(self._local, "db"):
            self._local.db = open_reader(self._home)
            conn = self._local.db.conn
            conn.execute(f"PRAGMA cache_size=-{self.CACHE}")
            weakref.finalize(self._local.db, conn.close).atexit = False
        db: Database = self._local.db
        return db


class Writer:
    """The server's only writing connection, in one thread; requests waiting together share one commit.

    Each request runs in a savepoint of its own, so a refused one spoils no other. A future resolves only after
    COMMIT returned with synchronous=FULL: what it reports is on disk.
    """

    GROUP = 256

    def __init__(self, home: Home) -> None:
        self._queue: queue.SimpleQueue[tuple[Callable[[Database], object], Future[object]] | None] = (
            queue.SimpleQueue()
        )
        self._db = open_writer(home)
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    def submit(self, request: Callable[[Database], T]) -> "Future[T]":
        """Run the request in the writer's thread and transaction; the future holds its result or its error.

        Once the server is stopping nothing is taken any more, and the future says so at once.
        """
        future: Future[T] = Future()
        with self._closing:
            if self._closed:
                future.set_exception(Busy("not saved: the server is stopping", "try again in a moment"))
            else:
                self._queue.put((request, future))  # type: ignore[arg-type]
        return future

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return self._queue.qsize()

    def call(self, request: Callable[[Database], T]) -> T:
        """Submit and wait."""
        return self.submit(request).result()

    def close(self) -> None:
        """Finish what waits, then stop."""
        with self._closing:
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._db.conn.close()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            stop = False
            while len(group) < self.GROUP and not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    stop = True
                    break
                group.append(item)
            self._commit(group)
            if stop:
                break

    def _commit(self, group: list[tuple[Callable[[Database], object], "Future[object]"]]) -> None:
        """One transaction for the group; on a failed BEGIN or COMMIT every request of it fails with that error."""
        results: list[tuple[Future[object], object, BaseException | None]] = []
        awaited = [one for one in group if one[1].set_running_or_notify_cancel()]  # others have given up
        try:
            with transaction(self._db):
                for request, future in awaited:
                    try:
                        with transaction(self._db):
                            results.append((future, request(self._db), None))
                    except sqlite3.OperationalError:
                        raise  # disk full, locked: the whole group's commit is in doubt
                    except Exception as error:  # noqa: BLE001 - handed to the one who asked
                        results.append((future, None, error))
        except BaseException as error:  # noqa: BLE001 - handed to those who asked
            for _, future in awaited:
                future.set_exception(_plain(error))
            return
        for future, value, failure in results:
            if failure is None:
                future.set_result(value)
            else:
                future.set_exception(failure)


def _plain(error: BaseException) -> BaseException:
    """A failed write in words for the person where the disk or another process is the cause."""
    text = str(error)
    if isinstance(error, sqlite3.OperationalError):
        if "full" in text or "disk" in text:
            return Unwritable(
                f"not saved: the server's disk cannot be written ({text})", "free some space, then try again"
            )
        if "readonly" in text:
            return Unwritable("not saved: the database may only be read", "look at who may write to the home")
        if "locked" in text or "busy" in text:
            return Busy("not saved: the database is busy", "try again in a moment")
    return error
