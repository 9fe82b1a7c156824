"""What the command line and the studio list and change by name."""

import json

import pytest

from arena.registry import NothingToCompare, add, compare, register, weights_at
from db import runs
from db.campaigns import create_campaign, find_campaign, get_campaign
from db.catalog import add_model, add_prompts, add_responses, find_model, get_model, list_models, prompts_of
from db.connection import open_writer
from db.entities.campaigns import CampaignSettings, CampaignStatus, Purpose
from db.entities.catalog import ModelKind, Prompt, Quantize, Response, Split
from db.errors import Conflict, UserError
from db.lock import Lock
from db.seats import list_seats
from tests.factories import make_home
from tests.tiny import tiny_adapter
from tests.workshop import give_votes, refused, run, trainable_home, weights
from training.folders import verify


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path / "home")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return tiny_adapter(weights() / "one", tmp_path_factory.mktemp("adapters") / "polite")


# -- models ----------------------------------------------------------------------------------------------------


def test_the_four_kinds_of_models(home, db, adapter):
    one = weights() / "one"
    run(home, "models", "add", "whole", "--source", one)
    run(home, "models", "add", "held in four", "--source", one, "--quantize", "4bit")
    run(home, "models", "add", "tuned", "--source", one, "--adapter", adapter)
    run(home, "models", "add", "far", "--endpoint", "http://127.0.0.1:9/v1", "--remote-name", "org/m")
    run(home, "models", "add", "old", "--recorded")
    run(home, "models", "add", "hub", "--source", "owner/name")
    listed = {m["name"]: m for m in run(home, "models", "list", "--json").json}
    assert [m["kind"] for m in listed.values()] == [
        "recorded", "recorded", "checkpoint", "checkpoint", "adapter", "endpoint", "recorded", "checkpoint",
    ]  # fmt: skip
    assert set(listed["whole"]) == {"name", "kind", "parent", "run", "champion", "note"}
    assert get_model(db, "whole").source == str(one)
    assert get_model(db, "held in four").quantize is Quantize.FOUR_BIT
    assert (get_model(db, "tuned").source, get_model(db, "tuned").adapter) == (str(one), str(adapter))
    assert (get_model(db, "far").endpoint, get_model(db, "far").remote_name) == (
        "http://127.0.0.1:9/v1",
        "org/m",
    )
    assert get_model(db, "hub").source == "owner/name"


def test_one_model_is_shown_with_everything_known_of_it(home):
    shown = run(home, "models", "show", "model-one", "--json").json
    assert {"name", "kind", "source", "adapter", "parent", "run"} <= set(shown)
    assert "kind: recorded" in run(home, "models", "show", "model-one").out


def test_adding_the_same_model_twice_is_one_model(home, db):
    for _ in range(2):
        assert run(home, "models", "add", "old", "--recorded", "--json").json["name"] == "old"
    assert [m.name for m in list_models(db)] == ["model-one", "model-two", "old"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["x"], "one of a --source, an --endpoint, or --recorded"),
        (["x", "--source", "a/b", "--recorded"], "one of a --source, an --endpoint, or --recorded"),
        (["x", "--recorded", "--adapter", "a/b"], "only weights take an --adapter"),
        (["x", "--recorded", "--quantize", "4bit"], "only weights take an --adapter or --quantize"),
        (["x", "--recorded", "--remote-name", "m"], "--remote-name is a model's name on a server"),
        (["x", "--endpoint", "http://h/v1"], "an endpoint needs the model's name"),
        (["x", "--endpoint", "ftp://h", "--remote-name", "m"], "'ftp://h' is no address of a server"),
        (["x", "--endpoint", "http://", "--remote-name", "m"], "'http://' is no address of a server"),
        (["x", "--endpoint", "http://h:99999/v1", "--remote-name", "m"], "is no address of a server"),
        (["x", "--endpoint", "http://me@h/v1", "--remote-name", "m"], "holds no name or password"),
        (["x", "--source", "/nowhere"], "there is no folder '/nowhere'"),
        (["x", "--source", "./nowhere"], "there is no folder './nowhere'"),
        (
            ["x", "--source", "gpt2"],
            "there is no folder 'gpt2'; give an existing checkpoint folder, or a hub id",
        ),
        (["x", "--source", "a/b/c"], "there is no folder 'a/b/c'"),
        (["x", "--source", "/tmp"], "/tmp holds no config.json"),
        (["a/b", "--recorded"], "'a/b' cannot be the name of a model"),
        (["../up", "--recorded"], "'../up' cannot be the name of a model"),
        (["bell\a", "--recorded"], r"'bell\x07' cannot be the name of a model"),
        (["", "--recorded"], "'' cannot be the name of a model"),
        (["n" * 81, "--recorded"], "use 1 to 80 letters"),
        (["model-one", "--source", "a/b"], "already another model named 'model-one'"),
    ],
)
def test_what_cannot_be_added_is_one_line(home, db, words, reason):
    assert reason in refused(run(home, "models", "add", *words))
    assert [m.name for m in list_models(db)] == ["model-one", "model-two"]


