"""Files and folders that are there whole or not at all; what a process that was cut short leaves."""

import contextlib
import os
import subprocess
import sys

import pytest

from arena import jobs
from db import runs
from db.connection import APPLICATION_ID, open_writer
from db.entities.runs import JobStatus
from db.files import aside_of, clear_left, put_folder, written_file


def dead() -> int:
    """The id of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def filled(folder, text):
    folder.mkdir()
    (folder / "file").write_text(text)
    return folder


def test_a_folder_takes_the_place_of_another_and_nothing_stays_beside(tmp_path):
    target = filled(tmp_path / "out", "old")
    for text in ("new", "newer"):
        put_folder(filled(aside_of(target), text), target)
        assert (target / "file").read_text() == text
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path):
    (tmp_path / "file").write_text("old")

    def cut_short():
        with written_file(tmp_path / "file") as aside:
            aside.write_text("half")
            aside.with_name(f"{aside.name}-journal").write_text("SQLite's")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cut_short()
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"file": "old"}


def test_what_a_dead_process_left_goes_and_an_old_folder_comes_back(tmp_path):
    gone, here = dead(), os.getpid()
    filled(tmp_path / f".out.{gone}-01234567.old", "old")
    filled(tmp_path / f".out.{gone}-01234567.part", "half")
    (tmp_path / f".copy.db.{gone}-01234567.part-journal").write_text("half")
    mine = filled(tmp_path / f".out.{here}-01234567.part", "being written")
    other = filled(tmp_path / ".out.notes", "a person's own")
    clear_left(tmp_path, "out")
    assert (tmp_path / f".copy.db.{gone}-01234567.part-journal").exists()
    clear_left(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"out", mine.name, other.name}
    assert (tmp_path / "out" / "file").read_text() == "old"


def test_a_home_whose_first_opening_was_cut_short_gets_its_mark(home):
    with contextlib.closing(open_writer(home).conn) as conn:
        conn.execute("PRAGMA application_id=0")
    with contextlib.closing(open_writer(home).conn) as conn:
        assert conn.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_a_job_whose_starter_died_does_not_wait_for_ever(db):
    lost, new = runs.add_job(db, ["judge", "first"]), runs.add_job(db, ["judge", "second"])
    db.conn.execute("UPDATE jobs SET created_at = '2026-01-01' WHERE id = ?", (lost.id,))
    jobs.reconcile(db)
    found = runs.get_job(db, lost.id)
    assert (found.status, found.message) == (JobStatus.FAILED, jobs.NEVER_BEGAN)
    assert runs.get_job(db, new.id).status is JobStatus.QUEUED
