"""Large reports are kept: made once, by a child; shown with their time while a newer one is made."""

import pytest

import arena.web.kept as kept
from arena.charts import body, waiting
from db.connection import Readers
from db.errors import NotFound
from db.figures import figures_stamp, votes_in
from db.raters import decide_rater
from tests.test_arena_report import filled, scored, voted


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
