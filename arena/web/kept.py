"""Reports kept in memory: a large campaign's results are drawn at once, and read anew by a process of their own.

Small reports are made when asked. A large one takes seconds of work that would hold up everybody's votes in this
process, so a child makes it; what is kept is shown, with its time, until the newer one is there.
"""

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from typing import NamedTuple, ParamSpec, TypeVar, TypeVarTuple

from arena.charts import Download, downloads
from arena.report import Report, report
from arena.web.last_pages import keep_page, last_page
from db.campaigns import list_campaigns
from db.connection import Database, Home, Readers, open_reader
from db.errors import UserError
from db.figures import figures_stamp, votes_in

LOG = logging.getLogger("tastebench.kept")
P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LARGE = 5_000
"""votes from which what reads every one of them is the child's work, and kept"""
MOST_KEPT = 16


READ_IN = (
    "scipy.stats", "scipy.optimize", "scipy.sparse.csgraph", "statsmodels.genmod.generalized_linear_model",
    "statsmodels.regression.linear_model", "statsmodels.stats.sandwich_covariance", "statsmodels.stats.proportion",
    "statsmodels.stats.power", "statsmodels.stats.inter_rater", "py3langid",
)  # fmt: skip


class Made(NamedTuple):
    """What the child hands over: a report and its downloads."""

    report: Report
    files: tuple[Download, ...]


class Kept(NamedTuple):
    """A report, what it was read from, and when."""

    report: Report
    stamp: str
    at: datetime
    files: tuple[Download, ...] | None = None
    """its downloads; None where they are still to be made"""


class Look(NamedTuple):
    """What can be shown of a campaign now: None while its first report is made. `newer`: a newer one is being made."""

    kept: Kept | None
    newer: bool
    votes: int


class KeptReports:
    """The reports of one home, by campaign (None: all together)."""

    def __init__(self, home: Home, readers: Readers) -> None:
        self._home, self._readers = home, readers
        self._kept: dict[str | None, Kept] = {}
        self._made: dict[tuple[str | None, str], Future[Made]] = {}
        self._pool: ProcessPoolExecutor | None = None
        self._told = ""
        self._lock = threading.RLock()

    def looks(self, campaign: str | None) -> Iterator[Look]:
        """What to show now and, where that is not the newest, what to show when the newest is there.

        UserError where there is no such campaign.
        """
        db = self._readers.get()
        votes = votes_in(db, campaign)
        if votes < LARGE:
            yield Look(Kept(report(db, campaign), "", datetime.now(UTC)), False, votes)
            return
        stamp = figures_stamp(db)
        kept = self._kept.get(campaign)
        newer = kept is None or kept.stamp != stamp
        yield Look(kept, newer, votes)
        if newer:
            made = self._make(campaign, stamp).result()
            yield Look(self._keep(campaign, stamp, made), False, votes)

    def before(self, campaign: str | None) -> str | None:
        """What the page of a large campaign showed before this server started, as HTML; None where nothing is kept."""
        return last_page(self._home, campaign)

    def warm(self) -> None:
        """Begin the reports of large campaigns, and read in what small ones need, so that it is there when somebody looks."""
        threading.Thread(target=_read_in, name="reading-in", daemon=True).start()
        db = self._readers.get()
        stamp = figures_stamp(db)
        for name in (c.name for c in list_campaigns(db)):
            if votes_in(db, name) >= LARGE:
                self._make(name, stamp).add_done_callback(partial(self._keep_done, name, stamp))

    def _keep_done(self, campaign: str, stamp: str, done: Future[Made]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._keep(campaign, stamp, done.result())

    def _keep(self, campaign: str | None, stamp: str, made: Made) -> Kept:
        keep_page(self._home, campaign, made.report, datetime.now(UTC))
        with self._lock:
            self._made.pop((campaign, stamp), None)
            self._kept.pop(campaign, None)
            self._kept[campaign] = Kept(made.report, stamp, datetime.now(UTC), made.files)
            while len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            return self._kept[campaign]

    def _make(self, campaign: str | None, stamp: str) -> Future[Made]:
        """The report in the making; one at a time, and one for everybody who asks for the same."""
        with self._lock:
            made = self._made.get((campaign, stamp))
            if made is None or (made.done() and made.exception() is not None):
                made = self._made[campaign, stamp] = self.read(_report, campaign)
            return made

    def read(self, work: Callable[[Database, *Ts], T], *args: *Ts) -> Future[T]:
        """Do some work in the child with a reading connection of its own to the home."""
        return self.submit(_read, self._home, work, *args)

    def submit(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> Future[T]:
        """Do some work in the child, after what waits there already."""
        with self._lock:
            if self._pool is None:
                self._pool = _child()
            try:
                begun = self._pool.submit(work, *args, **named)
            except BrokenProcessPool:  # the child was killed, by want of memory say: another takes its place
                self._pool = _child()
                begun = self._pool.submit(work, *args, **named)
        begun.add_done_callback(self._loud)
        return begun

    def _loud(self, done: Future[T]) -> None:
        """What failed in the child is told with its traceback, once for as long as it stays the same: pages ask again and again."""
        error = None if done.cancelled() else done.exception()
        if error is None or isinstance(error, UserError):
            return
        if repr(error) != self._told:
            LOG.error(
                "figures could not be worked out; they are tried again when somebody looks", exc_info=error
            )
        self._told = repr(error)

    def close(self) -> None:
        """End the child."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _child() -> ProcessPoolExecutor:
    """A child to work in. It looks for garbage seldom: a large report makes millions of objects and hardly any cycle."""
    return ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), initializer=gc.set_threshold, initargs=(200_000, 20, 20)
    )


def _read_in() -> None:
    """The libraries behind the figures: most of what the first look at a small campaign took."""
    for name in READ_IN:
        import_module(name)


def _read(home: Home, work: Callable[..., T], *args: object) -> T:
    """In the child."""
    db = open_reader(home)
    try:
        return work(db, *args)
    finally:
        db.conn.close()


def _report(db: Database, campaign: str | None) -> Made:
    made = report(db, campaign)
    return Made(made, downloads(made))
