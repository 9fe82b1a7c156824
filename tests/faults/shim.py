"""The shim, built where there is a C compiler, and the switch of the process that runs under it."""

import ctypes
import errno
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GROW, SYNC, NAME, GONE = 1, 2, 4, 8
REFUSED, FULL, KILLED, TORN = 1, 2, 3, 4


@dataclass(frozen=True)
class Fault:
    """A way in which a change goes wrong, and which changes it can befall."""

    name: str
    how: int
    number: int
    classes: int

    @property
    def deadly(self) -> bool:
        """Whether the process ends."""
        return self.how in (KILLED, TORN)


FAULTS = {
    f.name: f
    for f in (
        Fault("I/O error", REFUSED, errno.EIO, GROW | SYNC | NAME),
        Fault("disk full from here", FULL, errno.ENOSPC, GROW),
        Fault("killed", KILLED, 0, GROW | SYNC | NAME | GONE),
        Fault("torn write, killed", TORN, 0, GROW),
    )
}


def compiler() -> str | None:
    """A C compiler on a system that has LD_PRELOAD."""
    return (shutil.which("cc") or shutil.which("gcc")) if sys.platform == "linux" else None


def build(folder: Path) -> Path:
    """The shim as a shared library in the folder."""
    library = folder / "shim.so"
    command = [
        compiler() or "cc",
        "-O1",
        "-shared",
        "-fPIC",
        "-o",
        library,
        Path(__file__).with_name("shim.c"),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return library


def under_shim(library: Path, module: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a module of the tests under the shim; its output."""
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=900,
        env={**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


class Switch:
    """The shim of this process."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL(os.environ["LD_PRELOAD"])
        self._lib.faults_seen.restype = self._lib.faults_synced.restype = ctypes.c_long

    def arm(self, folder: Path, at: int, fault: Fault) -> None:
        """From now on the `at`-th change under the folder goes wrong."""
        self._lib.faults_arm(os.fsencode(folder), ctypes.c_long(at), fault.number, fault.how, fault.classes)

    def disarm(self) -> int:
        """How many changes there were."""
        seen = int(self._lib.faults_seen())
        self._lib.faults_arm(b"", ctypes.c_long(0), 0, 0, 0)
        return seen

    def no_exchange(self) -> None:
        """As on a system that cannot exchange two folders in one step."""
        self._lib.faults_no_exchange(1)
