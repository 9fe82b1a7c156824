"""Pair sets, snapshots, runs and jobs in the database."""

import os

import pytest

from arena import jobs
from db import queueing, runs
from db.catalog import find_model, get_model, prompts_of, responses_of
from db.connection import open_writer, transaction
from db.entities.catalog import ModelKind, Split
from db.entities.runs import JobStatus, RunKind, RunStatus
from db.errors import Conflict, NotFound
from db.snapshots import (
    add_pairs,
    find_snapshot,
    get_snapshot,
    pair_sets,
    pairs_of_set,
    snapshot_pairs,
    snapshot_rows,
)
from db.sweeps import add_sweep
from labeling.pairs import PairPolicy
from tests.factories import make_home
from tests.workshop import give_votes
from training.snapshots import Source, freeze


@pytest.fixture
def db(tmp_path):
    opened = open_writer(make_home(tmp_path / "home"))
    give_votes(opened, votes=6)
    yield opened
    opened.conn.close()


@pytest.fixture
def snapshot(db):
    return freeze(db, Source(("first",)), PairPolicy())


def begin(db, snapshot, name="r1", **more):
    values = {
        "parent": "model-one", "snapshot": snapshot.id, "folder": f"runs/{name}", "settings": {"beta": 0.1},
        "campaign": None, "job": None, "pid": os.getpid(), "pid_started": 1.0,
    }  # fmt: skip
    return runs.add_run(db, name, RunKind.DPO, **{**values, **more})


def finish(db, run, model="cand"):
    return runs.finish_run(
        db, run.id, model=model, kind=ModelKind.ADAPTER, source="base", adapter=f"runs/{run.name}/model",
        quantize=None, reference_proof={"ok": True}, metrics={"loss": 0.5}, versions={"trl": "1"}, seconds=2.5,
    )  # fmt: skip


def pairs(db, n=4):
    """(prompt, chosen, rejected): the first model's answers preferred."""
    answers = [{r.prompt: r.id for r in responses_of(db, m)} for m in ("model-one", "model-two")]
    return [(p.id, answers[0][p.id], answers[1][p.id]) for p in prompts_of(db, "all")[:n]]


# -- pair sets -------------------------------------------------------------------------------------------------


def test_pairs_are_kept_under_a_name_once(db):
    assert add_pairs(db, "ranked", "a judge", pairs(db)) == (4, 0)
    assert add_pairs(db, "ranked", "a judge", pairs(db, 5)) == (1, 4)
    assert [(p.prompt, p.chosen, p.rejected) for p in pairs_of_set(db, "ranked")] == pairs(db, 5)
    assert [(s[0], s[2]) for s in pair_sets(db)] == [("ranked", 5)]


def test_an_unknown_pair_set_says_which_there_are(db):
    with pytest.raises(NotFound, match="use one of: none yet"):
        pairs_of_set(db, "ranked")
    add_pairs(db, "ranked", "a judge", pairs(db))
    with pytest.raises(NotFound, match="use one of: ranked"):
        pairs_of_set(db, "other")


# -- snapshots -------------------------------------------------------------------------------------------------


def test_a_snapshot_is_found_by_its_first_digits(db, snapshot):
    assert get_snapshot(db, snapshot.id) == get_snapshot(db, snapshot.id[:6]) == snapshot
    for wrong in (snapshot.id[:5], "", "______", "%%%%%%", snapshot.id + "0", "f" * 32):
        assert find_snapshot(db, wrong) is None


def test_a_snapshot_gives_back_what_was_frozen(db, snapshot):
    frozen = snapshot_pairs(db, snapshot.id)
    rows = list(snapshot_rows(db, snapshot.id))
    assert [(p.prompt, p.votes, p.split) for p in frozen] == [
        (r.prompt_id, tuple(r.votes), r.part) for r in rows
    ]
    assert {p.split for p in frozen} == {Split.TRAIN}
    assert rows[0].chosen_model in ("model-one", "model-two")


