"""A job is a real child process here: what it prints, how it ends, and what is known of it when it cannot say so."""

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

from arena import jobs
from db import runs
from db.catalog import response_counts
from db.connection import PROJECT, open_writer
from db.entities.runs import JobStatus, RunKind, RunStatus
from db.errors import UserError
from labeling.pairs import PairPolicy
from tests.factories import make_home
from tests.standin import standing_in
from tests.workshop import ended, endpoint_home, give_votes, run, wait_for
from training.snapshots import Source, freeze


@pytest.fixture
def prompts(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text(
        "".join(json.dumps({"text": f"Question {i}?"}) + "\n" for i in range(3)), encoding="utf-8"
    )
    return path


def test_a_job_runs_to_its_end_and_its_output_is_in_its_log(home, db, prompts):
    job = ended(db, jobs.start(home, db, ["import", "prompts", str(prompts)]).id)
    assert (job.status, job.exit_code, job.progress) == (JobStatus.SUCCEEDED, 0, 1.0)
    assert job.log == f"logs/job-{job.id}.log"
    assert "added: 3" in jobs.read_log(home, job)
    assert jobs.shown(job.command) == f"python launch.py import prompts {prompts}"
    assert job.started_at <= job.finished_at


def test_a_job_that_the_person_can_mend_ends_with_exit_2_and_its_reason(home, db):
    job = ended(db, jobs.start(home, db, ["import", "prompts", "/nowhere.jsonl"]).id)
    assert (job.status, job.exit_code) == (JobStatus.FAILED, 2)
    assert "nowhere.jsonl" in job.message
    assert f"error: {job.message}" in jobs.read_log(home, job)


def test_a_job_with_a_misspelt_option_ends_with_exit_2_and_its_reason(home, db):
    job = ended(db, jobs.start(home, db, ["import", "prompts", "--colour", "red"]).id)
    assert (job.status, job.exit_code) == (JobStatus.FAILED, 2)
    assert "--colour" in job.message


def test_a_job_runs_at_low_priority_and_ends_by_itself_when_cancelled(tmp_path):
    with standing_in() as server:
        server.delay = 0.03
        home = endpoint_home(tmp_path / "home", server.url)
        db = open_writer(home)
        job = jobs.start(home, db, ["generate", "--models", "far", "--prompts", "all", "--n", "500"])
        process = psutil.Process(job.pid)
        wait_for(lambda: response_counts(db).get("far", 0) > 0)
        assert process.nice() == 19
        told = process.environ()["GLIBC_TUNABLES"]  # the C library cuts it at the colon as it reads it
        assert told in (jobs.WHOLE_MEMORY, jobs.WHOLE_MEMORY.partition(":")[0])
        assert os.getsid(job.pid) == job.pid
        cancelled = jobs.cancel(db, job.id)
    assert (cancelled.status, cancelled.exit_code) == (JobStatus.CANCELLED, 2)
    assert "run it again to go on" in jobs.read_log(home, cancelled)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    db.conn.close()


def test_a_bug_ends_a_job_with_exit_1_and_stays_loud(db):
    with pytest.raises(ZeroDivisionError), jobs.this_job(db, ["check"]):
        raise ZeroDivisionError("one over nothing")
    job = runs.list_jobs(db)[0]
    assert (job.status, job.exit_code, job.message) == (JobStatus.FAILED, 1, "one over nothing")


def test_a_typed_command_is_a_job_too(home, db):
    with jobs.this_job(db, ["generate", "--models", "a b"]) as job:
        running = runs.get_job(db, job.id)
        assert (running.status, running.pid, running.log) == (JobStatus.RUNNING, os.getpid(), None)
        assert "terminal" in jobs.read_log(home, running)
        job.say(0.25, "a quarter")
        job.say(7.0, "more than all")
    found = runs.get_job(db, job.id)
    assert (found.status, found.exit_code) == (JobStatus.SUCCEEDED, 0)
    assert jobs.shown(found.command) == "python launch.py generate --models 'a b'"


def test_progress_reaches_the_reader_at_once_and_the_database_at_intervals(db):
    lines = []
    with jobs.this_job(db, ["judge"], lines.append) as job:
        for n in range(50):
            job.say(n / 100, f"step {n}")
        stored = runs.get_job(db, job.id)
    assert lines[:2] == ["  0%  step 0", "  1%  step 1"]
    assert len(lines) == 50
    assert stored.message == "step 0"


def signalled_twice(db, heard):
    with jobs.this_job(db, ["judge"]) as job:
        signal.raise_signal(signal.SIGTERM)
        heard.append(job.should_stop())
        signal.raise_signal(signal.SIGINT)
        heard.append("after the second")


def test_the_first_signal_asks_and_the_second_ends_at_once(db):
    heard = []
    with pytest.raises(KeyboardInterrupt):
        signalled_twice(db, heard)
    assert heard == [True]
    job = runs.list_jobs(db)[0]
    assert (job.status, job.exit_code) == (JobStatus.CANCELLED, 130)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_job_that_was_cancelled_before_it_began_does_not_begin(db, monkeypatch):
    job = runs.add_job(db, ["check"])
    jobs.cancel(db, job.id)
    monkeypatch.setenv(jobs.JOB_VARIABLE, str(job.id))
    monkeypatch.setattr(os, "nice", lambda _: 0)  # this process's priority cannot be raised again
    with pytest.raises(UserError, match="was cancelled"), jobs.this_job(db, ["check"]):
        raise AssertionError("it began")
    assert runs.get_job(db, job.id).status is JobStatus.CANCELLED


def test_a_killed_job_is_found(home, db, prompts):
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    job = runs.add_job(db, ["judge", "first"])
    runs.start_job(db, job.id, sleeper.pid, psutil.Process(sleeper.pid).create_time())
    jobs.reconcile(db)
    assert runs.get_job(db, job.id).status is JobStatus.RUNNING
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    jobs.reconcile(db)  # it is a zombie until it is waited for
    sleeper.wait()
    found = runs.get_job(db, job.id)
    assert (found.status, found.exit_code) == (JobStatus.FAILED, None)
    assert "killed" in found.message


def test_a_process_id_given_to_another_process_is_not_the_job(db):
    job = runs.add_job(db, ["judge", "first"])
    runs.start_job(db, job.id, os.getpid(), jobs.own_start() - 3600)
    jobs.reconcile(db)
    assert runs.get_job(db, job.id).status is JobStatus.FAILED


def test_cancelling_a_job_whose_process_id_is_reused_harms_nobody(db):
    bystander = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    )
    job = runs.add_job(db, ["judge", "first"])
    runs.start_job(db, job.id, bystander.pid, psutil.Process(bystander.pid).create_time() - 3600)
    assert jobs.cancel(db, job.id, wait=1).status is JobStatus.CANCELLED
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_job_that_will_not_end_is_killed_with_its_run(tmp_path):
    db = open_writer(make_home(tmp_path / "home"))
    give_votes(db, votes=6)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"deaf\n"
    began = psutil.Process(process.pid).create_time()
    job = runs.add_job(db, ["train", "dpo", "--from", "model-one"])
    runs.start_job(db, job.id, process.pid, began)
    snapshot = freeze(db, Source(("first",)), PairPolicy())
    run_ = runs.add_run(db, "one-r1", RunKind.DPO, parent="model-one", snapshot=snapshot.id, folder="runs/one-r1",
                        settings={}, campaign=None, job=job.id, pid=process.pid, pid_started=began)  # fmt: skip
    assert jobs.cancel(db, job.id, wait=0.3).status is JobStatus.CANCELLED
    assert process.wait(10) == -signal.SIGKILL
    assert runs.run_by_id(db, run_.id).status is RunStatus.CANCELLED
    process.stdout.close()
    db.conn.close()


