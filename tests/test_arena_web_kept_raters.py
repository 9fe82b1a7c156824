"""Raters' figures in a home with many votes: not worked out in the server, shown when they are there, the same as elsewhere."""

import random
from pathlib import Path

import pytest

from arena.raters import rater_rows
from arena.web.kept import KeptReports
from arena.web.kept_raters import LARGE, KeptRaters
from bench.results_page import fill
from db.connection import Readers, home_at, open_writer
from db.raters import decide_rater, list_raters
from tests.factories import make_home


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large") / "home"
    fill(folder, LARGE + 1_000, 3, 12, prompts=400)  # large also without one of them
    return folder


def kept_of(folder: Path) -> tuple[KeptRaters, KeptReports, Readers]:
    home = home_at(folder)
    readers = Readers(home)
    reports = KeptReports(home, readers)
    return KeptRaters(readers, reports.read), reports, readers


def test_a_large_home_shows_raters_at_once_and_figures_when_a_child_made_them(large: Path) -> None:
    kept, reports, readers = kept_of(large)
    try:
        first = kept.look()
        assert (first.newer, first.stamp) == (True, "")
        assert len(first.rows) == 12
        assert all(r.figures is None and r.votes > 0 for r in first.rows)
        assert kept._making is not None
        kept._making.result(timeout=120)
        second = kept.look()
        assert not second.newer
        assert second.stamp == kept.stamp != ""
        assert second.rows == rater_rows(readers.get())
        db = open_writer(home_at(large))
        decide_rater(db, random.choice(list_raters(db)).name, counted=False, reason="a try")
        db.conn.close()
        third = kept.look(begin=False)
        assert not third.newer, "a tick of the clock begins nothing"
        assert sum(r.excluded is not None for r in third.rows) == 1, "raters are as they are now"
        assert {r.name: r.figures for r in third.rows} == {r.name: r.figures for r in second.rows}
    finally:
        reports.close()


def test_a_small_home_is_worked_out_at_once(tmp_path: Path) -> None:
    make_home(tmp_path / "home")
    kept, reports, readers = kept_of(tmp_path / "home")
    look = kept.look()
    assert (look.newer, look.rows) == (False, rater_rows(readers.get()))
    assert reports._pool is None
