import sqlite3

import pytest
from sqlite_utils import Database

from db.catalog import add_model, add_prompts, add_responses, search_prompts
from db.connection import Home, Writer, open_reader, open_writer, transaction
from db.entities.catalog import ModelKind, Prompt, Response, Split
from db.errors import Busy, UserError
from db.migrations import migrations
from docs.make_schema import TARGET, schema_text

TABLES = {
    "imports", "prompts", "prompt_tags", "prompt_refs", "prompt_sets", "prompt_set_members", "models", "responses",
    "scores", "settings", "audit", "campaigns", "campaign_models", "battles", "raters", "rater_decisions", "seats",
    "sessions", "owner_tokens", "assignments", "open_leases", "votes", "retractions", "vote_counts", "battle_cover",
    "pair_sets", "pairs", "snapshots", "snapshot_pairs", "snapshot_answers", "runs", "run_metrics", "promotions", "jobs", "item_refs", "campaign_sizes",
    "gold_pairs", "open_links", "withdrawals", "reveals", "battle_findings", "owners", "notices", "adjudications",
    "check_counts", "run_jobs", "rollbacks", "sweeps", "sweep_runs", "judges", "comparisons", "grades", "live_turns", "chats",
}  # fmt: skip


def prompt(text="hello", split=None):
    return Prompt.of([{"role": "user", "content": text}], split)


def test_the_schema_document_is_what_the_migrations_make():
    assert TARGET.read_text(encoding="utf-8") == schema_text(), "run `python -m docs.make_schema`"


def test_tables_are_these_and_no_misspelt_one(db):
    own = {t for t in db.table_names() if not t.startswith("prompts_fts") and t != "_sqlite_migrations"}
    assert own == TABLES


def test_every_table_of_ours_is_strict(db):
    loose = [r[1] for r in db.execute("PRAGMA table_list") if r[1] in TABLES and not r[5]]
    assert loose == []


def test_pragmas(db):
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1}
    assert {k: db.execute(f"PRAGMA {k}").fetchone()[0] for k in wanted} == wanted


STEPS = [m.name for m in migrations.pending(Database(memory=True))]


@pytest.mark.parametrize("step", range(1, len(STEPS)))
def test_each_migration_applies_on_the_one_before(step, home: Home):
    """A home of any earlier version is brought up to date with its rows."""
    raw = Database(str(home.database))
    migrations.apply(raw, stop_before=STEPS[step])
    raw.execute(
        "INSERT INTO prompts(id, messages, text, split) VALUES (?, '[]', 'kept', 'train')", ("0" * 32,)
    )
    raw.conn.commit()
    raw.conn.close()
    db = open_writer(home)
    assert db.execute("SELECT text FROM prompts").fetchone() == ("kept",)
    assert {m.name for m in migrations.applied(db)} == set(STEPS)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(home: Home, db):
    db.execute(
        "INSERT INTO _sqlite_migrations(migration_set, name, applied_at) VALUES ('tastebench', 'm999_future', '')"
    )
    with pytest.raises(UserError, match="newer version"):
        open_writer(home)


def test_a_file_that_is_no_database_is_refused(home: Home):
    home.database.write_text("not a database at all, but long enough to look like something" * 50)
    with pytest.raises(UserError, match="damaged or not"):
        open_writer(home)


def test_a_reader_needs_a_database_and_cannot_write(home: Home):
    with pytest.raises(UserError, match=r"no arena\.db"):
        open_reader(home)
    open_writer(home).conn.close()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        open_reader(home).execute("INSERT INTO settings VALUES ('a', 'b')")


@pytest.mark.parametrize("sql", ["UPDATE prompts SET text = 'x'", "DELETE FROM prompts",
                                 "INSERT OR REPLACE INTO prompts SELECT * FROM prompts"])  # fmt: skip
def test_prompts_are_append_only_also_by_replace(db, sql):
    add_prompts(db, [prompt()])
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(sql)


def test_adding_twice_adds_nothing(db):
    assert add_prompts(db, [prompt("a"), prompt("b")], prompt_set="set") == (2, 0)
    assert add_prompts(db, [prompt("a"), prompt("c")]) == (1, 1)
    add_model(db, "m", ModelKind.RECORDED)
    answer = Response.of(prompt("a").id, "m", "text")
    assert add_responses(db, [answer, answer]) == (1, 1)


def test_prompts_are_found_by_words(db):
    add_prompts(db, [prompt("a recipe with lentils"), prompt("the capital of Peru")])
    assert [p.text for p in search_prompts(db, "lentils")] == ["a recipe with lentils"]
    assert [p.text for p in search_prompts(db, '"')] == []
    assert len(search_prompts(db, "")) == 2


def test_about_one_prompt_in_five_is_held_out():
    share = sum(prompt(f"question {i}").split is Split.HELDOUT for i in range(4000)) / 4000
    assert 0.17 < share < 0.23


def test_a_failed_transaction_leaves_nothing(db):
    def fail():
        with transaction(db):
            add_prompts(db, [prompt()])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert db.execute("SELECT count(*) FROM prompts").fetchone() == (0,)


def test_the_writer_spoils_no_vote_by_another_one(home: Home):
    writer = Writer(home)

    def bad(db):
        db.execute("INSERT INTO settings VALUES ('bad', 'x')")
        raise ValueError("refused")

    futures = [
        writer.submit(
            bad
            if i % 3 == 0
            else lambda db, i=i: db.execute("INSERT INTO settings VALUES (?, 'x')", (str(i),))
        )
        for i in range(30)
    ]
    failed = [f.exception() is not None for f in futures]
    writer.close()
    stored = {r[0] for r in open_reader(home).execute("SELECT name FROM settings")}
    assert failed == [i % 3 == 0 for i in range(30)]
    assert stored == {str(i) for i in range(30) if i % 3}


def test_who_comes_after_the_writer_closed_is_told_at_once(home: Home):
    writer = Writer(home)
    writer.close()
    asked = writer.submit(lambda db: db.execute("INSERT INTO settings VALUES ('late', 'x')"))
    with pytest.raises(Busy, match="stopping"):
        asked.result(timeout=10)
    assert open_reader(home).execute("SELECT count(*) FROM settings WHERE name = 'late'").fetchone() == (0,)
