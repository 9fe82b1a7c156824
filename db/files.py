"""Files and folders that are there whole or not at all: written aside, on the disk, then put in their place in one step.

What is written aside bears the number of the process that writes it, so that what a killed one left is known.
"""

import contextlib
import ctypes
import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from db.errors import UserError

_HERE = -100  # AT_FDCWD: paths as they are
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
_NOT_HERE = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}
_ASIDE = re.compile(r"\.(.+)\.(\d+)-[0-9a-f]{8}\.(part|old)(-journal)?")
_IN_THE_WAY = {errno.ENOTEMPTY, errno.EEXIST}
_TRIES = 20


def aside_of(target: Path, ending: str = "part") -> Path:
    """A name beside the target that nobody else uses, also not another thread of this process."""
    return target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.{ending}")


@contextlib.contextmanager
def written_file(target: Path) -> Iterator[Path]:
    """A path to write to; at the end of the block it is on the disk under the target's name. OSError: nothing changed."""
    clear_left(target.parent, target.name)
    aside = aside_of(target)
    try:
        yield aside
        sync(aside)
        aside.replace(target)
        sync(target.parent)
    finally:
        for left in (aside, aside.with_name(f"{aside.name}-journal")):  # the latter where SQLite wrote it
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)


@contextlib.contextmanager
def written_folder(target: Path) -> Iterator[Path]:
    """A new folder to write into; at the end of the block it stands whole in the target's place. UserError: nothing changed."""
    aside = aside_of(target)
    try:
        aside.mkdir(parents=True)
        yield aside
        put_folder(aside, target)
    except OSError as error:
        raise UserError(
            f"cannot write {target}: {error.strerror or error}", "free some disk space or name another folder"
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def put_folder(aside: Path, target: Path) -> None:
    """Put a finished folder in the place of the one that is there, if any; a reader sees one or the other, whole.

    Where the system cannot exchange two folders in one step, the old one stands aside for a moment. OSError: it is
    still there.
    """
    for path in (*sorted(aside.rglob("*")), aside):
        sync(path)
    for _ in range(_TRIES):
        try:
            if not target.exists():
                aside.rename(target)  # another one may be put there meanwhile
            elif not _exchanged(aside, target):
                _one_after_the_other(aside, target)
            break
        except FileNotFoundError:
            if not aside.exists():
                raise
        except OSError as error:
            if error.errno not in _IN_THE_WAY:
                raise
    else:
        raise OSError(errno.EBUSY, "others go on putting folders in its place")
    shutil.rmtree(aside, ignore_errors=True)
    sync(target.parent)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two paths in one step; False where this system or file system cannot."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NOT_HERE:
        return False
    raise OSError(number, os.strerror(number), str(other))


def _one_after_the_other(aside: Path, target: Path) -> None:
    old = aside_of(target, "old")
    target.rename(old)
    try:
        aside.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def clear_left(folder: Path, name: str | None = None) -> None:
    """Remove what killed processes left in a folder (of this target alone, where one is named).

    An old folder that stood aside goes back where nothing took its place.
    """
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _ASIDE.fullmatch(path.name)
        if match is None or (name is not None and match[1] != name) or _runs(int(match[2])):
            continue
        target = folder / match[1]
        if match[3] == "old" and not target.exists():
            path.rename(target)
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def sync(path: Path) -> None:
    """Put a file's content, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
