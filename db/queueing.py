"""The queue of trainings: whose turn is next, and which slot (one for each accelerator) each job holds.

A job that waits has a turn; the lowest is next. A job that may run has a slot and no turn. A process that waits in a
terminal is named by its id, so that nobody else starts its job.
"""

import json
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlite_utils import Database

from db.connection import transaction
from db.errors import Conflict
from db.migrations import NOW

EVERY_SLOT = -1
"""the slot of a job that needs every accelerator at once"""


class Claimed(NamedTuple):
    """A job whose turn has come, and the slot it holds from now on."""

    job: int
    slot: int


def enqueue(db: Database, job: int, pid: int | None = None, pid_started: float | None = None) -> None:
    """Put a job at the end of the queue. `pid`: the process that waits to run it; None: whoever looks starts one."""
    with transaction(db):
        db.conn.execute(
            """UPDATE jobs SET turn = (SELECT coalesce(max(turn), 0) + 1 FROM jobs), pid = ?, pid_started = ?
            WHERE id = ? AND status IN ('queued', 'running')""",
            (pid, pid_started, job),
        )


def queue(db: Database) -> list[int]:
    """The jobs that wait, the next one first."""
    return [int(r[0]) for r in db.conn.execute("SELECT id FROM jobs WHERE turn IS NOT NULL ORDER BY turn")]


def taken_slots(db: Database) -> set[int]:
    """The slots that are held now, by jobs or by runs that stand for themselves."""
    rows = db.conn.execute(
        """SELECT slot FROM jobs WHERE slot IS NOT NULL AND status IN ('queued', 'running')
        UNION SELECT slot FROM runs WHERE status = 'running'"""
    )
    return {int(r[0]) for r in rows}


def free_slot(everywhere: bool, slots: int, taken: Collection[int]) -> int | None:
    """The slot a training may have now; None where it must wait. One that spreads over accelerators needs them all."""
    if EVERY_SLOT in taken:
        return None
    if everywhere:
        return None if taken else EVERY_SLOT
    return next((n for n in range(slots) if n not in taken), None)


def spreads(db: Database, command: Sequence[str]) -> bool:
    """Whether a command trains in several processes: it says so, or the run or sweep that it resumes did."""
    if "--accelerate" in command:
        return True
    if "resume" not in command:
        return False
    row = db.conn.execute(
        """SELECT 1 FROM runs WHERE name IN (SELECT value FROM json_each(?1)) AND settings ->> '$.accelerate' IS NOT NULL
        UNION SELECT 1 FROM sweeps s, json_each(s.command) w
        WHERE s.name IN (SELECT value FROM json_each(?1)) AND w.value = '--accelerate'""",
        (json.dumps(list(command)),),
    ).fetchone()
    return row is not None


def claim_next(db: Database, slots: int, job: int | None = None) -> Claimed | None:
    """Give the first job of the queue its slot; None where it must wait.

    With `job`, only where that one is first. Without, a job that a process in a terminal waits for is left to it.
    """
    with transaction(db):
        row = db.conn.execute(
            "SELECT id, command, pid FROM jobs WHERE turn IS NOT NULL ORDER BY turn LIMIT 1"
        ).fetchone()
        if row is None or (row[0] != job if job is not None else row[2] is not None):
            return None
        slot = free_slot(spreads(db, json.loads(row[1])), slots, taken_slots(db))
        if slot is None:
            return None
        db.conn.execute(
            f"UPDATE jobs SET turn = NULL, slot = ?, started_at = coalesce(started_at, {NOW}) WHERE id = ?",
            (slot, row[0]),
        )
        return Claimed(int(row[0]), slot)


def share_slot(db: Database, job: int, with_job: int) -> None:
    """A job that runs within another holds the same slot."""
    with transaction(db):
        db.conn.execute(
            "UPDATE jobs SET slot = (SELECT slot FROM jobs WHERE id = ?) WHERE id = ?", (with_job, job)
        )


def move(db: Database, job: int, *, earlier: bool) -> None:
    """Let a waiting job change places with its neighbour; Conflict where it does not wait or is at the end already."""
    with transaction(db):
        order = queue(db)
        if job not in order:
            raise Conflict(f"job {job} does not wait in the queue", "`jobs list` shows which do")
        at = order.index(job)
        other = at - 1 if earlier else at + 1
        if not 0 <= other < len(order):
            raise Conflict(
                f"job {job} is {'first' if earlier else 'last'} already", "move another one, or cancel one"
            )
        turns = {j: db.conn.execute("SELECT turn FROM jobs WHERE id = ?", (j,)).fetchone()[0]
                 for j in (job, order[other])}  # fmt: skip
        db.conn.execute("UPDATE jobs SET turn = NULL WHERE id = ?", (job,))
        db.conn.execute("UPDATE jobs SET turn = ? WHERE id = ?", (turns[job], order[other]))
        db.conn.execute("UPDATE jobs SET turn = ? WHERE id = ?", (turns[order[other]], job))
