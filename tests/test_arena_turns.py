"""Trainings wait their turn: as jobs of the server, in a terminal, and across a restart. Real child processes."""

import os
import signal
import subprocess

import pytest

from arena import jobs
from arena.turns import busy
from db import queueing, runs
from db.connection import PROJECT
from db.entities.runs import JobStatus, RunKind, RunStatus
from labeling.pairs import PairPolicy
from tests.factories import make_home
from tests.serving import running
from tests.workshop import ended, give_votes, refused, run, wait_for
from training.snapshots import Source, freeze

# it waits like any other, and ends at once when its turn comes: there is no such model
WORDS = ["train", "dpo", "--from", "nobody", "--campaign", "first"]


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path / "home")


@pytest.fixture
def busy_run(home, db):
    """A run of this very process."""
    give_votes(db, votes=6)
    snapshot = freeze(db, Source(("first",)), PairPolicy())
    return runs.add_run(db, "busy", RunKind.DPO, parent="model-one", snapshot=snapshot.id, folder="runs/busy", settings={},
                        campaign=None, job=None, pid=os.getpid(), pid_started=jobs.own_start())  # fmt: skip


def typed(home, *words):
    """The command in a terminal of its own."""
    return subprocess.Popen(
        jobs.command_line(home, words), cwd=PROJECT, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )  # fmt: skip


def test_trainings_wait_and_one_starts_the_next_when_it_ends(home, db, busy_run):
    first, second = jobs.start(home, db, WORDS), jobs.start(home, db, WORDS)
    assert [(j.status, j.turn) for j in (first, second)] == [(JobStatus.QUEUED, 1), (JobStatus.QUEUED, 2)]
    listed = run(home, "jobs", "list", "--json").json
    assert [(j["id"], j["place"]) for j in listed] == [(second.id, 2), (first.id, 1)]
    assert run(home, "jobs", "up", second.id).out == f"the queue is now: {second.id}, {first.id}\n"
    jobs.start_waiting(home, db)
    assert runs.get_job(db, second.id).status is JobStatus.QUEUED
    runs.end_run(db, busy_run.id, RunStatus.FAILED, "")
    jobs.start_waiting(home, db)
    assert ended(db, second.id).exit_code == 2
    assert "nobody" in ended(db, first.id).message
    assert runs.get_job(db, second.id).finished_at <= runs.get_job(db, first.id).started_at
    assert (runs.get_job(db, first.id).slot, queueing.taken_slots(db)) == (0, set())


def test_a_job_that_waits_can_be_cancelled_and_is_never_started(home, db, busy_run):
    job = jobs.start(home, db, WORDS)
    assert jobs.cancel(db, job.id).status is JobStatus.CANCELLED
    runs.end_run(db, busy_run.id, RunStatus.FAILED, "")
    jobs.start_waiting(home, db)
    assert runs.get_job(db, job.id).pid is None


def test_a_server_starts_what_was_queued_before_it(home, db, busy_run):
    job = jobs.start(home, db, WORDS)
    runs.end_run(db, busy_run.id, RunStatus.FAILED, "")
    with running(home):
        assert ended(db, job.id).exit_code == 2


def test_a_terminal_says_that_it_waits_and_goes_on_by_itself(home, db, busy_run):
    process = typed(home, *WORDS)
    line = process.stderr.readline()
    assert "waits its turn as job 1: run 'busy' is training; Ctrl-C gives up" in line
    assert runs.get_job(db, 1).status is JobStatus.QUEUED
    runs.end_run(db, busy_run.id, RunStatus.FAILED, "")
    assert "nobody" in process.stderr.read()
    assert process.wait(60) == 2


def test_without_waiting_it_ends_at_once(home, db, busy_run):
    assert "run 'busy' is training" in refused(run(home, *WORDS, "--no-wait"))
    assert (runs.list_jobs(db)[0].status, queueing.queue(db)) == (JobStatus.FAILED, [])


def test_a_waiting_terminal_hears_that_its_job_is_cancelled(home, db, busy_run):
    process = typed(home, *WORDS)
    assert "waits its turn" in process.stderr.readline()
    jobs.cancel(db, 1)
    assert "job 1 was cancelled before it began" in process.stderr.read()
    assert process.wait(60) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_terminal_that_gives_up_leaves_the_queue(home, db, busy_run, number):
    process = typed(home, *WORDS)
    assert "waits its turn" in process.stderr.readline()
    job = jobs.start(home, db, WORDS)
    assert busy(db, job.id) == "run 'busy' is training, 1 job is before it in the queue"
    process.send_signal(number)
    process.wait(60)
    process.stderr.close()
    wait_for(lambda: jobs.reconcile(db) is None and queueing.queue(db) == [job.id])
    assert runs.get_job(db, 1).status is (
        JobStatus.CANCELLED if number is signal.SIGINT else JobStatus.FAILED
    )
