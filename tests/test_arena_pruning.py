"""What of a home's files can go, what stays and why, and that nothing that is used is ever removed."""

import json
import os
import shutil
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arena import pruning
from arena.pruning import Sort
from arena.upkeep import check
from db import copies, upkeep
from db.catalog import add_model, remove_model, set_setting
from db.connection import transaction
from db.entities.catalog import ModelKind
from tests.tiny import tiny_adapter
from tests.workshop import run, trainable_home, weights
from training.folders import written_aside

MONTH = 31 * 86400


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home")


def aged(path, seconds=MONTH):
    """Make everything at the path look old."""
    then = time.time() - seconds
    for found in (path, *path.rglob("*")):
        os.utime(found, (then, then))
    return path


def adapter_model(home, db, name, parent=None):
    """A trained model whose adapter lies in the home."""
    folder = home.runs / name / "model"
    folder.parent.mkdir()
    with written_aside(folder) as aside:
        tiny_adapter(weights() / "one", aside)
    add_model(
        db,
        name,
        ModelKind.ADAPTER,
        source=str(weights() / "one"),
        adapter=f"runs/{name}/model",
        parent=parent,
    )
    return aged(folder.parent) / "model"


def a_run(db, name, status):
    with transaction(db):
        db.conn.execute(
            "INSERT OR IGNORE INTO snapshots(id, source, policy, train, heldout) VALUES (?, 'x', '{}', 0, 0)",
            ("0" * 32,),
        )
        db.conn.execute(
            """INSERT INTO runs(name, kind, parent, snapshot, status, folder, settings, finished_at, pid)
            VALUES (?, 'dpo', 1, ?, ?, ?, '{}', ?, ?)""",
            (name, "0" * 32, status, f"runs/{name}", None if status == "running" else "then", os.getpid()),
        )


def looked(db, home, **options):
    """({path: sort} that can go, {path: why it stays})."""
    found = pruning.look(db, home, timedelta(days=14), **options)
    return (
        {home.relative(p.path): p.sort for p in found.can_go},
        {home.relative(p.path): p.stays for p in found.stays},
    )


def test_a_new_home_has_nothing_that_can_go(home, db):
    assert looked(db, home) == ({}, {})
    assert run(home, "prune").out.splitlines()[-1] == "nothing can go"


def test_models_in_use_stay_and_say_why(home, db):
    for name, parent in (("base", None), ("child", "base"), ("met", None), ("led", None), ("leads", None),
                         ("scores", None), ("listed", None), ("gone", None)):  # fmt: skip
        adapter_model(home, db, name, parent)
    with transaction(db):
        db.conn.execute("INSERT INTO campaign_models SELECT 1, 9, id FROM models WHERE name = 'met'")
        for name in ("led", "leads"):
            db.conn.execute(
                "INSERT INTO promotions(model, reason) SELECT id, 'better' FROM models WHERE name = ?",
                (name,),
            )
    set_setting(db, "reward_model", "runs/scores/model")
    with transaction(db):
        db.conn.execute(
            "UPDATE models SET removed_at = 'then' WHERE name IN ('base', 'met', 'led', 'scores', 'gone')"
        )
    can_go, stays = looked(db, home)
    assert can_go == {"runs/gone/model": Sort.MODEL}
    assert stays == {
        "runs/base/model": "base is what child was made from",
        "runs/child/model": "child is on the list of models",
        "runs/met/model": "met is in the campaign first",
        "runs/led/model": "led is a champion of before, which a rollback comes back to",
        "runs/leads/model": "leads is the champion",
        "runs/scores/model": "scores is the reward model that scores",
        "runs/listed/model": "listed is on the list of models",
    }


