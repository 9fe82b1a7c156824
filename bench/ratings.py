"""Ratings with intervals from many votes: ours from counts, beside the libraries that arenas use, in the same run.

    python -m bench.ratings [--votes 10000,100000,1000000] [--models 20,100] [--limit 120] [--others PYTHON]

Ours: Newton steps on the counts by pair of models, sandwich intervals (HC0) from the same counts; timed once from the
kept counts and once with counting the votes too; clustered by rater apart. Others, each in a process of its own so that
peak memory is its own, by the interpreter PYTHON where they are installed: arena-rank (sandwich), evalica and the method
of FastChat (Bradley-Terry on a weighted design, bootstrap of 100). A way that has not ended after `--limit` seconds is ended and
said so. Imports are left out on every side: of the seconds, and of the memory in "beyond", which is what the process held
at its most above what it held once everything was imported and the votes were made up.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

from bench.rows import Row, report

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 100
"""of the bootstraps"""


def league(votes: int, models: int):  # type: ignore[no-untyped-def]  # noqa: ANN201 - arrays of a library the others may lack
    """Places of both models, outcomes (1, 0, a half) and raters of made-up votes."""
    import numpy as np

    rng = np.random.default_rng(7)
    strength = np.linspace(1, -1, models)
    a = rng.integers(0, models, votes)
    b = (a + rng.integers(1, models, votes)) % models
    won = rng.random(votes) < 1 / (1 + np.exp(strength[b] - strength[a]))
    y = np.where(rng.random(votes) < 0.2, 0.5, won.astype(float))
    return a, b, y, rng.integers(0, max(50, votes // 200), votes)


HELD = [0.0]
"""MB that this process held when its work began"""


def begun() -> float:
    """Note what is held now; the clock."""
    HELD[0] = peak()
    return time.perf_counter()


def peak() -> float:
    """MB that this process held at its most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(votes: int, models: int, how: str) -> float:
    """Seconds. how: counts (kept), votes (counted in the run too), raters (clustered)."""
    import numpy as np
    import scipy.sparse.csgraph
    import scipy.stats  # noqa: F401 - its import is left out

    from arena.columns import Columns
    from arena.ratings import Counts, rated

    a, b, y, rater = league(votes, models)
    names = [f"m{i}" for i in range(models)]
    kept = Counts.of(a, b, y, models)
    zero, texts = np.zeros(0, np.int64), np.zeros(0, object)
    start = begun()
    if how == "counts":
        rated(names, kept)
    elif how == "votes":
        rated(names, Counts.of(a, b, y, models))
    else:
        low, high = np.minimum(a, b), np.maximum(a, b)
        outcome = np.select([y == 0.5, (y == 1) == (a < b)], [2, 0], 1)
        columns = Columns(tuple(names), (), (), np.arange(votes), low, high, outcome, rater, zero, zero, zero, texts, texts,
                          np.zeros(0))  # fmt: skip
        columns = _whole(columns, votes)
        start = begun()
        rated(names, kept, columns)
    return time.perf_counter() - start


def _whole(columns, votes: int):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Columns whose unused arrays have the length of the others."""
    from dataclasses import replace

    import numpy as np

    same, text = np.zeros(votes, np.int64), np.full(votes, "", object)
    return replace(
        columns, prompt=same, battle=same, left=same, response_a=text, response_b=text, weight=np.ones(votes)
    )


def fastchat(votes: int, models: int) -> float:
    """FastChat's rating_systems in short: unique match-ups weighted, Newton-like fits, bootstrap by multinomial draws."""
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import expit

    a, b, y, _ = league(votes, models)
    start = begun()
    rows = np.column_stack([np.minimum(a, b), np.maximum(a, b), (2 * np.where(a < b, y, 1 - y)).astype(int)])
    unique, count = np.unique(rows, axis=0, return_counts=True)
    one, two, won = unique[:, 0], unique[:, 1], unique[:, 2] / 2

    def fit(weight, begin):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        def loss(theta):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            p = expit(theta[one] - theta[two])
            gradient = weight * (p - won)
            value = -(weight * (won * np.log(p) + (1 - won) * np.log(1 - p))).sum()
            return value, np.bincount(one, gradient, models) - np.bincount(two, gradient, models)

        return minimize(loss, begin, jac=True, method="L-BFGS-B", options={"gtol": 1e-6, "maxiter": 100}).x

    first = fit(count / votes, np.zeros(models))  # type: ignore[no-untyped-call]
    rng = np.random.default_rng(1)
    for draw in rng.multinomial(votes, count / votes, size=ROUNDS):
        fit(draw / votes, first)  # type: ignore[no-untyped-call]
    return time.perf_counter() - start