def test_an_adapter_folder_is_not_a_checkpoint(home, adapter, tmp_path):
    line = refused(run(home, "models", "add", "x", "--source", adapter))
    assert "holds no config.json" in line
    assert "--adapter" in line
    with pytest.raises(UserError, match=r"holds no adapter_config\.json"):
        weights_at(str(weights() / "one"), "adapter_config.json")


def test_removing_a_model_leaves_what_it_said(home, db):
    assert "running campaign 'first'" in refused(run(home, "models", "remove", "model-one"))
    run(home, "campaign", "close", "first")
    assert run(home, "models", "remove", "model-one").code == 0
    assert [m["name"] for m in run(home, "models", "list", "--json").json] == ["model-two"]
    assert run(home, "campaign", "list", "--json").json[0]["battles"] == 6
    assert run(home, "models", "add", "model-one", "--recorded").code == 0
    assert [m.name for m in list_models(db)] == ["model-one", "model-two"]


def test_models_named_on_the_way(home, db, adapter, tmp_path):
    assert register(db, "model-one") == "model-one"
    assert register(db, str(weights() / "one")) == "one"
    assert register(db, str(weights() / "one")) == "one"
    assert register(db, "owner/other-sft") == "other-sft"
    assert register(db, str(adapter)) == "polite"
    tuned = get_model(db, "polite")
    assert (tuned.kind, tuned.source, tuned.adapter) == (
        ModelKind.ADAPTER,
        str(weights() / "one"),
        str(adapter),
    )


def test_two_folders_of_one_name_are_two_models(home, db, tmp_path):
    for part in ("a", "b"):
        (tmp_path / part / "model").mkdir(parents=True)
        (tmp_path / part / "model" / "config.json").write_text("{}", encoding="utf-8")
    names = [register(db, str(tmp_path / part / "model")) for part in ("a", "b", "a", "b")]
    assert names == ["model", "model-2", "model", "model-2"]


@pytest.mark.parametrize(("config", "reason"), [("{}", "names no base model"), ("not json", "is not JSON")])
def test_an_adapter_that_does_not_say_what_it_adapts(home, db, tmp_path, config, reason):
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "adapter_config.json").write_text(config, encoding="utf-8")
    with pytest.raises(UserError, match=reason):
        register(db, str(tmp_path / "lost"))
    assert find_model(db, "lost") is None


def test_a_merged_model_answers_like_its_adapter_and_is_sealed(home, db, adapter):
    add(db, "tuned", source=str(weights() / "one"), adapter=str(adapter))
    ran = run(home, "merge", "tuned", "--as", "whole", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["same_texts"] == ran.json["prompts"]
    assert ran.json["max_difference"] <= ran.json["tolerance"]
    whole = get_model(db, "whole")
    assert (whole.kind, whole.source, whole.parent) == (ModelKind.CHECKPOINT, "runs/whole", "tuned")
    verify(home.runs / "whole")
    assert "already a model named 'whole'" in refused(run(home, "merge", "tuned", "--as", "whole"))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nobody", "--as", "x"], "there is no model 'nobody'"),
        (["model-one", "--as", "x"], "no weights here"),
        (["model-one", "--as", "../../x"], "'../../x' cannot be the name of a model"),
        (["model-one", "--as", "model-two"], "already a model named 'model-two'"),
    ],
)
def test_what_cannot_be_merged_is_one_line(home, db, words, reason):
    assert reason in refused(run(home, "merge", *words))
    assert list(home.runs.iterdir()) == []
    assert len(list_models(db)) == 2