def test_what_runs_left(home, db):
    for name, status in (("broke", "failed"), ("stopped", "cancelled"), ("goes", "running")):
        a_run(db, name, status)
        (home.runs / name / "checkpoints" / "checkpoint-3").mkdir(parents=True)
        (home.runs / name / "checkpoints" / "checkpoint-3" / "w").write_bytes(b"x" * 1000)
        aged(home.runs / name)
    done = adapter_model(home, db, "done")
    a_run(db, "done", "succeeded")
    (done.parent / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    aged(done.parent)
    (home.runs / "strange").mkdir()
    (home.runs / "link").symlink_to(weights())
    can_go, stays = looked(db, home)
    assert can_go == {
        "runs/broke": Sort.UNFINISHED,
        "runs/stopped": Sort.UNFINISHED,
        "runs/done/checkpoints": Sort.CHECKPOINTS,
    }
    assert stays == {"runs/goes": "goes is training", "runs/done/model": "done is on the list of models",
                     "runs/strange": "changed less than 14 days ago"}  # fmt: skip
    found = pruning.look(db, home, timedelta(0))
    assert sorted(p.path.name for p in found.can_go) == ["broke", "checkpoints", "stopped", "strange"]


def test_backups_and_exports(home, db):
    old = home.backups / "monday.db"
    upkeep.backup(home, old)
    aged(old)
    replaced = home.backups / "replaced-20250101T000000.db"
    shutil.copy(old, replaced)
    aged(replaced)
    sqlite3.connect(replaced).close()
    copies.make(db.conn, home.database, home.backups, copies.Why.JOB, datetime.now(UTC))
    (home.exports / "march").mkdir()
    aged(home.exports / "march")
    (home.exports / ".maps").mkdir()
    aged(home.exports / ".maps")
    can_go, stays = looked(db, home)
    assert can_go == {"backups/monday.db": Sort.BACKUP, "backups/replaced-20250101T000000.db": Sort.BACKUP,
                      "exports/march": Sort.EXPORT}  # fmt: skip
    assert list(stays.values()) == ["the newest copy"]


def test_the_only_backup_stays_however_old(home, db):
    upkeep.backup(home, home.backups / "only.db")
    aged(home.backups / "only.db")
    assert looked(db, home) == ({}, {"backups/only.db": "the newest copy"})


def test_nothing_is_removed_without_yes_and_only_what_was_shown_with_it(home, db):
    kept, gone = adapter_model(home, db, "kept"), adapter_model(home, db, "gone")
    remove_model(db, "gone")
    (home.exports / "march").mkdir()
    (home.exports / "march" / "rows.jsonl").write_bytes(b"x" * 5000)
    aged(home.exports / "march")
    db.conn.close()
    shown = run(home, "prune", "--json").json
    assert gone.is_dir()
    assert shown["freed"] == 0
    assert {p["path"]: p["bytes"] for p in shown["can_go"]}["exports/march"] == 5000
    assert [p["stays"] for p in shown["stays"]] == ["kept is on the list of models"]
    done = run(home, "prune", "--yes", "--json").json
    assert done["freed"] == shown["bytes"] == done["bytes"]
    assert not gone.exists()
    assert not (home.exports / "march").exists()
    assert kept.is_dir()
    assert check(home) == []
    assert json.loads(run(home, "prune", "--json").out)["can_go"] == []
    with sqlite3.connect(home.database) as conn:
        noted = [row[0] for row in conn.execute("SELECT what FROM audit WHERE what LIKE '%prune%'")]
    conn.close()
    assert noted == ["ran: python launch.py prune --yes --json"]


def test_what_goes_while_it_is_looked_at_is_no_error(home, db, monkeypatch):
    """As a training beside it takes its checkpoints away."""
    for name in ("one", "two"):
        folder = home.exports / name
        folder.mkdir()
        (folder / "rows.jsonl").write_bytes(b"x" * 10)
        (folder / "gone.jsonl").write_bytes(b"x" * 10)
        aged(folder)
    walk = os.walk

    def taken_away(top):
        for folder, names, files in walk(top):
            Path(folder, "gone.jsonl").unlink(missing_ok=True)
            yield folder, names, files

    monkeypatch.setattr(os, "walk", taken_away)
    found = pruning.look(db, home, timedelta(days=14))
    assert [(p.path.name, p.size) for p in found.can_go] == [("one", 10), ("two", 10)]


def test_the_hubs_cache_is_shown_only_when_asked_for_and_models_that_are_used_stay(
    home, db, tmp_path, monkeypatch
):
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    for repo in ("models--someone--used", "models--someone--forgotten"):
        blob = cache / repo / "blobs" / "b1"
        blob.parent.mkdir(parents=True)
        blob.write_bytes(b"w" * 3000)
        shot = cache / repo / "snapshots" / "abc123"
        shot.mkdir(parents=True)
        (shot / "model.safetensors").symlink_to(blob)
        (cache / repo / "refs").mkdir()
        (cache / repo / "refs" / "main").write_text("abc123")
        aged(blob)
    add_model(db, "hub", ModelKind.CHECKPOINT, source="someone/used")
    assert looked(db, home) == ({}, {})
    found = pruning.look(db, home, timedelta(0), hub=True)
    assert [(p.path.name, p.size) for p in found.can_go] == [("models--someone--forgotten", 3000)]
    assert [p.stays for p in found.stays] == ["hub is on the list of models"]
    assert pruning.remove(found) == 3000
    assert [p.name for p in cache.iterdir()] == ["models--someone--used"]
