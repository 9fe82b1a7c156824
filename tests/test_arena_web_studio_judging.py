"""The studio's judges: how far each has come, and the commands its two buttons run."""

import pytest

from arena.judging import judge_campaign
from arena.web import chrome
from arena.web.context import Context
from arena.web.pages.studio import judging
from arena.web.pages.studio.judging import RankForm
from db.audit import recent
from db.campaigns import get_campaign
from db.connection import Readers, Writer
from db.errors import UserError
from db.runs import list_jobs, pair_sets
from tests.workshop import ended, trainable_home


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home", train=3, heldout=1)


@pytest.fixture
def studio(home):
    context = Context(home, Readers(home), Writer(home), chrome.theme())
    yield context
    context.writer.close()


def form(**given):
    return RankForm(**{"prompts": "questions:train", "model": "one", "n": 2, "kind": "length", "judge": "", "which": "best-worst",
                       "name": "ranked"} | given)  # fmt: skip


def test_the_table_says_how_far_each_judge_is(studio, home, db):
    assert "Choose a campaign" in judging.judge_table(studio, None)
    assert "No machine has judged" in judging.judge_table(studio, "first")
    judge_campaign(db, home, get_campaign(db, "first"), "length")
    judge_campaign(db, home, get_campaign(db, "first"), "reward")
    view = judging.judge_table(studio, "first")
    assert "prefers the longer answer" in view
    assert "3 verdicts" in view
    assert "6 scores" in view


def test_the_button_starts_the_command_and_the_verdicts_come(studio, db):
    said = judging.start_judging(studio, "first", "length", "", again=True)
    assert "judge first --with length --again" in said
    [job] = list_jobs(db)
    assert ended(db, job.id).status.value == "succeeded"
    assert "3 verdicts" in judging.judge_table(studio, "first")
    assert [a.what for a in recent(db)] == ["started: python launch.py judge first --with length --again"]


def test_a_ranking_is_started_and_its_set_is_listed(studio, db):
    assert "No pair sets yet" in judging.set_table(studio)
    said = judging.start_ranking(studio, form())
    assert "rank questions:train --model one --n 2 --with length --pairs best-worst --as ranked" in said
    [job] = list_jobs(db)
    assert ended(db, job.id).status.value == "succeeded"
    assert [name for name, _, _ in pair_sets(db)] == ["ranked"]
    assert "best-worst by length" in judging.set_table(studio)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"prompts": None}, "no prompts are chosen"),
        ({"model": ""}, "no model is chosen"),
        ({"name": " "}, "the pairs need a name"),
        ({"kind": "llm"}, "has to be named"),
    ],
)
def test_a_form_that_lacks_something_says_what(studio, db, given, reason):
    with pytest.raises(UserError, match=reason):
        judging.start_ranking(studio, form(**given))
    assert list_jobs(db) == []


def test_a_judge_needs_a_campaign_and_a_language_model_a_name(studio):
    with pytest.raises(UserError, match="no campaign is chosen"):
        judging.start_judging(studio, None, "length", "", again=False)
    with pytest.raises(UserError, match="has to be named"):
        judging.start_judging(studio, "first", "llm", "", again=False)
