"""POST /api/vote beside the same durable insert through a Gradio queued event, in one run.

    python -m bench.votes [--seconds 6] [--users 1,10,50,200]

Both servers are processes of their own; the clients share the machine with them, so ceilings are low by about half
and the ratios are what to trust. Each vote is a new row, committed with synchronous=FULL before the answer. Microseconds
of processor time a vote, the server's and all its threads', say what a busy machine hides.
"""

import argparse
import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.rows import Row, better, report
from bench.wire import Load, Wire, closed_loop

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[Any]) -> None:
    """Until a server answers; a busy machine may take minutes."""
    for _ in range(1800):
        if process.poll() is not None:
            raise SystemExit("a server ended before it answered")
        try:
            urllib.request.urlopen(url, timeout=1).read()
            return
        except OSError:
            time.sleep(0.1)


# -- ours ------------------------------------------------------------------------------------------------------


def make_home(folder: str, battles: int) -> None:
    """A home with recorded models and a campaign with room for every vote of the run."""
    from db.campaigns import create_campaign
    from db.catalog import add_model, add_prompts, add_responses
    from db.connection import home_at, open_writer, transaction
    from db.entities.campaigns import CampaignSettings
    from db.entities.catalog import ModelKind, Prompt, Response, Split

    db = open_writer(home_at(Path(folder)))
    with transaction(db):  # the guard finds nothing in these texts: no battle is held
        prompts = [
            Prompt.of([{"role": "user", "content": f"Question {i}?"}], Split.TRAIN) for i in range(battles)
        ]
        add_prompts(db, prompts, prompt_set="bench")
        for model in ("bench-a", "bench-bb"):
            add_model(db, model, ModelKind.RECORDED)
            add_responses(
                db, [Response.of(p.id, model, f"{p.id} {len(model)} " + "word " * 150) for p in prompts]
            )
        create_campaign(
            db,
            "bench",
            ("bench-a", "bench-bb"),
            "bench",
            CampaignSettings(overlap=100_000, lease_seconds=86_400),
        )
    db.conn.close()


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """User and system time of a server so far."""
    import psutil

    spent = psutil.Process(process.pid).cpu_times()
    return float(spent.user + spent.system)


def lend_all(folder: str, users: int, each: int) -> list[tuple[str, list[str]]]:
    """(link token, assignments) of new seats that hold `each` ballots."""
    from db.campaigns import battles_of, get_campaign
    from db.connection import home_at, open_writer, transaction
    from labeling.joining import invite
    from labeling.lending import lend

    db = open_writer(home_at(Path(folder)))
    campaign = get_campaign(db, "bench")
    battles = [b.id for b in battles_of(db, campaign.id)][:each]
    now = datetime.now(UTC)
    with transaction(db):
        made = [
            (i.token, [lend(db, campaign, i.seat, b, now).id for b in battles])
            for i in invite(db, "bench", users, simulated=True)
        ]
    db.conn.close()
    return made


async def run_ours(
    port: int, seats: list[tuple[str, list[str]]], seconds: float, spent: Callable[[], float] = lambda: 0.0
) -> tuple[Load, float]:
    """(what the raters saw, the server's processor seconds meanwhile): every seat votes on its ballots without a pause."""
    base = {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}
    wires = []
    for token, _ in seats:
        wire = Wire("127.0.0.1", port, dict(base))
        _, headers, _ = await wire.request("GET", f"/join/{token}")
        wire.headers["Cookie"] = headers["set-cookie"].split(";")[0]
        await wire.request("GET", "/api/next?n=1")
        wires.append(wire)
    end = time.perf_counter() + seconds

    async def work(user: int) -> list[tuple[float, bool]]:
        seen = []
        for assignment in seats[user][1]:
            started = time.perf_counter()
            if started > end:
                break
            body = {"assignment": assignment, "choice": "left", "key": uuid.uuid4().hex, "elapsed_ms": 4000}
            status, _, _ = await wires[user].request("POST", "/api/vote", body)
            seen.append((time.perf_counter() - started, status == 200))
        return seen

    before = spent()
    load = await closed_loop(len(seats), work)
    used = spent() - before
    for wire in wires:
        wire.close()
    return load, used


# -- the peer: the same insert as a Gradio event ------------------------------------------------------------------


