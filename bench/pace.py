"""Raters at a human pace while a model trains beside them: how long a vote and the next ballots take.

    python -m bench.pace [--raters 200] [--seconds 60] [--think 8] [--no-training]

Each rater takes ballots as the rating page does (two at a time), thinks for a while (exponential, 8 s on average), votes, and
takes the next ones. Beside them a DPO training runs as the studio's button starts it: a process of the lowest priority that
leaves one core free.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from bench.press import demo_pairs
from bench.rows import Row, report
from bench.serving import ours
from bench.votes import ROOT, make_home
from bench.wire import Load, Wire
from db.connection import home_at, open_writer
from labeling.joining import invite


async def rate(
    port: int, token: str, seconds: float, think: float, lot: random.Random
) -> list[tuple[str, float, bool]]:
    """One rater's requests: (which, seconds, whether it went well)."""
    wire = Wire("127.0.0.1", port, {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"})
    _, headers, _ = await wire.request("GET", f"/join/{token}")
    wire.headers["Cookie"] = headers["set-cookie"].split(";")[0]
    end, seen = time.perf_counter() + seconds, []
    await asyncio.sleep(lot.uniform(0, think))
    while time.perf_counter() < end:
        began = time.perf_counter()
        status, _, body = await wire.request("GET", "/api/next?n=2")
        seen.append(("next", time.perf_counter() - began, status == 200))
        ballots = json.loads(body)["ballots"]
        await asyncio.sleep(lot.expovariate(1 / think))
        vote = {
            "assignment": ballots[0]["assignment"],
            "choice": "left",
            "key": uuid.uuid4().hex,
            "elapsed_ms": 8000,
        }
        began = time.perf_counter()
        status, _, _ = await wire.request("POST", "/api/vote", vote)
        seen.append(("vote", time.perf_counter() - began, status == 200))
    wire.close()
    return seen


async def rate_all(port: int, tokens: list[str], seconds: float, think: float) -> dict[str, Load]:
    """All raters at once; what they saw, by request."""
    work = [rate(port, t, seconds, think, random.Random(i)) for i, t in enumerate(tokens)]
    flat = [one for seen in await asyncio.gather(*work) for one in seen]
    return {
        kind: Load(
            len(tokens), sum(ok for k, _, ok in flat if k == kind), sum(not ok for k, _, ok in flat if k == kind),
            seconds, [t for k, t, ok in flat if k == kind and ok],
        )
        for kind in ("vote", "next")
    }  # fmt: skip


def training(folder: str) -> subprocess.Popen[bytes]:
    """A DPO run on the demo's pairs, as long as it is let."""
    pairs = Path(folder) / "pairs.jsonl"
    demo_pairs(pairs)
    words = [
        "train", "dpo", "--from", "starter-sft", "--pairs", str(pairs), "--name", "beside", "--no-rematch",
        "--set", "max_steps=100000",
    ]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "launch.py", "--home", folder, *words], cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raters", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--think", type=float, default=8)
    parser.add_argument("--no-training", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_home(folder, 2000)
        db = open_writer(home_at(Path(folder)))
        tokens = [i.token for i in invite(db, "bench", options.raters, simulated=True)]
        db.conn.close()
        with ours(folder) as served:
            beside = None if options.no_training else training(folder)
            try:
                found = asyncio.run(rate_all(served.port, tokens, options.seconds, options.think))
                trained = beside is not None and beside.poll() is None
            finally:
                if beside is not None:
                    beside.terminate()
                    beside.wait(60)
    if beside is not None and not trained:
        raise SystemExit("the training beside the raters ended before they did")
    said = "a training beside" if trained else "nothing beside"
    for kind, load in found.items():
        goal = "p50 10, p95 50, p99 200 ms, no error" if kind == "vote" else ""
        report(Row(
            f"{kind}: {options.raters} raters at {options.think:g} s, {said}",
            f"p50 {load.quantile(0.5):.1f}, p95 {load.quantile(0.95):.1f}, p99 {load.quantile(0.99):.1f} ms, "
            f"{load.failed} failed of {load.done + load.failed}", goal=goal,
        ))  # fmt: skip


if __name__ == "__main__":
    main()
