"""Does one press make the model better? The demo loop over five seeds, judged by the starter world's rubric.

    python -m bench.loop [--seeds 5] [--rounds-seeds 2] [--votes 200,60]

For each seed: an empty home is served, honest simulated raters vote over HTTP on starter-sft against starter-dpo,
`train dpo --from starter-sft` runs, and the candidate's answers to 200 held-out prompts that no campaign used
(sampling at temperature 0.8) are compared with its parent's: true win rate, ties half. Then three rounds in a row.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.votes import ROOT, free_port, wait_for


def launch(home: str, *words: str) -> str:
    run = subprocess.run(
        [sys.executable, "launch.py", "--home", home, *words], cwd=ROOT, capture_output=True, text=True
    )
    if run.returncode:
        raise SystemExit(f"{' '.join(words)}: exit {run.returncode}\n{run.stderr[-2000:]}")
    return run.stdout


@contextlib.contextmanager
def served() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as home:
        port = free_port()
        server = subprocess.Popen([sys.executable, "launch.py", "--home", home, "serve", "--no-open", "--port", str(port)],
                                  cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            wait_for(f"http://127.0.0.1:{port}/healthz", server)
            yield home
        finally:
            server.terminate()
            server.wait(20)


def answers(home: str, model: str, seed: int) -> list[str]:
    """A model's answers to the 200 prompts kept for measuring."""
    from arena.demo import ensure_starter
    from arena.generating import player_of
    from arena.players import GenerationSettings
    from db.connection import home_at, open_writer
    from training.starter.world import bench_prompts

    here = home_at(Path(home))
    db = open_writer(here)
    player = player_of(here, ensure_starter(db, model))
    db.conn.close()
    settings = GenerationSettings(temperature=0.8, max_new_tokens=80, seed=seed)
    return [
        a.text
        for a in player.respond([[{"role": "user", "content": p.text}] for p in bench_prompts()], settings)
    ]


def true_win_rate(home: str, model: str, parent: str, seed: int) -> float:
    from training.starter.votes import win_rate
    from training.starter.world import bench_prompts

    texts = [p.text for p in bench_prompts()]
    return win_rate(texts, answers(home, model, seed), answers(home, parent, seed + 1000))


def vote(home: str, campaign: str, votes: int, seed: int) -> None:
    launch(
        home,
        "simulate",
        campaign,
        "--raters",
        "10",
        "--votes",
        str(votes),
        "--profile",
        "honest",
        "--seed",
        str(seed),
    )


def one_press(votes: int, seed: int) -> tuple[float, float]:
    """(true win rate of the candidate against its parent, seconds from press to registered candidate)."""
    with served() as home:
        vote(home, "SFT vs DPO", votes, seed)
        started = time.monotonic()
        launch(home, "train", "dpo", "--from", "starter-sft", "--campaign", "SFT vs DPO", "--name", "candidate",
               "--no-rematch", "--set", f"seed={seed}", "--json")  # fmt: skip
        seconds = time.monotonic() - started
        return true_win_rate(home, "candidate", "starter-sft", seed), seconds


def rounds(n: int, votes: int, seed: int) -> list[float]:
    """True win rate against the first parent after each of n rounds; the loop opens its own campaigns."""
    reached = []
    with served() as home:
        parent, campaign = "starter-sft", "SFT vs DPO"
        for i in range(1, n + 1):
            vote(home, campaign, votes, seed * 10 + i)
            name = f"round-{i}"
            launch(
                home,
                "train",
                "dpo",
                "--from",
                parent,
                "--campaign",
                campaign,
                "--name",
                name,
                "--set",
                f"seed={seed}",
            )
            reached.append(true_win_rate(home, name, "starter-sft", seed))
            parent, campaign = name, f"{name} collect"
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds-seeds", type=int, default=2)
    parser.add_argument("--votes", default="200,60")
    options = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    result: dict[str, object] = {}
    for votes in (int(v) for v in options.votes.split(",") if v):
        runs = [one_press(votes, seed) for seed in range(1, options.seeds + 1)]
        rates = [r for r, _ in runs]
        print(f"{votes} votes, one press: true win rates {' '.join(f'{r:.3f}' for r in rates)}  mean {statistics.mean(rates):.3f}"
              f"  lowest {min(rates):.3f}  press to candidate {max(s for _, s in runs):.0f} s at most", flush=True)  # fmt: skip
        result[f"{votes} votes"] = {"win_rates": rates, "seconds": [round(s, 1) for _, s in runs]}
    for seed in range(1, options.rounds_seeds + 1):
        reached = rounds(3, 200, seed)
        print(
            f"three rounds of 200 votes, seed {seed}: {' '.join(f'{r:.3f}' for r in reached)} against the first parent",
            flush=True,
        )
        result[f"rounds, seed {seed}"] = reached
    print(json.dumps(result))


if __name__ == "__main__":
    main()
