"""Local models give way to a training that holds every GPU: they are unloaded, and say so where somebody asks them."""

from collections.abc import Sequence

from sqlite_utils import Database

from arena import accelerators
from db import queueing, runs


def reason(db: Database, found: Sequence[str] | None = None) -> str | None:
    """Why local models do not answer now; None where they do. Without a GPU they always do, a run is slower then.

    `found`: the GPUs there are; those of this machine by default.
    """
    devices = accelerators.devices() if found is None else found
    if not devices or not accelerators.all_busy(devices, queueing.taken_slots(db)):
        return None
    names = ", ".join(r.name for r in runs.active_runs(db)) or "a training"
    where = "the only GPU" if len(devices) == 1 else f"all {len(devices)} GPUs"
    return f"local models pause while {names} holds {where}"
