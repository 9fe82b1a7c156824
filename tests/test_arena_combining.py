"""Two homes become one: everything comes in once, names that are taken are told, and both stay sound."""

import contextlib
import json
import shutil
import sqlite3

import pytest
from sqlite_utils import Database

from arena.upkeep import check
from db.campaigns import create_campaign
from db.catalog import add_model, add_prompts, add_responses
from db.connection import Lock, home_at, open_writer
from db.entities import CampaignSettings, ModelKind, Prompt, Response, Split
from db.guarding import mark_scanned
from tests.factories import make_home
from tests.test_db_eras import home_of
from tests.workshop import give_votes, refused, run
from training.folders import verify, written_aside


@pytest.fixture
def home(tmp_path):
    made = make_home(tmp_path / "home")
    with contextlib.closing(open_writer(made).conn) as conn:
        give_votes(Database(conn), votes=4)
    return made


@pytest.fixture
def other(tmp_path):
    """Another team's home: the same campaign over the same answers with votes of its own, and things of its own."""
    made = make_home(tmp_path / "lab two")
    with contextlib.closing(open_writer(made).conn) as conn:
        db = Database(conn)
        give_votes(db, votes=5, polite=False)
        asked = [Prompt.of([{"role": "user", "content": f"Other {i}?"}], Split.TRAIN) for i in range(3)]
        add_prompts(db, asked, prompt_set="others")
        for name in ("left", "right"):
            add_model(db, name, ModelKind.RECORDED)
            add_responses(db, [Response.of(p.id, name, f"{name} {i}") for i, p in enumerate(asked)])
        made_ = create_campaign(db, "second", ("left", "right"), "others", CampaignSettings(overlap=2))
        mark_scanned(db, made_.campaign.id)
        give_votes(db, "second", votes=3)
    return made


def sql(home, query):
    with contextlib.closing(sqlite3.connect(home.database)) as conn:
        return conn.execute(query).fetchall()


def combined(home, other, *options):
    ran = run(home, "combine", other.root, "--json", *options)
    assert ran.code == 0, ran.err
    return ran.json


def test_everything_comes_in_once_and_both_homes_stay_sound(home, other):
    theirs = set(sql(other, "SELECT id FROM prompts UNION SELECT id FROM responses"))
    votes = {r[0] for r in sql(home, "SELECT receipt FROM votes")} | {
        r[0] for r in sql(other, "SELECT receipt FROM votes")
    }
    untouched = other.database.read_bytes()
    report = combined(home, other)
    assert report["added"] == {
        "prompts": 3,
        "responses": 6,
        "models": 2,
        "campaigns": 1,
        "battles": 3,
        "raters": 2,
        "votes": 8,
    }
    assert report["already_there"]["campaigns"] == 1
    assert theirs <= set(sql(home, "SELECT id FROM prompts UNION SELECT id FROM responses"))
    assert {r[0] for r in sql(home, "SELECT receipt FROM votes")} == votes
    assert check(home) == check(other) == []
    assert other.database.read_bytes() == untouched
    assert sql(home, "SELECT name, status FROM campaigns ORDER BY id") == [
        ("first", "open"),
        ("second", "paused"),
    ]
    assert sql(home, "SELECT sum(votes) FROM campaign_sizes") == [(12,)]
    assert not (home.root / ".combining").exists()


def test_twice_adds_nothing_and_what_came_since_comes_then(home, other):
    combined(home, other)
    before = home_rows(home)
    again = combined(home, other)
    assert set(again["added"].values()) == {0}
    assert home_rows(home) == before
    with contextlib.closing(open_writer(other).conn) as conn:
        give_votes(Database(conn), "second", votes=2, polite=False)
        conn.execute("INSERT INTO retractions(vote) SELECT min(id) FROM votes")
    assert combined(home, other)["added"]["votes"] == 2
    assert sql(home, "SELECT count(*) FROM retractions") == [(1,)]
    assert check(home) == []


def home_rows(home):
    """Every row of every table that combining writes."""
    tables = ("prompts", "responses", "models", "campaigns", "campaign_models", "battles", "raters", "assignments",
              "votes", "retractions", "vote_counts", "battle_cover", "campaign_sizes", "battle_findings", "prompt_tags")  # fmt: skip
    return {t: sorted(sql(home, f"SELECT * FROM {t}"), key=repr) for t in tables}


def test_names_that_are_taken_by_others_are_told_and_figures_stay_apart(home, other):
    sql_write(other, "UPDATE campaigns SET overlap = 3 WHERE name = 'first'", freed="campaigns_frozen")
    sql_write(
        other,
        "UPDATE models SET kind = 'endpoint', endpoint = 'http://127.0.0.1:9', remote_name = 'x' WHERE name = 'model-one'",
    )
    report = combined(home, other, "--as", "lab2")
    assert ["model", "model-one", "model-one@lab2"] in report["renamed"]
    assert ["campaign", "first", "first@lab2"] in report["renamed"]
    assert check(home) == []
    count = "SELECT count(*) FROM votes v JOIN campaigns c ON c.id = v.campaign WHERE c.name = '{}'"
    assert sql(home, count.format("first")) == [(4,)]
    assert sql(home, count.format("first@lab2")) == [(5,)]
    assert sql(
        home,
        "SELECT count(*) FROM responses r JOIN models m ON m.id = r.model WHERE m.name = 'model-one@lab2'",
    ) == [(6,)]
    assert set(combined(home, other, "--as", "lab2")["added"].values()) == {0}
    assert check(home) == []


