"""Two homes become one: everything comes in once, names that are taken are told, and both stay sound."""

import contextlib
import json
import shutil
import sqlite3

import pytest
from sqlite_utils import Database

from arena.upkeep import check
from db import runs
from db.campaigns import create_campaign
from db.catalog import add_model, add_prompts, add_responses, add_scores
from db.connection import Home, home_at, open_writer
from db.entities.campaigns import CampaignSettings
from db.entities.catalog import ModelKind, Prompt, Response, Score, Split
from db.entities.runs import RunKind
from db.guarding import mark_scanned
from db.judges import JudgeKind, add_judge
from db.lock import Lock
from labeling.pairs import PairPolicy
from tests.factories import make_home
from tests.test_db_eras import home_of
from tests.workshop import give_votes, refused, run
from training.folders import verify, written_aside
from training.snapshots import Source, freeze, write_rows


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
        "snapshots": 0,
        "runs": 0,
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
              "snapshots", "snapshot_pairs", "runs", "run_metrics", "scores", "judges", "votes", "retractions", "vote_counts", "battle_cover", "campaign_sizes", "battle_findings", "prompt_tags")  # fmt: skip
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


def ran(home, name, measured, campaigns=("first",)):
    """A run over the votes of a home as training leaves it, without the training."""
    with contextlib.closing(open_writer(home).conn) as conn:
        db = Database(conn)
        snapshot = freeze(db, Source(campaigns), PairPolicy())
        run_ = runs.add_run(
            db, name, RunKind.DPO, parent="model-one", snapshot=snapshot.id, folder=f"runs/{name}", campaign=None,
            settings={"reference": "model-two", "beta": 0.1}, job=None, pid=1, pid_started=0.0,
        )  # fmt: skip
        with written_aside(home.runs / name / "model") as aside:
            (aside / "adapter_model.safetensors").write_bytes(name.encode() + bytes([int(measured)]) * 1000)
        write_rows(db, snapshot.id, home.runs / name / "pairs.jsonl")
        runs.add_metrics(db, run_.id, 3, 3, {"loss": measured})
        runs.finish_run(
            db, run_.id, model=name, kind=ModelKind.ADAPTER, source="owner/base", adapter=f"runs/{name}/model",
            quantize=None, reference_proof=None, metrics={"loss": measured}, versions={}, seconds=1.0,
        )  # fmt: skip


def receipts_behind(home, run_):
    """The votes that a run was trained on, by what they are called everywhere."""
    return set(sql(home, f"""SELECT v.receipt FROM runs r JOIN snapshot_pairs s ON s.snapshot = r.snapshot,
        json_each(s.votes) j JOIN votes v ON v.id = j.value WHERE r.name = '{run_}'"""))  # fmt: skip


