"""The reward model scores the responses of a campaign, each distinct one once."""

import pytest

from arena.judging import LOT, STOCK, reward_judge, score_campaign
from db.campaigns import battles_of, create_campaign, get_campaign
from db.catalog import responses_without_score, scores_of_campaign, set_setting
from db.connection import open_writer
from db.entities.campaigns import CampaignSettings
from db.errors import UserError
from tests.workshop import run, trainable_home, weights


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home")


@pytest.fixture
def judge(db, home):
    return reward_judge(db, home)


def scores(db, campaign="first"):
    return scores_of_campaign(db, get_campaign(db, campaign).id)


def test_each_response_is_scored_once(db, judge):
    first = get_campaign(db, "first")
    assert score_campaign(db, first, judge) == 16
    kept = scores(db)[judge.name]
    assert {r for b in battles_of(db, first.id) for r in (b.response_a, b.response_b)} == set(kept)
    assert len({s.score for s in kept.values()}) > 8
    assert score_campaign(db, first, judge) == 0
    assert scores(db)[judge.name] == kept


def test_a_second_campaign_over_the_same_responses_needs_no_scores(db, judge):
    score_campaign(db, get_campaign(db, "first"), judge)
    create_campaign(db, "again", ("two", "one"), "questions", CampaignSettings())
    assert score_campaign(db, get_campaign(db, "again"), judge) == 24


def test_it_stops_when_told_and_goes_on(tmp_path, judge):
    db = open_writer(trainable_home(tmp_path / "larger", train=LOT // 2 + 8))
    first, asked = get_campaign(db, "first"), iter([False, True])
    with pytest.raises(UserError, match=f"stopped after {LOT} of {LOT + 16} scores; run it again"):
        score_campaign(db, first, judge, should_stop=lambda: next(asked))
    assert len(responses_without_score(db, judge.name, first.id)) == 16
    assert score_campaign(db, first, judge) == 16
    db.conn.close()


def test_which_reward_model_judges(db, home):
    own = str(weights() / "reward")
    assert reward_judge(db, home) == (own, own)
    assert reward_judge(db, home, "owner/other") == ("owner/other", "owner/other")
    starter = reward_judge(db, home, "starter-reward")
    assert starter.name == "starter-reward"
    assert starter.source.endswith("training/starter/weights/reward")
    set_setting(db, "reward_model", "")
    assert reward_judge(db, home) == (STOCK, STOCK)


def test_a_folder_named_from_where_one_stands_is_one_scorer(db, home, monkeypatch):
    monkeypatch.chdir(weights())
    assert reward_judge(db, home, "./reward") == reward_judge(db, home, str(weights() / "reward"))


def test_the_verb_scores_and_says_how_many(db, home):
    ran = run(home, "judge", "first", "--json")
    assert (ran.code, ran.json) == (0, {"judge": str(weights() / "reward"), "kind": "reward", "scored": 16})
    again = run(home, "judge", "first", "--json")
    assert again.json["scored"] == 0
    by_name = run(home, "judge", "first", "--model", weights() / "reward", "--json")
    assert by_name.json == again.json


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nothing"], "there is no campaign 'nothing'"),
        (["first", "--model", "/nowhere"], "/nowhere"),
        (["first", "--with", "coin"], "'coin' is not"),
    ],
)
def test_what_cannot_judge_is_one_line(db, home, words, reason):
    ran = run(home, "judge", *words)
    assert ran.code == 2
    assert reason in ran.err.splitlines()[-1]
    assert scores(db) == {}


def test_a_language_model_is_no_judge(db, home):
    ran = run(home, "judge", "first", "--model", weights() / "one")
    assert ran.code == 2
    assert "reward model" in ran.err.splitlines()[-1]
    assert scores(db) == {}
