"""The live view of a session, on real votes with a clock that the test holds."""

import json
from datetime import timedelta

import pytest

from db import live as reading
from db.campaigns import get_campaign, set_status
from db.catalog import add_prompts
from db.checks import GoldPair, add_gold_pairs
from db.connection import transaction
from db.entities.campaigns import CampaignSettings, CampaignStatus
from db.entities.catalog import Prompt, Split
from db.entities.votes import Choice
from db.raters import decide_rater, list_raters
from labeling import joining, lending, live, rating
from labeling.live import look, pulse, time_left
from labeling.submission import parse_submission
from tests.factories import NOW, make_home
from tests.workshop import run

MINUTE = timedelta(minutes=1)


class Person:
    """A rater who asks and votes when the test says so."""

    def __init__(self, db, campaign="first", at=NOW):
        self.db = db
        self.cookie = joining.join(db, joining.invite(db, campaign, 1)[0].token, None, at)
        self.given = 0

    def ask(self, at):
        with transaction(self.db):
            return lending.next_ballots(
                self.db, joining.session_from(self.db, self.cookie, at), 1, at, None
            ).ballots

    def vote(self, at, choice="left"):
        (ballot,) = self.ask(at)
        self.given += 1
        body = {
            "assignment": ballot.assignment,
            "choice": choice,
            "key": f"{id(self)}-{self.given}",
            "elapsed_ms": 9000,
        }
        with transaction(self.db):
            session = joining.session_from(self.db, self.cookie, at)
            rating.cast_vote(self.db, session, parse_submission(body), at)
        return ballot

    def undo(self, ballot, at):
        with transaction(self.db):
            rating.undo(self.db, joining.session_from(self.db, self.cookie, at), ballot.assignment, at)


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path / "home", prompts=40, settings=CampaignSettings(overlap=2))


def first(db):
    return get_campaign(db, "first")


def test_nobody_there_is_calm(db, home):
    now = pulse(db, first(db), NOW)
    assert (now.online, now.votes_a_minute, now.raters, now.last_vote) == (0, 0.0, (), None)
    assert now.last_hour == (0,) * 60
    assert (now.covered.battles, now.covered.votes, now.covered.wanted) == (40, 0, 80)
    assert (now.gold.answered, now.minutes_left) == (0, None)
    assert time_left(now) == "no votes are coming in"
    assert look(db, first(db)).flags == {}
    assert pulse(db, first(db), NOW + MINUTE) == now, "nothing moves where nothing happens"


def test_who_is_there_asked_or_voted_in_the_last_two_minutes(db, home):
    voted, asked, gone = Person(db), Person(db), Person(db)
    gone.vote(NOW)
    voted.ask(NOW + 6 * MINUTE)  # the ballot is held from here on
    voted.vote(NOW + 10 * MINUTE)
    asked.ask(NOW + 11 * MINUTE)
    now = pulse(db, first(db), NOW + 11.5 * MINUTE)
    assert now.online == 2
    assert [(r.rater, r.online, r.votes) for r in now.raters] == [
        ("rater-2", True, 0),
        ("rater-1", True, 1),
        ("rater-3", False, 1),
    ]
    assert now.raters[2].last_seen == "2026-01-02T03:04:05.000Z"
    later = pulse(db, first(db), NOW + 13.5 * MINUTE)
    assert later.online == 0


def test_pace_is_of_the_last_five_minutes_and_the_hour_is_in_minutes(db, home):
    person = Person(db)
    for minute in (0, 20, 57, 58, 58.5):
        person.vote(NOW + minute * MINUTE)
    now = pulse(db, first(db), NOW + 59.9 * MINUTE)
    assert now.votes_a_minute == pytest.approx(3 / 5)
    assert now.minutes_left == pytest.approx((80 - 5) / (3 / 5))
    assert [i for i, n in enumerate(now.last_hour) if n] == [0, 20, 57, 58]
    assert sum(now.last_hour) == 5
    assert now.last_hour[58] == 2
    assert sum(pulse(db, first(db), NOW + 61 * MINUTE).last_hour) == 4, "the first one is over an hour ago"


def test_whoever_holds_a_seat_and_asked_for_nothing_here_is_not_listed(db, home):
    joining.owner_invitation(db)
    cookie = joining.join(db, joining.invite(db, "first", 1)[0].token, None, NOW)
    with transaction(db):
        joining.take_seat(db, joining.session_from(db, cookie, NOW))
    assert pulse(db, first(db), NOW).raters == ()


def test_skips_and_votes_taken_back_bring_the_target_no_nearer(db, home):
    person = Person(db)
    person.vote(NOW)
    person.vote(NOW + MINUTE, choice=Choice.SKIP.value)
    back = person.vote(NOW + 2 * MINUTE)
    person.undo(back, NOW + 2 * MINUTE)
    now = pulse(db, first(db), NOW + 3 * MINUTE)
    assert now.covered.votes == 1
    assert now.votes_a_minute == pytest.approx(1 / 5)


