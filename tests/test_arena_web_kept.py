"""Large reports are kept: made once, by a child; shown with their time while a newer one is made."""

import gc
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

import arena.web.kept as kept
from arena.charts import body, waiting
from arena.report import report
from db.connection import Readers, home_at, open_writer
from db.errors import NotFound
from db.figures import figures_stamp, votes_in
from db.raters import decide_rater
from tests.test_arena_report import filled, scored, voted

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def reports(home, db, monkeypatch):
    monkeypatch.setattr(kept, "LARGE", 10)
    made = kept.KeptReports(home, Readers(home))
    yield made
    made.close()


def test_small_reports_are_read_anew_each_time(home, db, reports):
    campaign = filled(db)
    voted(db, campaign, ["a"] * 3)
    (look,) = reports.looks("first")
    assert (look.kept.report.pairs[0].n, look.newer) == (3, False)
    with pytest.raises(NotFound):
        list(reports.looks("nothing"))


def test_a_large_report_is_waited_for_once_then_there_then_followed_by_a_newer_one(home, db, reports):
    campaign = filled(db)
    voted(db, campaign, ["a", "b"] * 10)
    first, second = reports.looks("first")
    assert (first.kept, first.newer, first.votes) == (None, True, 20)
    assert "20 votes" in waiting(first.votes)
    assert second.kept.report.pairs[0].n == 20
    (again,) = reports.looks("first")
    assert again.kept is second.kept
    voted(db, campaign, ["b"], raters=("r9",))
    old, new = reports.looks("first")
    assert (old.kept.report.pairs[0].n, old.newer) == (20, True)
    assert "As of 12:00" in body(old.kept.report, as_of="12:00")
    assert (new.kept.report.pairs[0].n, new.newer) == (21, False)


def test_after_a_restart_the_last_page_is_shown_at_once_without_raters_or_texts(home, db, reports):
    campaign = filled(db)
    voted(db, campaign, ["a", "b"] * 10)
    assert reports.before("first") is None
    list(reports.looks("first"))
    again = kept.KeptReports(home, Readers(home))
    shown = again.before("first")
    assert "Newer votes are being read" in shown
    assert f"{datetime.now(UTC):%Y-%m-%d}" in shown
    made = next(iter(reports.looks("first"))).kept
    assert made.report.raters
    assert made.report.raters[0].rater in body(made.report)
    assert made.report.raters[0].rater not in shown
    assert again.before(None) is None
    (home.root / "cache").rename(home.root / "elsewhere")
    assert again.before("first") is None


def test_the_child_looks_for_garbage_seldom(home, reports):
    assert reports.submit(gc.get_threshold).result(timeout=60)[0] == 200_000


def test_a_home_that_takes_no_file_has_its_reports_all_the_same(home, db, reports):
    voted(db, filled(db), ["a", "b"] * 10)
    (home.root / "cache").write_text("not a folder")
    *_, look = reports.looks("first")
    assert look.kept.report.pairs[0].n == 20


def test_what_is_read_in_at_the_start_is_what_a_report_needs():
    code = """if 1:
        import sys
        import arena.web.app
        from arena.web.kept import _read_in
        _read_in()
        before = set(sys.modules)
        from tests.test_arena_web_kept import first_look
        first_look()
        new = {m.split(".")[0] for m in set(sys.modules) - before}
        assert not new & {"scipy", "statsmodels", "pandas", "torch"}, new
        assert "torch" not in sys.modules
    """
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]


def first_look():
    """A report of some votes in a new home."""
    with tempfile.TemporaryDirectory() as folder:
        db = open_writer(home_at(Path(folder)))
        campaign = filled(db)
        voted(db, campaign, ["a", "b"] * 10)
        body(report(db, "first"))
        db.conn.close()


def test_the_stamp_changes_with_whatever_a_figure_rests_on(db):
    campaign = filled(db)
    stamps = [figures_stamp(db)]
    for change in (lambda: voted(db, campaign, ["a"]), lambda: decide_rater(db, "r1", counted=False, reason="left"),
                   lambda: scored(db, campaign, lambda model, i: 1.0)):  # fmt: skip
        change()
        stamps.append(figures_stamp(db))
        assert figures_stamp(db) == stamps[-1]
    assert len(set(stamps)) == 4
    assert votes_in(db, "first") == votes_in(db) <= 1
