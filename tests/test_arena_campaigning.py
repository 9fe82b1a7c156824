"""A campaign's life: settings, versions, copies, check questions, on real homes."""

import json
import sqlite3

import pytest

from arena.campaigning import change, clone, create_campaign
from db.campaigns import find_campaign, get_campaign, list_campaigns
from db.checks import gold_count, gold_pairs_of
from db.connection import open_writer, transaction
from db.entities.campaigns import CampaignSettings, CampaignStatus, Purpose
from db.entities.catalog import Prompt
from db.errors import Conflict, UserError
from labeling import gold, joining, lending, rating
from labeling.submission import parse_submission
from tests.factories import NOW, make_home

LONG = "This answer number {} speaks at some length of matter {} and closes well."


@pytest.fixture
def home(tmp_path):
    return make_home(
        tmp_path / "home", prompts=12, answer=lambda model, i: f"{model[-3:]}: " + LONG.format(i, i * 7)
    )


@pytest.fixture
def db(home):
    opened = open_writer(home)
    yield opened
    opened.conn.close()


def voted(db, name="first"):
    """A vote in a campaign; the cookie of its rater."""
    cookie = joining.join(db, joining.invite(db, name, 1)[0].token, None, NOW)
    with transaction(db):
        ballot = lending.next_ballots(db, joining.session_from(db, cookie, NOW), 1, NOW).ballots[0]
        body = {"assignment": ballot.assignment, "choice": "left", "key": "k"}
        rating.cast_vote(db, joining.session_from(db, cookie, NOW), parse_submission(body), NOW)
    return cookie


def test_before_the_first_vote_everything_may_change_in_place(db):
    made = change(db, "first", {"criteria": "helpful", "overlap": "3"})
    assert not made.new_version
    assert get_campaign(db, "first").settings.criteria == ("helpful",)


def test_with_votes_the_frame_may_change_and_what_raters_see_makes_a_new_version(db):
    cookie = voted(db)
    assert not change(db, "first", {"ends_at": "2030-01-01", "target": "50"}).new_version
    made = change(db, "first", {"criteria": "truthful"})
    assert made.new_version
    old, new = get_campaign(db, "first"), made.campaign
    assert (new.name, new.version, new.status, new.lineage) == (
        "first v2",
        2,
        CampaignStatus.OPEN,
        old.lineage,
    )
    assert (old.status, old.settings.criteria) == (CampaignStatus.CLOSED, ())
    with transaction(db):
        ballot = lending.next_ballots(db, joining.session_from(db, cookie, NOW), 1, NOW).ballots[0]
    assert ballot.criteria == ("truthful",), "the same seat goes on in the new version"
    voted(db, "first v2")
    assert change(db, "first v2", {"criteria": ""}).campaign.name == "first v3"


def test_the_database_itself_refuses_to_change_a_campaign_with_votes(db):
    voted(db)
    with pytest.raises(sqlite3.IntegrityError, match="frozen"):
        db.execute("UPDATE campaigns SET guidelines = 'other' WHERE name = 'first'")


def test_the_purpose_is_not_changed_in_place(db):
    with pytest.raises(UserError, match="purpose"):
        change(db, "first", {"purpose": "evaluate"})


def test_a_clone_is_a_draft_with_the_same_settings_and_check_questions(db):
    change(db, "first", {"gold_rate": "0.1", "criteria": "helpful", "starts_at": "2026-01-01"})
    made = clone(db, "first", typed={"overlap": "5"})
    copy = made.campaign
    assert (copy.name, copy.status, copy.lineage != get_campaign(db, "first").lineage) == (
        "first copy",
        CampaignStatus.DRAFT,
        True,
    )
    assert (copy.settings.criteria, copy.settings.overlap, copy.settings.starts_at) == (("helpful",), 5, None)
    assert gold_pairs_of(db, copy.id)
    assert set(gold_pairs_of(db, copy.id)) == set(gold_pairs_of(db, get_campaign(db, "first").id))
    assert clone(db, "first").campaign.name == "first copy 2"
    with pytest.raises(Conflict):
        clone(db, "first", "first copy")


def test_a_campaign_that_wants_check_questions_gets_some(home, db):
    settings = CampaignSettings(gold_rate=0.1)
    made = create_campaign(home, db, "checked", ["model-one", "model-two"], "all", settings)
    assert gold_count(db, get_campaign(db, "checked").id) == 12
    assert any("12 check questions" in note for note in made.notes)
    for pair in gold_pairs_of(db, get_campaign(db, "checked").id):
        assert pair.good != pair.bad
        assert pair.good.split() != pair.bad.split()
    assert [c.name for c in list_campaigns(db)] == ["first", "checked"]


def test_check_questions_of_a_file(db, tmp_path):
    file = tmp_path / "gold.jsonl"
    rows = [
        {"prompt": "Two and two?", "chosen": "Four.", "rejected": "Five."},
        {"prompt": "Same?", "chosen": "x", "rejected": "x"},
    ]
    file.write_text("".join(json.dumps(r) + "\n" for r in rows) + "not json\n", encoding="utf-8")
    campaign = get_campaign(db, "first")
    assert gold.add_file(db, campaign, str(file)) == (1, 0, 2)
    assert gold.add_file(db, campaign, str(file)) == (0, 1, 2)
    assert [(p.good, p.bad) for p in gold_pairs_of(db, campaign.id)] == [("Four.", "Five.")]


def test_an_evaluation_takes_check_questions_of_held_out_prompts_only(home, db, tmp_path):
    made = make_home(
        tmp_path / "other", prompts=12, settings=CampaignSettings(purpose=Purpose.EVALUATE), split="heldout"
    )
    other = open_writer(made)
    campaign = get_campaign(other, "first")
    file = tmp_path / "gold.jsonl"
    file.write_text(
        json.dumps({"prompt": "New?", "chosen": "Yes, new.", "rejected": "No"}) + "\n", encoding="utf-8"
    )
    assert gold.add_file(other, campaign, str(file)).added == 1
    split = other.execute(
        "SELECT split FROM prompts WHERE id = ?", (Prompt.of([{"role": "user", "content": "New?"}]).id,)
    )
    assert split.fetchone() == ("heldout",)
    other.conn.close()


def test_answers_too_short_to_spoil_are_said_so(tmp_path):
    home = make_home(tmp_path / "short", answer=lambda model, i: f"{model[-1]}{i}")
    db = open_writer(home)
    with pytest.raises(UserError, match="long enough"):
        gold.add_spoiled(db, get_campaign(db, "first"), 5)
    assert change(db, "first", {"gold_rate": "0.2"}).notes[0].startswith("no check questions could be made")
    db.conn.close()


def test_nothing_is_left_of_a_change_that_does_not_fit(db):
    voted(db)
    with pytest.raises(UserError):
        change(db, "first", {"criteria": "x", "overlap": "0"})
    assert find_campaign(db, "first v2") is None
