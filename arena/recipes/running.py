"""Workflow: a recipe's commands one after the other, each a child process with its job; it stops at the first that fails.

What has succeeded in a home before is not done again there, a training that broke off goes on where it was, and the
commands whose output is a result run each time.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

from sqlite_utils import Database

from arena import jobs
from arena.environment import for_command
from arena.recipes.reading import Recipe, Step
from db import runs
from db.connection import PROJECT, Home
from db.entities.runs import Job, JobStatus, RunStatus
from db.errors import UserError
from db.sweeps import list_sweeps

POLL = 0.1
"""seconds between two looks at a child"""


class Done(NamedTuple):
    """A step that is over: its command as a person types it, its job, whether it had been done before, its output."""

    say: str
    command: str
    job: int
    before: bool
    seconds: float
    result: str | None


def run(db: Database, home: Home, recipe: Recipe, job: jobs.ThisJob) -> list[Done]:
    """Run every step; UserError names the one that failed, and what is done stays done."""
    for line in recipe.warnings:
        job.echo(f"note: {line}")
    finished = []
    for number, step in enumerate(recipe.steps):
        if job.should_stop():
            raise UserError(
                f"stopped before step {number + 1} of {len(recipe.steps)}", "run it again to go on"
            )
        job.say(number / len(recipe.steps), f"{number + 1}/{len(recipe.steps)}  {step.say}")
        finished.append(_step(db, home, recipe, step, number, job))
    return finished


def _step(db: Database, home: Home, recipe: Recipe, step: Step, number: int, job: jobs.ThisJob) -> Done:
    words: Sequence[str] = step.command
    before = runs.job_of_command(db, words)
    if before is not None and not step.result:
        words = _again(db, before)
        later = before if _succeeded(db, before) else runs.job_of_command(db, words)
        if later is not None and _succeeded(db, later):
            job.echo(f"      done before as job {later.id}: {jobs.shown(step.command)}")
            return Done(step.say, jobs.shown(step.command), later.id, True, 0.0, None)
    job.echo(f"      {jobs.shown(words)}")
    started = time.monotonic()
    ran = _child(db, home, words, step.result, job)
    seconds = round(time.monotonic() - started, 1)
    if ran.job.status is not JobStatus.SUCCEEDED:
        if job.should_stop():
            raise UserError(f"stopped in step {number + 1} of {len(recipe.steps)}", "run it again to go on")
        raise UserError(
            f"step {number + 1} of {len(recipe.steps)} of {recipe.name} did not work ({step.say}): {ran.job.message}",
            f"mend it and run `{' '.join(['recipe run', recipe.name, *recipe.way.words])}` again: what is done is not done "
            f"twice; `jobs logs {ran.job.id}` shows what it printed",
        )
    return Done(step.say, jobs.shown(words), ran.job.id, False, seconds, ran.out)


def _again(db: Database, before: Job) -> Sequence[str]:
    """The command that goes on with what a job began: a run or a sweep from where it was, anything else anew."""
    words = before.command
    if "--sweep" in words and "--name" in words:
        name = words[words.index("--name") + 1]
        if name in {s.name for s in list_sweeps(db)}:
            return ["train", "sweep", "resume", name]
    return jobs.again(db, before)


def _succeeded(db: Database, job: Job) -> bool:
    """Whether what the job was for is there."""
    return job.status is JobStatus.SUCCEEDED or (
        job.run is not None and runs.run_by_id(db, job.run).status is RunStatus.SUCCEEDED
    )


class _Ran(NamedTuple):
    job: Job
    out: str | None


def _child(db: Database, home: Home, words: Sequence[str], result: bool, job: jobs.ThisJob) -> _Ran:
    """The command in a process of its own, what it prints passed on as it comes; stdout apart where it is a result."""
    row = runs.add_job(db, words)
    log, out = home.logs / f"job-{row.id}.log", home.logs / f"job-{row.id}.out"
    runs.set_job_log(db, row.id, home.relative(log))
    environment = {
        **for_command(words, os.environ), jobs.JOB_VARIABLE: str(row.id), jobs.ASKED_VARIABLE: jobs.RECIPE, "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore::FutureWarning",
    }  # fmt: skip
    with log.open("ab") as printed, log.open("rb") as read, (out if result else log).open("ab") as told:
        child = subprocess.Popen(
            jobs.command_line(home, words), stdout=told, stderr=printed, stdin=subprocess.DEVNULL, start_new_session=True,
            env=environment, cwd=PROJECT,
        )  # fmt: skip
        runs.start_job(db, row.id, child.pid, jobs.began(child.pid))
        _wait(db, row.id, child, read, job)
    text = out.read_text(encoding="utf-8", errors="replace").strip() if result else None
    if text:
        with log.open("a", encoding="utf-8") as printed_too:
            printed_too.write(text + "\n")
    status = JobStatus.SUCCEEDED if child.returncode == 0 else JobStatus.FAILED
    runs.end_job(db, row.id, status, child.returncode, f"it ended with code {child.returncode}")
    return _Ran(runs.get_job(db, row.id), text)


def _wait(
    db: Database, number: int, child: subprocess.Popen[bytes], log: IO[bytes], job: jobs.ThisJob
) -> None:
    """Pass on what the child prints until it ends; told to stop, let it end first."""
    over, last = False, b""
    while not over:
        over = child.poll() is not None
        for line in _whole_lines(log):
            if line != last:  # some say how far they are three times a second
                job.echo(f"        {line.decode('utf-8', errors='replace').rstrip()}")
            last = line
        if job.should_stop() and not over:
            jobs.cancel(db, number)
            child.wait()
        time.sleep(0 if over else POLL)


def _whole_lines(log: IO[bytes]) -> Iterator[bytes]:
    """The lines that are new, but for one that is still being written."""
    while line := log.readline():
        if not line.endswith(b"\n"):
            log.seek(-len(line), os.SEEK_CUR)
            return
        yield line
