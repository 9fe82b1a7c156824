"""One run in several processes: what they must do in step. In a single process all of it is trivial.

Every process goes through the same run; only the first writes. Light at import: torch is asked only once a launcher has
started this process as one of several.
"""

import os
from collections.abc import Callable
from typing import Any

FOLDER = "processes"
"""in the run's folder while it trains: what its processes, and the one who started them, leave for each other"""


def processes() -> int:
    """How many processes this run has."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def first() -> bool:
    """Whether this is the process that writes."""
    return processes() == 1 or int(os.environ["RANK"]) == 0


def wait() -> None:
    """Until every process is here."""
    if processes() > 1:
        from accelerate.utils import wait_for_everyone

        wait_for_everyone()


def agreed(value: bool) -> bool:
    """What the first process says; the others are told, so that all stop after the same step."""
    if processes() == 1:
        return value
    from accelerate.utils import broadcast_object_list

    return bool(broadcast_object_list([value], from_process=0)[0])


def gathered(values: list[Any]) -> list[Any]:
    """The values of all processes in one list, the same in each."""
    if processes() == 1:
        return values
    from accelerate.utils import gather_object

    return list(gather_object(values))


def by_the_first(act: Callable[[], object]) -> None:
    """Let the first process do it, once all are here, before any goes on."""
    wait()
    if first():
        act()
    wait()


def shared(batch_size: int, accumulation: int) -> tuple[int, int] | None:
    """(batch, accumulation) of each process so that all of them see as many rows a step as one would; None: impossible.

    The accumulation is divided first, which leaves every batch as it is; then the batch.
    """
    n = processes()
    while n > 1:
        part = next((p for p in range(2, n + 1) if n % p == 0), n)
        if accumulation % part == 0:
            accumulation //= part
        elif batch_size % part == 0:
            batch_size //= part
        else:
            return None
        n //= part
    return batch_size, accumulation
