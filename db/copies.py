"""Copies of a database that are made by themselves: before it is migrated, before a job, and while the server runs.

They lie in the home's backups/, named by when and why, and are whole databases: `restore` takes any of them. Nothing here
knows how a home is opened, since opening one may make a copy first.
"""

import contextlib
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from db.errors import UserError
from db.files import written_file

LAST, HOURS, DAYS, WEEKS = 8, 24, 7, 5
"""kept: the newest so many, the newest of each of so many hours, days and weeks"""
AT_LEAST, SPACE = 3, 5 * 2**30
"""beyond so many bytes together the oldest go, down to the newest so many"""
_NAME = re.compile(r"auto-(\d{8}T\d{6})\d{6}Z-(serving|migration|job)\.db")


class Why(StrEnum):
    """What a copy was made before, or beside."""

    SERVING = "serving"
    MIGRATION = "migration"
    JOB = "job"


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that made itself: where it lies, when it was made (UTC), why, and its size in bytes."""

    file: Path
    at: datetime
    why: Why
    size: int


def write(conn: sqlite3.Connection, file: Path) -> int:
    """A consistent copy of the connection's database at `file`, aside and then renamed; its size in bytes.

    Others may read and write meanwhile. UserError where it cannot be written; an older file of this name stays then.
    """
    only = conn.execute("PRAGMA query_only").fetchone()[0]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        conn.execute("PRAGMA query_only=OFF")  # it would forbid writing the copy too
        with written_file(file) as aside:
            conn.execute("VACUUM INTO ?", (str(aside),))
    except (OSError, sqlite3.DatabaseError) as error:
        raise UserError(f"cannot write {file}: {error}", "free some space or name another file") from None
    finally:
        conn.execute(f"PRAGMA query_only={only}")
    return file.stat().st_size


def make(conn: sqlite3.Connection, database: Path, folder: Path, why: Why, now: datetime) -> Copy | None:
    """Copy the database into the folder and drop what the rule no longer keeps; None where nothing changed since the last.

    A copy carries the time its database was last written, so whether that changed is one look at a file. UserError where
    the disk has no room for two more of its size: a copy must never take the space that votes need.
    """
    written = last_written(database)
    before = list_copies(folder)
    if before and _copied_when(before[0]) == written:
        return None
    room, size = shutil.disk_usage(database.parent).free, database.stat().st_size
    if room < 2 * size:
        raise UserError(f"no room for a copy of {database} ({room // 2**20} MB are free)",
                        "free some space; `prune` says what can go")  # fmt: skip
    stamp = now.astimezone(UTC)
    file = folder / f"auto-{stamp:%Y%m%dT%H%M%S%f}Z-{why}.db"
    made = Copy(file, stamp.replace(microsecond=0), why, write(conn, file))
    os.utime(file, ns=(written, written))
    for copy in {*before} - {*kept([made, *before], stamp)}:
        copy.file.unlink(missing_ok=True)
    return made


def _copied_when(copy: Copy) -> int | None:
    """The time of the last write that a copy holds; None where it was dropped meanwhile."""
    try:
        return copy.file.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def last_written(database: Path) -> int:
    """When the database or its log of writes was last written, in nanoseconds."""
    parts = (database, database.with_name(database.name + "-wal"))
    return max(part.stat().st_mtime_ns for part in parts if part.exists())


def list_copies(folder: Path) -> list[Copy]:
    """The copies in a folder that made themselves, the newest first."""
    found = []
    for file in folder.glob("auto-*.db"):
        if match := _NAME.fullmatch(file.name):
            at = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
            with contextlib.suppress(FileNotFoundError):  # another process has just dropped it
                found.append(Copy(file, at, Why(match[2]), file.stat().st_size))
    return sorted(found, key=lambda copy: copy.file.name, reverse=True)


def kept(copies: Sequence[Copy], now: datetime) -> list[Copy]:
    """Which copies the rule keeps: the newest, one an hour of the last day, one a day of a week, one a week of a month.

    Beyond SPACE bytes together the oldest of these go too, the newest AT_LEAST never.
    """
    newest = sorted(copies, key=lambda copy: copy.file.name, reverse=True)
    wanted = {copy.file for copy in newest[:LAST]}
    for span, period in (
        (timedelta(hours=HOURS), lambda at: at.strftime("%Y%m%d%H")),
        (timedelta(days=DAYS), lambda at: at.strftime("%Y%m%d")),
        (timedelta(weeks=WEEKS), lambda at: at.strftime("%G%V")),
    ):
        wanted |= _newest_of_each([c for c in newest if now - c.at <= span], period)
    stay: list[Copy] = []
    used = 0
    for copy in newest:
        if copy.file in wanted and (len(stay) < AT_LEAST or used + copy.size <= SPACE):
            stay.append(copy)
            used += copy.size
    return stay


def _newest_of_each(newest: Sequence[Copy], period: Callable[[datetime], str]) -> set[Path]:
    """The newest copy of each period."""
    found: dict[str, Path] = {}
    for copy in newest:
        found.setdefault(period(copy.at), copy.file)
    return set(found.values())
