"""The accelerators of this machine, counted without torch, and what a training on one of them gets to see.

No GPU: one slot, the processor. GPUs: one slot each.
"""

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from db.queueing import EVERY_SLOT

VISIBLE = "CUDA_VISIBLE_DEVICES"
ALL = "TASTEBENCH_DEVICES"
"""set beside VISIBLE where a job sees one GPU only: every GPU there is, for the job that starts the next one"""
LONGEST = 10.0


@functools.cache
def devices() -> tuple[str, ...]:
    """The GPUs that may be used, by the names CUDA takes; empty where there is none."""
    named = named_devices(os.environ)
    return installed() if named is None else named


def named_devices(environment: Mapping[str, str]) -> tuple[str, ...] | None:
    """The GPUs an environment allows; None where it says nothing. CUDA reads an empty list, or -1, as none."""
    text = environment.get(ALL, environment.get(VISIBLE))
    if text is None:
        return None
    named = [part.strip() for part in text.split(",")]
    return tuple(named[: next((i for i, name in enumerate(named) if name in ("", "-1")), len(named))])


def installed() -> tuple[str, ...]:
    """The GPUs the driver tells of."""
    return driver_says("index", LONGEST)


def driver_says(columns: str, seconds: float) -> tuple[str, ...]:
    """What the driver says of each GPU, a line of bare values each; nothing where none answers within the seconds."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        asked = [tool, f"--query-gpu={columns}", "--format=csv,noheader,nounits"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):  # a driver that does not answer serves nobody
        return ()
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return tuple(line.strip() for line in lines if line.strip())


def slots(found: Sequence[str]) -> int:
    """How many trainings may run at once."""
    return max(1, len(found))


def seen_by(slot: int | None, found: Sequence[str]) -> dict[str, str]:
    """The environment of a training in a slot: its own GPU and no other; nothing where there is none to choose from."""
    if slot is None or slot == EVERY_SLOT or not 0 <= slot < len(found):
        return {}
    return {VISIBLE: found[slot], ALL: ",".join(found)}


def all_busy(found: Sequence[str], taken: set[int]) -> bool:
    """Whether trainings hold every GPU, so that nothing else should be put on one; never without a GPU."""
    return bool(found) and (EVERY_SLOT in taken or all(n in taken for n in range(len(found))))
