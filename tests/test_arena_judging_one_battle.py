"""A judge is asked about one battle, once a person has voted on it; and what judges say steers which battle comes next."""

import json

import pytest

from arena.report import report
from db.asked_battles import judges_on, people_on, voted_battles
from db.assignments import candidates
from db.campaigns import battles_of, create_campaign, get_campaign
from db.catalog import add_scores, get_response
from db.entities.campaigns import CampaignSettings, Sampling
from db.entities.catalog import Score
from db.entities.votes import Outcome, RaterKind
from db.figures import judge_votes
from db.guarding import mark_scanned
from db.raters import add_rater, decide_rater
from labeling.importing import ImportKind, import_file
from tests.test_arena_judging_comparing import polite
from tests.test_arena_report import voted
from tests.workshop import give_votes, refused, run, trainable_home

A, B, TIE = Outcome.A, Outcome.B, Outcome.TIE


@pytest.fixture
def home(tmp_path):
    return trainable_home(tmp_path / "home")


@pytest.fixture
def server(server):
    server.answer = polite
    return server


def asked(home, battle, *words, campaign="first"):
    return run(
        home, "judge", campaign, "--with", "llm", "--model", "far", "--battle", battle, *words, "--json"
    )


def test_one_battle_is_judged_and_its_reasons_are_found(home, db, server, far):
    give_votes(db, votes=1)
    [one] = voted_battles(db)
    assert asked(home, one.battle).json | {"verdicts": 1, "compared": 1} == {
        "judge": "llm far pair-1", "kind": "llm", "compared": 1, "verdicts": 1, "errors": 0, "textless": 0}  # fmt: skip
    assert len(server.seen) == 2
    assert [(v.battle, v.outcome) for v in judge_votes(db, get_campaign(db, "first").id)] == [(one.battle, A)]
    [said] = judges_on(db, one.battle)
    assert (said.judge, said.outcome) == ("llm far pair-1", A)
    assert "friendlier" in said.details["forward"]["said"]
    assert asked(home, one.battle).json["compared"] == 0
    assert len(server.seen) == 2


def test_before_a_person_voted_it_is_refused_and_nothing_is_asked(home, db, server, far):
    first = get_campaign(db, "first")
    battle = battles_of(db, first.id)[0].id
    voted(db, first, ["a"], raters=["sim"], kind=RaterKind.SIMULATED)
    voted(db, first, ["a"], raters=["machine"], kind=RaterKind.JUDGE)
    assert people_on(db, first.id, battle) == (0, 0, 0)
    assert f"no person has voted on battle {battle} yet; ask a judge once one has" in refused(
        asked(home, battle)
    )
    assert f"no person has voted on battle {battle} yet" in refused(
        run(home, "judge", "first", "--with", "length", "--battle", battle)
    )
    voted(db, first, ["skip"], raters=["ann"])
    assert "no person has voted" in refused(asked(home, battle)), "a skip is no vote"
    assert server.seen == []
    voted(db, first, ["b"], raters=["ben"])
    assert asked(home, battle).json["verdicts"] == 1
    decide_rater(db, "ben", counted=False, reason="a bot")
    assert people_on(db, first.id, battle) == (0, 0, 0)


def test_a_battle_of_elsewhere_a_check_question_and_a_judge_that_scores_are_one_line(home, db, server, far):
    first = get_campaign(db, "first")
    battles = battles_of(db, first.id)
    voted(db, first, ["a"] * len(battles), raters=["ann"])
    create_campaign(db, "other", ("one", "two"), "questions:train", CampaignSettings())
    assert "'other' has no battle" in refused(asked(home, battles[0].id, campaign="other"))
    assert "'first' has no battle 999" in refused(asked(home, 999))
    assert "is for a judge that compares" in refused(asked(home, battles[0].id, "--single"))
    assert "is for a judge that compares" in refused(run(home, "judge", "first", "--battle", battles[0].id))
    db.execute("INSERT INTO gold_pairs(battle, better, source) VALUES (?, 'a', 'file')", (battles[1].id,))
    db.conn.commit()
    assert "is a check question" in refused(asked(home, battles[1].id))
    assert battles[1].id not in [b.battle for b in voted_battles(db)]
    assert server.seen == []


def test_a_word_given_elsewhere_votes_on_this_battle_alone(home, db, server, far):
    create_campaign(db, "again", ("two", "one"), "questions:train", CampaignSettings())
    run(home, "judge", "first", "--with", "llm", "--model", "far")
    again = get_campaign(db, "again")
    voted(db, again, ["a"], raters=["ann"])
    battle = battles_of(db, again.id)[0]
    ran = asked(home, battle.id, campaign="again").json
    assert (ran["compared"], ran["verdicts"]) == (0, 1)
    [vote] = judge_votes(db, again.id)
    assert (vote.battle, {A: vote.model_a, B: vote.model_b}[vote.outcome]) == (battle.id, "one")
    assert [s.outcome for s in judges_on(db, battle.id)] == [vote.outcome]


