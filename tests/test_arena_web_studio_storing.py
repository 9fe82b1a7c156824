"""Settings: copies of the home with the commands that put them back, and what takes room."""

import html
import os
import re
import shlex
import time
from datetime import UTC, datetime

import pytest

from arena.web import chrome
from arena.web.app import Context
from arena.web.pages.studio import storing
from db import copies
from db.connection import Readers, Writer
from tests.factories import make_home
from tests.workshop import run


@pytest.fixture
def context(tmp_path):
    home = make_home(tmp_path / "my home")
    writer = Writer(home)
    yield Context(home, Readers(home), writer, chrome.theme())
    writer.close()


def test_a_copy_is_made_and_its_command_puts_it_back(context):
    assert "No copy yet" in storing.copies_table(context)
    said = storing.copy_now(context)
    assert said.startswith("Copied, by python launch.py backup ")
    (copy,) = context.home.backups.glob("*.db")
    shown = storing.copies_table(context)
    assert "by hand" in shown
    typed = html.unescape(re.search("python launch.py (--home [^<]+)", shown)[1])
    assert shlex.split(typed) == ["--home", str(context.home.root), "restore", str(copy)]
    assert run(context.home, "restore", copy).code == 0
    again = storing.copies_table(context)
    assert "by a restore, of what it replaced" in again
    assert "restore" in again


def test_copies_say_why_they_were_made_newest_first(context):
    db = context.readers.get()
    for hour, why in enumerate(copies.Why):
        copies.make(
            db.conn, context.home.database, context.home.backups, why, datetime(2026, 1, 1, hour, tzinfo=UTC)
        )
        context.writer.call(
            lambda w, hour=hour: w.execute("INSERT INTO settings VALUES (?, '')", [str(hour)])
        )
    shown = storing.copies_table(context)
    places = [shown.index(word) for word in ("before a job", "before an upgrade", "while the server ran")]
    assert places == sorted(places)


def test_what_takes_room_is_shown_and_goes_only_when_it_is_removed(context):
    old = context.home.exports / "march"
    old.mkdir()
    (old / "rows.jsonl").write_bytes(b"x" * 3 * 2**20)
    then = time.time() - 40 * 86400
    for path in (old / "rows.jsonl", old):
        os.utime(path, (then, then))
    seen, can_go = storing.room(context)
    assert can_go
    assert "3.0 MB can go, by python launch.py prune" in seen
    assert old.is_dir()
    assert "3.0 MB freed, by python launch.py prune --yes" in storing.room(context, remove=True).shown
    assert not old.exists()
