"""A run in a process of its own that is killed without a word, as a machine that loses its power does it."""

import multiprocessing
import os
import signal
import time
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["training.dpo"])


def in_a_group(spec: Any) -> None:
    """Train, as the leader of a process group."""
    os.setsid()
    from training.dpo import train

    train(spec)


def run(spec: Any, kill_after: int | None = None) -> int:
    """Train in a process; once it has logged the step, its whole group gets kill -9. The process's exit code."""
    from training.metrics import read_metrics

    child = CONTEXT.Process(target=in_a_group, args=(spec,))
    child.start()
    assert child.pid is not None
    while child.is_alive():
        if kill_after is not None:
            seen = read_metrics(spec.folder / "metrics.jsonl")
            if any(m.step >= kill_after for m in seen):
                os.killpg(child.pid, signal.SIGKILL)
                kill_after = None
        time.sleep(0.004)
    child.join()
    return int(child.exitcode or 0)
