"""The studio's handlers as plain functions, on small real homes."""

import errno
import json
import os
import re
import subprocess
import time
import types
from datetime import UTC, datetime

import gradio as gr
import pytest

from arena import jobs
from arena.demo import seed
from arena.web import chrome, watching
from arena.web.context import Context
from arena.web.pages.studio import (
    acts,
    campaigns,
    changing,
    check_questions,
    creating,
    data,
    look_first,
    markup,
    models,
    new_run,
    overview,
    prompts,
    raters,
    retraining,
    run_view,
    settings,
    shell,
    train,
    train_fields,
    work,
    would_train,
)
from arena.web.pages.studio import campaign_form as setting_fields
from arena.web.pages.studio.retraining import Form
from db import audit, runs
from db.campaigns import find_campaign, get_campaign
from db.catalog import find_model, get_setting, prompt_sets, search_prompts
from db.connection import Readers, Writer, open_writer
from db.entities.campaigns import CampaignSettings, CampaignStatus
from db.entities.catalog import ModelKind
from db.entities.runs import JobStatus, RunKind
from db.entities.votes import Outcome
from db.errors import Conflict, UserError
from db.raters import get_rater
from db.seats import list_seats
from db.snapshots import add_pairs, snapshot_pairs
from labeling.owners import open_studio
from labeling.pairs import PairPolicy
from tests.factories import make_home, seat
from tests.test_arena_loop import give
from training.samples import Sample, write
from training.settings import SETTINGS_OF
from training.snapshots import Source, freeze, freeze_answers


def opened(home):
    return Context(home, Readers(home), Writer(home), chrome.theme())


@pytest.fixture
def small(tmp_path):
    """Two recorded models, six prompts, one open campaign."""
    context = opened(make_home(tmp_path / "home"))
    yield context
    context.writer.close()


@pytest.fixture
def demo(home):
    """The demo with 20 votes of people."""
    db = open_writer(home)
    seed(db)
    give(db, "SFT vs DPO", 20)
    db.conn.close()
    context = opened(home)
    yield context
    context.writer.close()


