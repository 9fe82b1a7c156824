"""Sweeps: runs over a grid of settings on one frozen snapshot, as they were asked for. What came of each is in its run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlite_utils import Database

from db.catalog import get_model
from db.connection import checked_name, transaction
from db.entities.runs import RunKind
from db.errors import Conflict, NotFound


class Point(NamedTuple):
    """One combination of values: the run it is tried in, what it changes, and the newest job that worked on it."""

    position: int
    run: str
    changes: Mapping[str, str]
    job: int | None


@dataclass(frozen=True, slots=True)
class Sweep:
    """A grid of runs. `command` is what they share, from the verb on; each adds its changes and its name."""

    id: int
    name: str
    kind: RunKind
    parent: str
    snapshot: str
    command: tuple[str, ...]
    job: int | None
    created_at: str
    points: tuple[Point, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The settings that are varied, in the order they were named."""
        return tuple(self.points[0].changes)


_SWEEP = """SELECT s.id, s.name, s.kind, m.name, s.snapshot, s.command, s.job, s.created_at
  FROM sweeps s JOIN models m ON m.id = s.parent"""


def _sweep(db: Database, r: Sequence[object]) -> Sweep:
    points = db.conn.execute(
        "SELECT position, run, changes, job FROM sweep_runs WHERE sweep = ? ORDER BY position", (r[0],)
    )
    return Sweep(
        int(str(r[0])), str(r[1]), RunKind(str(r[2])), str(r[3]), str(r[4]), tuple(json.loads(str(r[5]))),
        None if r[6] is None else int(str(r[6])), str(r[7]),
        tuple(Point(p[0], p[1], json.loads(p[2]), p[3]) for p in points),
    )  # fmt: skip


def add_sweep(
    db: Database, name: str, kind: RunKind, *, parent: str, snapshot: str, command: Sequence[str],
    changes: Sequence[Mapping[str, str]], job: int | None,
) -> Sweep:  # fmt: skip
    """Write a sweep down before its first run; the runs are NAME-1, NAME-2, ... Conflict where the name is taken."""
    with transaction(db):
        taken = db.conn.execute("SELECT 1 FROM sweeps WHERE name = ?", (checked_name(name, "sweep"),))
        if taken.fetchone():
            raise Conflict(f"there is already a sweep named {name!r}", "choose another --name")
        cursor = db.conn.execute(
            "INSERT INTO sweeps(name, kind, parent, snapshot, command, job) VALUES (?, ?, ?, ?, ?, ?)",
            (name, kind, get_model(db, parent).id, snapshot, json.dumps(list(command)), job),
        )
        db.conn.executemany(
            "INSERT INTO sweep_runs(sweep, position, run, changes) VALUES (?, ?, ?, ?)",
            [(cursor.lastrowid, n, f"{name}-{n}", json.dumps(dict(c))) for n, c in enumerate(changes, 1)],
        )
        return get_sweep(db, name)


def get_sweep(db: Database, name: str) -> Sweep:
    """A sweep by name; NotFound."""
    row = db.conn.execute(f"{_SWEEP} WHERE s.name = ?", (name,)).fetchone()
    if row is None:
        names = ", ".join(s.name for s in list_sweeps(db)[:8]) or "none yet"
        raise NotFound(f"there is no sweep {name!r}", f"the sweeps are: {names}")
    return _sweep(db, row)


def list_sweeps(db: Database) -> list[Sweep]:
    """Every sweep, newest first."""
    return [_sweep(db, r) for r in db.conn.execute(f"{_SWEEP} ORDER BY s.id DESC").fetchall()]


def swept_runs(db: Database) -> set[str]:
    """The runs of every sweep by name: trials, none of which is a round of the loop."""
    return {str(r[0]) for r in db.conn.execute("SELECT run FROM sweep_runs")}


def sweep_of_job(db: Database, job: int) -> Sweep | None:
    """The sweep that a job worked on last, if it is one."""
    row = db.conn.execute(f"{_SWEEP} WHERE s.job = ?", (job,)).fetchone()
    return _sweep(db, row) if row else None


def note_sweep_job(db: Database, sweep: int, job: int) -> None:
    """The job that works on a sweep now."""
    with transaction(db):
        db.conn.execute("UPDATE sweeps SET job = ? WHERE id = ?", (job, sweep))


def note_point_job(db: Database, sweep: int, position: int, job: int) -> None:
    """The job that works on one run of a sweep."""
    with transaction(db):
        db.conn.execute(
            "UPDATE sweep_runs SET job = ? WHERE sweep = ? AND position = ?", (job, sweep, position)
        )