# -- campaigns -------------------------------------------------------------------------------------------------


def test_a_campaign_is_created_open_and_listed(home):
    made = run(home, "campaign", "create", "second", "--models", "model-two, model-one", "--prompts", "all",
               "--overlap", 3, "--criteria", "tone,facts", "--json")  # fmt: skip
    assert made.code == 0
    assert made.json == run(home, "campaign", "list", "--json").json[1]
    assert made.json == {
        "name": "second", "models": ["model-two", "model-one"], "status": "open", "purpose": "collect",
        "parent_run": None, "prompts": "all", "overlap": 3, "battles": 6, "held": 0, "votes": 0, "wanted": 18, "demo": None,
    }  # fmt: skip


def test_a_draft_waits_and_statuses_change(home, db):
    run(
        home,
        "campaign",
        "create",
        "second",
        "--models",
        "model-one,model-two",
        "--prompts",
        "train",
        "--draft",
    )
    assert get_campaign(db, "second").status is CampaignStatus.DRAFT
    for word, status in (("open", "open"), ("pause", "paused"), ("close", "closed")):
        assert run(home, "campaign", word, "second").out == f"second: {status}\n"


def test_what_is_left_out_is_said(home, db):
    add_prompts(
        db, [Prompt.of([{"role": "user", "content": "unanswered"}], Split.TRAIN)], prompt_set="set of first"
    )
    same, empty = (Prompt.of([{"role": "user", "content": t}], Split.TRAIN) for t in ("same", "empty"))
    add_prompts(db, [same, empty], prompt_set="set of first")
    for model in ("model-one", "model-two"):
        add_responses(db, [Response.of(same.id, model, "the very same"), Response.of(empty.id, model, " ")])
    ran = run(
        home, "campaign", "create", "second", "--models", "model-one,model-two", "--prompts", "set of first"
    )
    assert ran.out == "second: 6 battles, open\n"
    assert "1 pairs have no response of both models" in ran.err
    assert "2 pairs are empty or identical" in ran.err


def test_an_evaluation_takes_held_out_prompts_and_warns_of_few(tmp_path):
    home = trainable_home(tmp_path / "home", heldout=3)
    words = ["--models", "one,two", "--prompts", "questions", "--purpose", "evaluate"]
    ran = run(home, "campaign", "create", "measure", *words, "--json")
    assert ran.json["battles"] == 3
    assert "only 3 held-out battles" in ran.err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["x", "--models", "model-one", "--prompts", "all"], "two or more different models"),
        (["x", "--models", "model-one,model-one", "--prompts", "all"], "two or more different models"),
        (["x", "--models", "model-one,nobody", "--prompts", "all"], "there is no model 'nobody'"),
        (
            ["x", "--models", "model-one,model-two", "--prompts", "nowhere"],
            "there is no prompt set 'nowhere'",
        ),
        (
            ["x", "--models", "model-one,model-two", "--prompts", "train:heldout"],
            "there is no prompt set 'train'",
        ),
        (
            ["x", "--models", "model-one,model-two", "--prompts", "heldout"],
            "no prompt of 'heldout' has two different",
        ),
        (
            ["x", "--models", "model-one,model-two", "--prompts", "all", "--purpose", "evaluate"],
            "among the held-out",
        ),
        (
            ["x", "--models", "model-one,model-two", "--prompts", "all", "--overlap", "0"],
            "overlap is the number",
        ),
        (
            ["first", "--models", "model-one,model-two", "--prompts", "all"],
            "already a campaign named 'first'",
        ),
        (
            ["a/b", "--models", "model-one,model-two", "--prompts", "all"],
            "'a/b' cannot be the name of a campaign",
        ),
        (["x", "--models", "model-one,old", "--prompts", "all", "--generate"], "'old' is recorded"),
    ],
)
def test_what_cannot_be_created_is_one_line_and_leaves_nothing(home, db, words, reason):
    add_model(db, "old", ModelKind.RECORDED)
    assert reason in refused(run(home, "campaign", "create", *words))
    assert [c["name"] for c in run(home, "campaign", "list", "--json").json] == ["first"]


