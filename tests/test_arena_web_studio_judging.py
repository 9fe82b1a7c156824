"""The studio's judges: how far each has come, and the commands its two buttons run."""

import html

import pytest

from arena.charts import body
from arena.judging import judge_campaign
from arena.report import report
from arena.web import chrome
from arena.web.context import Context
from arena.web.pages.studio import judging, one_battle
from arena.web.pages.studio.exports import EVERYTHING
from arena.web.pages.studio.judging import RankForm
from db.audit import recent
from db.campaigns import battles_of, get_campaign
from db.catalog import get_prompt
from db.connection import Readers, Writer
from db.errors import UserError
from db.judges import Comparison, JudgeKind, Two, add_comparisons, add_judge
from db.runs import list_jobs
from db.snapshots import pair_sets
from tests.test_arena_report import voted
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


def test_a_grader_is_started_by_its_own_choice(studio, db):
    said = judging.start_judging(studio, "first", judging.SINGLE, "nobody", again=True)
    assert "judge first --with llm --single --model nobody --again" in said
    [job] = list_jobs(db)
    assert ended(db, job.id).status.value == "failed"
    said = judging.start_ranking(studio, form(kind=judging.SINGLE, model="nobody", judge="far"))
    assert "--model nobody --n 2 --with llm --single --judge-model far" in said
    assert ended(db, list_jobs(db)[0].id).status.value == "failed"


def test_one_battle_is_asked_about_once_a_person_voted(studio, home, db):
    first = get_campaign(db, "first")
    battle = str(battles_of(db, first.id)[1].id)
    assert one_battle.shown(studio, None) == ""
    for typed, reason in ((battle, "no person has voted"), ("x", "no battle 'x'"), ("77", "no battle '77'")):
        assert reason.lower() in html.unescape(one_battle.shown(studio, typed)).lower()
        with pytest.raises(UserError, match=reason):
            one_battle.ask(studio, typed, "one")
    assert one_battle.choices(studio, None) == []
    voted(db, first, ["tie", "b"], raters=["ann"])
    assert next(b for _, b in one_battle.choices(studio, EVERYTHING)) == battle
    seen = one_battle.shown(studio, f"Battle {battle}")
    assert "two, chosen by 1 person" in seen
    assert "No judge has read it yet" in seen
    with pytest.raises(UserError, match="no judge is chosen"):
        one_battle.ask(studio, battle, None)
    assert list_jobs(db) == []


def test_the_reasons_of_each_order_name_who_stood_where_and_run_nothing(studio, home, db):
    first = get_campaign(db, "first")
    voted(db, first, ["a"] * 3, raters=["ann"])
    for battle in battles_of(db, first.id):
        two = Two(get_prompt(db, battle.prompt), min(battle.response_a, battle.response_b), "x",
                  max(battle.response_a, battle.response_b), "y")  # fmt: skip
        row = add_judge(db, "llm far pair-1", JudgeKind.LLM, "far", "pair-1")
        said = {
            "forward": {"said": "<script>alert(1)</script>Lower.", "verdict": "a"},
            "reverse": {"error": "too long"},
        }
        add_comparisons(db, row.id, [Comparison(two, None, None, False, said)])
        seen = html.unescape(one_battle.shown(studio, str(battle.id)))
        models = (battle.model_a, battle.model_b)
        a, b = models if battle.response_a < battle.response_b else models[::-1]
        assert f"A was {a}, B was {b}: {a} is better" in seen
        assert f"A was {b}, B was {a}: it did not answer" in seen
        assert "could not be read, so it counts as no verdict" in seen
        assert "<script" not in one_battle.shown(studio, str(battle.id))


def test_a_job_that_failed_is_told_of_beside_the_battle(studio, home, db):
    first = get_campaign(db, "first")
    voted(db, first, ["a"], raters=["ann"])
    battle = battles_of(db, first.id)[0]
    said = one_battle.ask(studio, str(battle.id), "nobody")
    assert f"judge first --with llm --model nobody --battle {battle.id} --again" in said
    assert ended(db, list_jobs(db)[0].id).status.value == "failed"
    assert "there is no model 'nobody'" in html.unescape(one_battle.shown(studio, str(battle.id)))


def test_the_link_to_the_studio_is_for_who_may_open_it(home, db):
    first = get_campaign(db, "first")
    judge_campaign(db, home, first, "length")
    voted(db, first, ["b"] * 3, raters=["ann"])
    made = report(db, "first")
    number = made.differing[0].first[0].battle
    assert f'href="../studio/?battle={number}#data"' in body(made, studio="../studio/")
    assert "?battle=" not in body(made)