def plain(html):
    """The words of a piece of HTML."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def form(context, **changes):
    db = context.readers.get()
    preset = changes.pop("preset", "starter")
    base = {"parent": "starter-sft", "campaigns": retraining.ticked_for(db, "starter-sft"), "simulated": False,
            "policy": "majority", "preset": preset, "values": retraining.values_of(preset), "more": "", "name": ""}  # fmt: skip
    return Form(**{**base, **changes})


def acts_of(context):
    return [a.what for a in audit.recent(context.readers.get())]


def wait_for(context, job, seconds=60):
    """A job that really runs, to its end."""
    end = time.monotonic() + seconds
    while not (found := runs.get_job(context.readers.get(), job.id)).status.over:
        assert time.monotonic() < end, "the job does not end"
        time.sleep(0.1)
    return found


def printed(context, job, words):
    """The log holds the words; a job says its end to the database first and prints then."""
    end = time.monotonic() + 20
    while words not in work.log_of(context, str(job.id)):
        assert time.monotonic() < end, work.log_of(context, str(job.id))
        time.sleep(0.1)


# -- acts ------------------------------------------------------------------------------------------------------


def test_an_act_and_its_note_are_one(small):
    def fails(db):
        db.conn.execute("INSERT INTO settings VALUES ('half', 'made')")
        raise UserError("no")

    with pytest.raises(UserError):
        acts.act(small, "did something", fails)
    assert acts_of(small) == []
    assert get_setting(small.readers.get(), "half") is None
    assert acts.act(small, "did something", lambda db: 7) == 7
    assert acts_of(small) == ["did something"]


def test_a_job_begins_once_its_row_is_there_to_find(small, monkeypatch):
    begun = []

    def popen(*_, env, **__):
        begun.append(runs.get_job(small.readers.get(), int(env[jobs.JOB_VARIABLE])).status)
        return types.SimpleNamespace(pid=os.getpid())

    monkeypatch.setattr(subprocess, "Popen", popen)
    job = acts.start_job(small, ["import", "prompts", "x.jsonl"])
    assert (begun, job.status) == ([JobStatus.QUEUED], JobStatus.RUNNING)
    again = acts.start_job(small, ["train", "dpo", "--from", "model-one", "--data", "first"])
    assert (len(begun), again.status, again.turn) == (2, JobStatus.RUNNING, None)


def test_a_job_that_cannot_begin_says_why_in_its_row(small, monkeypatch):
    def popen(*_, **__):
        raise OSError(errno.EAGAIN, "too many processes")

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(UserError, match="too many processes"):
        acts.start_job(small, ["import", "prompts", "x.jsonl"])
    (job,) = runs.list_jobs(small.readers.get())
    assert (job.status, "too many processes" in job.message) == (JobStatus.FAILED, True)
    assert acts_of(small) == ["started: python launch.py import prompts x.jsonl"]


def test_the_servers_rounds_go_on_after_a_bug_and_tell_it_once(small, monkeypatch, caplog):
    looked = []

    def broken(_db):
        looked.append(time.monotonic())
        raise ValueError("a bug")

    monkeypatch.setattr(watching, "job_processes", broken)
    watcher = watching.Watcher(small, lambda: 0, every=0.01)
    watcher.start()
    end = time.monotonic() + 20
    while len(looked) < 3 and time.monotonic() < end:
        time.sleep(0.02)
    watcher.stop()
    assert len(looked) >= 3
    assert [r.levelname for r in caplog.records if "look around failed" in r.message] == ["ERROR"]


def test_a_user_error_becomes_one_line_and_a_bug_stays_a_bug():
    def refuse():
        raise UserError("the disk is full", "make room")

    with pytest.raises(gr.Error, match="the disk is full; make room"):
        acts.told(refuse)()
    with pytest.raises(ZeroDivisionError):
        acts.told(lambda: 1 / 0)()


def test_a_verb_beside_the_server_says_its_error_in_one_line(small):
    with pytest.raises(UserError, match="there is no job 99; `jobs list` shows them"):
        acts.run_verb(small, ["jobs", "show", "99"])
    assert "first" in acts.run_verb(small, ["campaign", "list"])


# -- markup ----------------------------------------------------------------------------------------------------


def test_tables_and_notes_escape_what_they_show():
    nasty = '<img src=x onerror="alert(1)">'
    for html in (
        markup.table(["a", nasty], [[nasty, markup.Chip(nasty, nasty), markup.Code(nasty), markup.Meter(2, nasty)]], empty=nasty),
        markup.note(nasty, nasty), markup.table([], [], empty=nasty),
    ):  # fmt: skip
        assert "<img" not in html
    assert "width:100%" in markup.table(["a"], [[markup.Meter(2, "")]], empty="")


def test_a_chart_spans_its_values_and_steps():
    drawn = markup.chart("Loss", "", [(1, 0.7), (6, 0.5), (11, 0.3)], [(11, 0.4)], total=21)
    assert drawn.points == "0.0,0.0 75.0,48.0 150.0,96.0"
    assert drawn.dots == ((150.0, 72.0),)
    assert (drawn.low, drawn.high, drawn.last, drawn.last_step) == ("0.30", "0.70", "0.300", 21)
    assert markup.chart("Loss", "", []) is None
    flat = markup.chart("Margin", "", [(1, 0.0)], level=0.0)
    assert flat.level == 48.0


# -- overview --------------------------------------------------------------------------------------------------


def test_the_picture_has_ten_stations_one_of_them_now(demo):
    html = overview.look(demo).picture
    assert html.count('class="tb-node"') == 10
    assert html.count('aria-current="step"') == 1
    assert 'data-stage="votes" aria-current' in html
    assert "This is the demo" in html
    assert "they are simulated" in html
    assert overview.look(demo).step.count("Rate: 20 of 60 votes to the first retrain") == 1


def test_the_next_step_leads_to_the_rating_page_by_a_new_link_of_the_one_owner_seat(demo):
    taken = overview.take_step(demo)
    assert taken.tab is None
    assert re.fullmatch(r"join/[A-Za-z0-9_-]{32}", taken.path)
    assert overview.take_step(demo).path != taken.path
    db = demo.readers.get()
    assert len(list_seats(db)) == 1
    demo.writer.call(lambda db: give(db, "SFT vs DPO", 60, rater="ann", skip=20))
    assert overview.take_step(demo) == ("train", "")


# -- models ----------------------------------------------------------------------------------------------------


def test_every_kind_of_model_can_be_added_and_is_shown(small, tmp_path):
    (tmp_path / "ckpt").mkdir()
    (tmp_path / "ckpt" / "config.json").write_text("{}")
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": str(tmp_path / "ckpt")})
    )
    models.add_model(small, "recorded", "rec", None, None, "none")
    models.add_model(small, "checkpoint", "ckpt", str(tmp_path / "ckpt"), None, "8bit")
    models.add_model(small, "adapter", "tuned", str(tmp_path / "ckpt"), str(tmp_path / "lora"), "none")
    models.add_model(small, "endpoint", "far", "http://127.0.0.1:1/v1", "llama", "4bit")
    db = small.readers.get()
    assert [find_model(db, n).kind for n in ("rec", "ckpt", "tuned", "far")] == [
        ModelKind.RECORDED, ModelKind.CHECKPOINT, ModelKind.ADAPTER, ModelKind.ENDPOINT,
    ]  # fmt: skip
    assert find_model(db, "far").quantize is None
    assert models.adapters(small) == ["tuned"]
    assert "model-one recorded - - 6" in plain(models.model_table(small))
    assert "added model far" in acts_of(small)


@pytest.mark.parametrize("fields", [
    ("checkpoint", None, "/nowhere", None, "none"), ("checkpoint", "x", None, None, "none"),
    ("checkpoint", "x", "/nowhere/at/all", None, "none"), ("adapter", "x", "owner/name", None, "none"),
    ("endpoint", "x", "ftp://x", "m", "none"), ("endpoint", "x", "http://x/v1", " ", "none"),
    ("recorded", "../up", None, None, "none"),
])  # fmt: skip
def test_a_model_that_cannot_be_is_refused_and_nothing_is_noted(small, fields):
    with pytest.raises(UserError):
        models.add_model(small, *fields)
    assert acts_of(small) == []


def test_the_family_tree_goes_from_parents_to_children(demo):
    lines = models.family(retraining.list_models(demo.readers.get()))
    assert lines == [(0, "starter-base"), (1, "starter-sft"), (2, "starter-dpo")]


def test_a_model_in_an_open_campaign_stays(small):
    with pytest.raises(Conflict):
        models.take_off(small, "model-one")
    campaigns.change_status(small, "first", CampaignStatus.CLOSED)
    models.take_off(small, "model-one")
    assert "model-one" not in models.model_table(small).replace("model-one vs", "")


# -- prompts ---------------------------------------------------------------------------------------------------

ROWS = '{"prompt": "What is <b>2 + 2</b>?"}\n{"prompt": "Name a fish."}\n{"no": 1}\n{"prompt": "Say hi."}'


def test_a_look_shows_three_rows_and_stores_nothing(small):
    html = prompts.look(small, "prompts", ROWS, "my set", None, None)
    assert html.count("<article") == 3
    assert "&lt;b&gt;2 + 2&lt;/b&gt;" in html
    assert [s.name for s in prompt_sets(small.readers.get())] == ["set of first"]
    assert search_prompts(small.readers.get(), "fish") == []


def test_pasted_text_is_kept_once_under_its_name(small):
    first = prompts.file_of(small, ROWS, "my set", None)
    assert first == prompts.file_of(small, ROWS + "\n", "my set", "")
    assert first.endswith("/my-set.jsonl")
    assert prompts.file_of(small, "prompt\nHi", "x", None).endswith("/x.csv")
    assert [p.name for p in (small.home.root / "pasted").rglob("*.part")] == []


def test_pasted_text_that_cannot_be_kept_is_one_line(small):
    (small.home.root / "pasted").write_text("a file in the way")
    with pytest.raises(UserError, match="cannot be kept"):
        prompts.file_of(small, ROWS, "x", None)


@pytest.mark.parametrize(
    ("pasted", "path"), [(None, None), ("a", "b"), (None, "/nowhere.jsonl"), (None, "owner/dataset")]
)
def test_what_cannot_be_read_is_refused_before_anything_starts(small, pasted, path):
    with pytest.raises(UserError):
        prompts.start_import(small, "prompts", pasted, "x", path, None, "auto")
    assert runs.list_jobs(small.readers.get()) == []


def test_an_import_runs_as_a_job_and_fills_a_set(small):
    job = prompts.start_import(small, "prompts", ROWS, "pasted set", None, None, "heldout")
    assert wait_for(small, job).status is JobStatus.SUCCEEDED
    made = next(s for s in prompt_sets(small.readers.get()) if s.name == "pasted-set")
    assert (made.train, made.heldout) == (0, 3)
    assert "Name a fish." in prompts.found(small, "fish")
    assert acts_of(small)[0].startswith("started: python launch.py import prompts ")
    assert "--split heldout" in work.job_table(small)
    printed(small, job, "refused: 1")


def test_column_mapping_is_one_a_line():
    assert prompts.mapping_of("theirs=prompt\n\n q=text ") == {"theirs": "prompt", "q": "text"}
    assert prompts.mapping_of(None) == {}
    with pytest.raises(UserError):
        prompts.mapping_of("theirs")


# -- campaigns and raters --------------------------------------------------------------------------------------


def fields_with(settings=CampaignSettings(), **changes):  # noqa: B008 - a frozen value
    """What the settings' fields hold, some of them changed."""
    held = dict(zip(setting_fields.NAMES, setting_fields.values_of(settings), strict=True))
    return list((held | changes).values())