def test_missing_responses_are_written_first_the_way_the_others_were(tmp_path):
    home = trainable_home(tmp_path / "home")
    db = open_writer(home)
    add_model(db, "new", ModelKind.CHECKPOINT, source=str(weights() / "two"))
    words = ["--models", "new,one", "--prompts", "questions:train", "--generate", "--json"]
    ran = run(home, "campaign", "create", "second", *words)
    assert ran.json["battles"] == 8
    rows = db.conn.execute(
        "SELECT DISTINCT settings ->> 'max_new_tokens' FROM responses WHERE model = 3"
    ).fetchall()
    assert rows == [(8,)]
    assert runs.list_jobs(db)[0].command[:3] == ("campaign", "create", "second")
    db.conn.close()


def test_nothing_to_compare_leaves_nothing(home, db):
    add_model(db, "silent", ModelKind.RECORDED)
    with pytest.raises(NothingToCompare):
        compare(db, "second", ["model-one", "silent"], "all", CampaignSettings(purpose=Purpose.COLLECT))
    assert find_campaign(db, "second") is None


def test_a_preview_shows_ballots_and_names_no_model(home):
    assert "-1 is not in the range" in refused(run(home, "campaign", "preview", "first", "--n", -1))
    out = run(home, "campaign", "preview", "first", "--n", 2).out
    assert out.count("[user] Question") == 2
    assert out.count("  left  | Answer") == 2
    assert "model-" not in out


def test_a_rematch_names_its_run(home, db):
    give_votes(db, votes=6)
    from labeling.pairs import PairPolicy
    from training.snapshots import Source, freeze

    snapshot = freeze(db, Source(("first",)), PairPolicy())
    made = runs.add_run(db, "r1", "dpo", parent="model-one", snapshot=snapshot.id, folder="runs/r1", settings={},
                        campaign=None, job=None, pid=1, pid_started=1.0)  # fmt: skip
    create_campaign(db, "again", ("model-one", "model-two"), "all", CampaignSettings(), parent_run=made.id)
    assert run(home, "campaign", "list", "--json").json[1]["parent_run"] == "r1"


# -- seats and raters ------------------------------------------------------------------------------------------


def test_links_are_absolute_and_one_a_line(home, db):
    lines = run(home, "campaign", "invite", "first", "--seats", 3).out.splitlines()
    assert len(set(lines)) == 3
    assert all(line.startswith("http://127.0.0.1:7860/join/") for line in lines)
    lock = Lock(home)
    lock.announce("http://127.0.0.1:9999")
    made = run(home, "campaign", "invite", "first", "--json").json
    assert made[0]["seat"] == 4
    assert made[0]["link"].startswith("http://127.0.0.1:9999/join/")
    lock.release()
    again = run(home, "campaign", "invite", "first", "--reissue", 2, "--json").json
    assert again[0]["seat"] == 2
    assert len(list_seats(db)) == 4
    assert run(home, "campaign", "revoke", "first", 2).code == 0
    assert [s.revoked for s in list_seats(db)] == [False, True, False, False]
    assert run(home, "campaign", "invite", "first", "--open-link").code == 0
    every = run(home, "campaign", "revoke", "first", "--json").json
    assert every == {"name": "first", "seats": [1, 3, 4], "open_links": [1]}
    assert [s.revoked for s in list_seats(db)] == [True] * 4
    assert "no seat or open link" in run(home, "campaign", "revoke", "first").out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["invite", "nothing"], "there is no campaign 'nothing'"),
        (["invite", "first", "--seats", "0"], "--seats must be between 1 and 1000"),
        (["invite", "first", "--reissue", "7"], "there is no seat 7"),
        (["revoke", "first", "7"], "there is no seat 7"),
        (["revoke", "first", "seven"], "'seven' is not a valid integer"),
        (["open", "nothing"], "there is no campaign 'nothing'"),
        (["preview", "nothing"], "there is no campaign 'nothing'"),
    ],
)
def test_what_cannot_be_invited_is_one_line(home, db, words, reason):
    assert reason in refused(run(home, "campaign", *words))
    assert list_seats(db) == []


