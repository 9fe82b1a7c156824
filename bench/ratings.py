"""Ratings with intervals from many votes: ours from counts, beside the libraries that arenas use, in the same run.

    python -m bench.ratings [--votes 10000,100000,1000000] [--models 20,100] [--others PYTHON]

Ours: Newton steps on the counts by pair of models, sandwich intervals (HC0) from the same counts; timed once from the
kept counts and once with counting the votes too; clustered by rater apart. Others, each in a process of its own so that
peak memory is its own, by the interpreter PYTHON where they are installed: arena-rank (sandwich), evalica and the method
of FastChat (Bradley-Terry on a weighted design, bootstrap of 100). Imports are left out on every side.
"""

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

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
    start = time.perf_counter()
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
        start = time.perf_counter()
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
    start = time.perf_counter()
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
    start = time.perf_counter()
    dataset = PairDataset.from_pandas(table)
    BradleyTerry(n_competitors=len(dataset.competitors)).compute_ratings_and_cis(
        dataset, significance_level=0.05
    )
    return time.perf_counter() - start


def evalica(votes: int, models: int) -> float:
    """evalica's Bradley-Terry, bootstrap of 100; only up to 100,000 votes: it takes minutes and gigabytes above."""
    from evalica import Winner, bootstrap, bradley_terry

    a, b, y, _ = league(votes, models)
    kinds = {1.0: Winner.X, 0.0: Winner.Y, 0.5: Winner.Draw}
    xs, ys, winners = [f"m{i}" for i in a], [f"m{i}" for i in b], [kinds[x] for x in y]
    start = time.perf_counter()
    bootstrap(bradley_terry, xs, ys, winners, n_resamples=ROUNDS)
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
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        name, votes, models = json.loads(given.one)
        took = (
            min(ours(votes, models, WAYS[name]) for _ in range(3))
            if name in WAYS
            else OTHERS[name](votes, models)
        )
        print(json.dumps([took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
        return
    print(f"{'':26}" + "seconds / peak MB of the process, the made-up votes included")
    for votes in map(int, given.votes.split(",")):
        for models in map(int, given.models.split(",")):
            compare(votes, models, given.others)


def compare(votes: int, models: int, others: str) -> None:
    """One line a way."""
    print(f"{votes:,} votes, {models} models")
    fastest = math.inf
    for name in (*OTHERS, *WAYS):
        if name == "evalica" and votes > 100_000:
            continue
        python = sys.executable if name in WAYS or name.startswith("FastChat") else others
        done = subprocess.run([python, "-m", "bench.ratings", "--one", json.dumps([name, votes, models])], cwd=ROOT,
                              capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode:
            print(f"  {name:24}not run: {done.stderr.strip().splitlines()[-1][:90]}")
            continue
        seconds, peak = json.loads(done.stdout.splitlines()[-1])
        fastest = min(fastest, seconds) if name in OTHERS else fastest
        times = f"  {fastest / seconds:7.1f} times the fastest other" if name in WAYS else ""
        print(f"  {name:24}{seconds:9.4f} / {peak:6.0f}{times}", flush=True)


if __name__ == "__main__":
    main()