def campaign_form(**changes):
    base = {"name": "second", "models": ["model-one", "model-two"], "prompts": "set of first", "purpose": "collect",
            "overlap": 2, "fields": fields_with(criteria="helpful, correct"), "draft": False, "generate": False}  # fmt: skip
    return creating.Form(**{**base, **changes})


def test_settings_are_saved_by_their_fields_and_votes_make_a_new_version(small):
    before = get_campaign(small.readers.get(), "first").settings
    with pytest.raises(UserError, match="nothing was changed"):
        changing.save_settings(small, "first", fields_with(before))
    made = changing.save_settings(
        small, "first", fields_with(before, ask_better=True, guidelines="Look for truth.")
    )
    assert not made.new_version
    after = get_campaign(small.readers.get(), "first").settings
    assert (after.ask_better, after.guidelines) == (True, "Look for truth.")
    assert acts_of(small) == ["changed campaign first: ask_better, guidelines"]
    with pytest.raises(UserError, match="gold_rate"):
        changing.save_settings(small, "first", fields_with(after, gold_rate="9"))


def test_a_campaign_is_cloned_previewed_and_given_check_questions(small):
    assert changing.clone(small, "first", "").campaign.name == "first copy"
    shown = look_first.preview(small, "first")
    assert shown.count("<article") == 3
    assert "model-one" not in shown
    assert "check questions were made" in check_questions.make_checks(small, "first", 4)
    assert check_questions.checks_shown(small, "first").count("<tr>") == 5
    assert "No check questions yet" in check_questions.checks_shown(small, "first copy")


