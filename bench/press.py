"""How long until a press shows: press to first step, cancel to stopped, resume to first step.

    python -m bench.press [--times 5]

On a fresh demo home, with the jobs started as the studio's buttons start them (`arena.jobs`): Retrain on the demo's stored
votes, *Cancel* in the middle of the run, *Resume*. A step counts once the run page could show it, that is, once it is in the
database. "Stopped" is when the job has ended and its checkpoint is kept. Medians, with the smallest and largest.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlite_utils import Database

from arena import jobs
from bench.votes import ROOT
from db.connection import Home, home_at, open_writer
from db.entities.runs import Job
from db.runs import find_run, get_job, metrics_of

LONGEST = 600.0


def until(ready: Callable[[], bool], job: Callable[[], Job], what: str) -> float:
    """Seconds until it is so; ends the program where the job ends first, or it takes too long."""
    began = time.monotonic()
    while not ready():
        if time.monotonic() - began > LONGEST or job().status.over:
            raise SystemExit(f"{what}: {job().status}: {job().message}")
        time.sleep(0.02)
    return time.monotonic() - began


def last_step(db: Database, name: str) -> int:
    """The newest step of a run that has a loss; 0 before the first."""
    run = find_run(db, name)
    return max((step for step, _ in metrics_of(db, run.id).get("loss", [])), default=0) if run else 0


def once(home: Home, db: Database, name: str) -> tuple[float, float, float]:
    """(press to first step, cancel to stopped, resume to first step) in seconds."""
    words = [
        "train",
        "dpo",
        "--from",
        "starter-sft",
        "--pairs",
        str(home.root / "pairs.jsonl"),
        "--name",
        name,
        "--no-rematch",
    ]
    first = jobs.start(home, db, words)
    pressed = until(lambda: last_step(db, name) >= 1, lambda: get_job(db, first.id), "press")
    until(lambda: last_step(db, name) >= 8, lambda: get_job(db, first.id), "run")
    began = time.monotonic()
    jobs.cancel(db, first.id)
    stopped = time.monotonic() - began
    reached = last_step(db, name)
    again = jobs.start(home, db, ["train", "resume", name])
    resumed = until(lambda: last_step(db, name) > reached, lambda: get_job(db, again.id), "resume")
    jobs.cancel(db, again.id)
    return pressed, stopped, resumed


def demo_pairs(file: Path, n: int = 300) -> None:
    """The pairs that honest votes on the demo's stored answers make."""
    import json
    from random import Random

    from training.starter.demo import demo_responses
    from training.starter.votes import honest_pairs

    answers: dict[str, dict[str, str]] = {}
    for r in demo_responses():
        answers.setdefault(r.prompt, {})[r.model] = r.response
    both = [(p, a) for p, a in answers.items() if {"starter-sft", "starter-dpo"} <= a.keys()][:n]
    made = honest_pairs([p for p, _ in both], [a["starter-sft"] for _, a in both],
                        [a["starter-dpo"] for _, a in both], Random(0))  # fmt: skip
    file.write_text(
        "".join(
            json.dumps({"prompt": p.prompt, "chosen": p.chosen, "rejected": p.rejected}) + "\n" for p in made
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = home_at(Path(folder))
        demo_pairs(home.root / "pairs.jsonl")
        subprocess.run(
            [sys.executable, "launch.py", "--home", folder, "models", "list"],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        db = open_writer(home)
        found = []
        for i in range(options.times):
            found.append(once(home, db, f"run-{i}"))
            print("  " + "  ".join(f"{seconds:.2f}" for seconds in found[-1]), flush=True)
        db.conn.close()
    for name, seconds in zip(
        ("press to first step", "cancel to stopped", "resume to first step"),
        zip(*found, strict=True),
        strict=True,
    ):
        print(f"{name:22} {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})")


if __name__ == "__main__":
    main()
