"""Exports that are killed at any moment, two at once, while votes come in: the old folder or the new one, whole."""

import contextlib
import json
import multiprocessing
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.connection import Home, Writer, open_reader
from db.entities.campaigns import CampaignSettings
from labeling.exporting import export
from tests.factories import make_home
from tests.faults.scenes import cast, give, lend, whole
from tests.workshop import wait_for

pytestmark = pytest.mark.slow
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["labeling.exporting", "datasets"])
PROMPTS = 400


def go_on_exporting(root: Path, folder: Path, written: Path) -> None:
    """One export after the other until killed; a line of `written` for each."""
    while True:
        export(Home(root), folder)
        with written.open("a") as lines:
            lines.write("done\n")


@contextlib.contextmanager
def votes_arriving(home: Home) -> Iterator[None]:
    """A vote every few milliseconds, through a server's writer."""
    stop = threading.Event()
    writer = Writer(home)

    def work() -> None:
        cookie, assignments = writer.call(lambda db: lend(db, 10))
        while not stop.wait(0.02):
            if not assignments:
                cookie, assignments = writer.call(lambda db: lend(db, 10))
            assignment = assignments.pop()
            writer.call(lambda db, c=cookie, a=assignment: cast(db, c, a))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        writer.close()


def rows_of(folder: Path) -> int:
    """What the manifest counts, once every file is what the manifest says."""
    whole(folder)
    return sum(json.loads((folder / "manifest.json").read_text())["rows"].values())


def votes(home: Home) -> int:
    """How many votes are stored."""
    with contextlib.closing(open_reader(home).conn) as conn:
        return int(conn.execute("SELECT count(*) FROM votes").fetchone()[0])


def test_killed_at_any_moment_two_at_once_and_votes_arriving(tmp_path):
    from datasets import load_dataset

    dice = random.Random(3)
    home = make_home(tmp_path / "home", prompts=PROMPTS, settings=CampaignSettings(overlap=1000))
    give(home, 5)
    out = tmp_path / "out"
    export(home, out)
    killed = 0
    written = tmp_path / "written"
    written.touch()
    with votes_arriving(home):
        for _ in range(6):
            before = rows_of(out)
            were = len(written.read_text())
            both = [CONTEXT.Process(target=go_on_exporting, args=(home.root, out, written)) for _ in range(2)]
            for process in both:
                process.start()
            wait_for(lambda were=were: len(written.read_text()) > were, 120)
            time.sleep(dice.uniform(0.05, 0.6))
            for process in both:
                process.kill()
                process.join()
                killed += 1
            assert before <= rows_of(out) <= votes(home)
    made = export(home, out)
    assert sum(made.splits.values()) == rows_of(out) == votes(home)
    loaded = load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {name: part.num_rows for name, part in loaded.items()} == dict(made.splits)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".out")] == []
    print(
        f"\nexports: {killed} killed, two at once, {len(written.read_text().splitlines())} finished meanwhile, "
        f"{rows_of(out)} rows of {votes(home)} votes"
    )


def test_two_exports_of_one_process_do_not_meet(tmp_path):
    home = make_home(tmp_path / "home")
    give(home, 4)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            for _ in range(3):
                export(home, tmp_path / "out")
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert rows_of(tmp_path / "out") == 4
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