def test_snapshots_are_never_changed(db, snapshot):
    for statement in ("UPDATE snapshots SET train = 0", "DELETE FROM snapshot_pairs"):
        with pytest.raises(Exception, match="append-only"):
            db.conn.execute(statement)


# -- runs ------------------------------------------------------------------------------------------------------


def test_a_run_succeeds_with_its_model(db, snapshot):
    run = begin(db, snapshot)
    assert (run.status, run.model, runs.active_runs(db)) == (RunStatus.RUNNING, None, [run])
    model = finish(db, run)
    done = runs.get_run(db, "r1")
    assert (done.status, done.model, done.seconds) == (RunStatus.SUCCEEDED, "cand", 2.5)
    assert (done.metrics, done.reference_proof) == ({"loss": 0.5}, {"ok": True})
    assert (model.parent, model.run, model.adapter) == ("model-one", run.id, "runs/r1/model")
    assert runs.active_runs(db) == []


def test_a_run_and_its_model_are_one_transaction(db, snapshot):
    run = begin(db, snapshot)
    with pytest.raises(Exception, match="UNIQUE"):
        finish(db, run, model="model-two")
    assert runs.get_run(db, "r1").status is RunStatus.RUNNING
    db.conn.execute(
        "CREATE TRIGGER broken BEFORE UPDATE OF status ON runs BEGIN SELECT raise(ABORT, 'no power'); END"
    )
    with pytest.raises(Exception, match="no power"):
        finish(db, run)
    assert find_model(db, "cand") is None
    assert runs.get_run(db, "r1").status is RunStatus.RUNNING


def test_one_run_at_a_time_also_past_the_program(db, snapshot):
    begin(db, snapshot)
    with pytest.raises(Conflict, match="run 'r1' is training"):
        begin(db, snapshot, "r2")
    with pytest.raises(Exception, match="UNIQUE"):
        db.conn.execute(
            """INSERT INTO runs(name, kind, parent, snapshot, status, folder, settings)
            SELECT 'r2', kind, parent, snapshot, 'running', folder, settings FROM runs"""
        )
    assert [r.name for r in runs.list_runs(db)] == ["r1"]


def test_a_name_is_used_once(db, snapshot):
    run = begin(db, snapshot)
    runs.end_run(db, run.id, RunStatus.FAILED, "no memory")
    with pytest.raises(Conflict, match="already a run named 'r1'"):
        begin(db, snapshot)
    assert begin(db, snapshot, "r2").error is None
    assert (runs.get_run(db, "r1").status, runs.get_run(db, "r1").error) == (RunStatus.FAILED, "no memory")


def test_the_first_end_of_a_run_stays(db, snapshot):
    run = begin(db, snapshot)
    finish(db, run)
    runs.end_run(db, run.id, RunStatus.FAILED, "too late")
    assert runs.get_run(db, "r1").status is RunStatus.SUCCEEDED


def test_metrics_by_step(db, snapshot):
    run = begin(db, snapshot)
    assert runs.run_progress(db, run.id) == (0, 0)
    runs.add_metrics(db, run.id, 1, 3, {"loss": 0.7, "rewards/margins": 0.0})
    runs.add_metrics(db, run.id, 2, 3, {"loss": 0.6})
    runs.add_metrics(db, run.id, 2, 3, {"loss": 0.5, "eval_loss": 0.9})
    assert runs.metrics_of(db, run.id) == {
        "loss": [(1, 0.7), (2, 0.5)], "rewards/margins": [(1, 0.0)], "eval_loss": [(2, 0.9)],
    }  # fmt: skip
    assert runs.run_progress(db, run.id) == (2, 3)


def test_the_champion_is_the_last_one_promoted(db):
    assert runs.champion(db) is None
    for name in ("model-one", "model-two"):
        db.conn.execute("INSERT INTO promotions(model, reason) VALUES (?, 'won')", (get_model(db, name).id,))
    assert runs.champion(db) == "model-two"