def arena_rank(votes: int, models: int) -> float:
    """arena-rank's Bradley-Terry with sandwich intervals."""
    import pandas as pd
    from arena_rank.models.bradley_terry import BradleyTerry
    from arena_rank.utils.data_utils import PairDataset

    a, b, y, _ = league(votes, models)
    winner = pd.Series(y).map({1.0: "model_a", 0.0: "model_b", 0.5: "tie"})
    table = pd.DataFrame({"model_a": [f"m{i}" for i in a], "model_b": [f"m{i}" for i in b], "winner": winner})
    start = begun()
    dataset = PairDataset.from_pandas(table)
    BradleyTerry(n_competitors=len(dataset.competitors)).compute_ratings_and_cis(
        dataset, significance_level=0.05
    )
    return time.perf_counter() - start


def evalica(votes: int, models: int) -> float:
    """evalica's Bradley-Terry, bootstrap of 100, percentiles (its default, BCa, fits once more for each vote)."""
    from evalica import Winner, bootstrap, bradley_terry

    a, b, y, _ = league(votes, models)
    kinds = {1.0: Winner.X, 0.0: Winner.Y, 0.5: Winner.Draw}
    xs, ys, winners = [f"m{i}" for i in a], [f"m{i}" for i in b], [kinds[x] for x in y]
    start = begun()
    bootstrap(bradley_terry, xs, ys, winners, n_resamples=ROUNDS, bootstrap_method="percentile")
    return time.perf_counter() - start


WAYS = {"ours, kept counts": "counts", "ours, votes counted too": "votes", "ours, by rater": "raters"}
OTHERS = {"FastChat's method": fastchat, "arena-rank": arena_rank, "evalica": evalica}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--votes", default="10000,100000,1000000")
    parser.add_argument("--models", default="20,100")
    parser.add_argument(
        "--others", default=sys.executable, help="The interpreter that has arena-rank and evalica."
    )
    parser.add_argument(
        "--limit", type=float, default=120.0, help="Seconds after which a way is ended, imports included."
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        name, votes, models = json.loads(given.one)
        if name in WAYS:
            took, beyond = ours(votes, models, WAYS[name]), peak() - HELD[0]
            took = min(took, *(ours(votes, models, WAYS[name]) for _ in range(2)))
        else:
            took = OTHERS[name](votes, models)
            beyond = peak() - HELD[0]
        print(json.dumps([took, peak(), beyond]))
        return
    print(f"{'':26}" + "seconds / peak MB of the process / MB beyond imports and votes")
    for votes in map(int, given.votes.split(",")):
        for models in map(int, given.models.split(",")):
            compare(votes, models, given.others, given.limit)


def compare(votes: int, models: int, others: str, limit: float) -> None:
    """One line a way."""
    print(f"{votes:,} votes, {models} models")
    fastest, whose = math.inf, ""
    for name in (*OTHERS, *WAYS):
        python = sys.executable if name in WAYS or name.startswith("FastChat") else others
        try:
            done = subprocess.run([python, "-m", "bench.ratings", "--one", json.dumps([name, votes, models])], cwd=ROOT,
                                  capture_output=True, text=True, check=False, timeout=limit)  # fmt: skip
        except subprocess.TimeoutExpired:
            print(f"  {name:24}did not end within {limit:g} s", flush=True)
            continue
        if done.returncode:
            print(f"  {name:24}not run: {done.stderr.strip().splitlines()[-1][:90]}")
            continue
        seconds, most, beyond = json.loads(done.stdout.splitlines()[-1])
        if name in OTHERS and seconds < fastest:
            fastest, whose = seconds, name
        print(f"  {name:24}{seconds:9.4f} / {most:6.0f} / {beyond:6.0f}", flush=True)
        if name in WAYS and whose:
            goal = "30 times, under 300 MB" if votes >= 1_000_000 and WAYS[name] == "counts" else ""
            report(Row(f"ratings with intervals, {votes:,} votes, {models} models, {name}", f"{seconds:.4f} s, {beyond:.0f} MB",
                       f"{fastest:.2f} s {whose}", fastest / seconds, goal))  # fmt: skip


if __name__ == "__main__":
    main()
