"""Workflow: two homes become one. The other home is read from a copy of its own and is never written to."""

import contextlib
import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from sqlite_utils import Database

from arena.jobs import ThisJob
from db import combining, runs, upkeep
from db.catalog import list_models
from db.combining_runs import Hashes
from db.connection import Home, checked_name, open_writer
from db.entities.runs import RunStatus
from db.errors import UserError
from db.lock import Lock
from training.folders import MARKER, verify, written_aside
from training.snapshots import answers_id, snapshot_id, write_rows

CARD = "README.md"
"""of a model's folder: written anew when something is learned of the model, so it does not tell two models apart"""


class Report(NamedTuple):
    """What combining did; `left` counts what stays in the other home alone."""

    added: dict[str, int]
    already_there: dict[str, int]
    renamed: list[tuple[str, str, str]]
    left: dict[str, int]


def combine(home: Home, db: Database, folder: Path, label: str | None, job: ThisJob) -> Report:
    """Bring another home's prompts, answers, models, campaigns, raters, votes and runs in; what is here already adds nothing.

    UserError while a server runs here, where one of the homes is not sound, and where they contradict each other; then
    nothing has changed but for model folders, which `prune` finds.
    """
    other = Home(folder.expanduser().resolve())
    if not other.database.is_file() or other.database.samefile(home.database):
        raise UserError(f"{folder} is not another home", "name the folder that holds its arena.db")
    mark = checked_name(
        label or re.sub(r"[^A-Za-z0-9._-]", "-", other.root.name).strip(".-") or "other", "home"
    )
    lock = Lock(home)
    aside = Home(home.root / ".combining")
    try:
        shutil.rmtree(aside.root, ignore_errors=True)
        job.say(0.0, f"copying the database of {other.root}")
        upkeep.backup(other, aside.database)
        for which, where in ((aside, other), (home, home)):
            if problems := upkeep.check(which):
                raise UserError(
                    f"{where.root} is not sound: {problems[0]}", "mend it first; `check` says all"
                )
        places = _models(home, other, aside, mark, job)
        job.say(0.5, "bringing it in")
        done = combining.combine(db, aside.database, mark, places, Hashes(snapshot_id, answers_id))
        _write_rows(home, db)
    finally:
        shutil.rmtree(aside.root, ignore_errors=True)
        lock.release()
    return Report(done.added, done.already_there, done.renamed, done.left)


def _write_rows(home: Home, db: Database) -> None:
    """The file of rows of every run whose model was copied: votes have other numbers here, so it is written anew."""
    for run in runs.list_runs(db):
        file = home.root / run.folder / "pairs.jsonl"
        if run.status is RunStatus.SUCCEEDED and file.parent.is_dir() and not file.exists():
            write_rows(db, run.snapshot, file)


def _models(home: Home, other: Home, aside: Home, label: str, job: ThisJob) -> dict[str, str]:
    """Copy the model folders of the other home's runs/; {where a model lies there: where it lies here}."""
    db = open_writer(aside)
    with contextlib.closing(db.conn):
        places = {place for m in list_models(db) for place in (m.source, m.adapter) if place}
    found = {}
    for place in sorted(places):
        source = other.root / place
        if (
            not Path(place).is_absolute()
            and source.is_dir()
            and source.resolve().is_relative_to(other.runs.resolve())
        ):
            job.say(0.1, f"copying {place}")
            found[place] = home.relative(_copied(home, source, Path(place), label))
    return found


def _copied(home: Home, source: Path, place: Path, label: str) -> Path:
    """Where a model's folder lies here: where the same one is already, else copied to the first free name."""
    verify(source)
    runs, run, *inner = place.parts
    number = 1
    while True:
        name = {1: run, 2: f"{run}@{label}"}.get(number, f"{run}@{label}-{number - 1}")
        target = home.root.joinpath(runs, name, *inner)
        if target.is_dir() and _weights(target) == _weights(source):
            return target
        if not (home.root / runs / name).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with written_aside(target) as made:
                shutil.copytree(source, made, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MARKER))
            return target
        number += 1


def _weights(folder: Path) -> dict[str, object]:
    """What a sealed folder holds, but for its card; nothing where it is not sealed."""
    marker = folder / MARKER
    files = json.loads(marker.read_text(encoding="utf-8")) if marker.is_file() else {}
    return {name: entry for name, entry in files.items() if name != CARD}
