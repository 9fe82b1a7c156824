"""Jobs: a job is a launch.py command in a child process of its own group, at low priority, its output in a file.

The child writes its own end into the database, so a job outlives the server that started it; a child that was
killed without a word is found by its process id and start time.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TypeVar

import psutil
from sqlite_utils import Database

from arena import accelerators
from arena.environment import for_command
from db import queueing, runs
from db.connection import PROJECT, Home, open_writer, transaction
from db.entities.runs import Job, JobStatus, RunStatus
from db.errors import Conflict, UserError
from db.sweeps import sweep_of_job
from training.processes import mark_of, runs_still

T = TypeVar("T")

JOB_VARIABLE = "TASTEBENCH_JOB"
ASKED_VARIABLE = "TASTEBENCH_ASKED_BY"
"""set where a verb runs for the studio or as a job: whoever started it stands in the audit log or with the job"""
RECIPE = "a recipe"
"""who asked for a command that a recipe runs: it has the recipe's own priority"""
WHOLE_MEMORY = "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0"
"""GLIBC_TUNABLES of a job: without it what lies beside a freed tensor is kept for small things, so that the next tensor of the
same size does not fit the gap (docs/log.md has what that costs); other C libraries do not read it"""
GRACE = 30.0
"""seconds a cancelled job has to end by itself"""
NEVER_BEGAN = "it never began: whoever started it ended before its process did; start it again"
NO_WORD = "its process ended without a word (killed, or out of memory); `jobs logs` shows what it printed"


class CannotStart(UserError):
    """A job's process could not begin: no room for its log, too many processes."""


def command_line(home: Home, arguments: Sequence[str]) -> list[str]:
    """The argument list that runs a verb on a home."""
    return [sys.executable, str(PROJECT / "launch.py"), "--home", str(home.root), *arguments]


def shown(arguments: Sequence[str]) -> str:
    """The command as a person would type it."""
    return "python launch.py " + shlex.join(arguments)


def threads() -> str:
    """How many threads a heavy job computes with: one core stays free for whoever rates meanwhile."""
    return str(max(1, (os.cpu_count() or 1) - 1))


def needs_slot(arguments: Sequence[str]) -> bool:
    """Whether a verb trains, so that it needs an accelerator to itself and waits its turn."""
    return tuple(arguments[:1]) == ("train",)


class Calls(Protocol):
    """Does one step with the database, committed when it returns: a `Writer.call`, or `directly(db)`."""

    def __call__(self, step: Callable[[Database], T], /) -> T:
        """What the step gives."""


def directly(db: Database) -> Calls:
    """Steps of whoever has a writing connection of their own."""

    def call(step: Callable[[Database], T], /) -> T:
        return step(db)

    return call


def start(home: Home, db: Database, arguments: Sequence[str]) -> Job:
    """Start a verb as a job and return at once. A training is queued where every slot is held."""
    return begin(home, directly(db), enter(home, db, arguments))


def enter(home: Home, db: Database, arguments: Sequence[str]) -> Job:
    """Write a verb down as a job, for `begin` to start once that is committed. A training is queued."""
    with transaction(db):
        job = _with_log(home, db, arguments)
        if needs_slot(arguments):
            queueing.enqueue(db, job.id)
    return job


def begin(home: Home, call: Calls, job: Job) -> Job:
    """Start the process of a job that is written down; a training where its turn has come.

    Never within the step that wrote it down: the process would look for a row that is not there yet, or never is.
    """
    if needs_slot(job.command):
        begin_waiting(home, call)
    else:
        _spawn(home, call, job)
    return call(lambda db: runs.get_job(db, job.id))


def start_within(home: Home, db: Database, arguments: Sequence[str], job_id: int) -> Job:
    """Start a training in the slot that a job holds already, such as one run of a sweep."""
    with transaction(db):
        job = _with_log(home, db, arguments)
        queueing.share_slot(db, job.id, job_id)
    _spawn(home, directly(db), job)
    return runs.get_job(db, job.id)


def start_waiting(home: Home, db: Database) -> None:
    """Start the queued trainings whose turn has come; why one could not be is said in its row."""
    begin_waiting(home, directly(db))


def begin_waiting(home: Home, call: Calls) -> None:
    """Start the queued trainings whose turn has come, in steps.

    A turn is written down before its process begins, so that no loss of power lets a job begin twice.
    """
    if not call(queueing.queue):
        return
    call(reconcile)
    found = accelerators.devices()

    def next_turn(db: Database) -> tuple[Job, int] | None:
        turn = queueing.claim_next(db, accelerators.slots(found))
        return None if turn is None else (runs.get_job(db, turn.job), turn.slot)

    while (given := call(next_turn)) is not None:
        with contextlib.suppress(CannotStart):
            _spawn(home, call, given[0], accelerators.seen_by(given[1], found))