def test_what_could_not_be_read_is_shown_until_it_is_asked_again(home, db, server, far):
    give_votes(db, votes=1)
    [one] = voted_battles(db)
    server.answer = lambda _text: "Both."
    assert asked(home, one.battle).json["errors"] == 1
    assert [s.outcome for s in judges_on(db, one.battle)] == [None]
    server.answer = polite
    assert asked(home, one.battle).json["compared"] == 0
    assert asked(home, one.battle, "--again").json["verdicts"] == 1
    assert [s.outcome for s in judges_on(db, one.battle)] == [A]


def test_the_queue_of_differing_battles_names_each_by_its_number(home, db):
    first = get_campaign(db, "first")
    run(home, "judge", "first", "--with", "length")
    battles = battles_of(db, first.id)
    voted(db, first, ["b"] * len(battles), raters=["ann"])
    [queue] = report(db, "first").differing
    longer = {
        b.id for b in battles
        if len(get_response(db, b.response_a).text) > len(get_response(db, b.response_b).text)
    }  # fmt: skip
    assert queue.first
    assert {d.battle for d in queue.first} == longer
    assert {d.battle for d in report(db).differing[0].first} == longer


def test_the_battle_last_voted_on_comes_first(home, db):
    first = get_campaign(db, "first")
    battles = battles_of(db, first.id)
    voted(db, first, ["a", "b", "tie"], raters=["ann"])
    assert [b.battle for b in voted_battles(db)] == [b.id for b in battles[2::-1]]
    assert [(b.battle, b.campaign, b.prompt) for b in voted_battles(db, "first", limit=1)] == [
        (battles[2].id, "first", "Question 2, please?")
    ]
    assert voted_battles(db, "nobody") == []


# -- which battle comes next -----------------------------------------------------------------------------------


def judged_of(db, campaign):
    """{place of the battle: what the machine judges say of it} as the sampling sees it."""
    places = {b.id: i for i, b in enumerate(battles_of(db, campaign.id))}
    found, _ = candidates(db, campaign, add_rater(db, f"asker-{len(places)}", RaterKind.PERSON), 100)
    return {places[c.battle]: c.judged for c in found}


@pytest.fixture
def sampled(db, home):
    """A campaign over the same responses, slots the other way round, that asks where judges disagree."""
    made = create_campaign(db, "sampled", ("two", "one"), "questions:train",
                           CampaignSettings(sampling=Sampling.JUDGE_DISAGREEMENT))  # fmt: skip
    mark_scanned(db, made.campaign.id)
    return made.campaign


def test_sampling_reads_judges_that_compare_as_well_as_scores(home, db, sampled, server, far, tmp_path):
    assert set(judged_of(db, sampled).values()) == {None}
    server.answer = lambda text: "VERDICT: A" if "Question 2," in text else polite(text)
    run(home, "judge", "first", "--with", "llm", "--model", "far")  # of another campaign: the responses count
    said = judged_of(db, sampled)
    assert (said.pop(2), set(said.values())) == (0.5, {0.0}), (
        "two stands in slot a here, and the judge prefers one"
    )
    battle = battles_of(db, sampled.id)[0]
    add_scores(db, [Score(battle.response_a, "rm", 50.0), Score(battle.response_b, "rm", 0.0)])
    assert judged_of(db, sampled)[0] == pytest.approx(0.5), "one judge for each"
    row = {"judge": "other", "prompt": "Question 1, please?", "model_a": "one", "model_b": "two", "winner": "model_b",
           "response_a": "Yes, thank you: 1.", "response_b": "No. Sorry 1"}  # fmt: skip
    path = tmp_path / "verdicts.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert import_file(home, ImportKind.VERDICTS, str(path), campaign="sampled").refused == 0
    assert judged_of(db, sampled)[1] == 0.5
    decide_rater(db, "llm far pair-1", counted=False, reason="to see")
    said = judged_of(db, sampled)
    assert (said[0], said[1], said[2]) == (pytest.approx(1.0), 1.0, None)


def test_a_judges_verdicts_make_no_battle_look_certain(home, db):
    made = create_campaign(db, "uncertain", ("two", "one"), "questions:train",
                           CampaignSettings(sampling=Sampling.MOST_UNCERTAIN))  # fmt: skip
    mark_scanned(db, made.campaign.id)
    run(home, "judge", "uncertain", "--with", "length")
    found, _ = candidates(db, made.campaign, add_rater(db, "asker", RaterKind.PERSON), 100)
    assert {(c.wins_a, c.wins_b, c.others) for c in found} == {(0, 0, 0)}
