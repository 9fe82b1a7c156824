"""What memory is free for a run: of the GPU where there is one, else of this machine. Loads no torch."""

from pathlib import Path
from typing import NamedTuple

import psutil

from arena.accelerators import driver_says

CGROUP = Path("/sys/fs/cgroup")
LONGEST = 5.0


class Room(NamedTuple):
    """Bytes that are free and that there are, and of what."""

    free: int
    total: int
    on_gpu: bool

    @property
    def words(self) -> str:
        """Of what."""
        return "GPU memory" if self.on_gpu else "memory"


def room() -> Room:
    """The memory a run that starts now would find."""
    return _gpu() or _machine()


def _machine() -> Room:
    """What the system can give without swapping; a container may allow less."""
    found = psutil.virtual_memory()
    limit, used = _number(CGROUP / "memory.max"), _number(CGROUP / "memory.current")
    if limit is None or used is None or limit >= found.total:
        return Room(found.available, found.total, False)
    return Room(min(found.available, max(0, limit - used)), limit, False)


def _number(file: Path) -> int | None:
    """The number in a file; None where there is none (the file says "max", or is not there)."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _gpu() -> Room | None:
    """The first GPU as its driver tells of it; None where there is none that answers."""
    return read_gpu("\n".join(driver_says("memory.free,memory.total", LONGEST)))


def read_gpu(text: str) -> Room | None:
    """The first line of the driver's answer: free and total, in MiB."""
    parts = [part.strip() for part in text.strip().splitlines()[0].split(",")] if text.strip() else []
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        return None
    return Room(int(parts[0]) * 2**20, int(parts[1]) * 2**20, True)