def test_runs_come_along_with_the_votes_they_were_trained_on(home, other):
    ran(home, "r1", 1.0)
    ran(other, "r1", 2.0)
    ran(other, "r2", 3.0, ("first", "second"))
    sql_write(other, "UPDATE models SET kind = 'endpoint', endpoint = 'http://127.0.0.1:9', remote_name = 'x' WHERE name = 'model-two'")  # fmt: skip
    assert check(other) == []
    behind = {name: receipts_behind(other, name) for name in ("r1", "r2")}
    report = combined(home, other, "--as", "lab2")
    assert (report["added"]["runs"], report["added"]["snapshots"]) == (2, 2)
    assert (report["left"]["runs"], report["left"]["snapshots"]) == (0, 0)
    assert ["run", "r1", "r1@lab2"] in report["renamed"]
    assert check(home) == []
    assert receipts_behind(home, "r1@lab2") == behind["r1"] != receipts_behind(home, "r1")
    assert receipts_behind(home, "r2") == behind["r2"]
    assert sql(
        home, "SELECT r.name, m.name, r.folder FROM runs r JOIN models m ON m.run = r.id ORDER BY r.id"
    ) == [
        ("r1", "r1", "runs/r1"),
        ("r1@lab2", "r1@lab2", "runs/r1@lab2"),
        ("r2", "r2", "runs/r2"),
    ]
    assert sql(home, "SELECT r.name, value FROM run_metrics m JOIN runs r ON r.id = m.run ORDER BY 1") == [
        ("r1", 1.0),
        ("r1@lab2", 2.0),
        ("r2", 3.0),
    ]
    named = sql(home, "SELECT name, json_extract(settings, '$.reference') FROM runs ORDER BY name")
    assert named == [("r1", "model-two"), ("r1@lab2", "model-two@lab2"), ("r2", "model-two@lab2")]
    assert sql(home, "SELECT DISTINCT source FROM snapshots ORDER BY 1") == [
        ("votes:first",),
        ("votes:first@lab2",),
        ("votes:first@lab2,second",),
    ]
    before = home_rows(home)
    again = combined(home, other, "--as", "lab2")
    assert set(again["added"].values()) == {0}
    assert again["already_there"]["runs"] == 2
    assert home_rows(home) == before
    (home.runs / "r2" / "pairs.jsonl").unlink()
    assert len(check(home)) == 1
    combined(home, other, "--as", "lab2")
    assert check(home) == []


def test_a_run_whose_name_begins_another_runs_keeps_a_folder_of_its_own(home, other):
    ran(home, "r1", 1.0)
    ran(other, "r1", 2.0)
    ran(other, "r1-longer", 3.0)
    combined(home, other, "--as", "lab2")
    assert sql(home, "SELECT name, folder FROM runs ORDER BY id") == [
        ("r1", "runs/r1"),
        ("r1@lab2", "runs/r1@lab2"),
        ("r1-longer", "runs/r1-longer"),
    ]
    assert check(home) == []


def test_a_run_of_a_copied_home_is_the_same_run(home, tmp_path):
    ran(home, "r1", 1.0)
    shutil.copytree(home.root, tmp_path / "copied")
    report = combined(home, Home(tmp_path / "copied"))
    assert set(report["added"].values()) == {0}
    assert report["renamed"] == []
    assert report["already_there"]["runs"] == 1


def test_a_run_that_goes_on_stays_where_it_is(home, other):
    ran(other, "r1", 1.0)
    sql_write(other, "UPDATE runs SET status = 'running', finished_at = NULL")
    sql_write(other, "UPDATE models SET run = NULL")
    report = combined(home, other)
    assert (report["added"]["runs"], report["left"]["runs"], report["added"]["snapshots"]) == (0, 1, 1)
    assert check(home) == []


def judged(home, name, model, score):
    """A judge of a home, and its score of the home's first answer."""
    with contextlib.closing(open_writer(home).conn) as conn:
        db = Database(conn)
        row = add_judge(db, name, JudgeKind.PAIRRM, model)
        answer = conn.execute("SELECT id FROM responses ORDER BY number LIMIT 1").fetchone()[0]
        add_scores(db, [Score(answer, row.name, score)])


def test_a_judges_scores_follow_its_name(home, other):
    judged(home, "judge", "owner/one", 1.0)
    judged(home, "second", "owner/three", 3.0)
    judged(other, "judge", "owner/two", 2.0)
    judged(other, "third", "owner/three", 3.0)
    report = combined(home, other, "--as", "lab2")
    assert ["rater", "judge", "judge@lab2"] in report["renamed"]
    assert "third" not in [old for _, old, _ in report["renamed"]], "the very same judge as `second` here"
    assert sorted(sql(home, "SELECT scorer, score FROM scores")) == [
        ("judge", 1.0),
        ("judge@lab2", 2.0),
        ("second", 3.0),
    ]
    assert check(home) == []
    before = home_rows(home)
    assert set(combined(home, other, "--as", "lab2")["added"].values()) == {0}
    assert home_rows(home) == before


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
