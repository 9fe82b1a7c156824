"""Raters over HTTP at a served home that may die at any moment: what each sent, and what it was promised."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.wire import Wire
from db.connection import Home
from tests.faults.shim import ROOT

BROKEN = (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError)


@dataclass
class Server:
    """`serve` on a home, in a process of its own."""

    port: int
    process: subprocess.Popen[bytes]
    seconds_to_ready: float

    def kill(self) -> None:
        """As a loss of power ends it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def serving(home: Home, port: int, *before: str) -> Iterator[Server]:
    """A server that answers; killed at the end of the block. `before`: words before the command."""
    command = [
        *before,
        sys.executable,
        "launch.py",
        "--home",
        str(home.root),
        "serve",
        "--no-open",
        "--port",
        str(port),
    ]
    started = time.monotonic()
    with (home.root / "server.txt").open("ab") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=out, stderr=out, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
    try:
        while True:
            assert process.poll() is None, (home.root / "server.txt").read_text()
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).read()
                break
            assert time.monotonic() - started < 180, "the server did not start"
            time.sleep(0.05)
        yield Server(port, process, time.monotonic() - started)
    finally:
        process.kill()
        process.wait()


@dataclass
class Rater:
    """A seat, what it sent and what it was answered. A request that broke is sent again with its key."""

    port: int
    link: str
    cookie: str = ""
    open: list[tuple[str, str]] = field(default_factory=list)
    """(assignment, key) without an answer yet"""
    saved: dict[str, tuple[str, str]] = field(default_factory=dict)
    """{assignment: (key, receipt)}"""
    sent: set[str] = field(default_factory=set)
    broken: int = 0
    wrong: list[str] = field(default_factory=list)
    """answers that nobody should get"""

    async def work(self, until: asyncio.Event) -> None:
        """Vote until told to stop, or until the server is gone."""
        wire = await self._wire()
        try:
            while not until.is_set() and await self._step(wire):
                pass
        except BROKEN:
            self.broken += 1
        finally:
            wire.close()

    async def ask_again(self) -> int:
        """How many of the saved votes do not get their receipt when they are sent once more."""
        wire, lost = await self._wire(), 0
        for assignment, (key, receipt) in self.saved.items():
            status, body = await self._post(wire, assignment, key)
            lost += status != 200 or body["receipt"] != receipt
        wire.close()
        return lost

    async def _wire(self) -> Wire:
        own = {"Origin": f"http://127.0.0.1:{self.port}", "Sec-Fetch-Site": "same-origin"}
        if self.cookie:
            own["Cookie"] = self.cookie
        return Wire("127.0.0.1", self.port, own)

    async def _step(self, wire: Wire) -> bool:
        if not self.cookie:
            _, headers, _ = await asyncio.wait_for(wire.request("GET", self.link), 60)
            self.cookie = wire.headers["Cookie"] = headers["set-cookie"].split(";")[0]
        if not self.open:
            status, _, body = await asyncio.wait_for(wire.request("GET", "/api/next?n=3"), 60)
            if status != 200:
                self.wrong.append(f"next: {status} {body[:200]!r}")
                return False
            self.open = [(b["assignment"], uuid.uuid4().hex) for b in json.loads(body)["ballots"]]
        if not self.open:
            return False
        assignment, key = self.open[0]
        self.sent.add(assignment)
        status, answer = await self._post(wire, assignment, key)
        if status != 200:
            self.wrong.append(f"vote: {status} {answer}")
            return False
        self.saved[assignment] = (key, str(answer["receipt"]))
        self.open.pop(0)
        return True

    async def _post(self, wire: Wire, assignment: str, key: str) -> tuple[int, dict[str, object]]:
        body = {"assignment": assignment, "choice": "left", "key": key, "elapsed_ms": 4000}
        status, _, answer = await asyncio.wait_for(wire.request("POST", "/api/vote", body), 60)
        return status, json.loads(answer)


async def vote(raters: list[Rater], stop: asyncio.Event) -> None:
    """All of them at once, until told to stop or the server is gone."""
    await asyncio.gather(*(rater.work(stop) for rater in raters))
