"""Workflow: a sweep. One frozen snapshot, a grid of settings, one run after another, a table of what came of each.

Every run is a job in a process of its own: one that fails, or takes all memory, does not stop the rest, each can be
resumed by itself, and what a run says of its memory is its own.
"""

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from statistics import median
from typing import NamedTuple

from sqlite_utils import Database

from arena import jobs, run_kinds
from arena.run_plans import Plan, Request, plan
from arena.sweep_table import row_of, table_of, write_files
from db import runs
from db.catalog import find_model
from db.connection import Home, checked_name
from db.entities.runs import Job, RunKind, RunStatus
from db.errors import Conflict, UserError
from db.sweeps import Point, Sweep, add_sweep, get_sweep, list_sweeps, note_point_job, note_sweep_job
from training.settings import Settings, with_overrides

MOST = 64
"""runs in one sweep"""
EVERY = 0.3
STARTING = 8.0
"""seconds between two looks at the run under way; seconds a run takes besides its steps, in an estimate"""


class Axis(NamedTuple):
    """A setting and the values it is tried with."""

    key: str
    values: tuple[str, ...]


def axes_of(texts: Sequence[str]) -> tuple[Axis, ...]:
    """The axes of `key=a,b` texts; UserError where one is no grid, twice the same, or there are too many runs."""
    axes: list[Axis] = []
    for text in texts:
        key, equals, values = text.partition("=")
        found = tuple(dict.fromkeys(v.strip() for v in values.split(",") if v.strip()))
        if not equals or not key.strip() or not found:
            raise UserError(
                f"{text!r} is no sweep", "write a setting and its values: learning_rate=1e-5,1e-4"
            )
        if key.strip() in {a.key for a in axes}:
            raise UserError(
                f"{key.strip()} is swept twice", "give all its values at once, separated by commas"
            )
        axes.append(Axis(key.strip(), found))
    size = math.prod(len(a.values) for a in axes)
    if size > MOST:
        raise UserError(
            f"the sweep has {size} runs", f"try at most {MOST}: fewer values, or one setting less"
        )
    return tuple(axes)


def grid(axes: Sequence[Axis]) -> list[dict[str, str]]:
    """Every combination of values, the last axis moving fastest."""
    keys = [a.key for a in axes]
    return [dict(zip(keys, values, strict=True)) for values in itertools.product(*(a.values for a in axes))]


def next_sweep(db: Database, parent: str) -> str:
    """A free name: PARENT-s1, -s2, ..."""
    taken = {s.name for s in list_sweeps(db)}
    return next(n for i in itertools.count(1) if (n := f"{parent}-s{i}") not in taken)


class Planned(NamedTuple):
    """A sweep before its first run: its name, what every run shares, and each run's changes and settings."""

    name: str
    first: Plan
    command: tuple[str, ...]
    changes: tuple[dict[str, str], ...]
    settings: tuple[Settings, ...]


def planned(db: Database, home: Home, request: Request, texts: Sequence[str]) -> Planned:
    """Check a sweep and freeze its snapshot; UserError where one of its runs could not be."""
    points = grid(axes_of(texts))
    name = checked_name(request.name or next_sweep(db, request.parent), "sweep")
    for n in range(1, len(points) + 1):
        if find_model(db, f"{name}-{n}") is not None:
            raise Conflict(f"there is already a model named {name}-{n}", "choose another --name")
    first = plan(db, home, replace(request, name=f"{name}-1", rematch=False))
    changes = [_measured(db, c, first, request) for c in points]
    settings = tuple(with_overrides(first.settings, _assigned(c)) for c in changes)
    return Planned(name, first, _command(db, first, request), tuple(changes), settings)


def _measured(db: Database, changes: Mapping[str, str], first: Plan, request: Request) -> dict[str, str]:
    """The changes, `label_smoothing=measured` as the figure that was measured."""
    said = run_kinds.with_measured(db, _assigned(changes), first.snapshot, request.policy)
    return {key: value for key, _, value in (text.partition("=") for text in said)}


def _assigned(changes: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in changes.items()]


def _command(db: Database, first: Plan, request: Request) -> tuple[str, ...]:
    """What every run of the sweep is started with, but for its changes and its name."""
    words = ["train", first.kind.value, "--from", first.parent.name, "--snapshot", first.snapshot.id,
             "--preset", first.preset]  # fmt: skip
    for text in run_kinds.with_measured(db, request.overrides, first.snapshot, request.policy):
        words += ["--set", text]
    if first.reference.name != first.parent.name:
        words += ["--reference", first.reference.name]
    if request.accelerate:
        words += ["--accelerate", request.accelerate]
    return (*words, *([] if first.kind is RunKind.REWARD else ["--no-rematch"]))


def run_sweep(db: Database, home: Home, request: Request, texts: Sequence[str], job: jobs.ThisJob) -> Sweep:
    """Write the sweep down and run it."""
    job.say(0.0, "freezing the pairs")
    made = planned(db, home, request, texts)
    sweep = add_sweep(
        db, made.name, made.first.kind, parent=made.first.parent.name, snapshot=made.first.snapshot.id,
        command=made.command, changes=made.changes, job=job.id,
    )  # fmt: skip
    return go_on(db, home, sweep, job)


