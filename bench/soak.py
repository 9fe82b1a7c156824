"""The server for a long time: 50 raters at human pace with the studio open beside. Does it grow, leak or lose anything?

    python -m bench.soak [--minutes 10] [--raters 50] [--pace 8] [--no-studio]

A server of its own, with a copy of its home every minute, is watched from outside: resident memory, open handles,
threads, the log of writes beside the database (WAL). Memory is judged after a third of the time, once caches are full: over
45 minutes by its slope (under 5 MB an hour), in a shorter run by what it grew (under 30 MB), since there the noise of the
allocator is larger than the slope. Ends with 1 where a figure is not met.
"""

import argparse
import asyncio
import json
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from arena.upkeep import check
from bench.rows import Row, report
from bench.votes import ROOT, free_port, make_home, wait_for
from bench.wire import Wire
from db import copies
from db.connection import Home, home_at, open_writer, transaction
from labeling.joining import invite
from labeling.owners import owner_link_token

MB = 2**20
SLOPE, GROWTH, WAL, LONG = 5.0, 30.0, 64.0, 45.0
"""MB an hour, MB, MB, and the minutes from which the slope says something"""
HANDLES = 8
"""open handles: each thread that reads holds two or three, and a busy moment has some threads more"""
FAST = 20
"""first ballots of each rater that nobody reads, so that whatever needs votes to be loaded is loaded early"""
TABS = ("overview", "campaigns", "raters", "data", "jobs", "models", "settings")


@dataclass(frozen=True)
class Sample:
    """The server at one moment: seconds since the start, memory and log in MB, handles, threads.

    `child`: MB of the process that reads every vote for it.
    """

    at: float
    memory: float
    wal: float
    handles: int
    threads: int
    libraries: int
    child: float


@dataclass
class Seen:
    """What the raters and the watcher saw."""

    samples: list[Sample] = field(default_factory=list)
    receipts: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    looks: int = 0


async def rate(wire: Wire, token: str, pace: float, end: float, seen: Seen) -> None:
    """One rater until the end: a ballot, the time to read it, a vote. The first FAST come at once: part of warming up."""
    _, headers, _ = await wire.request("GET", f"/join/{token}")
    wire.headers["Cookie"] = headers["set-cookie"].split(";")[0]
    given = 0
    while time.monotonic() < end:
        status, _, body = await wire.request("GET", "/api/next?n=2")
        ballots = _json(body)["ballots"] if status == 200 else []
        if not ballots:
            seen.failed.append(f"no ballot ({status})")
            return
        await asyncio.sleep(random.uniform(0.5, 1.5) * pace if given >= FAST else 0.1)
        given += 1
        vote = {"assignment": ballots[0]["assignment"], "choice": random.choice(("left", "right", "tie", "skip")),
                "key": uuid.uuid4().hex, "elapsed_ms": int(pace * 1000)}  # fmt: skip
        status, _, body = await wire.request("POST", "/api/vote", vote)
        if status == 200:
            seen.receipts.add(_json(body)["receipt"])
        else:
            seen.failed.append(f"vote {status}")


def _json(body: bytes) -> dict[str, Any]:
    return dict(json.loads(body))


