"""The Data tab's exports and rulings as plain functions, on small real homes."""

import json
import time

import pytest
from sqlite_utils import Database

from arena.demo import seed
from arena.web import chrome
from arena.web.context import Context
from arena.web.pages.studio import data, exports, rulings, work
from arena.web.pages.studio.exports import EVERYTHING, ExportForm
from db import adjudications, audit, runs
from db.campaigns import get_campaign
from db.connection import Readers, Writer, open_writer
from db.entities.runs import JobStatus
from db.entities.votes import Choice, Outcome
from db.errors import UserError
from labeling.importing import ImportKind, import_file
from labeling.pairs import PairPolicy, pairs_of, read_votes
from tests.test_arena_loop import give
from tests.test_arena_web_studio import plain


def form(**changes):
    base = {"campaign": "votes", "form": "trl", "policy": "vote", "min_agreement": 0.7, "weigh": False, "simulated": True,
            "written": True, "ties": "drop"}  # fmt: skip
    return ExportForm(**{**base, **changes})


@pytest.fixture
def context(home, tmp_path):
    """Votes of four people on three battles: one they disagree on, one with a mail address, one on equal texts."""
    rows = [{"rater": f"p{i}", "prompt": q, "model_a": "m1", "model_b": "m2", "response_a": a, "response_b": b, "winner": w}
            for q, a, b, winners in (("Why?", "one <script>", "two", "aabt"), ("Who?", "anna@web.de", "nobody", "a"),
                                     ("How?", "same", " same", "a"))
            for i, c in enumerate(winners) for w in [{"a": "model_a", "b": "model_b", "t": "tie"}[c]]]  # fmt: skip
    (tmp_path / "votes.json").write_text(json.dumps([r | {"split": "train"} for r in rows]))
    import_file(home, ImportKind.VOTES, str(tmp_path / "votes.json"))
    made = Context(home, Readers(home), Writer(home), chrome.theme())
    yield made
    made.writer.close()


def battle_of(context, words):
    [found] = [b for said, b in rulings.choices(context, None) if words in said]
    return found


# -- looking first -----------------------------------------------------------------------------------------------


def test_a_look_shows_counts_reasons_policies_and_three_rows(context):
    seen = exports.look(context, form())
    html = exports.shown(seen)
    words = plain(html)
    assert "4 rows: 4 train" in words
    assert "1 vote left out: a tie" in words
    assert "1 vote left out: identical responses" in words
    assert "1 battle on which people chose opposite answers" in words
    assert "refused, identical responses: answers" in words
    assert "mail address ann..." in words
    assert "anna@web.de" not in html.partition("Row 1")[0]
    assert "vote 4 4 0 2 1" in words
    assert "majority 2 2 0 3 1" in words
    assert exports.look(context, form(policy="majority", min_agreement=None)).splits == {"train": 2}
    assert "a consensus needs 20 battles" in words
    assert "<script>" not in html
    assert html.count("<article") == 3


def test_a_look_at_nothing_is_one_line(context):
    with pytest.raises(UserError, match="has no answers that raters wrote"):
        exports.look(context, form(form="sft"))
    with pytest.raises(UserError, match="a consensus needs 20 battles"):
        exports.look(context, form(policy="consensus"))


@pytest.mark.parametrize("shape", ["kto", "reward", "ultrafeedback", "responses", "votes", "csv"])
def test_every_format_can_be_looked_at(context, shape):
    assert "Row 1" in exports.shown(exports.look(context, form(form=shape)))


# -- the verb ----------------------------------------------------------------------------------------------------


def test_the_command_says_what_differs_from_the_default(context):
    folder = str(context.home.exports / "mine")
    assert exports.arguments(context, form(name="mine", campaign=EVERYTHING)) == [
        "export",
        folder,
        "--format",
        "trl",
        "--no-personal-data",
    ]
    everything = form(name="mine", form="kto", policy="min-agreement", min_agreement=0.8, weigh=True, simulated=False,
                      written=False, ties="bad", comments=True, push=" owner/set ", allow=True)  # fmt: skip
    assert exports.arguments(context, everything) == [
        "export", folder, "--campaign", "votes", "--format", "kto", "--policy", "min-agreement", "--min-agreement", "0.8",
        "--ties", "bad", "--weigh-raters", "--no-simulated", "--no-written", "--with-comments", "--allow-personal-data", "--push", "owner/set",
    ]  # fmt: skip


