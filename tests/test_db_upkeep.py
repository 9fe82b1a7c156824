"""Copies of a home, putting one back, and finding planted damage."""

import contextlib
import sqlite3

import pytest
from sqlite_utils import Database

from db import upkeep
from db.campaigns import get_campaign
from db.catalog import list_models
from db.connection import open_writer
from db.counting import counts
from db.errors import UserError
from db.lock import Lock
from db.migrations import migrations
from tests.factories import make_home
from tests.workshop import give_votes


@pytest.fixture
def home(tmp_path):
    made = make_home(tmp_path / "home")
    with contextlib.closing(open_writer(made).conn) as conn:
        give_votes(upkeep.Database(conn), votes=4)
    return made


def names(home):
    db = open_writer(home)
    with contextlib.closing(db.conn):
        return [m.name for m in list_models(db)], counts(db, get_campaign(db, "first").id).counted


def change(home):
    """Something that a restore takes back."""
    db = open_writer(home)
    with contextlib.closing(db.conn):
        db.conn.execute("INSERT INTO models(name, kind) VALUES ('later', 'recorded')")


# -- copies ----------------------------------------------------------------------------------------------------


def test_a_copy_can_be_put_back(home, tmp_path):
    file = tmp_path / "copies" / "monday.db"
    size = upkeep.backup(home, file)
    assert file.stat().st_size == size
    assert [p.name for p in file.parent.iterdir()] == ["monday.db"]
    change(home)
    kept = upkeep.restore(home, file)
    assert names(home) == (["model-one", "model-two"], 4)
    assert upkeep.check(home) == []
    upkeep.restore(home, kept)
    assert names(home) == (["model-one", "model-two", "later"], 4)


def test_a_copy_holds_what_others_just_wrote(home, tmp_path):
    db = open_writer(home)
    db.conn.execute("INSERT INTO models(name, kind) VALUES ('just now', 'recorded')")
    upkeep.backup(home, tmp_path / "copy.db")
    db.conn.close()
    upkeep.restore(home, tmp_path / "copy.db")
    assert "just now" in names(home)[0]


def test_a_copy_replaces_an_older_one_and_a_failed_one_does_not(home, tmp_path):
    file = tmp_path / "copy.db"
    file.write_bytes(b"")
    upkeep.backup(home, file)
    upkeep.backup(home, file)
    whole = file.read_bytes()
    assert whole.startswith(b"SQLite format 3")
    with pytest.raises(UserError, match="cannot write"):
        upkeep.backup(home, tmp_path / "copy.db" / "inside a file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot write"):
        upkeep.backup(home, tmp_path / "folder")
    assert file.read_bytes() == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == ["copy.db", "folder", "home"]


def test_a_copy_does_not_replace_what_is_no_copy(home, tmp_path):
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "Why?"}')
    with pytest.raises(UserError, match="is no database; name another file"):
        upkeep.backup(home, tmp_path / "prompts.jsonl")
    assert (tmp_path / "prompts.jsonl").read_text() == '{"prompt": "Why?"}'


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_the_home_itself_is_no_place_for_a_copy(home, suffix):
    with pytest.raises(UserError, match="the home's own database"):
        upkeep.backup(home, home.root / f"arena.db{suffix}")
    assert names(home)[1] == 4


def test_a_home_without_a_database_has_nothing_to_copy(tmp_path):
    from db.connection import home_at

    with pytest.raises(UserError, match=r"holds no arena\.db"):
        upkeep.backup(home_at(tmp_path / "new"), tmp_path / "copy.db")


def test_into_a_new_home(home, tmp_path):
    from db.connection import home_at

    upkeep.backup(home, tmp_path / "copy.db")
    new = home_at(tmp_path / "new")
    assert upkeep.restore(new, tmp_path / "copy.db") is None
    assert names(new)[1] == 4


def test_not_while_a_server_runs(home, tmp_path):
    upkeep.backup(home, tmp_path / "copy.db")
    change(home)
    lock = Lock(home)
    with pytest.raises(UserError, match="another server runs"):
        upkeep.restore(home, tmp_path / "copy.db")
    lock.release()
    assert "later" in names(home)[0]


def a_text(path):
    path.write_text("a letter to a friend\n" * 100, encoding="utf-8")


def a_strangers(path):
    with contextlib.closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE votes (id)")


def an_empty(path):
    path.write_bytes(b"")


