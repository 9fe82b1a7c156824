"""Model folders that are whole or not there: written aside, sealed with sizes and hashes, then renamed.

Nothing here needs torch: the web process may call `verify` and `count_parameters`.
"""

import errno
import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db.errors import UserError
from db.files import sha256, sync, written_file

MARKER = "COMPLETE"


@contextmanager
def written_aside(folder: Path) -> Iterator[Path]:
    """A fresh folder beside `folder` to write into; sealed and renamed at the end, removed on any failure.

    Refuses a folder that exists: a model's files never change once it has a name.
    """
    if folder.exists():
        raise UserError(f"{folder} exists already", "choose another name, or remove that folder first")
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        aside.mkdir(parents=True)
        yield aside
        seal(aside)
        aside.rename(folder)
        sync(folder.parent)
    except OSError as e:
        if e.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(f"the disk is full, {folder.name} was not written", "make room and try again") from e
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def seal(folder: Path) -> None:
    """Write the marker: size and SHA-256 of every file in the folder. The files reach the disk before it does."""
    files = {}
    for path in _files(folder):
        sync(path)
        files[str(path.relative_to(folder))] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    marker = folder / MARKER
    marker.write_text(json.dumps(files, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    sync(marker)


def verify(folder: Path) -> None:
    """Hold the folder against its marker; UserError names the first file that is missing or differs."""
    marker = folder / MARKER
    if not marker.is_file():
        raise UserError(
            f"{folder} has no {MARKER} marker, so its writing was cut short", "make the model again"
        )
    for name, expected in _marked(marker).items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is missing", "restore it from a backup, or make the model again")
        if path.stat().st_size != expected.get("bytes") or sha256(path) != expected.get("sha256"):
            raise UserError(
                f"{path} is not what was written", "restore it from a backup, or make the model again"
            )


def _marked(marker: Path) -> dict[str, dict[str, object]]:
    """What the marker says of each file; UserError where the marker itself was cut short or changed."""
    try:
        files = json.loads(marker.read_text(encoding="utf-8"))
        if not files or any(set(entry) != {"bytes", "sha256"} for entry in files.values()):
            raise ValueError("an entry is missing")
    except (ValueError, AttributeError, TypeError) as e:
        raise UserError(
            f"{marker} cannot be read, so nothing vouches for its folder",
            "restore it from a backup, or make the model again",
        ) from e
    return dict(files)


def put_card(folder: Path, name: str, text: str) -> Path:
    """Write a file about a sealed folder into it, in the place of the one that was there; the seal holds at every step.

    The marker first forgets the old file, then knows the new one, so that a loss of power leaves a folder that verifies.
    """
    marker, path = folder / MARKER, folder / name
    files = _marked(marker)
    files.pop(name, None)
    _put(marker, json.dumps(files, indent=1, sort_keys=True) + "\n")
    _put(path, text)
    files[name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    _put(marker, json.dumps(files, indent=1, sort_keys=True) + "\n")
    return path


def _put(path: Path, text: str) -> None:
    """A small file, whole or as it was."""
    with written_file(path) as aside:
        aside.write_text(text, encoding="utf-8")


def count_parameters(source: str) -> int | None:
    """Weights in a checkpoint folder, from the headers of its safetensors files; None where there are none.

    The file starts with the length of its header in 8 bytes, little-endian, then the header as JSON.
    """
    total = 0
    for path in sorted(Path(source).glob("*.safetensors")) if Path(source).is_dir() else []:
        with path.open("rb") as f:
            header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        total += sum(math.prod(t["shape"]) for name, t in header.items() if name != "__metadata__")
    return total or None


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MARKER)
