"""Many rows in and out: seconds and the most memory a process held, beside the way one does it with pandas.

    python -m bench.bulk [--rows 100000] [--kinds responses,votes,export,pairs]

A file of responses and a file of votes on them go in by `import`, and all votes come out by `export`, one by one (`--format
votes`) and as pairs (`--format trl`), each a command of its own. Beside it pandas reads the same file whole, drops what is there twice and puts it into SQLite with
`to_sql`, or reads the votes joined with their texts and writes them as JSON lines: no checks, no ids by content, nothing said
of a bad row, nothing left whole where it is killed.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.rows import Row, better, report
from bench.votes import ROOT

MODELS = ("model-a", "model-b")
EACH = 4
"""votes a prompt"""


class Cost(NamedTuple):
    """What a process took."""

    seconds: float
    processor: float
    """seconds of it"""
    megabytes: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s ({self.processor:.1f} of processor), {self.megabytes:,.0f} MB"


def cost_of(words: Sequence[str]) -> Cost:
    """Run a Python process to its end; its errors end this one too."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=said, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )  # fmt: skip
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(
                f"{' '.join(words)[:100]}: exit {process.returncode}\n{said.read().decode()[-2000:]}"
            )
    return Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def write_responses(file: Path, n: int) -> None:
    """n answers of two models to n / 2 prompts."""
    lot = random.Random(1)
    words = [f"word{i}" for i in range(500)]
    with file.open("w") as out:
        for i in range(n):
            text = f"{i} " + " ".join(lot.choices(words, k=30))
            row = {"prompt": f"Question number {i // 2}?", "model": MODELS[i % 2], "response": text}
            out.write(json.dumps(row) + "\n")


def write_votes(file: Path, n: int) -> None:
    """n votes of many raters, EACH a prompt."""
    lot = random.Random(2)
    with file.open("w") as out:
        for i in range(n):
            row = {
                "rater": f"rater-{i % EACH}-{i // EACH % 50}", "prompt": f"Question number {i // EACH}?", "model_a": MODELS[0],
                "model_b": MODELS[1], "winner": lot.choice(["model_a", "model_b", "tie"]),
            }  # fmt: skip
            out.write(json.dumps(row) + "\n")


PANDAS_IN = """
import sys, sqlite3, pandas as pd
file, table, database = sys.argv[1:]
frame = pd.read_json(file, lines=True).drop_duplicates()
frame.to_sql(table, sqlite3.connect(database), if_exists="append", index=False)
"""
PANDAS_OUT = """
import sys, sqlite3, pandas as pd
database, out = sys.argv[1:]
frame = pd.read_sql('''SELECT v.*, a.response AS response_a, b.response AS response_b FROM votes v
JOIN responses a ON a.prompt = v.prompt AND a.model = v.model_a JOIN responses b ON b.prompt = v.prompt AND b.model = v.model_b
''', sqlite3.connect(database))
frame.to_json(out, orient="records", lines=True)
"""
PANDAS_INDEX = """
import sys, sqlite3
sqlite3.connect(sys.argv[1]).execute("CREATE INDEX IF NOT EXISTS by_prompt ON responses(prompt, model)")
"""


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--kinds", default="responses,votes,export,pairs")
    options = parser.parse_args()
    n, kinds = options.rows, options.kinds.split(",")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        home, database = str(place / "home"), str(place / "pandas.db")
        responses, votes = place / "responses.jsonl", place / "votes.jsonl"
        write_responses(responses, n)
        write_votes(votes, n)
        launch = ["launch.py", "--home", home]
        runs = {
            "responses": ([*launch, "import", "responses", str(responses)],
                          ["-c", PANDAS_IN, str(responses), "responses", database]),
            "votes": ([*launch, "import", "votes", str(votes), "--campaign", "bulk"],
                      ["-c", PANDAS_IN, str(votes), "votes", database]),
            "export": ([*launch, "export", str(place / "out"), "--campaign", "bulk", "--format", "votes"],
                       ["-c", PANDAS_OUT, database, str(place / "out.jsonl")]),
            "pairs": ([*launch, "export", str(place / "pairs"), "--campaign", "bulk", "--format", "trl"],
                      ["-c", PANDAS_OUT, database, str(place / "out.jsonl")]),
        }  # fmt: skip
        said = {"responses": "import of {} responses", "votes": "import of {} votes", "export": "export of {} votes",
                "pairs": "export of {} votes as pairs"}  # fmt: skip
        for kind in kinds:
            if kind in ("export", "pairs"):
                cost_of(["-c", PANDAS_INDEX, database])
            mine, theirs = (cost_of(words) for words in runs[kind])
            report(Row(said[kind].format(f"{n:,}"), f"{mine} ({n / mine.seconds:,.0f} rows a second)",
                       f"pandas, unchecked {theirs}", better(mine.seconds, theirs.seconds, less=True)))  # fmt: skip


if __name__ == "__main__":
    main()