def test_what_a_settings_field_holds_is_never_read_as_a_file(small):
    form = campaign_form(
        generate=True, models=["model-one", "nobody"], fields=fields_with(guidelines="@everyone: be kind")
    )
    assert "guidelines=@@everyone: be kind" in creating.create(small, form)
    assert wait_for(small, runs.list_jobs(small.readers.get())[0]).status is JobStatus.FAILED


def test_a_campaign_is_created_shown_and_changes_its_status(small):
    said = creating.create(small, campaign_form())
    assert said == "second: 6 battles, open."
    made = get_campaign(small.readers.get(), "second")
    assert (made.settings.overlap, made.settings.criteria) == (2, ("helpful", "correct"))
    assert "second open collect model-one vs model-two set of first 2 0 of 12 0 of 0" in plain(
        campaigns.campaign_table(small)
    )
    campaigns.change_status(small, "second", CampaignStatus.PAUSED)
    assert get_campaign(small.readers.get(), "second").status is CampaignStatus.PAUSED
    assert acts_of(small) == ["set campaign second to paused", "created campaign second"]


@pytest.mark.parametrize("changes", [
    {"name": None}, {"models": ["model-one"]}, {"prompts": None}, {"prompts": "nowhere"}, {"overlap": None},
    {"overlap": 0}, {"name": "first"}, {"purpose": "evaluate"},
])  # fmt: skip
def test_a_campaign_that_cannot_be_is_refused(small, changes):
    with pytest.raises(UserError):
        creating.create(small, campaign_form(**changes))
    assert find_campaign(small.readers.get(), "second") is None
    assert acts_of(small) == []


def test_a_rater_is_left_out_with_a_reason_and_taken_in_again(small):
    seat(small.writer)
    with pytest.raises(UserError, match="needs a reason"):
        raters.decide(small, "rater-1", None, counted=False)
    raters.decide(small, "rater-1", "always <left>", counted=False)
    assert get_rater(small.readers.get(), "rater-1").excluded == "always <left>"
    assert "always &lt;left&gt;" in raters.rater_table(small)
    raters.decide(small, "rater-1", "looked again", counted=True)
    assert get_rater(small.readers.get(), "rater-1").excluded is None


