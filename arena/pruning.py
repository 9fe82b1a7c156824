"""Workflow: what of a home's files can go, how big it is, and what uses the rest; removing it when told to.

Nothing of the database goes: votes, prompts, answers and figures stay whatever is removed here.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from sqlite_utils import Database

from db import copies, pruning
from db.connection import Home
from db.entities.runs import RunStatus
from training import checkpoints


class Sort(StrEnum):
    """What a piece is."""

    CHECKPOINTS = "checkpoints"
    UNFINISHED = "unfinished"
    MODEL = "model"
    EXPORT = "export"
    BACKUP = "backup"
    HUB = "hub"


@dataclass(frozen=True, slots=True)
class Piece:
    """A file or folder that takes room: its size in bytes, when it last changed, and why it stays (None: it can go)."""

    sort: Sort
    path: Path
    size: int
    changed: datetime
    stays: str | None = None


class Found(NamedTuple):
    """What can go and what stays, the biggest first."""

    can_go: Sequence[Piece]
    stays: Sequence[Piece]

    @property
    def size(self) -> int:
        """Bytes that removing would free."""
        return sum(piece.size for piece in self.can_go)


def look(db: Database, home: Home, older_than: timedelta, *, hub: bool = False) -> Found:
    """Every piece, by whether it can go: nothing uses it, and it did not change for `older_than`.

    `hub`: also what this machine keeps of models and datasets of a hub, which other programs share.
    """
    before = datetime.now(UTC) - older_than
    pieces = [
        piece if piece.stays or piece.changed <= before else _staying(piece, older_than)
        for piece in (*_runs(db, home), *_exports(home), *_backups(home), *(_hub(db) if hub else ()))
    ]
    pieces.sort(key=lambda piece: -piece.size)
    return Found([p for p in pieces if not p.stays], [p for p in pieces if p.stays])


def remove(found: Found) -> int:
    """Remove what can go; the bytes that were freed. A piece that is gone meanwhile is no error."""
    for piece in found.can_go:
        if piece.path.is_dir():
            shutil.rmtree(piece.path, ignore_errors=True)
        else:
            for suffix in ("", "-wal", "-shm"):
                piece.path.with_name(piece.path.name + suffix).unlink(missing_ok=True)
    return found.size


def _staying(piece: Piece, older_than: timedelta) -> Piece:
    reason = f"changed less than {older_than.days} days ago"
    return Piece(piece.sort, piece.path, piece.size, piece.changed, reason)


def _piece(sort: Sort, path: Path, stays: str | None = None) -> Piece:
    """A piece with its size and time; links are not followed and count nothing.

    Files that a server, a job or a training takes away meanwhile count nothing either.
    """
    own = _stat(path)
    times, size = [own.st_mtime if own else 0.0], own.st_size if own and not path.is_dir() else 0
    for folder, _, names in os.walk(path) if path.is_dir() else ():
        for found in filter(None, (_stat(Path(folder) / name) for name in names)):
            times.append(found.st_mtime)
            size += found.st_size
    return Piece(sort, path, size, datetime.fromtimestamp(max(times), UTC), stays)


def _stat(path: Path) -> os.stat_result | None:
    """What is known of a path that is no link's other end; None where it is gone."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _runs(db: Database, home: Home) -> Iterator[Piece]:
    """The folders under runs/: checkpoints, what unfinished runs left, models that nothing uses."""
    rows = {Path(home.locate(f)): found for f, found in pruning.run_folders(db).items()}
    sweeps = pruning.sweep_folders(db)
    places = [
        (Path(home.locate(place)), model) for model in pruning.model_files(db) for place in model.places
    ]
    for folder in sorted(home.runs.resolve().iterdir()):
        if not folder.is_dir() or folder.is_symlink():
            continue
        run, status = rows.get(folder, (None, None))
        here = [(place, model) for place, model in places if place.is_relative_to(folder)]
        if status is RunStatus.RUNNING:
            yield _piece(Sort.UNFINISHED, folder, f"{run} is training")
        elif here:
            yield from _with_models(folder, here, finished=status is RunStatus.SUCCEEDED)
        elif run is not None or folder.name not in sweeps:
            yield _piece(Sort.UNFINISHED, folder)


def _with_models(
    folder: Path, here: Sequence[tuple[Path, pruning.ModelFiles]], *, finished: bool
) -> Iterator[Piece]:
    """The models in a run's folder, and its checkpoints where the run needs them no more."""
    for place in sorted({place for place, _ in here}):
        users = [f"{model.name} is {model.used}" for at, model in here if at == place and model.used]
        yield _piece(Sort.MODEL, place, users[0] if users else None)
    left = folder / checkpoints.FOLDER
    if finished and left.is_dir():
        yield _piece(Sort.CHECKPOINTS, left)


def _exports(home: Home) -> Iterator[Piece]:
    """Exports and files of refused rows; `.maps` says which rater is who in an export, and is no export."""
    for path in sorted(home.exports.iterdir()):
        if not path.name.startswith("."):
            yield _piece(Sort.EXPORT, path)


def _backups(home: Home) -> Iterator[Piece]:
    """Copies of the database. Those that made themselves follow their own rule; the newest of all stays."""
    own = copies.list_copies(home.backups)
    ruled = {copy.file for copy in copies.kept(own, datetime.now(UTC))}
    files = [path for path in home.backups.iterdir() if path.is_file() and path.suffix in (".db", ".part")]
    dated = ((found.st_mtime, p) for p in files if p.suffix == ".db" and (found := _stat(p)))
    newest = max(dated, default=(0.0, None))[1]
    for path in sorted(files):
        rule = "kept by the rule of copies" if path in ruled else None
        yield _piece(Sort.BACKUP, path, "the newest copy" if path == newest else rule)


def _hub(db: Database) -> Iterator[Piece]:
    """What the hub's cache on this machine holds, by repository."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    named = {place: model for model in pruning.model_files(db) for place in model.places if model.used}
    try:
        repos = scan_cache_dir().repos
    except CacheNotFound:
        return
    for repo in repos:
        used = named.get(repo.repo_id) if repo.repo_type == "model" else None
        changed = datetime.fromtimestamp(repo.last_accessed, UTC)
        stays = f"{used.name} is {used.used}" if used else None
        yield Piece(Sort.HUB, repo.repo_path, repo.size_on_disk, changed, stays)
