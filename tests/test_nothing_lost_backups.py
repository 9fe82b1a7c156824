"""Copies made under load: each is sound and holds what was acknowledged before it began; one put back is a whole home."""

import time

import pytest

from db import upkeep
from db.connection import Writer, open_reader, open_writer
from db.entities.campaigns import CampaignSettings
from db.errors import UserError
from db.files import written_file
from tests.factories import make_home
from tests.faults.scenes import cast, lend, stored

COPIES = 6
EACH = 25
"""votes between two copies, and while one is made"""


def test_copies_under_load_are_sound_and_miss_nothing_that_was_acknowledged_before(tmp_path):
    home = make_home(tmp_path / "home", prompts=60, settings=CampaignSettings(overlap=1000))
    writer = Writer(home)
    acknowledged, behind, kept = 0, [], []
    for number in range(COPIES):
        cookie, assignments = writer.call(lambda db: lend(db, 2 * EACH))
        for assignment in assignments[:EACH]:
            writer.call(lambda db, c=cookie, a=assignment: cast(db, c, a))
        acknowledged += EACH
        waiting = [writer.submit(lambda db, c=cookie, a=a: cast(db, c, a)) for a in assignments[EACH:]]
        file = tmp_path / f"copy-{number}.db"
        upkeep.backup(home, file)
        for vote in waiting:
            vote.result(timeout=60)
        kept.append(stored(file))
        behind.append(acknowledged + EACH - kept[-1])
        assert acknowledged <= kept[-1] <= acknowledged + EACH
        acknowledged += EACH
    writer.close()
    home.database.write_bytes(b"the disk is gone")
    for beside in home.root.glob("arena.db-*"):
        beside.unlink()
    began = time.process_time()
    upkeep.restore(home, tmp_path / f"copy-{COPIES - 1}.db")
    seconds = time.process_time() - began
    print(
        f"\nbackups: {COPIES} under load, all sound, {max(behind)} votes behind at most, all of them acknowledged after "
        f"it began; restored {kept[-1]} of {acknowledged} in {seconds:.2f} s of processor"
    )
    assert stored(home.database) == kept[-1]
    assert upkeep.check(home) == []


def test_two_copies_to_one_file_at_once_do_not_meet(tmp_path):
    home = make_home(tmp_path / "home")
    with written_file(tmp_path / "copy.db") as first, written_file(tmp_path / "copy.db") as second:
        assert first != second
        for aside in (first, second):
            upkeep.backup(home, aside)
    assert stored(tmp_path / "copy.db") == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy.db", "home"]


def test_nothing_is_restored_while_another_program_reads_what_only_the_log_has(tmp_path):
    home = make_home(tmp_path / "home")
    upkeep.backup(home, tmp_path / "copy.db")
    writer, reader = open_writer(home), open_reader(home)
    reader.conn.execute("BEGIN")
    reader.conn.execute("SELECT count(*) FROM votes").fetchone()
    cookie, assignments = lend(writer, 2)
    cast(writer, cookie, assignments[0])
    with pytest.raises(UserError, match="another program has"):
        upkeep.restore(home, tmp_path / "copy.db")
    assert stored(home.database) == 1
    reader.conn.close()
    writer.conn.close()
    upkeep.restore(home, tmp_path / "copy.db")
    assert stored(home.database) == 0
