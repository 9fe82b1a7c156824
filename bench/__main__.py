"""All benchmarks, one after the other, into one table.

    python -m bench [NAME ...] [--quick] [--minutes 60] [--table docs/benchmarks.md]

Each runs in a process of its own with one thread a library, so that none starts warm by another; one that fails, or takes longer
than it may, is a row that says so. `--quick` makes each small, and leaves out those that train for long. With names only
those run, and the others keep the rows they had. The figures of the table are kept beside it as JSON.
"""

import argparse
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.rows import GATHERED, MARK, Row, rows_in

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
FOLDER = "FOLDER"
"""stands for a temporary folder among the words of a benchmark"""


@dataclass(frozen=True)
class Bench:
    """A benchmark: its module, its words, and those that make it small; None: too long for --quick."""

    name: str
    words: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ()
    data: bool = False
    """whether it reads the third-party data beside the checkout"""


BENCHES = (
    Bench("votes", ("--seconds", "8", "--users", "1,10,50,200"), ("--seconds", "4", "--users", "200")),
    Bench("pace", (), ("--seconds", "20", "--raters", "50")),
    Bench("joiners", (), ("--raters", "30")),
    Bench("start", (), ("--times", "1")),
    Bench("bulk", ("--rows", "1000000"), ("--rows", "5000")),
    Bench("pages", ("--votes", "1000000"), ("--votes", "20000")),
    Bench("results_page", (), ("--votes", "10000")),
    Bench("live", (), ("--votes", "10000")),
    Bench("restore", (), ("--votes", "10000")),
    Bench("ratings", (), ("--votes", "10000", "--models", "20")),
    Bench("guard"),
    Bench("raters", (), ("--runs", "3")),
    Bench("consensus", (str(DATA),), (str(DATA),), data=True),
    Bench("promotion", (), ("50",)),
    Bench("generation", (), ("--prompts", "16")),
    Bench("scoring", (), ("--shape", "tiny", "--pairs", "100")),
    Bench("memory", (), ("--shapes", "starter", "--only", "sft")),
    Bench("press", (), ("--times", "1")),
    Bench("trl_cli", (), ("--times", "1", "--pairs", "16")),
    Bench("second_reference", (), None),
    Bench("starter_order", (), None),
    Bench("loop", (), None),
    Bench("bad_votes", (), None),
    Bench("hh", (FOLDER,), None, data=True),
    Bench("soak", (), None),
    Bench("gpu", (), ("--shape", "tiny", "--steps", "4", "--times", "1")),
)
NO_BENCHES = {"__init__", "__main__", "rows", "serving", "wire", "curves"}
"""files of bench/ that measure nothing: parts of the others, and what records curves for the tests"""


@dataclass
class Result:
    """What one benchmark gave."""

    at: str
    seconds: float
    quick: bool
    machine: str
    load: float
    """of the machine when it began, by what else ran"""
    rows: list[dict[str, object]] = field(default_factory=list)
    said: str = ""
    """what it printed, where it reports no rows"""


def machine() -> str:
    """The machine in a few words."""
    import psutil

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        cpu = named[0] if named else cpu
    memory = psutil.virtual_memory().total / 2**30
    return f"{cpu}, {psutil.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}"


def run(bench: Bench, *, quick: bool, longest: float) -> Result:
    """Run one to its end, or to the end of its time."""
    import tempfile

    began, load = time.monotonic(), os.getloadavg()[0]
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    with tempfile.TemporaryDirectory() as folder:
        words = [folder if w == FOLDER else w for w in ((bench.quick or ()) if quick else bench.words)]
        process = subprocess.Popen(
            [sys.executable, "-m", f"bench.{bench.name}", *words], cwd=ROOT, text=True, start_new_session=True,
            env={**os.environ, GATHERED: "1", "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = process.communicate(timeout=longest)
            problem = (
                ""
                if process.returncode == 0
                else f"failed with exit {process.returncode}: {_last(err or out)}"
            )
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, _ = process.communicate()
            problem = f"ended after {longest / 60:.0f} minutes, unfinished"
    rows = rows_in(out)
    if problem:
        rows.append(Row(bench.name, problem))
    said = "" if rows else "\n".join(line for line in out.splitlines() if not line.startswith(MARK))[-4000:]
    return Result(
        at,
        round(time.monotonic() - began, 1),
        quick,
        machine(),
        round(load, 1),
        [asdict(r) for r in rows],
        said,
    )


def _last(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:200] if lines else "nothing said"


def table(results: dict[str, Result]) -> str:
    """docs/benchmarks.md."""
    lines = [
        "# Benchmarks", "",
        "Made by `python -m bench`; do not edit. Ours beside a peer in the same run on the same machine; the ratio says how many",
        "times better ours is. *Load* is what the machine was busy with when the benchmark began: on a busy one trust ratios and",
        "processor time. A row marked *quick* was made small. What was tried on the way, and failed, is in log.md.", "",
        "| what | ours | peer | ratio | goal |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for name, one in results.items():
        marks = f"{one.at}, {one.seconds:.0f} s, load {one.load:g}" + (", quick" if one.quick else "")
        lines.append(f"| **{name}** ({marks}) | | | | |")
        for row in one.rows:
            ratio = "" if row["ratio"] is None else f"{row['ratio']:.1f}"
            lines.append(f"| {row['what']} | {row['ours']} | {row['peer']} | {ratio} | {row['goal']} |")
        if one.said:
            lines.append(f"| {_what(name)} | printed below | | | |")
    for machine_ in dict.fromkeys(one.machine for one in results.values()):
        lines += [
            "",
            f"Machine of {', '.join(n for n, one in results.items() if one.machine == machine_)}: {machine_}.",
        ]
    for name, one in results.items():
        if one.said:
            lines += ["", f"## {name}", "", "```", one.said.strip(), "```"]
    return "\n".join(lines) + "\n"


def _what(name: str) -> str:
    return (importlib.import_module(f"bench.{name}").__doc__ or name).strip().splitlines()[0]


def main() -> None:
    """Run what is asked for and write the table."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("names", nargs="*", metavar="NAME", help="only these")
    ask.add_argument("--quick", action="store_true")
    ask.add_argument("--minutes", type=float, default=60, help="the longest that one may take")
    ask.add_argument("--table", type=Path, default=ROOT / "docs" / "benchmarks.md")
    asked = ask.parse_args()
    known = {b.name: b for b in BENCHES}
    if unknown := set(asked.names) - set(known):
        raise SystemExit(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    store = asked.table.with_suffix(".json")
    results = {n: Result(**r) for n, r in json.loads(store.read_text()).items()} if store.exists() else {}
    for bench in wanted(asked.names, quick=asked.quick):
        print(f"{bench.name} ...", flush=True)
        if bench.data and not DATA.is_dir():
            print(f"  left out: it reads {DATA}, which is not there")
            continue
        results[bench.name] = one = run(bench, quick=asked.quick, longest=60 * asked.minutes)
        for row in one.rows:
            print(f"  {row['what']}: {row['ours']}" + (f"  beside {row['peer']}" if row["peer"] else ""))
        print(f"  {one.seconds:.0f} s", flush=True)
        ordered = {n: results[n] for n in known if n in results}
        store.write_text(json.dumps({n: asdict(r) for n, r in ordered.items()}, indent=1) + "\n")
        asked.table.write_text(table(ordered))


def wanted(names: Sequence[str], *, quick: bool) -> list[Bench]:
    """The benchmarks to run, in the order of the table."""
    if names:
        return [b for b in BENCHES if b.name in names]
    return [b for b in BENCHES if not quick or b.quick is not None]


if __name__ == "__main__":
    main()
