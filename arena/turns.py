"""Waiting in a terminal for a free slot: a training that is typed while another runs takes its turn."""

import os
import time
from collections.abc import Callable, Sequence

from sqlite_utils import Database

from arena import accelerators, jobs
from db import queueing, runs
from db.connection import Home
from db.entities.runs import JobStatus
from db.errors import Conflict, UserError

EVERY = 1.0
"""seconds between two looks at the queue"""


def waited(
    home: Home, db: Database, arguments: Sequence[str], say: Callable[[str], object], *, wait: bool
) -> int | None:
    """Wait until a training may run; its job. None for other verbs, and where its slot was claimed for it beforehand.

    Conflict where it would have to wait and must not; UserError where its job is cancelled meanwhile.
    """
    given = os.environ.get(jobs.JOB_VARIABLE)
    if not jobs.needs_slot(arguments) or (given and runs.get_job(db, int(given)).slot is not None):
        return None
    job = runs.get_job(db, int(given)) if given else runs.add_job(db, arguments)
    queueing.enqueue(db, job.id, os.getpid(), jobs.own_start())
    told = ""
    try:
        while not _may_run(home, db, job.id):
            if not wait:
                raise Conflict(
                    busy(db, job.id), "leave --no-wait out to wait its turn, or cancel the other job"
                )
            line = f"waits its turn as job {job.id}: {busy(db, job.id)}; Ctrl-C gives up"
            if line != told:
                say(line)
            told = line
            time.sleep(EVERY)
    except BaseException as error:
        status = JobStatus.FAILED if isinstance(error, UserError) else JobStatus.CANCELLED
        runs.end_job(
            db, job.id, status, 2 if isinstance(error, UserError) else 130, str(error) or "gave up waiting"
        )
        raise
    return job.id


def _may_run(home: Home, db: Database, job: int) -> bool:
    """Start what comes before, then take the slot if this job is first and one is free."""
    jobs.reconcile(db)
    jobs.start_waiting(home, db)
    if runs.get_job(db, job).status.over:
        raise UserError(f"job {job} was cancelled before it began", "start it again when it suits")
    found = accelerators.devices()
    turn = queueing.claim_next(db, accelerators.slots(found), job)
    if turn is not None:
        os.environ.update(accelerators.seen_by(turn.slot, found))
    return turn is not None


def busy(db: Database, job: int) -> str:
    """What a waiting job waits for, in words."""
    names = [r.name for r in runs.active_runs(db)]
    order = queueing.queue(db)
    before = order.index(job) if job in order else 0
    what = f"run {', '.join(map(repr, names))} is training" if names else "another training is about to begin"
    return what + (
        f", {before} {'job is' if before == 1 else 'jobs are'} before it in the queue" if before else ""
    )