def test_the_target_is_met(db, home):
    db.conn.execute("UPDATE campaigns SET target = 2")
    people = [Person(db), Person(db)]
    for person in people:
        person.vote(NOW)
    now = pulse(db, first(db), NOW)
    assert now.minutes_left == 0.0
    assert time_left(now) == "the target is met"


def test_check_questions_of_the_session(db, home):
    asked = [Prompt.of([{"role": "user", "content": f"Check {i}?"}], Split.TRAIN) for i in range(8)]
    add_prompts(db, asked)
    add_gold_pairs(db, first(db), [GoldPair(p.id, "the good one", "the bad one") for p in asked], "file")
    db.conn.execute("UPDATE campaigns SET gold_rate = 0.5")
    person = Person(db)
    right = wrong = 0
    for i in range(30):
        (ballot,) = person.ask(NOW + i * MINUTE)
        knows = "good" in ballot.left + ballot.right
        press = (
            ("left" if "good" in ballot.left else "right")
            if i % 3
            else ("right" if "good" in ballot.left else "left")
        )
        right, wrong = right + (knows and i % 3 > 0), wrong + (knows and i % 3 == 0)
        person.vote(NOW + i * MINUTE, press)
    now = pulse(db, first(db), NOW + 30 * MINUTE)
    assert now.gold == (right, right + wrong)
    assert right + wrong == 8
    assert now.covered.votes == 30 - 8, "check questions cover no battle"
    assert now.raters[0].votes == 30
    decide_rater(db, "rater-1", counted=False, reason="a test")
    assert pulse(db, first(db), NOW).gold == (0, 0)


def test_a_look_raises_flags_with_their_reasons(db, home):
    person, other = Person(db), Person(db)
    for i in range(30):
        person.vote(NOW + i * MINUTE, "left")
    other.vote(NOW)
    seen = look(db, first(db))
    assert list(seen.flags) == ["rater-1"]
    assert any("pressed left 30 of 30 times" in f.reason for f in seen.flags["rater-1"])
    assert seen.counts.counted == 31
    said = live.document(pulse(db, first(db), NOW + 30 * MINUTE), seen)
    (row,) = (r for r in said["raters"] if r["rater"] == "rater-1")
    assert row["flags"] == [f.flag.value for f in seen.flags["rater-1"]]
    assert said["counted_share"] == 1.0
    decide_rater(db, "rater-1", counted=False, reason="only left")
    assert live.counted_share(look(db, first(db))) == pytest.approx(1 / 31)
    assert {r.rater: r.excluded for r in pulse(db, first(db), NOW).raters}["rater-1"] == "only left"


def test_an_alarm_rises_where_votes_stop_counting(db, home):
    db.conn.execute("UPDATE campaigns SET overlap = 4")
    people = [Person(db) for _ in range(4)]
    for i in range(60):
        people[i % 2].vote(NOW + i * MINUTE / 4, "left" if i % 3 else "right")
    assert look(db, first(db)).alarm is None
    for i in range(20):
        people[2 + i % 2].vote(NOW + 20 * MINUTE + i * MINUTE / 4)
    assert look(db, first(db)).alarm is None, "80 votes are too few to hold 50 beside those before"
    for i in range(40):
        people[2 + i % 2].vote(NOW + 30 * MINUTE + i * MINUTE / 4)
    assert look(db, first(db)).alarm is None
    for name in ("rater-3", "rater-4"):
        decide_rater(db, name, counted=False, reason="a test")
    seen = look(db, first(db))
    assert "of the last 50 votes count" in seen.alarm
    assert live.counted_share(seen) == pytest.approx(60 / 120)
    assert "ALARM: Only" in run(home, "campaign", "live", "first").out


def test_other_campaigns_judges_and_imports_are_not_there(db, home):
    run(home, "campaign", "create", "second", "--models", "model-one,model-two", "--prompts", "all")
    person = Person(db, "second")
    person.vote(NOW)
    assert pulse(db, first(db), NOW).online == 0
    assert pulse(db, first(db), NOW).raters == ()
    assert pulse(db, get_campaign(db, "second"), NOW).online == 1


def test_the_terminal_shows_the_session(db, home):
    person = Person(db)
    person.vote(NOW)
    made = run(home, "campaign", "live", "first", "--json").json
    assert made["coverage"] == {"battles": 40, "votes": 1, "wanted": 80}
    assert made["raters"][0] == {
        "rater": "rater-1", "simulated": False, "votes": 1, "online": False, "last_seen": "2026-01-02T03:04:05.000Z",
        "excluded": None, "flags": [], "reasons": [],
    }  # fmt: skip
    set_status(db, "first", CampaignStatus.PAUSED)
    plain = run(home, "campaign", "live", "first").out
    assert "first: paused, 0 here now" in plain
    assert "1 of 80 votes" in plain
    assert "rater-1" in plain
    assert json.dumps(made)
    assert reading.newest_vote(db, 1) == 1
    assert [r.name for r in list_raters(db)] == ["rater-1"]
