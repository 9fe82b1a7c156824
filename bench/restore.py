"""Backing a home up and putting it back: seconds, beside the copy that Python's sqlite3 makes (Connection.backup).

    python -m bench.restore [--votes 100000]

Ours makes the copy smaller (VACUUM INTO); a restore checks it, brings it up to date and keeps what it replaces. The peer
does none of that. (The other usual way, a dump of SQL played back, cannot bring back a table for searching texts.)
"""

import argparse
import contextlib
import sqlite3
import tempfile
from pathlib import Path

from bench.results_page import fill
from bench.rows import Row, better, report, seconds_of
from db import upkeep
from db.connection import home_at

GOAL = 5.0
"""seconds for a restore of 100,000 votes"""


def copied(source: Path, target: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(source)) as one,
        contextlib.closing(sqlite3.connect(target)) as other,
    ):
        one.backup(other)


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--votes", type=int, default=100_000)
    votes = parser.parse_args().votes
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        fill(root / "home", votes, 6, 60)
        home = home_at(root / "home")
        before = upkeep.check(home)
        kept, plain = root / "copy.db", root / "plain.db"
        out = seconds_of(lambda: upkeep.backup(home, kept))
        plain_out = seconds_of(lambda: copied(home.database, plain))
        back = seconds_of(lambda: upkeep.restore(home, kept))
        plain_back = seconds_of(lambda: copied(plain, root / "back.db"))
        sizes = kept.stat().st_size / 2**20, plain.stat().st_size / 2**20
        after = upkeep.check(home)
    if after != before:
        raise SystemExit(f"the restored home is not what it was: {before}, then {after}")
    goal = f"{GOAL:.0f} s" if votes == 100_000 else ""
    report(
        Row(f"backup of {votes:,} votes", f"{out:.2f} s, {sizes[0]:.0f} MB", f"plain {plain_out:.2f} s, {sizes[1]:.0f} MB",
            better(out, plain_out, less=True)),
        Row(f"restore of {votes:,} votes", f"{back:.2f} s", f"plain {plain_back:.2f} s",
            better(back, plain_back, less=True), goal),
    )  # fmt: skip


if __name__ == "__main__":
    main()
