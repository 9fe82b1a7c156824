"""Which process is which, whatever the system's clock does: when it began, counted from the start of the machine.

The time of day would not do: once a clock is set right, every process seems to have begun at another time.
"""

import contextlib
import os
from pathlib import Path

import psutil

TOLERANCE = 2.0
"""seconds by which two readings of one beginning may differ"""
_A_BOOT = 2**27
"""seconds between the marks of two starts of the machine: more than it is ever up"""


def mark_of(pid: int) -> float:
    """A number that this process has and no later one of the same id: seconds from the machine's start, beyond a number
    of that start. Where the system does not tell, the time of day it began. psutil.NoSuchProcess where there is none.
    """
    stat, boot = Path(f"/proc/{pid}/stat"), Path("/proc/sys/kernel/random/boot_id")
    with contextlib.suppress(OSError):
        ticks = int(
            stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        )  # proc(5)
        number = int(boot.read_text(encoding="utf-8")[:5], 16)
        return number * _A_BOOT + ticks / os.sysconf("SC_CLK_TCK")
    return float(psutil.Process(pid).create_time())


def runs_still(pid: int, mark: float | None) -> bool:
    """Whether that very process still runs: its id may have been given to another one since. None: any of this id."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        marks = (mark_of(pid), process.create_time())  # homes of before kept the time of day
    except psutil.NoSuchProcess:
        return False
    return mark is None or any(abs(one - mark) < TOLERANCE for one in marks)