def serve_peer(folder: str, port: int) -> None:
    """A plain Gradio arena: two panes, a button whose queued event stores the vote."""
    import gradio as gr

    path = str(Path(folder) / "peer.db")
    local = threading.local()
    setup = sqlite3.connect(path)
    setup.execute("PRAGMA journal_mode=WAL")
    setup.execute(
        "CREATE TABLE IF NOT EXISTS votes (id INTEGER PRIMARY KEY, rater TEXT, battle INTEGER, outcome TEXT, at TEXT) STRICT"
    )
    setup.commit()

    def vote(battle: int, choice: str, request: gr.Request) -> tuple[str, str, int]:
        if not hasattr(local, "db"):
            local.db = sqlite3.connect(path, timeout=30, isolation_level=None)
            local.db.execute("PRAGMA synchronous=FULL")
        local.db.execute("BEGIN IMMEDIATE")
        local.db.execute("INSERT INTO votes(rater, battle, outcome, at) VALUES (?, ?, ?, datetime())",
                         (request.session_hash, int(battle), choice))  # fmt: skip
        local.db.execute("COMMIT")
        return "word " * 150, "word " * 150, int(battle) + 1

    with gr.Blocks() as demo:
        left, right = gr.Markdown("left"), gr.Markdown("right")
        number, choice = gr.Number(0), gr.Textbox("left")
        gr.Button("vote").click(vote, [number, choice], [left, right, number])
    demo.queue().launch(server_port=port, quiet=True)


async def run_peer(port: int, users: int, seconds: float) -> Load:
    end = time.perf_counter() + seconds

    async def work(user: int) -> list[tuple[float, bool]]:
        seen, session = [], uuid.uuid4().hex[:12]
        wire = Wire("127.0.0.1", port)
        while (started := time.perf_counter()) < end:
            joined, _, _ = await wire.request("POST", "/gradio_api/queue/join", {
                "data": [user, "left"], "fn_index": 0, "session_hash": session, "event_data": None,
            })  # fmt: skip
            stream = Wire("127.0.0.1", port)
            _, _, events = await stream.request("GET", f"/gradio_api/queue/data?session_hash={session}")
            stream.close()
            ok = (
                joined == 200
                and b'"process_completed"' in events
                and b'"success":true' in events.replace(b" ", b"")
            )
            seen.append((time.perf_counter() - started, ok))
        return seen

    return await closed_loop(users, work)


def rows_of(users: int, mine: Load, used: float, theirs: Load, used_there: float) -> Iterator[Row]:
    """Votes a second, and processor time a vote."""
    goal = "25 times, 1,000 a second on two quiet cores" if users == 200 else ""
    yield Row(
        f"votes a second, {users} raters without a pause",
        f"{mine.rate:,.0f} (p50 {mine.quantile(0.5):.0f}, p99 {mine.quantile(0.99):.0f} ms, {mine.failed} failed)",
        f"Gradio queued event {theirs.rate:,.0f} (p50 {theirs.quantile(0.5):.0f}, p99 {theirs.quantile(0.99):.0f} ms, "
        f"{theirs.failed} failed)",
        better(mine.rate, theirs.rate), goal,
    )  # fmt: skip
    cost, cost_there = (1e6 * t / max(load.done, 1) for t, load in ((used, mine), (used_there, theirs)))
    yield Row(
        f"processor time a vote, {users} raters", f"{cost:,.0f} µs", f"Gradio queued event {cost_there:,.0f} µs",
        better(cost, cost_there, less=True),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--users", default="1,10,50,200")
    parser.add_argument("--serve-peer", nargs=2, metavar=("FOLDER", "PORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_peer:
        serve_peer(options.serve_peer[0], int(options.serve_peer[1]))
        return
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        make_home(folder, 4000)
        ports = free_port(), free_port()
        ours = subprocess.Popen([sys.executable, "launch.py", "--home", folder, "serve", "--no-open", "--port", str(ports[0])],
                                cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        peer = subprocess.Popen([sys.executable, "-m", "bench.votes", "--serve-peer", folder, str(ports[1])],
                                cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            wait_for(f"http://127.0.0.1:{ports[0]}/healthz", ours)
            wait_for(f"http://127.0.0.1:{ports[1]}/", peer)
            for users in (int(u) for u in options.users.split(",")):
                seats = lend_all(folder, users, min(4000, max(200, int(4000 * options.seconds / users))))
                mine, used = asyncio.run(
                    run_ours(ports[0], seats, options.seconds, lambda: processor_seconds(ours))
                )
                before = processor_seconds(peer)
                theirs = asyncio.run(run_peer(ports[1], users, options.seconds))
                used_there = processor_seconds(peer) - before
                print(mine.line("POST /api/vote"))
                print(theirs.line("Gradio queued event"))
                report(*rows_of(users, mine, used, theirs, used_there))
        finally:
            for process in (ours, peer):
                process.terminate()
                process.wait(20)


if __name__ == "__main__":
    main()
