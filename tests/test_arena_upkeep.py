"""Upkeep that knows of jobs, snapshots and model folders."""

import json
import os
import shutil
import sqlite3

import pytest

from arena import jobs
from arena.upkeep import check, restore
from db import runs, upkeep
from db.catalog import add_model, get_prompt, list_models
from db.connection import open_writer, transaction
from db.entities.catalog import ModelKind
from db.entities.runs import RunKind
from db.errors import Conflict
from db.open_links import withdraw
from labeling.pairs import PairPolicy
from tests.tiny import tiny_adapter
from tests.workshop import give_votes, run, trainable_home, weights
from training.folders import written_aside
from training.snapshots import Source, freeze, write_rows


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home")


def test_a_home_with_votes_and_snapshots_is_sound(home, db):
    give_votes(db)
    freeze(db, Source(("first",)), PairPolicy())
    assert check(home) == []


def test_a_snapshot_that_was_changed_is_found(home, db):
    give_votes(db)
    snapshot = freeze(db, Source(("first",)), PairPolicy())
    with sqlite3.connect(home.database) as conn:
        conn.executescript(
            "DROP TRIGGER snapshot_pairs_no_delete; DELETE FROM snapshot_pairs WHERE position = 3"
        )
    conn.close()
    assert check(home) == [
        "schema: trigger snapshot_pairs_no_delete is gone",
        f"altered: snapshot {snapshot.id} does not hold the rows it was made of",
    ]


def trained(home, db):
    """A model whose adapter lies in the home as training leaves it."""
    folder = home.runs / "one-r1" / "model"
    folder.parent.mkdir()
    with written_aside(folder) as aside:
        tiny_adapter(weights() / "one", aside)
    add_model(db, "one-r1", ModelKind.ADAPTER, source=str(weights() / "one"), adapter="runs/one-r1/model")
    return folder


def test_a_model_that_is_not_what_was_written_is_found(home, db):
    folder = trained(home, db)
    assert check(home) == []
    config = folder / "adapter_config.json"
    whole = config.read_text(encoding="utf-8")
    config.write_text(whole.replace('"r": 4', '"r": 5'), encoding="utf-8")
    assert check(home) == [f"model one-r1: {config} is not what was written"]
    config.unlink()
    assert check(home) == [f"model one-r1: {config} is missing"]
    shutil.rmtree(folder)
    assert check(home) == ["model one-r1: there is no folder runs/one-r1/model"]


def a_finished_run(home, db):
    """A run over the home's votes as training leaves it, without the training; its file of rows."""
    give_votes(db)
    snapshot = freeze(db, Source(("first",)), PairPolicy())
    started = runs.add_run(
        db, "r1", RunKind.DPO, parent="one", snapshot=snapshot.id, folder="runs/r1", settings={}, campaign=None,
        job=None, pid=1, pid_started=0.0,
    )  # fmt: skip
    with written_aside(home.runs / "r1" / "model") as aside:
        tiny_adapter(weights() / "one", aside)
    write_rows(db, snapshot.id, home.runs / "r1" / "pairs.jsonl")
    runs.finish_run(
        db, started.id, model="r1", kind=ModelKind.ADAPTER, source=str(weights() / "one"), adapter="runs/r1/model",
        quantize=None, reference_proof=None, metrics={}, versions={}, seconds=1.0,
    )  # fmt: skip
    return home.runs / "r1" / "pairs.jsonl"


def test_rows_of_a_run_that_are_not_its_snapshots_are_found(home, db):
    file = a_finished_run(home, db)
    assert check(home) == []
    whole = file.read_text(encoding="utf-8")
    lines = whole.splitlines(keepends=True)
    assert len(lines) > 3
    for text, wrong in (
        (whole.replace('"chosen"', '"rejected"', 1), "is not what was written, from row 1 on"),
        (whole.replace('"content": "', '"content": "!', 1), "is not what was written, from row 1 on"),
        ("".join(lines[:2]) + lines[3] + lines[2], "is not what was written, from row 3 on"),
        (whole + lines[0], f"is not what was written, from row {len(lines) + 1} on"),
        ("".join(lines[:-1]), f"ends before row {len(lines)}"),
        (whole[:-1], f"is not what was written, from row {len(lines)} on"),
        ("", "ends before row 1"),
    ):
        file.write_text(text, encoding="utf-8")
        assert check(home) == [f"run r1: {file} {wrong}"], wrong
    file.unlink()
    assert check(home) == [f"run r1: {file} is missing"]
    file.write_text(whole, encoding="utf-8")
    assert check(home) == []