def test_a_seat_belongs_to_its_campaign(home, db):
    run(home, "campaign", "create", "second", "--models", "model-one,model-two", "--prompts", "all")
    run(home, "campaign", "invite", "first")
    assert "campaign 'second' has no seat 1" in refused(run(home, "campaign", "revoke", "second", 1))


def test_raters_are_listed_left_out_and_taken_in_again(home, db):
    give_votes(db, votes=4)
    listed = run(home, "raters", "list", "--json").json
    wanted = {
        "name": "rater-1",
        "kind": "person",
        "seat": 1,
        "campaign": "first",
        "votes": 4,
        "excluded": None,
    }
    assert [{key: row[key] for key in wanted} for row in listed] == [wanted]
    assert run(home, "raters", "exclude", "rater-1", "--reason", "a test").code == 0
    assert run(home, "raters", "list", "--json").json[0]["excluded"] == "a test"
    assert "0 pairs to train on (no votes that count)" in refused(
        run(home, "snapshot", "freeze", "--campaign", "first")
    )
    run(home, "raters", "include", "rater-1", "--reason", "was fine")
    assert run(home, "raters", "list", "--json").json[0]["excluded"] is None
    assert run(home, "snapshot", "freeze", "--campaign", "first", "--json").json["train"] == 4


def test_a_decision_needs_a_rater_and_a_reason(home, db):
    give_votes(db, votes=1)
    assert "there is no rater 'nobody'" in refused(run(home, "raters", "exclude", "nobody", "--reason", "x"))
    assert "needs a reason" in refused(run(home, "raters", "exclude", "rater-1", "--reason", " "))
    assert "Missing option '--reason'" in refused(run(home, "raters", "exclude", "rater-1"))


# -- snapshots and jobs ----------------------------------------------------------------------------------------


def test_snapshots_are_frozen_listed_and_shown(home, db):
    give_votes(db, votes=6)
    made = run(home, "snapshot", "freeze", "--campaign", "first", "--json").json
    assert (made["train"], made["heldout"]) == (6, 0)
    assert run(home, "snapshot", "freeze", "--json").json["id"] == made["id"], (
        "all campaigns are the same votes here"
    )
    assert [(s["id"], s["name"]) for s in run(home, "snapshot", "show", "--json").json] == [(made["id"],) * 2]
    pairs = run(home, "snapshot", "show", made["id"][:8], "--json").json
    assert [p["part"] for p in pairs] == ["train"] * 6
    assert pairs[0]["chosen"].startswith("Answer")
    assert "there is no snapshot 'ffffff'" in refused(run(home, "snapshot", "show", "ffffff"))


def test_jobs_are_listed_and_shown(home, db):
    job = runs.add_job(db, ["judge", "first", "--model", "a b"])
    listed = run(home, "jobs", "list", "--json").json
    assert listed[0]["id"] == job.id
    assert {"id", "name", "command", "status", "progress"} <= set(listed[0])
    assert listed[0]["name"] == "judge first"
    shown = run(home, "jobs", "show", job.id, "--json").json
    assert shown["command"] == listed[0]["command"] == "python launch.py judge first --model 'a b'"
    assert run(home, "jobs", "cancel", job.id).out == f"job {job.id}: cancelled\n"
    assert run(home, "jobs", "cancel", job.id, "--json").json == {"id": job.id, "status": "cancelled"}
    assert "typed in a terminal" in run(home, "jobs", "logs", job.id).out
    assert "typed in a terminal" in run(home, "jobs", "logs", job.id, "--json").json["log"]
    for verb in ("show", "cancel", "resume", "logs"):
        assert "there is no job 99" in refused(run(home, "jobs", verb, 99))


def test_lists_of_nothing_are_empty_documents(tmp_path):
    for verb in ("models", "campaign", "raters", "jobs"):
        ran = run(tmp_path / "new", verb, "list", "--json")
        assert json.loads(ran.out) == []
        assert run(tmp_path / "new", verb, "list").out == "(none)\n"


def test_conflicts_are_conflicts(db, home):
    add_model(db, "far", ModelKind.ENDPOINT, endpoint="http://a/v1", remote_name="m")
    with pytest.raises(Conflict):
        add(db, "far", endpoint="http://b/v1", remote_name="m")
    assert [p.split for p in prompts_of(db, "all")] == [Split.TRAIN] * 6