# -- data ------------------------------------------------------------------------------------------------------


def test_votes_are_browsed_by_campaign_and_words(demo):
    html = data.vote_table(demo, "SFT vs DPO", None)
    assert html.count("<tr>") == 21
    assert "starter-sft won" in html
    assert data.vote_table(demo, data.EVERYTHING, "").count("<tr>") == 101
    assert "No vote fits" in data.vote_table(demo, "base vs SFT", "")


# -- train -----------------------------------------------------------------------------------------------------


def test_the_form_starts_from_the_sft_model_with_the_preset_of_its_size(demo):
    db = demo.readers.get()
    assert retraining.parents(db)[0] == "starter-sft"
    assert set(retraining.ticked_for(db, "starter-sft")) == {"SFT vs DPO", "base vs SFT"}
    assert retraining.preset_for(demo.home, db, "starter-sft") == "starter"
    assert retraining.default_name(db, "starter-sft") == "starter-sft-r1"
    assert "showcase-a" not in retraining.parents(db)
    assert retraining.preset_for(demo.home, db, None) == "lora"


def test_the_command_holds_what_differs_from_the_preset_and_nothing_else(demo):
    db = demo.readers.get()
    same = retraining.arguments(db, form(demo))
    assert same == ["train", "dpo", "--from", "starter-sft", "--campaign", "SFT vs DPO", "--campaign", "base vs SFT",
                    "--policy", "majority", "--preset", "starter", "--no-simulated"]  # fmt: skip
    values = {"learning_rate": 5e-4, "epochs": None, "beta": 0.1, "lora_r": 8.0}
    other = retraining.arguments(
        db, form(demo, values=values, more="seed=7, batch_size=8", simulated=True, name=" mine ")
    )
    assert other[other.index("--preset") :] == [
        "--preset", "starter", "--set", "learning_rate=0.0005", "--set", "lora_r=8", "--set", "seed=7", "--set",
        "batch_size=8", "--name", "mine",
    ]  # fmt: skip
    assert other.count("--campaign") == 3, "the demo's simulated campaign comes with the tick"


def test_the_preview_counts_what_a_snapshot_would_hold(demo):
    db = demo.readers.get()
    seen = would_train.look(demo.home, db, form(demo))
    by_method = {e.policy.method.value: e for e in seen.effects}
    assert by_method["majority"].train == seen.train
    assert by_method["consensus"].why_not.startswith("a consensus needs 3 raters")
    for needs_overlap in ("consensus", retraining.WEIGHED):
        with pytest.raises(UserError, match=r"needs 3 raters .*; raise the campaign's overlap"):
            would_train.look(demo.home, db, form(demo, policy=needs_overlap))
    words = retraining.arguments(db, form(demo, policy=retraining.WEIGHED))
    assert words[words.index("--policy") :][:3] == ["--policy", "majority", "--weigh-raters"]
    assert (seen.train, seen.heldout, len(seen.rows.shown)) == (20, 0, 3)
    with_simulated = would_train.look(demo.home, db, form(demo, simulated=True))
    frozen = demo.writer.call(
        lambda w: freeze(w, retraining.source_of(w, form(demo, simulated=True)), PairPolicy())
    )
    assert with_simulated.train == frozen.train > 100
    only = would_train.look(demo.home, db, form(demo, campaigns=["SFT vs DPO simulated raters"]))
    assert only.train == 0
    assert dict(only.rows.left_out)["simulated rater"] > 100
    assert not only.enough


def test_contradictions_and_ties_are_named(demo):
    demo.writer.call(lambda db: give(db, "SFT vs DPO", 4, outcome=Outcome.B, rater="other"))
    demo.writer.call(lambda db: give(db, "SFT vs DPO", 3, outcome=Outcome.TIE, rater="third", skip=30))
    html = new_run.preview(demo, form(demo))
    assert "16 pairs train" in plain(html)
    assert "4 battles on which people chose opposite answers" in plain(html)
    assert "3 votes left out: a tie" in plain(html)