def a_torn(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def a_newer(path):
    with contextlib.closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(
            "INSERT INTO _sqlite_migrations(migration_set, name, applied_at) VALUES ('tastebench', 'm999_later', '')"
        )


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (a_text, "is not a backup"),
        (a_strangers, "is not a sound Tastebench database"),
        (an_empty, "is not a sound Tastebench database"),
        (a_torn, "is not a"),
        (a_newer, "written by a newer version"),
    ],
)
def test_what_is_no_copy_is_refused_and_nothing_changes(home, tmp_path, spoil, reason):
    file = tmp_path / "what.db"
    if spoil in (a_torn, a_newer):
        upkeep.backup(home, file)
    spoil(file)
    change(home)
    before = sorted(p.relative_to(home.root) for p in home.root.rglob("*"))
    with pytest.raises(UserError, match=reason):
        upkeep.restore(home, file)
    assert "later" in names(home)[0]
    after = sorted(p.relative_to(home.root) for p in home.root.rglob("*"))
    assert [p for p in after if p not in before and not p.name.endswith(("-wal", "-shm", ".lock"))] == []


def test_the_home_itself_and_a_missing_file_are_no_copies(home, tmp_path):
    with pytest.raises(UserError, match="the home's own database"):
        upkeep.restore(home, home.database)
    with pytest.raises(UserError, match="there is no file"):
        upkeep.restore(home, tmp_path / "nowhere.db")
    assert names(home)[1] == 4


def test_a_damaged_home_is_kept_as_it_lies_and_replaced(home, tmp_path):
    upkeep.backup(home, tmp_path / "copy.db")
    home.database.write_bytes(b"the disk ate this" * 1000)
    with pytest.raises(UserError, match="is damaged or not a Tastebench database"):
        names(home)
    kept = upkeep.restore(home, tmp_path / "copy.db")
    assert kept.read_bytes() == b"the disk ate this" * 1000
    assert names(home)[1] == 4


def test_a_copy_of_an_older_version_is_brought_up_to_date(home, tmp_path):
    file = tmp_path / "older.db"
    last = [m.name for m in migrations.applied(open_writer(home))][-1]
    older = Database(str(file))
    older.execute(f"PRAGMA application_id = {upkeep.APPLICATION_ID}")
    migrations.apply(older, stop_before=last)
    older.execute(
        "INSERT INTO prompts(id, messages, text, split) VALUES (?, '[]', 'kept', 'train')", ("0" * 32,)
    )
    older.conn.commit()
    older.conn.close()
    upkeep.restore(home, file)
    db = open_writer(home)
    with contextlib.closing(db.conn) as conn:
        assert conn.execute("SELECT text FROM prompts").fetchall() == [("kept",)]
        assert [m.name for m in migrations.applied(db)][-1] == last


# -- damage ----------------------------------------------------------------------------------------------------


def test_a_clean_home_has_no_problem(home):
    assert upkeep.check(home) == []


def test_a_new_home_has_no_problem(tmp_path):
    from db.connection import home_at

    assert upkeep.check(home_at(tmp_path / "new")) == []