def test_an_export_names_its_folder_and_refuses_one_that_is_there(context):
    (context.home.exports / "mine").mkdir()
    with pytest.raises(UserError, match="there already"):
        exports.arguments(context, form(name="mine"))
    with pytest.raises(UserError):
        exports.arguments(context, form(name="../out"))
    with pytest.raises(UserError, match="the folder needs a name"):
        exports.arguments(context, form())


@pytest.mark.slow
def test_an_export_really_writes_the_folder_of_the_demo_without_a_question(home):
    db = open_writer(home)
    seed(db)
    give(db, "SFT vs DPO", 20)
    db.conn.close()
    context = Context(home, Readers(home), Writer(home), chrome.theme())
    try:
        for campaign in (EVERYTHING, "SFT vs DPO"):
            assert exports.look(context, form(campaign=campaign, form="responses")).places == ()
        job = exports.start_export(context, form(name="mine", campaign="SFT vs DPO"))
        end = time.monotonic() + 60
        while not (found := runs.get_job(context.readers.get(), job.id)).status.over:
            assert time.monotonic() < end, "the job does not end"
            time.sleep(0.1)
        assert found.status is JobStatus.SUCCEEDED, work.log_of(context, str(job.id))
        assert (home.exports / "mine" / "manifest.json").is_file()
        while "train 20" not in plain(exports.last_export(context)[0]):
            assert time.monotonic() < end, exports.last_export(context)[0]
            time.sleep(0.1)
    finally:
        context.writer.close()


# -- rulings -----------------------------------------------------------------------------------------------------


def test_models_and_votes_are_hidden_until_a_ruling(context):
    assert [said for said, _ in rulings.choices(context, "votes")] == ["4 votes: Why?"]
    battle = battle_of(context, "Why?")
    html = rulings.shown(context, battle)
    assert "Why?" in plain(html)
    assert "two" in plain(html)
    assert not [name for name in ("m1", "m2", "chosen by") if name in html]
    ruling = rulings.rule(context, battle, Choice.RIGHT, " it is right ")
    second = "b" if rulings.first_is(int(battle)) == "a" else "a"
    assert (ruling.outcome, ruling.reason, ruling.who) == (Outcome(second), "it is right", "owner")
    words = plain(rulings.shown(context, battle))
    assert "Answer 2 is better" in words
    assert "it is right" in words
    assert {"m1,", "m2,"} <= set(words.split())
    assert rulings.choices(context, None)[0][0] == "ruled, 4 votes: Why?"


def test_a_ruling_stands_in_the_pairs_and_a_later_one_takes_its_place(context):
    battle = battle_of(context, "Why?")
    for choice in (Choice.LEFT, Choice.BOTH_BAD):
        rulings.rule(context, battle, choice, "so")
    db = context.readers.get()
    assert pairs_of(read_votes(db, ["votes"]), PairPolicy()).left_out["overruled by the owner"] == 3
    kept = adjudications.rulings(db, get_campaign(db, "votes").id)
    assert [r.outcome for r in kept.values()] == [Outcome.BOTH_BAD]
    acts = [a.what for a in audit.recent(db)]
    assert acts[:2] == [
        f"ruled on battle {battle}: both bad",
        f"ruled on battle {battle}: answer 1 is better",
    ]


def test_a_ruling_needs_a_battle_and_a_reason(context):
    with pytest.raises(UserError, match="no battle is chosen"):
        rulings.rule(context, None, Choice.LEFT, "so")
    with pytest.raises(UserError, match="the ruling has no reason"):
        rulings.rule(context, battle_of(context, "Why?"), Choice.LEFT, " ")
    assert rulings.shown(context, None) == ""


def test_the_tab_is_drawn(context):
    import gradio as gr

    with gr.Blocks(analytics_enabled=False):
        part = data.build(context)
    found = part.refresh()
    assert len(found) == len(part.outputs)
    assert isinstance(context.readers.get(), Database)
