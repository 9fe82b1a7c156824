"""Workflow: upkeep that has to know of processes and model folders besides the database."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from arena import jobs
from db import runs, upkeep
from db.answers import snapshot_answers
from db.catalog import list_models
from db.connection import Home, open_reader, open_writer
from db.errors import Conflict, UserError
from training.folders import verify
from training.snapshots import answers_id, snapshot_id


def check(home: Home) -> list[str]:
    """What is wrong with a home, one sentence each: its database, its snapshots, the files of its models."""
    found = upkeep.check(home)
    if any(problem.startswith("integrity") for problem in found):
        return found
    db = open_reader(home)
    with contextlib.closing(db.conn):
        return [*found, *_snapshots(db), *_models(db, home)]


def _snapshots(db: Database) -> Iterator[str]:
    """Snapshots whose rows are not those their id was made of."""
    for snapshot in runs.list_snapshots(db):
        policy = json.loads(snapshot.policy)
        answers = snapshot_answers(db, snapshot.id)
        made = (
            answers_id(answers, policy)
            if answers
            else snapshot_id(runs.snapshot_pairs(db, snapshot.id), policy)
        )
        if made != snapshot.id:
            yield f"altered: snapshot {snapshot.id} does not hold the rows it was made of"


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
