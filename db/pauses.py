"""Pauses in long writing, so that a server's votes go in between."""

import time
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")
HELD, PAUSE = 0.05, 0.025  # seconds of work after which a server gets its turn, and how long that is


def with_pauses(lots: Iterator[T]) -> Iterator[T]:
    """The lots, each stored by a transaction or more, with a pause after every HELD seconds of work.

    Whoever waits for SQLite's lock looks again after 25 ms at the latest, then only every 100: between transactions that
    follow each other at once a server finds it free by luck alone, and votes waited up to its limit of 10 s.
    """
    since = time.monotonic()
    for lot in lots:
        yield lot
        if time.monotonic() - since >= HELD:
            time.sleep(PAUSE)
            since = time.monotonic()