def test_the_preview_shows_three_pairs_the_command_and_no_needless_warning(demo):
    html = new_run.preview(demo, form(demo))
    assert html.count("<article") == 3
    assert "python launch.py train dpo --from starter-sft" in plain(html)
    assert "suits only models of a few million" not in html
    assert "Only 20 pairs" in html
    assert "is out of range" in new_run.preview(demo, form(demo, values={"beta": 99.0}))
    assert "No campaign is ticked" in new_run.preview(demo, form(demo, campaigns=[]))


def test_every_kind_has_its_command_and_its_rows(demo):
    db, home = demo.readers.get(), demo.home
    expected = {
        RunKind.SFT: ["train", "sft", "--from", "starter-sft"], RunKind.KTO: ["train", "kto", "--from", "starter-sft"],
        RunKind.REWARD: ["train", "reward", "--from", "starter-sft"],
    }  # fmt: skip
    for kind, words in expected.items():
        made = form(
            demo, kind=kind, values={"learning_rate": 5e-4, "beta": 0.3}, against="champion", reference="x"
        )
        said = retraining.arguments(db, made)
        assert said[:4] == words
        assert ("beta=0.3" in said) == (kind is RunKind.KTO)
        assert ("--against" in said) == (kind is not RunKind.REWARD)
        assert "--reference" not in said
        assert would_train.look(home, db, made).enough
    answers = would_train.look(home, db, form(demo, kind=RunKind.KTO, values={})).rows
    assert answers.word == "answer"
    assert {row.rejected for row in answers.shown} == {None}
    quiet = form(demo, rematch=False, replay=0.5, reference="starter-base")
    said = retraining.arguments(db, quiet)
    assert said[-5:] == ["--replay", "0.5", "--reference", "starter-base", "--no-rematch"]


def test_rows_frozen_before_or_named_are_trained_on(demo):
    db = demo.readers.get()
    snapshot = demo.writer.call(lambda w: freeze(w, Source(("SFT vs DPO",)), PairPolicy()))
    again = form(demo, rows=retraining.From.SNAPSHOT, picked=snapshot.id)
    assert retraining.picks(db, retraining.From.SNAPSHOT, RunKind.DPO)[0][1] == snapshot.id
    assert retraining.arguments(db, again)[4:] == ["--snapshot", snapshot.id, "--preset", "starter"]
    assert would_train.look(demo.home, db, again).train == snapshot.train
    demo.writer.call(lambda w: add_pairs(w, "named", "a file", [
        (p.prompt, p.chosen, p.rejected) for p in snapshot_pairs(w, snapshot.id)]))  # fmt: skip
    named = form(demo, rows=retraining.From.PAIRS, picked="named")
    assert retraining.arguments(db, named)[4:6] == ["--pairs", "named"]
    assert would_train.look(demo.home, db, named).train == snapshot.train
    with pytest.raises(UserError, match="nothing to learn from is picked"):
        retraining.arguments(db, form(demo, rows=retraining.From.PAIRS))
    kept = demo.writer.call(lambda w: freeze_answers(w, Source(("SFT vs DPO",)), PairPolicy()))
    with pytest.raises(UserError, match="holds answers one by one"):
        would_train.look(demo.home, db, form(demo, rows=retraining.From.SNAPSHOT, picked=kept.id))
    one_by_one = form(demo, rows=retraining.From.SNAPSHOT, picked=kept.id, kind=RunKind.SFT)
    assert would_train.look(demo.home, db, one_by_one).train == kept.train


def test_the_fields_are_those_of_the_kind():
    for kind, of_kind in SETTINGS_OF.items():
        names = set(retraining.keys_of(kind))
        assert set(retraining.fields_of(kind)) <= names
        assert set(retraining.values_of("lora", kind)) == set(retraining.fields_of(kind))
        assert [f for f in retraining.FIELDS if f not in train_fields.HELP] == []
        assert isinstance(
            retraining.settings_of(Form("m", [], False, "majority", "lora", kind=kind)), of_kind
        )
    assert retraining.losses_of(RunKind.SFT) == []
    assert "robust" in retraining.losses_of(RunKind.DPO)


def test_a_run_that_is_too_large_is_shown_by_parts_and_made_to_fit(demo):
    large = form(demo, values={"batch_size": 4e6})
    html = new_run.preview(demo, large)
    assert "too much" in html
    assert "Activations" in html
    changes, words = new_run.fitted(demo, large)
    assert changes["batch_size"] < 4e6
    assert "Changed so that it fits" in words
    fits = would_train.look(demo.home, demo.readers.get(), form(demo, values={**large.values, **changes}))
    assert fits.memory.fits
    assert new_run.fitted(demo, form(demo))[0] == {}


