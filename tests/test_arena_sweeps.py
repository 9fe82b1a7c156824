"""A sweep on tiny checkpoints: its grid, its runs in processes of their own, its table, and what is best of it."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from openpyxl import load_workbook

from arena import jobs
from arena.loop import where
from arena.run_plans import Request
from arena.sweep_table import Row, best_of, records, table_of, why_best
from arena.sweeps import axes_of, estimate, grid, planned, run_sweep
from arena.web.pages.studio.retraining import parents
from db import runs
from db.catalog import find_model
from db.entities.runs import JobStatus, RunKind, RunStatus
from db.errors import NotFound, UserError
from db.sweeps import add_sweep, get_sweep, list_sweeps
from tests.test_arena_comparing import made
from tests.workshop import refused, run, trainable_home
from training.settings import DpoSettings
from training.snapshots import Source

WORDS = ("train", "dpo", "--from", "one", "--campaign", "first", "--preset", "smoke", "--set", "max_steps=2")
ASKED = Request(
    parent="one", source=Source(("first",)), preset="smoke", overrides=("max_steps=2",), rematch=False
)


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home")


# -- the grid --------------------------------------------------------------------------------------------------


def test_every_combination_once_the_last_setting_fastest():
    axes = axes_of(["learning_rate=1e-5, 1e-4,1e-5", "batch_size=1,2"])
    assert [tuple(p.values()) for p in grid(axes)] == [
        ("1e-5", "1"),
        ("1e-5", "2"),
        ("1e-4", "1"),
        ("1e-4", "2"),
    ]


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["learning_rate"], "is no sweep"),
        (["learning_rate="], "is no sweep"),
        (["=1,2"], "is no sweep"),
        (["beta=0.1", "beta=0.2"], "beta is swept twice"),
        (
            [f"seed={','.join(map(str, range(9)))}", f"batch_size={','.join(map(str, range(1, 9)))}"],
            "has 72 runs",
        ),
    ],
)
def test_what_is_no_grid_is_refused(texts, why):
    with pytest.raises(UserError, match=why):
        axes_of(texts)


def test_a_value_that_no_run_could_have_stops_the_sweep_before_it_begins(voted, home):
    with pytest.raises(UserError, match=r"beta=50\.0 is out of range"):
        planned(voted, home, ASKED, ["beta=0.1,50"])
    with pytest.raises(UserError, match="sets nothing that is known"):
        planned(voted, home, ASKED, ["colour=red"])
    assert list_sweeps(voted) == []


def test_one_snapshot_and_a_free_name_for_all(voted, home):
    made = planned(voted, home, ASKED, ["beta=0.1,0.2"])
    assert (made.name, made.first.name) == ("one-s1", "one-s1-1")
    assert made.command[made.command.index("--snapshot") + 1] == made.first.snapshot.id
    assert [s.beta for s in made.settings] == [0.1, 0.2]
    assert made.command[-1] == "--no-rematch"


# -- a sweep from end to end -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_sweep_makes_its_table_and_a_run_that_fails_does_not_stop_the_rest(voted, home):
    # the second run's folder is in use: it fails, and the third is made all the same
    blocked = home.runs / "grid-2"
    blocked.mkdir(parents=True)
    (blocked / "something").write_text("here before")
    ran = run(home, *WORDS, "--sweep", "learning_rate=1e-3,1e-8,2e-3", "--name", "grid", "--json")
    assert ran.code == 0, ran
    rows = ran.json["rows"]
    assert [r["status"] for r in rows] == ["succeeded", "failed", "succeeded"]
    assert "is not empty" in rows[1]["verdict"]
    assert rows[0]["memory_gib"] > 0.05
    assert ran.json["best"] in ("grid-1", "grid-3")
    assert [find_model(voted, f"grid-{n}") is not None for n in (1, 2, 3)] == [True, False, True]
    assert {r.snapshot for r in runs.list_runs(voted)} == {ran.json["snapshot"]}
    text, sheets = ran.json["files"]
    with Path(text).open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [float(r["learning_rate"]) for r in found] == [1e-3, 1e-8, 2e-3]
    assert sum(r["best"] == "best" for r in found) == 1
    cells = list(load_workbook(sheets)["runs"].iter_rows(values_only=True))
    assert cells[0] == tuple(found[0])
    assert cells[1][cells[0].index("loss")] == pytest.approx(float(found[0]["loss"]))
    # going on makes only what is missing, in the same place
    (blocked / "something").unlink()
    again = run(home, "train", "sweep", "resume", "grid", "--json")
    assert [r["status"] for r in again.json["rows"]] == ["succeeded"] * 3
    assert "nothing learned" in again.json["rows"][1]["verdict"]
    assert len(runs.list_runs(voted)) == 3
    assert estimate(voted, RunKind.DPO, "one", 8, [DpoSettings(max_steps=2)] * 2) > 16
    assert run(home, "train", "sweep", "list", "--json").json[0]["done"] == 3


@pytest.mark.slow
def test_a_sweep_that_is_cancelled_goes_on_later(voted, home):
    long = replace(ASKED, overrides=("max_steps=400",))
    with jobs.this_job(voted, ["train", "dpo"]) as job:
        job.echo = lambda line: setattr(job, "stopping", job.stopping or "step " in line)
        with pytest.raises(UserError, match=r"cancelled; 0 of 2 runs.*train sweep resume one-s1"):
            run_sweep(voted, home, long, ["beta=0.1,0.2"], job)
    first, second = table_of(voted, get_sweep(voted, "one-s1")).rows
    assert (first.status, second.status) == ("cancelled", "waiting")
    assert runs.get_job(voted, get_sweep(voted, "one-s1").points[0].job).status is JobStatus.CANCELLED


def test_a_sweep_that_is_not_there_names_those_that_are(home, db):
    with pytest.raises(NotFound, match="none yet"):
        get_sweep(db, "nope")
    assert "no sweep 'nope'" in refused(run(home, "train", "sweep", "show", "nope"))


@pytest.mark.parametrize("again", [["--sweep"], []])
def test_a_dry_run_says_how_many_runs_there_would_be(voted, home, again):
    would = run(home, *WORDS, "--sweep", "beta=0.1,0.2", *again, "seed=1,2", "--dry-run", "--json").json
    assert len(would["runs"]) == 4
    assert would["seconds"] is None
    assert runs.list_runs(voted) == []


def test_a_word_with_no_option_before_it_is_refused(voted, home):
    assert "after --set" in refused(run(home, *WORDS, "seed=1,2"))


# -- which is best ---------------------------------------------------------------------------------------------


def row(n, **more):
    values = {"loss": 0.5, "accuracy": 0.8, "margin": 0.5, "heldout_loss": 0.5, "heldout": 50, **more}
    return Row(n, f"r{n}", RunStatus.SUCCEEDED.value, {"beta": str(n)}, **values)


def test_the_best_has_no_alarm_and_the_most_held_out_pairs_right():
    rows = [row(1, accuracy=0.9, alarms=("overfit",)), row(2, accuracy=0.7), row(3, accuracy=0.8)]
    assert best_of(RunKind.DPO, rows).run == "r3"
    assert "beta=3 has 80% of 50 held-out rows" in why_best(RunKind.DPO, rows[2], rows)


def test_a_tie_goes_to_the_wider_margin_and_chance_is_named():
    rows = [row(1, margin=0.2), row(2, margin=0.4)]
    best = best_of(RunKind.DPO, rows)
    why = why_best(RunKind.DPO, best, rows)
    assert best.run == "r2"
    assert "the widest margin (0.400)" in why
    assert "1 other run is within what chance alone allows" in why


def test_answers_are_judged_by_their_held_out_loss_and_runs_without_a_model_by_nothing():
    rows = [row(1, heldout_loss=2.0, accuracy=0.9), row(2, heldout_loss=1.5, accuracy=0.5)]
    assert best_of(RunKind.SFT, rows).run == "r2"
    failed = replace(row(1), status="failed")
    assert best_of(RunKind.DPO, [failed]) is None
    assert why_best(RunKind.DPO, None, [failed]) == "no run has its model yet"


def test_where_every_run_gives_an_alarm_the_best_says_so():
    rows = [row(1, alarms=("nothing learned",)), row(2, alarms=("nothing learned",), accuracy=0.5)]
    assert "But every run here gives an alarm, this one: nothing learned." in why_best(
        RunKind.DPO, rows[0], rows
    )
    assert "lowest loss" in why_best(RunKind.DPO, row(1, heldout=0, accuracy=None), [row(1), row(2)])


def test_a_setting_that_looks_like_a_formula_is_text_in_the_files(voted, home):
    made = planned(voted, home, ASKED, ["beta=0.1,0.2"])
    sweep = add_sweep(voted, "s", RunKind.DPO, parent="one", snapshot=made.first.snapshot.id, command=made.command,
                      changes=[{"schedule": "=1+1"}], job=None)  # fmt: skip
    assert records(table_of(voted, sweep), text_cells=True)[0]["schedule"] == "'=1+1"


def test_the_runs_of_a_sweep_are_trials_and_no_round_of_the_loop(voted, home):
    snapshot = planned(voted, home, ASKED, ["beta=0.1,0.2"]).first.snapshot
    made(voted, "one-r1", snapshot, [0.69, 0.5])
    add_sweep(voted, "s", RunKind.DPO, parent="one", snapshot=snapshot.id, command=["train"], changes=[{"beta": "1"}],
              job=None)  # fmt: skip
    made(voted, "s-1", snapshot, [0.69, 0.5])
    assert where(voted).candidate == "one-r1"
    assert parents(voted)[0] == "one-r1"
    assert "s-1" in parents(voted)
