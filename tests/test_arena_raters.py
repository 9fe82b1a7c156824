"""Raters as the owner sees them, from a real database: figures, one rater's ballots, the list, and the alarm."""

import json
import random

import pytest

from arena.raters import ballots_of, counted_alarms, rater_listing, rater_rows
from arena.report import report
from db.assignments import get_assignment
from db.entities.campaigns import CampaignSettings
from db.entities.votes import BallotKind
from db.errors import NotFound
from db.raters import decide_rater
from labeling.flags import Flag
from labeling.quality import DAWID_SKENE
from tests.test_labeling_lending import Session

CHECKED = CampaignSettings(overlap=4, gold_rate=0.1, repeat_rate=0.1)
READERS, LEFTY, DICE = ("rater-1", "rater-2", "rater-3"), "rater-4", "rater-5"


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Three who read, one who presses left, one who throws dice: 40 ballots each, in turn."""
    made = Session(tmp_path_factory.mktemp("raters"), CHECKED, prompts=50, gold=12)
    raters = [made.rater() for _ in range(5)]
    dice = random.Random(4)
    for _ in range(40):
        for n, rater in enumerate(raters):
            ballot = rater.next().ballots[0]
            lent = get_assignment(made.db, ballot.assignment)
            better = "a" if lent.battle % 3 else "b"
            reads = "left" if lent.left_is == better else "right"
            if lent.kind is BallotKind.GOLD:
                reads = rater.right_side(ballot)
            choice = "left" if n == 3 else dice.choice(("left", "right", "tie")) if n == 4 else reads
            rater.vote(ballot, choice, elapsed_ms=6000)
    return made


def test_readers_are_left_alone_and_the_others_marked_with_the_reason(session):
    found = {r.rater: r for r in report(session.db, "first").raters}
    assert [found[name].flags for name in READERS] == [(), (), ()]
    assert Flag.LEFT in found[LEFTY].flags
    assert found[LEFTY].reasons[0].startswith("pressed left 40 of 40")
    assert Flag.RANDOM in found[DICE].flags
    assert "known answers" in found[DICE].reasons[-1]


def test_figures_of_check_questions_and_of_the_others(session):
    found = {r.rater: r for r in report(session.db, "first").raters}
    reader = found[READERS[0]]
    assert (reader.gold_accuracy, reader.self_consistency) == (1.0, 1.0)
    assert reader.agreement > 0.6
    assert 3 <= reader.gold_n <= 5
    assert 3 <= reader.self_consistency_n <= 5
    assert reader.votes == 40 - reader.gold_n - reader.self_consistency_n
    assert found[LEFTY].self_consistency == 0, "left both times is another answer the second time"
    assert reader.information_by == DAWID_SKENE
    assert reader.information > 0.5 > found[DICE].information


def test_excluding_and_including_again_moves_the_figures_and_back(session):
    before = report(session.db, "first").robustness[0]
    assert before.counted == before.with_excluded
    assert before.without_flagged.n < before.counted.n
    decide_rater(session.db, LEFTY, counted=False, reason="always left")
    out = report(session.db, "first").robustness[0]
    assert out.counted.n < before.counted.n
    assert out.with_excluded == before.counted
    rows = {r.name: r for r in rater_rows(session.db)}
    assert rows[LEFTY].excluded == "always left"
    assert Flag.LEFT in rows[LEFTY].figures.flags, "the figures of who is left out are still there"
    decide_rater(session.db, LEFTY, counted=True, reason="looked again")
    assert report(session.db, "first").robustness[0] == before
    assert [d.reason for d in ballots_of(session.db, LEFTY).decisions] == ["always left", "looked again"]


def test_one_rater_ballot_by_ballot(session):
    found = ballots_of(session.db, READERS[0]).votes
    assert len(found) == 40
    assert [v.vote for v in found] == sorted((v.vote for v in found), reverse=True)
    gold = [v for v in found if v.kind == "gold"]
    assert gold
    assert all(v.outcome == v.better and v.state == "known answer" for v in gold)
    again = [v for v in found if v.kind == "repeat"]
    assert again
    assert all(v.outcome == v.before and v.state == "repeat" for v in again)
    with pytest.raises(NotFound):
        ballots_of(session.db, "nobody")


def test_the_list_is_json_with_figures_where_there_are_any(session):
    session.rater()
    rows = json.loads(json.dumps(rater_listing(session.db)))
    assert rows[0]["flags"] == []
    assert rows[3]["flags"][0] == "nearly always left"
    assert "flags" not in rows[-1], "who has not voted has no figures"


def test_the_alarm_rises_when_many_votes_of_late_do_not_count(session):
    assert counted_alarms(session.db) == []
    for name in (LEFTY, DICE):
        decide_rater(session.db, name, counted=False, reason="a try")
    assert counted_alarms(session.db) == [], "left out all along, so nothing dropped"
    for name in (LEFTY, DICE):
        decide_rater(session.db, name, counted=True, reason="tried")


def test_the_alarm_names_the_campaign_and_both_shares(tmp_path):
    session = Session(tmp_path, CampaignSettings(overlap=2), prompts=60)
    for _ in range(2):
        rater = session.rater()
        while rater.next().ballots:
            rater.vote(rater.next().ballots[0])
    assert counted_alarms(session.db) == []
    decide_rater(session.db, "rater-2", counted=False, reason="a try")
    (alarm,) = counted_alarms(session.db)
    assert alarm.campaign == "first"
    assert "Only 0 % of the last 50 votes count; before it was 86 %" in alarm.found.words
