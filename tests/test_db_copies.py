"""Copies of a home that make themselves: when, which of them stay, and that each can be put back."""

import contextlib
import os
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from db import copies, upkeep
from db.catalog import add_model, list_models
from db.connection import APPLICATION_ID, open_reader, open_writer
from db.entities.catalog import ModelKind
from db.errors import UserError
from db.migrations import migrations
from tests.workshop import run, wait_for

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def named(at, size=1, why=copies.Why.SERVING):
    """A copy made then, without a file."""
    from pathlib import Path

    return copies.Copy(Path(f"auto-{at:%Y%m%dT%H%M%S%f}Z-{why}.db"), at, why, size)


def made(db, home, now, why=copies.Why.SERVING):
    return copies.make(db.conn, home.database, home.backups, why, now)


# -- which stay ------------------------------------------------------------------------------------------------


def test_a_quarter_of_a_year_of_copies_thins_to_the_rule():
    stay: list[copies.Copy] = []
    now = NOON - timedelta(days=90)
    while now <= NOON:
        stay = copies.kept([named(now), *stay], now)
        now += timedelta(minutes=15)
    ages = [NOON - c.at for c in stay]
    assert ages == sorted(ages)
    assert [age for age in ages if age < timedelta(hours=2)] == [timedelta(minutes=15 * n) for n in range(8)]
    assert sum(timedelta(hours=2) <= age < timedelta(hours=24) for age in ages) == 22
    assert [age.days for age in ages if timedelta(days=1) <= age < timedelta(days=7)] == [1, 2, 3, 4, 5, 6]
    weeks = {c.at.isocalendar().week for c in stay}
    assert len(weeks) >= 5
    assert len(stay) <= copies.LAST + copies.HOURS + copies.DAYS + copies.WEEKS
    assert ages[-1] >= timedelta(days=21)


@given(st.lists(st.integers(0, 60 * 24 * 40), max_size=80, unique=True), st.integers(1, 2**31))
def test_the_newest_always_stays_and_nothing_is_made_up(minutes, size):
    there = [named(NOON - timedelta(minutes=m), size) for m in minutes]
    stay = copies.kept(there, NOON)
    assert set(stay) <= set(there)
    newest = sorted(there, key=lambda c: c.at, reverse=True)
    assert stay[: copies.AT_LEAST] == newest[: copies.AT_LEAST]
    assert sum(c.size for c in stay[copies.AT_LEAST :]) <= copies.SPACE


def test_a_clock_that_steps_back_does_not_drop_the_new_copy():
    ahead = [named(NOON + timedelta(days=1, minutes=m)) for m in range(20)]
    assert named(NOON) in copies.kept([named(NOON), *ahead], NOON)


# -- when they are made ----------------------------------------------------------------------------------------


def test_only_what_changed_is_copied_again_and_every_copy_can_be_put_back(home, db):
    first = made(db, home, NOON)
    assert made(db, home, NOON + timedelta(minutes=15)) is None
    add_model(db, "later", ModelKind.RECORDED)
    second = made(db, home, NOON + timedelta(minutes=30))
    assert copies.list_copies(home.backups) == [second, first]
    db.conn.close()
    upkeep.restore(home, first.file)
    with contextlib.closing(open_reader(home).conn) as conn:
        assert list_models(Database(conn)) == []
    upkeep.restore(home, second.file)
    assert upkeep.check(home) == []


def test_a_reading_connection_may_copy_and_stays_a_reader(home, db):
    reader = open_reader(home)
    assert made(reader, home, NOON).size > 0
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.conn.execute("DELETE FROM settings")
    reader.conn.close()


def test_no_copy_takes_the_last_room_of_the_disk(home, db):
    os.truncate(home.database, shutil.disk_usage(home.root).free)  # a hole: it takes no room itself
    with pytest.raises(UserError, match="no room for a copy"):
        made(db, home, NOON)
    assert list(home.backups.iterdir()) == []


def test_a_home_is_copied_before_it_is_migrated(home):
    last = [m.name for m in migrations.pending(Database(memory=True))][-1]
    older = Database(str(home.database))
    migrations.apply(older, stop_before=last)
    older.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    older.execute("INSERT INTO settings VALUES ('kept', 'yes')")
    older.conn.commit()
    older.conn.close()
    open_writer(home).conn.close()
    (copy,) = copies.list_copies(home.backups)
    assert copy.why is copies.Why.MIGRATION
    before = Database(str(copy.file))
    assert last not in [m.name for m in migrations.applied(before)]
    assert before.execute("SELECT value FROM settings WHERE name = 'kept'").fetchone() == ("yes",)
    before.conn.close()
    open_writer(home).conn.close()
    assert len(copies.list_copies(home.backups)) == 1


def test_a_new_home_has_nothing_to_copy(home, db):
    assert copies.list_copies(home.backups) == []


def test_a_job_that_writes_is_preceded_by_a_copy_and_one_that_reads_is_not(home, db, tmp_path):
    prompts = tmp_path / "p.jsonl"
    prompts.write_text('{"text": "Why?"}\n', encoding="utf-8")
    db.conn.close()
    assert run(home, "import", "prompts", prompts).code == 0
    (copy,) = copies.list_copies(home.backups)
    assert copy.why is copies.Why.JOB
    before = Database(str(copy.file))
    assert before["prompts"].count == 0
    before.conn.close()
    run(home, "export", tmp_path / "out")
    assert len(copies.list_copies(home.backups)) == 1


def test_a_home_is_copied_again_and_again_while_something_changes(home, db):
    from arena.upkeep import copied_every

    told: list[str] = []
    with copied_every(home, timedelta(seconds=0.05), told.append):
        for n in range(3):
            add_model(db, f"model {n}", ModelKind.RECORDED)
            wait_for(lambda n=n: len(copies.list_copies(home.backups)) == n + 1, 20)
    assert {copy.why for copy in copies.list_copies(home.backups)} == {copies.Why.SERVING}
    assert told == []


def test_no_length_of_time_is_no_copy(home, db):
    from arena.upkeep import copied_every

    with copied_every(home, timedelta(0), print):
        pass
    assert copies.list_copies(home.backups) == []
