"""Workflow: upkeep that has to know of processes and model folders besides the database."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from sqlite_utils import Database

from arena import jobs
from db import copies, runs, upkeep
from db.answers import snapshot_answers
from db.catalog import list_models
from db.connection import Home, open_reader, open_writer
from db.entities.runs import RunStatus
from db.errors import Conflict, UserError
from db.snapshots import list_snapshots, snapshot_pairs
from training.folders import verify
from training.snapshots import answers_id, differs, snapshot_id


def check(home: Home) -> list[str]:
    """What is wrong with a home, one sentence each: its database, its snapshots, the files of its runs and models."""
    found = upkeep.check(home)
    if any(problem.startswith("integrity") for problem in found):
        return found
    db = open_reader(home)
    with contextlib.closing(db.conn):
        return [*found, *_snapshots(db), *_runs(db, home), *_models(db, home)]


def _snapshots(db: Database) -> Iterator[str]:
    """Snapshots whose rows are not those their id was made of."""
    for snapshot in list_snapshots(db):
        policy = json.loads(snapshot.policy)
        answers = snapshot_answers(db, snapshot.id)
        made = (
            answers_id(answers, policy) if answers else snapshot_id(snapshot_pairs(db, snapshot.id), policy)
        )
        if made != snapshot.id:
            yield f"altered: snapshot {snapshot.id} does not hold the rows it was made of"


def _runs(db: Database, home: Home) -> Iterator[str]:
    """Finished runs whose file of rows is not what their snapshot holds; a folder that `prune` took is no problem."""
    for run in runs.list_runs(db):
        folder = home.root / run.folder
        if run.status is RunStatus.SUCCEEDED and folder.is_dir():
            file = folder / "pairs.jsonl"
            if wrong := differs(db, run.snapshot, file):
                yield f"run {run.name}: {file} {wrong}"


def _models(db: Database, home: Home) -> Iterator[str]:
    """Models whose folders are gone, or are not what training wrote."""
    for model in list_models(db):
        for source in filter(None, (model.source, model.adapter)):
            folder = Path(home.locate(source))
            if folder.is_relative_to(home.runs.resolve()):
                try:
                    verify(folder)
                except UserError as error:
                    yield f"model {model.name}: {error.what}"
            elif not folder.is_dir() and (folder.is_absolute() or source.startswith("runs/")):
                yield f"model {model.name}: there is no folder {source}"


def copied_before(home: Home, db: Database, say: Callable[[str], object]) -> None:
    """Copy the database before a job; one that cannot be made holds up nothing, and is told."""
    try:
        copies.make(db.conn, home.database, home.backups, copies.Why.JOB, datetime.now(UTC))
    except UserError as error:
        say(f"no copy before this job: {error}")


@contextlib.contextmanager
def copied_every(home: Home, every: timedelta, say: Callable[[str], object]) -> Iterator[None]:
    """While the block runs the home is copied every so often, where something was written; no time between: never.

    A thread with a reading connection does it, so that no vote waits. A copy that fails is told and tried again.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_copy_until, args=(home, every, say, ended), name="copier", daemon=True)
    if every:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if every:
            thread.join()


def _copy_until(home: Home, every: timedelta, say: Callable[[str], object], ended: threading.Event) -> None:
    while not ended.wait(every.total_seconds()):
        try:
            with contextlib.closing(open_reader(home).conn) as conn:
                copies.make(conn, home.database, home.backups, copies.Why.SERVING, datetime.now(UTC))
        except UserError as error:
            say(f"no copy of the home: {error}")


class HomeCopy(NamedTuple):
    """A copy in backups/: when it was made (UTC), in words why, its size in bytes."""

    file: Path
    at: datetime
    why: str
    size: int


WHY = {
    copies.Why.SERVING: "while the server ran",
    copies.Why.MIGRATION: "before an upgrade",
    copies.Why.JOB: "before a job",
}


def all_copies(home: Home) -> list[HomeCopy]:
    """Every copy in backups/, the newest first: those that made themselves, those asked for, those a restore replaced."""
    own = {copy.file: copy for copy in copies.list_copies(home.backups)}
    found = []
    for file in home.backups.glob("*.db"):
        if copy := own.get(file):
            found.append(HomeCopy(file, copy.at, WHY[copy.why], copy.size))
        elif file.exists() and not file.name.startswith("auto-"):
            stat = file.stat()
            why = "by a restore, of what it replaced" if file.name.startswith("replaced-") else "by hand"
            found.append(HomeCopy(file, datetime.fromtimestamp(stat.st_mtime, UTC), why, stat.st_size))
    return sorted(found, key=lambda copy: copy.at, reverse=True)


def restore(home: Home, file: Path) -> Path | None:
    """Put a backup in place; what it replaces is kept, at the path that is returned. Refused beside server and jobs."""
    if running := _running(home):
        remedy = f"wait for it, or end it with `jobs cancel {running[0]}`"
        raise Conflict(f"job {running[0]} runs on {home.root}", remedy)
    return upkeep.restore(home, file)


def _running(home: Home) -> list[int]:
    """The jobs at work in a home; none where its database cannot be read, which is when one restores."""
    if not home.database.exists():
        return []
    with contextlib.suppress(UserError):
        db = open_writer(home)
        with contextlib.closing(db.conn):
            jobs.reconcile(db)
            return [job for job, _, _ in runs.job_processes(db)]
    return []