def resume(db: Database, home: Home, name: str, job: jobs.ThisJob) -> Sweep:
    """Go on with a sweep: what has its model stays, what was cut short goes on, what is missing is begun."""
    jobs.reconcile(db)
    sweep = get_sweep(db, name)
    note_sweep_job(db, sweep.id, job.id)
    return go_on(db, home, sweep, job)


def go_on(db: Database, home: Home, sweep: Sweep, job: jobs.ThisJob) -> Sweep:
    """Run what has no model yet. UserError where it was asked to stop, or where no run made a model."""
    for point in sweep.points:
        if job.should_stop():
            break
        if row_of(db, point).status != RunStatus.SUCCEEDED:
            _one(db, home, sweep, point, job)
        write_files(home, table_of(db, get_sweep(db, sweep.name)))
    rows = table_of(db, get_sweep(db, sweep.name)).rows
    made = sum(r.status == RunStatus.SUCCEEDED for r in rows)
    if job.should_stop():
        raise UserError(
            f"the sweep was cancelled; {made} of {len(rows)} runs have their model",
            f"`train sweep resume {sweep.name}` goes on",
        )
    if not made:
        raise UserError(f"no run of the sweep made a model: {rows[0].error or rows[0].status}",
                        f"`train sweep show {sweep.name}` has the reason of each")  # fmt: skip
    return get_sweep(db, sweep.name)


def _one(db: Database, home: Home, sweep: Sweep, point: Point, job: jobs.ThisJob) -> None:
    """Start one run as a job (or join the one that is at it already) and wait for its end."""
    child = _at_work(db, point) or _begin(db, home, sweep, point, job)
    note_point_job(db, sweep.id, point.position, child.id)
    words = ", ".join(_assigned(point.changes))
    at, n = point.position, len(sweep.points)
    with _ended_with(db, child.id):
        asked = False
        while not (child := runs.get_job(db, child.id)).status.over:
            if job.should_stop() and not asked:
                asked = True
                jobs.ask_to_end(db, child.id)
            job.say((at - 1 + (child.progress or 0.0)) / n, f"run {at} of {n} ({words}): {child.message}")
            time.sleep(EVERY)
            jobs.reconcile(db)


def _at_work(db: Database, point: Point) -> Job | None:
    """The job that works on a run already, left behind by a sweep that was killed."""
    child = runs.get_job(db, point.job) if point.job is not None else None
    return child if child is not None and not child.status.over else None


def _begin(db: Database, home: Home, sweep: Sweep, point: Point, job: jobs.ThisJob) -> Job:
    begun = runs.find_run(db, point.run)
    words = ["train", "resume", point.run] if begun is not None else command_of(sweep, point)
    return jobs.start_within(home, db, words, job.id)


def command_of(sweep: Sweep, point: Point) -> list[str]:
    """The verb that makes one run of a sweep, as a person could type it."""
    sets = [word for text in _assigned(point.changes) for word in ("--set", text)]
    return [*sweep.command, *sets, "--name", point.run]


@contextmanager
def _ended_with(db: Database, child: int) -> Iterator[None]:
    """Whatever ends this process ends the run under way too; it keeps a checkpoint."""
    try:
        yield
    except BaseException:
        jobs.ask_to_end(db, child)
        raise


# -- beforehand ----------------------------------------------------------------------------------------------------


def seconds_a_row(db: Database, kind: RunKind, parent: str) -> float | None:
    """What a row costs a run of this kind: the median over past runs of this parent, else of any; None without any."""
    past = [r for r in runs.list_runs(db) if r.kind is kind and r.status is RunStatus.SUCCEEDED]
    own = [r for r in past if r.parent == parent] or past
    costs = []
    for r in own:
        steps, seconds = (r.metrics or {}).get("steps"), r.seconds
        with suppress(KeyError, ValueError, ZeroDivisionError):
            rows = (
                int(str(steps))
                * int(str(r.settings["batch_size"]))
                * int(str(r.settings["gradient_accumulation"]))
            )
            costs.append(float(str(seconds)) / rows)
    return median(costs) if costs else None


def estimate(
    db: Database, kind: RunKind, parent: str, rows: int, settings: Sequence[Settings]
) -> float | None:
    """Seconds that runs with these settings would take, one after another; None where no past run tells."""
    cost = seconds_a_row(db, kind, parent)
    if cost is None:
        return None
    return sum(STARTING + cost * (s.max_steps * s.effective_batch or rows * s.epochs) for s in settings)


class DrySweep(NamedTuple):
    """What a sweep would be: nothing is trained, only its rows are frozen."""

    name: str
    kind: RunKind
    parent: str
    snapshot: str
    rows: int
    runs: tuple[dict[str, str], ...]
    seconds: float | None


def dry_run(db: Database, home: Home, request: Request, texts: Sequence[str]) -> DrySweep:
    """Everything that is known of a sweep before it starts; UserError where it could not start."""
    made = planned(db, home, request, texts)
    first, rows = made.first, made.first.snapshot.train
    took = estimate(db, first.kind, first.parent.name, rows, made.settings)
    return DrySweep(made.name, first.kind, first.parent.name, first.snapshot.id, rows, made.changes, took)