def test_what_is_unknown(db):
    with pytest.raises(NotFound):
        runs.get_run(db, "r9")
    with pytest.raises(NotFound, match="`jobs list`"):
        runs.get_job(db, 9)


# -- jobs ------------------------------------------------------------------------------------------------------


def test_the_life_of_a_job(db):
    job = runs.add_job(db, ["judge", "first"])
    assert (job.status, job.command, job.progress, job.started_at) == (
        JobStatus.QUEUED,
        ("judge", "first"),
        None,
        None,
    )
    assert runs.start_job(db, job.id, 12, 1.5)
    assert runs.job_processes(db) == [(job.id, 12, 1.5)]
    runs.job_progress(db, job.id, 0.5, "half")
    assert (runs.get_job(db, job.id).progress, runs.get_job(db, job.id).message) == (0.5, "half")
    runs.end_job(db, job.id, JobStatus.SUCCEEDED, 0, "")
    runs.end_job(db, job.id, JobStatus.FAILED, 1, "too late")
    done = runs.get_job(db, job.id)
    assert (done.status, done.exit_code, done.progress) == (JobStatus.SUCCEEDED, 0, 1.0)
    assert runs.job_processes(db) == []
    assert not runs.start_job(db, job.id, 13, 2.0), "what is over does not start again"


def test_a_job_knows_its_run(db, snapshot):
    job = runs.add_job(db, ["train", "dpo"])
    run = begin(db, snapshot, job=job.id)
    assert runs.get_job(db, job.id).run == run.id


def test_the_newest_jobs_come_first(db):
    ids = [runs.add_job(db, ["check"]).id for _ in range(5)]
    assert [j.id for j in runs.list_jobs(db, 3)] == ids[:1:-1]


def two_jobs(db, *, broken):
    with transaction(db):
        runs.add_job(db, ["check"])
        db.conn.execute(
            "INSERT INTO jobs(command, status) VALUES ('[]', ?)", ("sleeping" if broken else "queued",)
        )


def test_a_refused_write_leaves_nothing_of_its_transaction(db):
    with pytest.raises(Exception, match="CHECK"):
        two_jobs(db, broken=True)
    assert runs.list_jobs(db) == []
    two_jobs(db, broken=False)
    assert len(runs.list_jobs(db)) == 2


def test_a_run_in_several_processes_needs_every_slot_also_when_it_is_resumed(db, snapshot):
    train = ("train", "dpo", "--from", "m")
    runs.end_run(db, begin(db, snapshot, "wide", settings={"accelerate": "2"}).id, RunStatus.FAILED, "")
    begin(db, snapshot, "narrow")
    add_sweep(db, "grid", RunKind.DPO, parent="model-one", snapshot=snapshot.id, command=[*train, "--accelerate", "2"],
              changes=[{"beta": "0.1"}], job=None)  # fmt: skip
    assert [queueing.spreads(db, words) for words in (
        (*train, "--accelerate", "2"), train, ("train", "resume", "wide"), ("train", "resume", "--no-wait", "narrow"),
        ("train", "resume", "narrow", "--accelerate", "2"), ("train", "sweep", "resume", "grid"),
    )] == [True, False, True, False, True, True]  # fmt: skip


def test_processes_named_at_a_resume_are_kept(db, snapshot):
    run = begin(db, snapshot)
    runs.end_run(db, run.id, RunStatus.CANCELLED, "")
    job = runs.add_job(db, ("train", "resume", "r1")).id
    own = {"job": job, "pid": os.getpid(), "pid_started": jobs.own_start()}
    again = runs.restart_run(db, run.id, **own, accelerate="4")
    assert again.settings == {"beta": 0.1, "accelerate": "4"}
    runs.end_run(db, run.id, RunStatus.CANCELLED, "")
    assert runs.restart_run(db, run.id, **own).settings == again.settings