def test_cancelling_what_is_over_changes_nothing(home, db, prompts):
    job = ended(db, jobs.start(home, db, ["import", "prompts", str(prompts)]).id)
    assert jobs.cancel(db, job.id) == job


def test_a_job_outlives_the_process_that_started_it(home, db, prompts):
    code = (
        "import sys; from pathlib import Path; from arena import jobs; from db.connection import home_at, open_writer\n"
        "home = home_at(Path(sys.argv[1])); print(jobs.start(home, open_writer(home), sys.argv[2:]).id)"
    )
    starter = subprocess.run(
        [sys.executable, "-c", code, str(home.root), "import", "prompts", str(prompts)],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    job = ended(db, int(starter.stdout))
    assert (job.status, job.exit_code) == (JobStatus.SUCCEEDED, 0)


def test_a_finished_job_can_be_run_again_and_a_running_one_not(home, db, prompts):
    first = ended(db, jobs.start(home, db, ["import", "prompts", str(prompts)]).id)
    again = run(home, "jobs", "resume", first.id)
    assert again.code == 0
    second = ended(db, first.id + 1)
    assert (second.command, second.status) == (first.command, JobStatus.SUCCEEDED)
    with jobs.this_job(db, ["judge", "first"]) as job:
        ran = run(home, "jobs", "resume", job.id)
    assert (ran.code, f"jobs cancel {job.id}" in ran.err) == (2, True)


def test_a_long_log_is_read_from_its_end(home, db):
    job = runs.add_job(db, ["judge"])
    log = home.logs / "job-1.log"
    log.write_bytes(b"x" * 50_000 + "ä\nthe end\n".encode())
    runs.set_job_log(db, job.id, home.relative(log))
    text = jobs.read_log(home, runs.get_job(db, job.id), 10)
    assert text.endswith("the end\n")
    assert len(text) <= 10
