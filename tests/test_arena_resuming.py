"""A run that was cancelled or killed goes on under its name, and ends with a model as if nothing had happened."""

import os
import signal
from dataclasses import replace

import pytest

from arena import jobs
from arena.registry import resume_job
from arena.rounds import resume, retrain
from arena.run_plans import Request
from db import runs
from db.catalog import find_model, get_model
from db.entities.runs import JobStatus, RunStatus
from db.errors import Conflict, NotFound, UserError
from tests.workshop import QUICK, ended, refused, run, trainable_home, wait_for
from training.folders import verify
from training.snapshots import Source

FIRST = Request(parent="one", source=Source(("first",)), preset="smoke", overrides=("max_steps=12",))


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home")


def stopped(db, home, request=FIRST, after="step 5 of"):
    """Begin the request's run and cancel it."""
    with jobs.this_job(db, ["train", "dpo"]) as job:
        job.echo = lambda line: setattr(job, "stopping", job.stopping or after in line)
        with pytest.raises(UserError, match="`jobs resume` goes on from there"):
            retrain(db, home, request, job)
    return runs.list_runs(db)[0]


def resumed(db, home, name):
    with jobs.this_job(db, ["train", "resume", name]) as job:
        return resume(db, home, name, job).run


def model_of(home, db, name):
    """What was learned, byte for byte; the card beside it names its run."""
    return (home.root / str(get_model(db, name).adapter) / "adapter_model.safetensors").read_bytes()


def test_a_cancelled_run_goes_on_under_its_name_and_makes_the_same_model(home, voted):
    short = replace(FIRST, rematch=False)
    with jobs.this_job(voted, ["train", "dpo"]) as job:
        whole = retrain(voted, home, replace(short, name="whole"), job).run
    was = stopped(voted, home, short)
    assert (was.name, was.status, find_model(voted, was.name)) == ("one-r1", RunStatus.CANCELLED, None)
    now = resumed(voted, home, was.name)
    assert (now.id, now.model, now.status, now.error) == (was.id, "one-r1", RunStatus.SUCCEEDED, None)
    assert now.reference_proof == whole.reference_proof
    assert now.snapshot == was.snapshot
    assert "the run went on from its checkpoint after step 6" in now.metrics["notes"]
    losses = runs.metrics_of(voted, now.id)["loss"]
    assert [step for step, _ in losses] == list(range(1, 13))
    assert losses == runs.metrics_of(voted, whole.id)["loss"]
    assert model_of(home, voted, "one-r1") == model_of(home, voted, "whole")
    assert not (home.runs / "one-r1" / "checkpoints").exists()


def test_the_rematch_of_a_run_that_went_on_is_the_one_that_was_asked_for(home, voted):
    was = stopped(voted, home, replace(FIRST, against="two"))
    now = resumed(voted, home, was.name)
    assert now.rematch == "one-r1 rematch"
    from db.campaigns import get_campaign

    assert set(get_campaign(voted, now.rematch).models) == {"one-r1", "two"}


def test_a_model_that_was_written_but_never_registered_is_made_again(home, voted):
    was = stopped(voted, home, replace(FIRST, rematch=False))
    half = home.runs / was.name / "model"
    half.mkdir()
    (half / "adapter_model.safetensors").write_bytes(b"half of it")
    assert resumed(voted, home, was.name).status is RunStatus.SUCCEEDED
    verify(half)


def test_every_job_of_a_run_leads_to_it(home, voted):
    was = stopped(voted, home, replace(FIRST, rematch=False))
    assert resumed(voted, home, was.name).status is RunStatus.SUCCEEDED
    assert [j.run for j in runs.list_jobs(voted)] == [was.id, was.id]


def test_a_run_that_has_its_model_or_is_not_there_cannot_go_on(home, voted):
    was = stopped(voted, home, replace(FIRST, rematch=False))
    resumed(voted, home, was.name)
    with pytest.raises(Conflict, match="has its model already"):
        resumed(voted, home, was.name)
    with pytest.raises(NotFound):
        resumed(voted, home, "none")
    assert "no run 'none'" in refused(run(home, "train", "resume", "none"))


def test_a_job_whose_run_trains_again_already_does_not_start_a_second(home, voted):
    was = stopped(voted, home, replace(FIRST, rematch=False))
    with jobs.this_job(voted, ["train", "resume", was.name]) as job:
        runs.restart_run(voted, was.id, job=job.id, pid=os.getpid(), pid_started=jobs.own_start())
        with pytest.raises(Conflict, match="training again already"):
            resume_job(home, voted, was.job)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_ended_from_outside_is_resumed_as_a_job(home, voted, number):
    words = [
        "train",
        "dpo",
        "--from",
        "one",
        "--campaign",
        "first",
        *QUICK,
        "--set",
        "max_steps=300",
        "--no-rematch",
    ]
    job = jobs.start(home, voted, words)
    wait_for(lambda: any(runs.run_progress(voted, r.id)[0] >= 40 for r in runs.list_runs(voted)))
    os.killpg(job.pid, number)
    ended(voted, job.id)
    assert run(home, "jobs", "resume", job.id).code == 0
    again = runs.list_jobs(voted)[0]
    assert again.command == ("train", "resume", "one-r1")
    assert ended(voted, again.id).status is JobStatus.SUCCEEDED
    run_ = runs.get_run(voted, "one-r1")
    assert (run_.model, run_.metrics["steps"]) == ("one-r1", 300)
    assert any("went on from its checkpoint" in note for note in run_.metrics["notes"])