def sql_write(home, statement, freed=None):
    with contextlib.closing(open_writer(home).conn) as conn:
        if freed:
            trigger = conn.execute("SELECT sql FROM sqlite_master WHERE name = ?", (freed,)).fetchone()[0]
            conn.execute(f"DROP TRIGGER {freed}")
        conn.execute(statement)
        if freed:
            conn.execute(trigger)


def test_raters_of_one_name_are_two_people_unless_only_files_know_them(home, other, tmp_path):
    votes = tmp_path / "votes.jsonl"
    row = {
        "prompt": "P?",
        "model_a": "m",
        "model_b": "n",
        "response_a": "x",
        "response_b": "y",
        "winner": "model_a",
    }
    for rater, folder in (("ann", home), ("bob", other)):
        votes.write_text(
            "\n".join(json.dumps({**row, "rater": r}) for r in ("known", rater)) + "\n", encoding="utf-8"
        )
        assert run(folder, "import", "votes", votes, "--campaign", "files").code == 0
    for folder in (home, other):
        sql_write(folder, "UPDATE raters SET name = 'owl' WHERE id = 1")
    report = combined(home, other)
    assert ["rater", "owl", "owl@lab-two"] in report["renamed"]
    assert {r[0] for r in sql(home, "SELECT name FROM raters")} >= {
        "known",
        "ann",
        "bob",
        "owl",
        "owl@lab-two",
    }
    of_files = (
        "SELECT t.name FROM votes v JOIN raters t ON t.id = v.rater WHERE v.import IS NOT NULL ORDER BY 1"
    )
    assert [r[0] for r in sql(home, of_files)] == ["ann", "bob", "known"]
    assert check(home) == []


def test_what_one_trains_on_and_the_other_measures_with_is_refused(home, other):
    before = home_rows(home)
    sql_write(other, "UPDATE prompts SET split = 'heldout' WHERE number = 1", freed="prompts_no_update")
    assert "held out in one home and train in the other, such as 'Question 0?'" in refused(
        run(home, "combine", other.root)
    )
    assert home_rows(home) == before


def test_a_battle_with_its_slots_the_other_way_round_keeps_its_campaign_apart(home, tmp_path):
    other = make_home(tmp_path / "turned", models=("model-two", "model-one"))
    report = combined(home, other)
    assert ["campaign", "first", "first@turned"] in report["renamed"]
    assert check(home) == []


def trained(home, name, seed):
    folder = home.runs / name / "model"
    folder.parent.mkdir()
    with written_aside(folder) as aside:
        (aside / "adapter_model.safetensors").write_bytes(bytes([seed]) * 1000)
    with contextlib.closing(open_writer(home).conn) as conn:
        add_model(
            Database(conn),
            name,
            ModelKind.ADAPTER,
            source="owner/base",
            adapter=f"runs/{name}/model",
            parent="model-one",
        )


def test_model_folders_come_along(home, other):
    for where, name, seed in (
        (home, "both", 1),
        (other, "both", 1),
        (home, "mine", 1),
        (other, "mine", 2),
        (other, "new", 3),
    ):
        trained(where, name, seed)
    report = combined(home, other)
    assert report["added"]["models"] == 4  # left, right, mine@lab-two, new
    assert ["model", "mine", "mine@lab-two"] in report["renamed"]
    shutil.rmtree(other.root)
    for name in ("both", "mine", "mine@lab-two", "new"):
        verify(home.runs / name / "model")
    assert check(home) == []
    assert sql(home, "SELECT p.name FROM models m JOIN models p ON p.id = m.parent WHERE m.name = 'new'") == [
        ("model-one",)
    ]


def test_a_home_of_an_older_version_comes_in_and_stays_as_old_as_it_is(home, tmp_path):
    old = home_of(tmp_path / "old", "m010_judges")
    before = old.database.read_bytes()
    report = combined(home, old)
    assert report["added"]["votes"] == 9
    assert old.database.read_bytes() == before
    assert check(home) == []
    open_writer(old).conn.close()
    counts = """SELECT z.state, count(*) FROM vote_states z JOIN campaigns c ON c.id = z.campaign
        WHERE c.name IN ({}) AND z.state <> 'import unfinished' GROUP BY 1"""
    assert sql(old, counts.format("'first', 'check'")) == sql(home, counts.format("'first@old', 'check'"))
    assert set(combined(home, old)["added"].values()) == {0}


def test_what_is_no_home_and_a_home_that_is_served_are_refused(home, other, tmp_path):
    assert "is not another home" in refused(run(home, "combine", tmp_path / "nowhere"))
    assert "is not another home" in refused(run(home, "combine", home.root))
    lock = Lock(home)
    assert "another server runs" in refused(run(home, "combine", other.root))
    lock.release()
    sql_write(other, "UPDATE battle_cover SET votes = 9 WHERE battle = 1")
    assert "is not sound" in refused(run(home, "combine", other.root))
    assert home_at(home.root).database.exists()