def test_an_unsafe_rate_is_warned_of(demo):
    seen = would_train.look(
        demo.home, demo.readers.get(), form(demo, preset="lora", values={"learning_rate": 1e-4})
    )
    assert any("learning_rate 0.0001 is above" in w for w in seen.warnings)


def test_retrain_is_refused_before_a_job_where_it_cannot_work(demo):
    db = demo.readers.get()
    for bad in (form(demo, campaigns=[]), form(demo, parent=None), form(demo, more="nonsense=1"),
                form(demo, campaigns=["showcase"])):  # fmt: skip
        with pytest.raises(UserError):
            new_run.retrain(demo, bad)
    snapshot = demo.writer.call(lambda w: freeze(w, Source(("SFT vs DPO",)), PairPolicy()))
    demo.writer.call(lambda w: runs.add_run(
        w, "busy", RunKind.DPO, parent="starter-sft", snapshot=snapshot.id, folder="runs/busy", settings={},
        campaign=None, job=None, pid=os.getpid(), pid_started=jobs.own_start()))  # fmt: skip
    assert runs.list_jobs(db) == []
    queued = new_run.retrain(demo, form(demo))
    assert (queued.status, queued.turn) == (JobStatus.QUEUED, 1)
    demo.writer.call(lambda w: jobs.cancel(w, queued.id))
    with pytest.raises(UserError, match="nothing is training"):
        new_run.cancel(demo)


def measured(context, *, status=JobStatus.RUNNING, losses=(0.6931, 0.6, 0.5)):
    """A run with metrics, as the trainer's observer writes them."""

    def write(db):
        job = runs.add_job(db, ["train", "dpo", "--from", "starter-sft"])
        runs.start_job(db, job.id, 1, 0.0)
        snapshot = freeze(db, Source(("SFT vs DPO",)), PairPolicy())
        run = runs.add_run(db, "r", RunKind.DPO, parent="starter-sft", snapshot=snapshot.id, folder="runs/r", settings={},
                           campaign=None, job=job.id, pid=1, pid_started=0.0)  # fmt: skip
        for step, loss in enumerate(losses, 1):
            margin = 0.0 if step == 1 else 0.3 * step
            runs.add_metrics(
                db, run.id, step, 6, {"loss": loss, "rewards/margins": margin, "rewards/accuracies": 0.5}
            )
        runs.job_progress(db, job.id, 0.4, "step 3 of 6 <b>")
        if status.over:
            runs.end_run(db, run.id, runs.RunStatus.FAILED, "no")
            runs.end_job(db, job.id, status, 2, "out of memory <b>")

    context.writer.call(write)
    return run_view.newest(context.readers.get())


def test_a_run_is_shown_from_the_database_alone(demo):
    seen = measured(demo)
    html = run_view.shown(seen)
    assert seen.active
    assert (seen.at, seen.total, seen.train) == (3, 6, 20)
    assert "Reference proven at the first step: margin 0.0000, loss 0.6931" in plain(html)
    assert html.count("<polyline") == 3
    assert "step 3 of 6 &lt;b&gt;" in html
    assert "40 %" in html
    assert "running" in run_view.history(demo.readers.get())


def test_a_failed_run_says_why_and_an_unmoved_one_that_nothing_was_learned(demo):
    html = run_view.shown(measured(demo, status=JobStatus.FAILED, losses=(0.6931, 0.6929)))
    assert "out of memory &lt;b&gt;" in html
    assert "Nothing learned" in html
    assert "registered" not in html


def test_the_page_says_when_answers_just_got_longer_and_shows_them_side_by_side(demo):
    seen = measured(demo)
    for step, tokens in ((0, 8.0), (3, 40.0)):
        demo.writer.call(lambda w, s=step, t=tokens: runs.add_metrics(
            w, seen.run.id, s, 6, {"samples/tokens": t, "learning_rate": 5e-6, "grad_norm": 1.5}))  # fmt: skip
    said = [
        Sample(0, "How are you?", "Well.", 8, True, 0.0),
        Sample(3, "How are you?", "<b>Well</b>, well, well", 40, False, 0.6),
    ]
    folder = demo.home.root / seen.run.folder
    folder.mkdir(parents=True)
    write(folder, said)
    seen = run_view.newest(demo.readers.get())
    html = run_view.shown(seen)
    assert "the answers just got longer: 40 tokens on average instead of 8" in html
    assert "set loss=sigmoid_norm" in html
    assert "5.0e-06" in run_view.more_charts(seen)
    html = run_view.samples(demo.home, seen)
    text = plain(html)
    assert text.index("Step 0") < text.index("Step 3")
    assert "40 tokens, cut off, 60 % repeated" in text
    assert "<b>Well</b>" not in html


