"""How a benchmark reports: rows of one table, each a figure of ours beside a peer's. `python -m bench` gathers them."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

MARK = "ROW "
"""what a line on stdout begins with that holds a row"""
GATHERED = "BENCH_ROWS"
"""set in the environment where `python -m bench` reads along"""


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratio` is how many times better ours is; figures that have no peer have neither."""

    what: str
    ours: str
    peer: str = ""
    ratio: float | None = None
    goal: str = ""


def report(*rows: Row) -> None:
    """Print rows for whoever reads, and for the table."""
    for row in rows:
        beside = f"  beside {row.peer}" if row.peer else ""
        times = f"  {row.ratio:.1f} times" if row.ratio is not None else ""
        print(
            f"{row.what}: {row.ours}{beside}{times}" + (f"  (goal: {row.goal})" if row.goal else ""),
            flush=True,
        )
        if GATHERED in os.environ:
            print(MARK + json.dumps(asdict(row)), flush=True)


def rows_in(text: str) -> list[Row]:
    """The rows that a benchmark printed."""
    return [Row(**json.loads(line.removeprefix(MARK))) for line in text.splitlines() if line.startswith(MARK)]


def better(ours: float, peer: float, *, less: bool = False) -> float | None:
    """How many times better ours is than the peer's; `less` where small is good. None where either is nothing."""
    if min(ours, peer) <= 0:
        return None
    return peer / ours if less else ours / peer


def seconds_of(work: Callable[[], object]) -> float:
    """Wall seconds that the work took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