def _with_log(home: Home, db: Database, arguments: Sequence[str]) -> Job:
    """The row of a job that is about to start or to wait, with the file it will print to."""
    job = runs.add_job(db, arguments)
    runs.set_job_log(db, job.id, home.relative(home.logs / f"job-{job.id}.log"))
    return job


def _spawn(home: Home, call: Calls, job: Job, seen: Mapping[str, str] = MappingProxyType({})) -> None:
    """Start a job's process, or say in its row why it could not be. `seen`: the accelerators it may use, as environment."""
    environment = {
        "OMP_NUM_THREADS": threads(), "GLIBC_TUNABLES": WHOLE_MEMORY, **for_command(job.command, os.environ), **seen, JOB_VARIABLE: str(job.id), ASKED_VARIABLE: "a job",
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    try:
        with (home.logs / f"job-{job.id}.log").open("ab") as out:
            child = subprocess.Popen(
                command_line(home, job.command), stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True, env=environment, cwd=PROJECT,
            )  # fmt: skip
    except OSError as error:
        why = CannotStart(
            f"job {job.id} could not start: {error.strerror or error}", "mend that, then start it again"
        )
        text = why.what
        call(lambda db: runs.end_job(db, job.id, JobStatus.FAILED, None, text))
        raise why from None
    started = began(child.pid)
    call(lambda db: runs.start_job(db, job.id, child.pid, started))


def began(pid: int) -> float:
    """The mark of a process that was started just now (training/processes.py)."""
    try:
        return mark_of(pid)
    except psutil.NoSuchProcess:
        return time.time()


def again(db: Database, job: Job) -> Sequence[str]:
    """The command that does the work of a finished job again; a training that has no model yet goes on where it was."""
    sweep = sweep_of_job(db, job.id)
    if sweep is not None and job.status is not JobStatus.SUCCEEDED:
        return ["train", "sweep", "resume", sweep.name]
    run = runs.run_by_id(db, job.run) if job.run is not None else None
    if run is None or run.status is RunStatus.SUCCEEDED:
        return job.command
    if run.status is RunStatus.RUNNING:
        raise Conflict(f"run {run.name!r} is training again already", "see `jobs list`")
    return ["train", "resume", run.name]


def own_start() -> float:
    """The mark of this process."""
    return mark_of(os.getpid())


def _in_silence(_line: str) -> None:
    """Nobody reads along."""


@dataclass
class ThisJob:
    """The job this process runs: where it says how far it is, and hears that it should stop.

    `echo` is handed every message as a line for whoever watches the terminal or the log.
    """

    id: int
    _db: Database
    echo: Callable[[str], object] = _in_silence
    stopping: bool = False
    _said: float = float("-inf")

    def say(self, progress: float | None, message: str) -> None:
        """Tell how far the job is (0 to 1, None where unknown); at most twice a second reaches the database."""
        share = None if progress is None else min(1.0, max(0.0, progress))
        self.echo(message if share is None else f"{share:4.0%}  {message}")
        now = time.monotonic()
        if now - self._said >= 0.5 or share == 1:
            self._said = now
            runs.job_progress(self._db, self.id, share, message)

    def should_stop(self) -> bool:
        """Whether someone asked the job to end."""
        return self.stopping


@contextlib.contextmanager
def this_job(
    db: Database,
    arguments: Sequence[str],
    echo: Callable[[str], object] = _in_silence,
    number: int | None = None,
) -> Iterator[ThisJob]:
    """Run the block as a job: the one the supervisor started, or a new row for a command typed by hand.

    `number`: the row of a command typed by hand that has waited its turn. SIGTERM and SIGINT ask the block to end; a second one ends it at once. Only the main thread can run a job.
    """
    job = _claimed(db, arguments, number)
    this = ThisJob(job.id, db, echo)
    with _signals_to(this):
        try:
            yield this
        except BaseException as error:
            status = JobStatus.CANCELLED if this.stopping else JobStatus.FAILED
            code = 2 if isinstance(error, UserError) else 130 if this.stopping else 1
            runs.end_job(db, job.id, status, code, str(error) or type(error).__name__)
            raise
        runs.end_job(db, job.id, JobStatus.CANCELLED if this.stopping else JobStatus.SUCCEEDED, 0, "")


def _claimed(db: Database, arguments: Sequence[str], number: int | None) -> Job:
    """The row of this process, marked as running. A command that it starts in turn is a job of its own."""
    given = os.environ.pop(JOB_VARIABLE, None)
    if given and os.environ.get(ASKED_VARIABLE) != RECIPE:
        os.nice(19)
        with contextlib.suppress(AttributeError, OSError):  # not every system ranks its disk accesses
            psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
    known = int(given) if given else number
    job = runs.get_job(db, known) if known is not None else runs.add_job(db, arguments)
    if not runs.start_job(db, job.id, os.getpid(), own_start()):
        raise UserError(f"job {job.id} was cancelled before it began")
    return job


@contextlib.contextmanager
def _signals_to(this: ThisJob) -> Iterator[None]:
    """While the block runs, the signals that end a process only ask the job to end."""

    def stop(_number: int, _frame: object) -> None:
        if this.stopping:
            raise KeyboardInterrupt
        this.stopping = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def never_began(home: Home, reason: str) -> None:
    """This process was started as a job and cannot even begin: the row says why, if it can be written at all."""
    given = os.environ.get(JOB_VARIABLE)
    if given:
        with contextlib.suppress(UserError):
            db = open_writer(home)
            with contextlib.closing(db.conn):
                runs.end_job(db, int(given), JobStatus.FAILED, 2, reason)


def ended_well(home: Home) -> None:
    """This process was started as a job by a verb that is none by itself, and it worked: its row says so."""
    given = os.environ.get(JOB_VARIABLE)
    if given:
        db = open_writer(home)
        with contextlib.closing(db.conn):
            runs.end_job(db, int(given), JobStatus.SUCCEEDED, 0, "")


def reconcile(db: Database) -> None:
    """Mark jobs and runs whose process is gone without a word as failed."""
    for job, pid, began in runs.job_processes(db):
        if not _alive(pid, began):
            runs.end_job(db, job, JobStatus.FAILED, None, NO_WORD if pid else NEVER_BEGAN)
    for run, pid, began in runs.active_run_processes(db):
        if not _alive(pid, began):
            runs.end_run(db, run, RunStatus.FAILED, NO_WORD)


def _alive(pid: int | None, began: float | None) -> bool:
    """Whether that very process still runs."""
    return pid is not None and pid > 0 and runs_still(pid, began)


def cancel(db: Database, job_id: int, wait: float = GRACE) -> Job:
    """Ask a job to end, wait for it, insist, kill its group where it does not. A finished job is left as it is."""
    job = runs.get_job(db, job_id)
    if job.status.over:
        return job
    process = _process_of(db, job_id)
    if process is not None and job.turn is None:  # one that waits in a terminal sees that it is cancelled
        _end(*process, wait)
    runs.end_job(db, job_id, JobStatus.CANCELLED, None, "cancelled")
    for active in runs.active_runs(db):
        if active.job == job_id:  # it was killed before it could say so
            runs.end_run(db, active.id, RunStatus.CANCELLED, "cancelled")
    return runs.get_job(db, job_id)


def ask_to_end(db: Database, job_id: int) -> None:
    """Ask a job to end, and do not wait for it."""
    process = _process_of(db, job_id)
    if process is not None and _alive(*process):
        _signal(process[0], signal.SIGTERM)


def _process_of(db: Database, job_id: int) -> tuple[int, float | None] | None:
    """The process that a job should be running in, and when it began."""
    found = ((pid, began) for j, pid, began in runs.job_processes(db) if j == job_id)
    return next(((pid, began) for pid, began in found if pid), None)


def _end(pid: int, began: float | None, wait: float) -> None:
    """Let a process end by itself: ask, insist after a third of `wait` seconds, kill it after all of them."""
    for number, seconds in (
        (signal.SIGTERM, wait / 3),
        (signal.SIGTERM, wait * 2 / 3),
        (signal.SIGKILL, 5.0),
    ):
        if not _alive(pid, began):
            return
        _signal(pid, number)
        deadline = time.monotonic() + seconds
        while _alive(pid, began) and time.monotonic() < deadline:
            time.sleep(0.05)


def _signal(pid: int, number: signal.Signals) -> None:
    """Signal the job's group where it leads one (the supervisor's do), else the process alone."""
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)


def read_log(home: Home, job: Job, last: int = 20_000) -> str:
    """The end of what a job printed."""
    if job.log is None:
        return "(this command was typed in a terminal; what it printed is there)"
    path = Path(home.locate(job.log))
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - last))
        return file.read().decode("utf-8", errors="replace")
