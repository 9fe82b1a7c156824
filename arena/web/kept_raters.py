"""Raters' figures kept in memory: in a home with many votes they take many seconds, so a process of their own works them out.

What is kept is shown with the raters as they are now; a newer version is begun when somebody looks, and is there soon after.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import NamedTuple

from arena.raters import RaterRow, figures_of_raters, rater_rows
from arena.web.kept import LARGE
from db.connection import Database, Readers
from db.figures import figures_stamp, votes_in
from labeling.quality import RaterFigures

Figures = Mapping[str, RaterFigures]


class RatersLook(NamedTuple):
    """Every rater with the figures there are; `stamp` changes when there are newer ones, `newer`: such are being made."""

    rows: list[RaterRow]
    stamp: str
    newer: bool
    votes: int


class KeptRaters:
    """The figures of one home's raters. `read` runs a function that reads the home in a process of its own."""

    def __init__(
        self, readers: Readers, read: Callable[[Callable[[Database], Figures]], Future[Figures]]
    ) -> None:
        self._readers, self._read = readers, read
        self._figures: Figures = {}
        self.stamp = ""
        """of what the figures that are kept were read from; empty before the first"""
        self._making: Future[Figures] | None = None
        self._lock = threading.Lock()

    def look(self, *, begin: bool = True) -> RatersLook:
        """The raters now; where there are many votes, with the figures that are kept, and newer ones begun if wanted."""
        db = self._readers.get()
        votes = votes_in(db, None)
        if votes < LARGE:
            return RatersLook(rater_rows(db), "", False, votes)
        now = figures_stamp(db)
        with self._lock:
            making = self._making is not None and not self._making.done()
            if begin and not making and self.stamp != now:
                making, self._making = True, self._read(figures_of_raters)
                self._making.add_done_callback(lambda done: self._keep(done, now))
        return RatersLook(rater_rows(db, self._figures), self.stamp, making, votes)

    def _keep(self, done: "Future[Figures]", stamp: str) -> None:
        if not done.cancelled() and done.exception() is None:
            self._figures, self.stamp = done.result(), stamp