@asynccontextmanager
async def studio(base: str, token: str, end: float, seen: Seen) -> AsyncIterator[None]:
    """The studio in Chromium, another tab every twenty seconds."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        found = next(
            (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None
        )
        browser = await playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu"]
        )
        page = await browser.new_page()
        page.on("pageerror", lambda error: seen.failed.append(f"studio: {error}"))
        await page.goto(f"{base}/login/?token={token}")
        await page.wait_for_url("**/studio/**", timeout=60_000)

        async def look() -> None:
            while time.monotonic() < end:
                await page.get_by_role("tab", name=TABS[seen.looks % len(TABS)].title(), exact=True).click()
                seen.looks += 1
                pause = 3.0 if seen.looks < 2 * len(TABS) else 20.0  # every tab twice while warming up
                await asyncio.sleep(min(pause, max(0.0, end - time.monotonic())))

        looking = asyncio.create_task(look())
        yield
        await looking
        await browser.close()


@asynccontextmanager
async def nobody() -> AsyncIterator[None]:
    """No studio."""
    yield


def libraries(process: psutil.Process) -> int:
    """How many compiled libraries the server has loaded: a jump of memory with more of them is no leak."""
    return sum(".so" in part.path for part in process.memory_maps())


def children(process: psutil.Process) -> float:
    """Memory of the processes that the server started, in MB."""
    found = 0
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            found += child.memory_info().rss
    return found / MB


async def watch(process: psutil.Process, home: Home, end: float, seen: Seen, every: float) -> None:
    """Look at the server from outside until the end."""
    begun, wal = time.monotonic(), home.root / "arena.db-wal"
    while time.monotonic() < end:
        size = wal.stat().st_size if wal.exists() else 0
        seen.samples.append(Sample(time.monotonic() - begun, process.memory_info().rss / MB, size / MB,
                                   process.num_fds(), process.num_threads(), libraries(process), children(process)))  # fmt: skip
        await asyncio.sleep(every)


async def soak(
    port: int, pid: int, home: Home, tokens: Sequence[str], owner: str | None, args: argparse.Namespace
) -> Seen:
    """Everybody at once, for the whole time."""
    seen, end = Seen(), time.monotonic() + args.minutes * 60
    base = f"http://127.0.0.1:{port}"
    head = {"Origin": base, "Sec-Fetch-Site": "same-origin"}
    async with studio(base, owner, end, seen) if owner else nobody():
        raters = (rate(Wire("127.0.0.1", port, dict(head)), token, args.pace, end, seen) for token in tokens)
        await asyncio.gather(watch(psutil.Process(pid), home, end, seen, max(1.0, args.minutes / 6)), *raters)
    return seen


def slope(samples: Sequence[Sample]) -> float:
    """MB an hour, by least squares."""
    return statistics.linear_regression([s.at for s in samples], [s.memory for s in samples]).slope * 3600


def growth(values: Sequence[float]) -> float:
    """How much the last fifth lies above the first one, by their medians."""
    part = max(1, len(values) // 5)
    return statistics.median(values[-part:]) - statistics.median(values[:part])


def judge(seen: Seen, home: Home, minutes: float) -> list[str]:
    """Print what was seen; what was not met, a sentence each."""
    warm = seen.samples[len(seen.samples) // 3 :]
    grew, handles = growth([s.memory for s in warm]), growth([s.handles for s in warm])
    threads, wal = growth([s.threads for s in warm]), max(s.wal for s in seen.samples)
    with closing(sqlite3.connect(home.database)) as conn:
        stored = {r[0] for r in conn.execute("SELECT receipt FROM votes")}
    problems = check(home)
    steep = slope(warm)
    tenths = seen.samples[:: max(1, len(seen.samples) // 10)]
    along = " ".join(f"{s.memory:.0f} ({s.libraries})" for s in tenths)
    print(f"soak: memory along the way in MB (libraries loaded): {along}", flush=True)
    report(
        Row("soak: memory after warm-up", f"{warm[0].memory:.0f} MB, {steep:+.1f} MB an hour, grew {grew:+.1f} MB", goal="under 5 MB an hour over an hour"),
        Row("soak: memory of the process that reads every vote, at most", f"{max(s.child for s in seen.samples):.0f} MB", goal="grows with the votes"),
        Row("soak: log of writes, at most", f"{wal:.1f} MB", goal="under 64 MB"),
        Row("soak: open handles, threads", f"{warm[-1].handles} ({handles:+.0f}), {warm[-1].threads} ({threads:+.0f})", goal="no growth"),
        Row("soak: votes", f"{len(seen.receipts)} acknowledged, {len(seen.receipts - stored)} lost, {len(seen.failed)} failed, "
            f"{seen.looks} looks at the studio, {len(copies.list_copies(home.backups))} copies kept", goal="none lost, none failed"),
    )  # fmt: skip
    wrong = {
        f"memory grows by {steep:.1f} MB an hour": minutes >= LONG and steep >= SLOPE,
        f"memory grew by {grew:.1f} MB": minutes < LONG and grew >= GROWTH,
        f"the log of writes reached {wal:.0f} MB": wal >= WAL,
        f"{handles:.0f} more open handles": handles > HANDLES,
        f"{threads:.0f} more threads": threads > 2,
        f"{len(seen.receipts - stored)} acknowledged votes are lost": bool(seen.receipts - stored),
        f"{len(seen.failed)} requests failed, such as: {seen.failed[:1]}": bool(seen.failed),
        f"check: {problems[:1]}": bool(problems),
    }
    return [sentence for sentence, so in wrong.items() if so]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--raters", type=int, default=50)
    parser.add_argument("--pace", type=float, default=8.0)
    parser.add_argument("--no-studio", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_home(folder, battles=int(args.minutes * 60 / args.pace * 2) + 20 + FAST)
        home, port = home_at(Path(folder)), free_port()
        db = open_writer(home)
        with closing(db.conn), transaction(db):
            tokens = [i.token for i in invite(db, "bench", args.raters, simulated=True)]
            owner = None if args.no_studio else owner_link_token(db, datetime.now(UTC))
        with (Path(folder) / "serve.log").open("wb") as log:
            command = [sys.executable, str(ROOT / "launch.py"), "--home", folder, "serve", "--no-open", "--port", str(port),
                       "--backup-minutes", "1"]  # fmt: skip
            server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
            try:
                wait_for(f"http://127.0.0.1:{port}/healthz", server)
                seen = asyncio.run(soak(port, server.pid, home, tokens, owner, args))
            finally:
                server.terminate()
                server.wait(60)
        wrong = judge(seen, home, args.minutes)
    for sentence in wrong:
        print(f"not met: {sentence}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