def test_no_run_yet_is_said(demo):
    assert "Nothing has been trained here yet" in run_view.shown(run_view.newest(demo.readers.get()))
    assert "No run yet" in run_view.history(demo.readers.get())


@pytest.mark.slow
def test_a_retrain_outlives_the_server_that_started_it(demo):
    more = form(demo, preset="smoke", more="max_steps=2")
    job = new_run.retrain(demo, more)
    assert new_run.watch(demo)[2].visible
    demo.writer.close()
    later = opened(demo.home)
    try:
        seen = run_view.newest(later.readers.get())
        assert (seen.job.id, seen.active) == (job.id, True)
        wait_for(later, job, seconds=400)
        seen = run_view.newest(later.readers.get())
        assert seen.job.status is JobStatus.SUCCEEDED, work.log_of(later, str(job.id))
        assert (seen.run.model, seen.rematch) == ("starter-sft-r1", "starter-sft-r1 rematch")
        assert "starter-sft-r1 rematch" in run_view.history(later.readers.get())
        assert retraining.parents(later.readers.get())[0] == "starter-sft-r1"
        assert retraining.ticked_for(later.readers.get(), "starter-sft-r1") == ["starter-sft-r1 collect"]
    finally:
        later.writer.close()


@pytest.mark.slow
def test_the_rows_are_shown_as_the_trainer_sees_them(demo):
    html = new_run.rows_as_trained(demo, form(demo))
    assert "20 of 20 pairs reach the trainer" in plain(html)
    assert html.count("<article") == 3
    assert 'class="tb-counts-here"' in html


# -- jobs and settings -----------------------------------------------------------------------------------------


def test_a_job_that_died_without_a_word_is_shown_as_failed_and_runs_again(small):
    def died(db):
        job = runs.add_job(db, ["import", "prompts", "/nowhere.jsonl"])
        runs.start_job(db, job.id, 999_999_999, 0.0)
        return job

    job = small.writer.call(died)
    work.look(small)
    assert "its process ended without a word" in work.job_table(small)
    work.again(small, str(job.id))
    second = wait_for(small, runs.list_jobs(small.readers.get())[0])
    assert second.command == job.command
    assert second.status is JobStatus.FAILED
    assert "there is no file /nowhere.jsonl" in work.job_table(small)
    printed(small, second, "error: there is no file /nowhere.jsonl")
    with pytest.raises(UserError, match="no job is chosen"):
        work.again(small, None)


def test_settings_keep_the_reward_model_and_make_a_studio_link_that_opens_once(small):
    assert settings.reward_model(small)
    settings.keep_reward_model(small, " owner/reward ")
    assert settings.reward_model(small) == "owner/reward"
    token = settings.studio_path(small).removeprefix("login/?token=")
    now = datetime.now(UTC)
    assert small.writer.call(lambda db: open_studio(db, token, now))
    assert small.writer.call(lambda db: open_studio(db, token, now)) is None
    assert token not in settings.acts_table(small)
    facts = plain(settings.facts(small))
    assert str(small.home.database) in facts
    assert re.search(r"torch \d+\.\d+", facts)


def test_the_page_is_built_with_every_tab_and_a_clock_only_for_what_moves(demo):
    blocks = shell.page(demo)
    kinds = [b.get_block_name() for b in blocks.blocks.values()]
    tabs = [b.id for b in blocks.blocks.values() if b.get_block_name() == "tabitem"]
    assert [name for name in tabs if name in shell.TABS] == list(shell.TABS)
    assert [name for name in tabs if name not in shell.TABS] == [one.name for one in train.SUBTABS]
    assert kinds.count("timer") < len(tabs)
    assert all(not b.active for b in blocks.blocks.values() if b.get_block_name() == "timer")
    assert not {"file", "image", "plot", "downloadbutton", "uploadbutton", "dataframe"} & set(kinds)
