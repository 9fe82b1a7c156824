"""The server's own rounds: every few seconds start what waits for a slot, look for what owners should hear of, send it.

A thread with a loop of its own: what it writes goes through the writer as short requests, what it sends holds up
neither the writer nor the loop that serves everybody.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable

from arena import accelerators, jobs, notices
from arena.web.allocating import give_back
from arena.web.context import Context
from arena.web.sessions import now
from db import audit
from db.connection import Database
from db.errors import UserError
from db.notices import get_webhook, mark_tried
from db.queueing import queue
from db.runs import job_processes
from labeling.joining import stamp

EVERY, ALARMS_EVERY, COUNTED_EVERY, TIDIED_EVERY = 3.0, 20.0, 60.0, 20.0
"""seconds between two looks, between two at the alarms, two notes of how many logins failed, two givings back of memory"""
NOBODY = "(nobody)"
LOG = logging.getLogger("tastebench.watching")


class Watcher:
    """The rounds, from start to stop. `failures` tells how many logins have failed so far."""

    def __init__(
        self,
        context: Context,
        failures: Callable[[], int],
        every: float = EVERY,
        alarms_every: float = ALARMS_EVERY,
    ) -> None:
        self._context = context
        self._failures = failures
        self._every = every
        self._alarms_every, self._alarms_at = alarms_every, float("-inf")
        self._noted, self._noted_at = 0, float("-inf")
        self._tidied_at = time.monotonic()
        self._told = ""
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, in the middle of a sending if need be; it is tried again at the next start."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._rounds())
        finally:
            self._loop.close()

    async def _rounds(self) -> None:
        accelerators.devices()  # asked here, once: the writer's thread must not wait for a driver
        sending: asyncio.Task[None] | None = None
        while not self._stop.is_set():
            if sending is None or sending.done():
                if sending is not None:
                    sending.result()  # a bug stays loud
                sending = asyncio.create_task(self._send())
            self._look_unharmed()
            if time.monotonic() - self._tidied_at >= TIDIED_EVERY:
                self._tidied_at = time.monotonic()
                give_back()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._every)
        if sending is not None:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        self._note_failures()

    def _look_unharmed(self) -> None:
        """Look, and go on whatever comes of it: the next look finds the same again, a full disk or a bug.

        A bug is told with its traceback, once for as long as it stays the same.
        """
        try:
            self._look()
        except UserError:
            return
        except Exception as error:
            if repr(error) != self._told:
                LOG.exception(
                    "the server's own look around failed; it looks again in %g seconds", self._every
                )
            self._told = repr(error)

    def _look(self) -> None:
        db, writer = self._context.readers.get(), self._context.writer
        if job_processes(db):
            writer.call(jobs.reconcile)
        self._context.players.give_way()
        if queue(db):
            jobs.begin_waiting(self._context.home, writer.call)
        found = notices.look(db)
        if found:
            writer.call(lambda w: notices.keep(w, found))
        if time.monotonic() - self._alarms_at >= self._alarms_every:
            self._alarms_at = time.monotonic()
            alarms = notices.look_for_alarms(db, now())
            if alarms.found or alarms.seen != notices.alarms_seen(db):
                writer.call(lambda w: notices.keep_alarms(w, alarms))
        if time.monotonic() - self._noted_at >= COUNTED_EVERY:
            self._note_failures()

    def _note_failures(self) -> None:
        """How many logins failed since the last note; who tried and from where is not kept."""
        failed = self._failures()
        if failed > self._noted:
            times = "once" if failed == self._noted + 1 else f"{failed - self._noted} times"
            with contextlib.suppress(UserError):
                self._context.writer.call(lambda w: audit.note(w, NOBODY, f"failed to log in {times}"))
            self._noted, self._noted_at = failed, time.monotonic()

    async def _send(self) -> None:
        """Send what is due, one after the other."""
        db = self._context.readers.get()
        hook = get_webhook(db)
        if hook is None:
            return
        for notice in notices.due(db, hook, now()):
            problem = await notices.deliver(hook, *notices.message_of(notice), now())
            with contextlib.suppress(UserError):
                await asyncio.wrap_future(self._context.writer.submit(_tried(notice.id, problem)))


def _tried(notice: int, problem: str | None) -> Callable[[Database], None]:
    return lambda db: mark_tried(db, notice, stamp(now()), problem)