def test_words_of_a_rater_who_withdrew_are_not_missed_in_the_rows_of_a_run(home, db):
    file = a_finished_run(home, db)
    whole = file.read_text(encoding="utf-8")
    first = json.loads(whole.splitlines()[0])
    with transaction(db):  # as if the rater had asked this one themselves
        db.execute("DELETE FROM prompt_set_members WHERE prompt = ?", (first["prompt_id"],))
        db.execute(
            """INSERT INTO live_turns SELECT 'a turn of twenty-two signs', b.campaign, v.rater, '[]', b.model_a, b.model_b, 1, 1, 0,
            v.created_at, b.id, 'battle' FROM votes v JOIN battles b ON b.id = v.battle WHERE v.id = ?""",
            (first["votes"][0],),
        )
        withdraw(db, db.execute("SELECT rater FROM live_turns").fetchone()[0])
    assert not get_prompt(db, first["prompt_id"]).messages
    assert check(home) == []
    file.write_text(whole.replace('"content": "', '"content": "!', 1), encoding="utf-8")
    assert check(home) == []  # nobody can tell any more
    answer = json.dumps(first["chosen"], ensure_ascii=False)
    file.write_text(whole.replace(answer, "[]", 1), encoding="utf-8")
    assert check(home) == [f"run r1: {file} is not what was written, from row 1 on"]
    file.write_text(whole.replace("{", "", 1), encoding="utf-8")
    assert check(home) == [f"run r1: {file} is not what was written, from row 1 on"]


def test_a_checkpoint_elsewhere_that_is_gone_is_found_and_a_hub_id_is_not_looked_up(home, db):
    add_model(db, "hub", ModelKind.CHECKPOINT, source="owner/name")
    add_model(db, "gone", ModelKind.CHECKPOINT, source="/nowhere/model")
    assert check(home) == ["model gone: there is no folder /nowhere/model"]


def test_check_reads_a_damaged_home_no_further(home):
    with sqlite3.connect(home.database) as conn:
        conn.execute("DROP TABLE run_metrics")
        conn.execute("PRAGMA writable_schema=ON")
        conn.execute("UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'scores'")
    conn.close()
    found = check(home)
    assert found
    assert all(problem.startswith("integrity") for problem in found[:1])


def test_a_moved_home_still_finds_its_models(home, db, tmp_path):
    trained(home, db)
    db.conn.close()
    home.root.rename(tmp_path / "elsewhere")
    assert run(tmp_path / "elsewhere", "check").code == 0
    assert run(tmp_path / "elsewhere", "generate", "--models", "one-r1", "--prompts", "questions:heldout",
               "--max-new-tokens", 3).code == 0  # fmt: skip


def test_nothing_is_restored_beside_a_running_job(home, db, tmp_path):
    upkeep.backup(home, tmp_path / "copy.db")
    add_model(db, "later", ModelKind.RECORDED)
    with jobs.this_job(db, ["judge", "first"]) as job, pytest.raises(Conflict, match=f"jobs cancel {job.id}"):
        restore(home, tmp_path / "copy.db")
    assert "later" in [m.name for m in list_models(db)]
    dead = runs.add_job(db, ["judge", "first"])
    runs.start_job(db, dead.id, os.getpid(), 1.0)
    db.conn.close()
    kept = restore(home, tmp_path / "copy.db")
    assert kept.is_file()
    again = open_writer(home)
    assert [m.name for m in list_models(again)] == ["one", "two"]
    again.conn.close()


def test_a_damaged_home_can_be_restored(home, tmp_path):
    upkeep.backup(home, tmp_path / "copy.db")
    home.database.write_bytes(b"gone, all of it\n" * 300)
    assert restore(home, tmp_path / "copy.db").read_bytes().startswith(b"gone")
    assert check(home) == []
