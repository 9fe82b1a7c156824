"""Who serves a home: the lock that a server holds while it runs, and what it tells those beside it."""

import contextlib
import fcntl
import json
import os
import time
from dataclasses import dataclass
from typing import IO

from db.connection import Home
from db.errors import UserError


@dataclass(frozen=True, slots=True)
class Server:
    """Who holds the home's lock."""

    pid: int
    address: str


LOOKS = 100
"""times that a lock is tried again while nobody but those who look holds it"""


class Lock:
    """The home's lock, held by `serve` while it runs."""

    def __init__(self, home: Home) -> None:
        self._home = home
        holder = None
        try:
            self._file = home.lock.open("a+")
            for _ in range(LOOKS):
                if _locked(self._file, fcntl.LOCK_EX):
                    self._file.truncate(0)  # what a killed server left says nothing of this one
                    return
                holder = server_of(home)
                if holder is not None:
                    break
                time.sleep(0.01)  # somebody only looked
        except OSError as error:  # no place, no right to, or a file system without locks
            raise _no_lock(home, error) from None
        self._file.close()
        where = f" (process {holder.pid}, {holder.address})" if holder and holder.pid else ""
        raise UserError(
            f"another server runs on {home.root}{where}", "stop it first, or name another folder with --home"
        )

    def announce(self, address: str) -> None:
        """Write down where the server listens, for verbs that run beside it."""
        try:
            self._file.seek(0)
            self._file.truncate()
            json.dump({"pid": os.getpid(), "address": address}, self._file)
            self._file.flush()
        except OSError as error:
            raise _no_lock(self._home, error) from None

    def release(self) -> None:
        """Let go of the home."""
        with contextlib.suppress(OSError):  # a full disk: what could not be written is still in the buffer
            self._file.seek(0)
            self._file.truncate()
        with contextlib.suppress(OSError):
            self._file.close()


def _locked(file: IO[str], how: int) -> bool:
    """Whether the file's lock could be had at once."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _no_lock(home: Home, error: OSError) -> UserError:
    """Why the lock's file cannot be written."""
    return UserError(
        f"cannot write and lock {home.lock}: {error.strerror}",
        "free some disk space, or name another home with --home, on a disk of this machine",
    )


def server_of(home: Home) -> Server | None:
    """The running server of the home, or None; a stale file of a dead one does not count."""
    if not home.lock.exists():
        return None
    with home.lock.open() as file:
        if _locked(file, fcntl.LOCK_SH):  # shared: two that look see each other no server
            return None
        text = file.read()
    if not text:
        return Server(0, "")
    held = json.loads(text)
    return Server(int(held["pid"]), str(held["address"]))
