"""Raters' figures kept in memory: in a home with many votes they take many seconds, so a process of their own works them out.

What is kept is shown with the raters as they are now; a newer version is begun when somebody looks, and is there soon after.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import NamedTuple

from arena.raters import RaterRow, figures_of_raters, rater_rows
from db.connection import Home, Readers, open_reader
from db.figures import figures_stamp, votes_in
from labeling.quality import RaterFigures

LARGE = 5_000
"""votes from which figures are kept"""

Figures = Mapping[str, RaterFigures]


class RatersLook(NamedTuple):
    """Every rater with the figures there are; `stamp` changes when there are newer ones, `newer`: such are being made."""

    rows: list[RaterRow]
    stamp: str
    newer: bool
    votes: int


class KeptRaters:
    """The figures of one home's raters. `submit` runs a function in a process of its own."""

    def __init__(
        self,
        home: Home,
        readers: Readers,
        submit: Callable[[Callable[[Home], Figures], Home], Future[Figures]],
    ) -> None:
        self._home, self._readers, self._submit = home, readers, submit
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
                making, self._making = True, self._submit(_figures, self._home)
                self._making.add_done_callback(lambda done: self._keep(done, now))
        return RatersLook(rater_rows(db, self._figures), self.stamp, making, votes)

    def _keep(self, done: "Future[Figures]", stamp: str) -> None:
        if not done.cancelled() and done.exception() is None:
            self._figures, self.stamp = done.result(), stamp


def _figures(home: Home) -> Figures:
    """In the child."""
    db = open_reader(home)
    try:
        return figures_of_raters(db)
    finally:
        db.conn.close()