DAMAGE = {
    "assignment's rater on its assignment's battle": """
        DROP TRIGGER votes_own_assignment; DROP TRIGGER votes_no_update;
        UPDATE votes SET battle = (SELECT max(id) FROM battles) + 0, rater = rater
        WHERE id = (SELECT min(id) FROM votes WHERE battle <> (SELECT max(id) FROM battles))""",
    "two standing votes": """
        DROP TRIGGER votes_once; DROP TRIGGER assignments_lent;
        INSERT INTO assignments(id, battle, rater, left_is, lent_at, expires_at)
          SELECT 'planted-planted-planted', battle, rater, 'a', lent_at, expires_at FROM assignments LIMIT 1;
        INSERT INTO votes(receipt, assignment, campaign, battle, rater, outcome)
          SELECT 'planted', s.id, b.campaign, s.battle, s.rater, 'a' FROM assignments s JOIN battles b ON b.id = s.battle
          WHERE s.id = 'planted-planted-planted'""",
    "held-out prompt is never trained on": """
        INSERT INTO snapshots(id, source, policy, train, heldout) VALUES ('0123456789abcdef0123456789abcdef', 'x', '{}', 1, 0);
        INSERT INTO snapshot_pairs(snapshot, position, part, prompt, chosen, rejected)
          SELECT '0123456789abcdef0123456789abcdef', 0, 'train', prompt, response_a, response_b FROM battles LIMIT 1;
        DROP TRIGGER prompts_no_update; UPDATE prompts SET split = 'heldout'""",
    "evaluate campaign never trains": """
        DROP TRIGGER campaigns_frozen;
        INSERT INTO snapshots(id, source, policy, train, heldout) VALUES ('0123456789abcdef0123456789abcdef', 'x', '{}', 1, 0);
        INSERT INTO snapshot_pairs(snapshot, position, part, prompt, chosen, rejected, votes)
          SELECT '0123456789abcdef0123456789abcdef', 0, 'train', b.prompt, b.response_a, b.response_b,
            json_array(v.id) FROM votes v JOIN battles b ON b.id = v.battle LIMIT 1;
        UPDATE campaigns SET purpose = 'evaluate'""",
    "counts by rater and outcome": "UPDATE vote_counts SET n = n + 1",
    "counts of a battle": "UPDATE battle_cover SET votes = votes + 1 WHERE battle = 1",
    "standing votes and live leases": "UPDATE battle_cover SET leases = leases + 1 WHERE battle = 1",
    "sizes of a campaign": "UPDATE campaign_sizes SET battles = battles - 1",
    "an evaluate campaign shows held-out prompts only": """
        DROP TRIGGER campaigns_frozen; UPDATE campaigns SET purpose = 'evaluate'""",
    "a second time with its slots turned round": """
        DROP TRIGGER battles_canonical; INSERT INTO battles(campaign, prompt, response_a, response_b, model_a, model_b)
          SELECT campaign, prompt, response_b, response_a, model_b, model_a FROM battles WHERE id = 1""",
    "a vote on a check question never trains": """
        DROP TRIGGER assignments_no_update; UPDATE assignments SET kind = 'gold' WHERE number = 1;
        INSERT INTO snapshots(id, source, policy, train, heldout) VALUES ('0123456789abcdef0123456789abcdef', 'x', '{}', 1, 0);
        INSERT INTO snapshot_pairs(snapshot, position, part, prompt, chosen, rejected, votes)
          SELECT '0123456789abcdef0123456789abcdef', 0, 'train', b.prompt, b.response_a, b.response_b, json_array(v.id)
          FROM votes v JOIN battles b ON b.id = v.battle JOIN assignments s ON s.id = v.assignment WHERE s.number = 1""",
    "what the guard holds and marks": "UPDATE battle_cover SET held = 1 WHERE battle = 1",
    "a report weighs by its rater's votes": """
        INSERT INTO battle_findings(battle, slot, kind, what, weighs) VALUES (1, 'both', 'reported', '1', 1)""",
    "two that weigh hold a battle": "UPDATE battle_cover SET reported = 1, held = 1 WHERE battle = 2",
    "the counts of check questions": "INSERT INTO check_counts VALUES (1, 1, 'gold', 3, 0)",
    "foreign key: battles": "DROP TRIGGER prompts_no_delete; PRAGMA foreign_keys=OFF; DELETE FROM prompts WHERE number = 1",
    "altered: prompt": """DROP TRIGGER prompts_no_update;
        UPDATE prompts SET messages = replace(messages, 'Question', 'Answer') WHERE number = 1""",
    "altered: response": "DROP TRIGGER responses_no_update; UPDATE responses SET text = text || '!' WHERE number = 1",
}  # fmt: skip


@pytest.mark.parametrize("sentence", DAMAGE)
def test_planted_damage_is_found(home, sentence):
    with contextlib.closing(sqlite3.connect(home.database)) as conn:
        conn.executescript(DAMAGE[sentence])
    found = upkeep.check(home)
    assert any(sentence in problem for problem in found), found


def test_a_rule_that_was_taken_out_of_the_database_is_found(home):
    with contextlib.closing(sqlite3.connect(home.database)) as conn:
        conn.executescript("""DROP TRIGGER votes_no_delete; DROP VIEW vote_pairs;
            CREATE VIEW vote_pairs AS SELECT 1 AS prompt; CREATE TABLE mine (x TEXT) STRICT""")
    assert upkeep.check(home) == [
        "schema: trigger votes_no_delete is gone", "schema: view vote_pairs is not what it was made as",
    ]  # fmt: skip


def test_a_run_that_succeeded_without_a_model_is_found(home):
    with contextlib.closing(sqlite3.connect(home.database)) as conn:
        conn.executescript(
            """INSERT INTO snapshots(id, source, policy, train, heldout) VALUES ('0123456789abcdef0123456789abcdef', 'x', '{}', 0, 0);
            INSERT INTO runs(name, kind, parent, snapshot, status, folder, settings, finished_at)
            VALUES ('ghost', 'dpo', 1, '0123456789abcdef0123456789abcdef', 'succeeded', 'runs/ghost', '{}', 'now')"""
        )
    assert upkeep.check(home) == ["not so: a succeeded run has its model (1 exceptions, first ghost)"]


def test_a_torn_page_is_found(home):
    open_writer(home).conn.close()
    size = 4096
    whole = bytearray(home.database.read_bytes())
    for page in range(8, len(whole) // size):
        whole[page * size : page * size + 64] = b"\xff" * 64
    home.database.write_bytes(whole)
    try:
        found = upkeep.check(home)
    except UserError as error:
        found = [f"integrity: {error}"]
    assert found
    assert found[0].startswith("integrity: ")


def test_undone_and_imported_votes_are_no_problem(home):
    db = open_writer(home)
    db.conn.execute("INSERT INTO retractions(vote) SELECT min(id) FROM votes")
    db.conn.close()
    assert upkeep.check(home) == []
