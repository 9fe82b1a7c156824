"""Homes that every earlier version left are brought up to date: no row is lost, and being killed on the way costs nothing."""

import contextlib
import multiprocessing
import os
import sqlite3
import time

import pytest
from sqlite_utils import Database

from arena.upkeep import check
from db import copies, upkeep
from db.connection import Home, home_at, open_writer
from tests.eras.make import FOLDER, names

ERAS = sorted(file.stem for file in FOLDER.glob("m*.sql"))
UNSCANNED = "unscanned: campaign first is open and the blinding guard has not looked at it (start `serve`)"
"""what `check` says of homes from before the guard, and of no others"""
COUNTED = {"battle_cover", "campaign_sizes", "vote_counts", "check_counts", "open_leases"}
"""what follows from other rows; `check` counts it again"""


def home_of(folder, era):
    """A home as that version left it."""
    home = home_at(folder)
    with contextlib.closing(sqlite3.connect(home.database)) as conn:
        conn.executescript(f"BEGIN;\n{(FOLDER / f'{era}.sql').read_text(encoding='utf-8')}\nCOMMIT;")
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    return home


def rows_of(home, columns=None):
    """{table: (its columns, its rows sorted)}, of the columns named where some are."""
    with contextlib.closing(sqlite3.connect(home.database)) as conn:
        tables = [r[0] for r in conn.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlite_%' AND name NOT LIKE 'prompts_fts%'"
        )]  # fmt: skip
        found = {}
        for table in tables:
            wanted = columns[table] if columns and table in columns else None
            names_ = wanted or tuple(r[1] for r in conn.execute(f"PRAGMA table_info({table})"))
            found[table] = (
                names_,
                sorted(conn.execute(f"SELECT {', '.join(names_)} FROM {table}").fetchall(), key=repr),
            )
        return found


@pytest.mark.parametrize("era", ERAS)
def test_a_home_of_every_era_is_brought_up_to_date(tmp_path, era):
    home = home_of(tmp_path / "home", era)
    before = rows_of(home)
    open_writer(home).conn.close()
    after = rows_of(home, {table: columns for table, (columns, _) in before.items()})
    for table, (_, rows) in before.items():
        if table == "owners":  # m006 made the first
            rows = rows or after[table][1]
        if table not in COUNTED:
            assert after[table][1] == rows, table
    expected = [UNSCANNED] if "m002" <= era < "m006" else []
    assert check(home) == expected
    (copy,) = copies.list_copies(home.backups)
    upkeep.restore(home, copy.file)
    assert check(home) == expected
    if era >= "m003":
        assert rows_of(home, {"votes": before["votes"][0]})["votes"] == before["votes"]


def test_every_step_before_the_newest_has_its_home():
    assert set(names()[:-1]) <= set(ERAS), "run `python -m tests.eras.make`"


def upgrade(root):
    os.setsid()
    open_writer(Home(root)).conn.close()
    os._exit(0)


def test_an_upgrade_that_is_killed_leaves_the_old_home_or_the_new_one(tmp_path):
    era, fork = ERAS[3], multiprocessing.get_context("fork")
    unhindered = home_of(tmp_path / "whole", era)
    seen, begun = {"old": 0, "new": 0}, time.monotonic()
    open_writer(unhindered).conn.close()
    whole = time.monotonic() - begun
    for n in range(8):
        home = home_of(tmp_path / f"home {n}", era)
        before = rows_of(home)
        child = fork.Process(target=upgrade, args=(home.root,))
        child.start()
        time.sleep(whole * n / 5)
        child.kill()
        child.join()
        with contextlib.closing(sqlite3.connect(home.database)) as conn:
            applied = [r[0] for r in conn.execute("SELECT name FROM _sqlite_migrations ORDER BY id")]
        assert applied in (names()[: names().index(era) + 1], names())
        seen["new" if applied == names() else "old"] += 1
        if applied != names():
            assert rows_of(home) == before
        assert check(home) == [UNSCANNED]
        after = rows_of(home, {"votes": before["votes"][0]})
        assert after["votes"] == before["votes"]
    print(
        f"R15: 8 upgrades killed: {seen['old']} old homes and {seen['new']} new ones, none between, no row lost"
    )
    assert seen["old"]


def test_a_database_of_the_newest_version_is_not_touched(tmp_path):
    home = home_at(tmp_path / "home")
    open_writer(home).conn.close()
    with contextlib.closing(open_writer(home).conn) as conn:
        assert len(list(Database(conn)["_sqlite_migrations"].rows)) == len(names())
    assert copies.list_copies(home.backups) == []
