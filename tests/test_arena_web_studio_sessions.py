"""The Campaigns tab around a session: links, the live card, the planner, as plain functions on small real homes."""

import base64
import re
from datetime import timedelta

import pytest

from arena.planning import Wish
from arena.web.pages.studio import campaigns, links, live, planner
from arena.web.sessions import now
from db.campaigns import set_status
from db.entities.campaigns import CampaignSettings, CampaignStatus
from db.errors import UserError
from db.raters import list_raters
from db.seats import list_seats
from tests.factories import NOW, make_home
from tests.test_arena_web_studio import acts_of, opened, plain
from tests.test_labeling_live import Person


@pytest.fixture
def small(tmp_path):
    """Two recorded models, forty prompts, one open campaign that wants every battle judged twice."""
    context = opened(make_home(tmp_path / "home", prompts=40, settings=CampaignSettings(overlap=2)))
    yield context
    context.writer.close()


# -- links -----------------------------------------------------------------------------------------------------


def test_invitations_are_links_one_a_line_and_each_is_a_seat(small):
    made = links.make(small, "first", links.EACH, 3, None)
    tokens = {
        re.fullmatch(r"http://127\.0\.0\.1:7860/join/([\w-]{32})", line)[1]
        for line in made.links.splitlines()
    }
    assert len(tokens) == 3
    assert "0 of 3" in campaigns.campaign_table(small)
    page = base64.b64decode(re.search(r"data:text/html;base64,([\w+/=]+)\"", made.beside)[1]).decode()
    assert all(token in page for token in tokens)
    assert page.count("<svg") == 3
    assert "this machine only" in made.beside
    assert acts_of(small) == ["invited 3 raters to first"]
    assert not any(token in links.seats_view(small, "first") for token in tokens), "made once, shown once"


def test_an_open_link_is_made_and_stopped(small):
    made = links.make(small, "first", links.ALL, 30, 7)
    assert len(made.links.splitlines()) == 1
    shown = plain(links.seats_view(small, "first"))
    assert "0 of 30 open" in shown
    assert "Nobody was invited yet." in shown
    _, chosen = links.choices(small, "first")
    (choice,) = (value for value, _ in chosen.choices)
    links.stop(small, "first", choice)
    assert "stopped" in plain(links.seats_view(small, "first"))
    assert links.choices(small, "first")[1].choices == []


def test_a_seat_gets_a_new_link_and_is_closed(small):
    links.make(small, "first", links.EACH, 1, None)
    (choice,) = (value for value, _ in links.choices(small, "first")[0].choices)
    assert choice == "1: rater-1 (waiting)"
    assert links.renew(small, "first", choice, None).links.startswith("http")
    assert "closed" in links.close(small, "first", choice)
    assert [s.revoked for s in list_seats(small.readers.get())] == [True]
    assert "closed" in plain(links.seats_view(small, "first"))


@pytest.mark.parametrize(("name", "n"), [(None, 3), ("first", 0), ("first", None), ("nowhere", 1)])
def test_what_cannot_be_invited_makes_nothing(small, name, n):
    for kind in (links.EACH, links.ALL):
        with pytest.raises(UserError):
            links.make(small, name, kind, n, None)
    assert list_seats(small.readers.get()) == []
    assert acts_of(small) == []


def test_a_seat_that_is_none_is_refused(small):
    for act in (lambda c: links.renew(small, "first", c, None), lambda c: links.close(small, "first", c),
                lambda c: links.stop(small, "first", c)):  # fmt: skip
        for choice in (None, "", "x", "9: nobody"):
            with pytest.raises(UserError):
                act(choice)


def test_a_rater_is_forgotten_from_the_studio_once_their_name_was_typed(small):
    links.make(small, "first", links.EACH, 1, None)
    for name, again in ((None, "rater-1"), ("rater-1", None), ("rater-1", "rater-2")):
        with pytest.raises(UserError):
            links.forget(small, name, again)
    assert [r.name for r in list_raters(small.readers.get())] == ["rater-1"]
    assert "withdrawn-1 stays" in links.forget(small, "rater-1", " rater-1 ")
    assert [r.name for r in list_raters(small.readers.get())] == ["withdrawn-1"]
    assert "rater-1" not in " ".join(acts_of(small))
    assert links.choices(small, "first")[0].choices == [], "nobody can be let in on that seat again"


# -- the live card ---------------------------------------------------------------------------------------------


def test_the_live_card_of_a_session_nobody_came_to_says_what_to_do(small):
    looks = live.Looks(small)
    assert "waits for its first rater. Invite people below." in plain(live.live_view(small, looks, "first"))
    small.writer.call(lambda db: set_status(db, "first", CampaignStatus.DRAFT))
    assert "Nobody has rated here yet." in plain(live.live_view(small, looks, "first"))
    assert live.live_view(small, looks, None) == live.live_view(small, looks, "gone") == ""


def test_the_live_card_shows_who_is_there_and_how_it_goes(small):
    def session(db):
        person, lazy = Person(db, at=now()), Person(db, at=now())
        for i in range(3):
            person.vote(now() - timedelta(seconds=40 - i))
        for i in range(25):
            lazy.vote(now() - timedelta(minutes=30, seconds=30 - i))

    small.writer.call(session)
    shown = live.live_view(small, live.Looks(small), "first")
    words = plain(shown)
    assert "Here now 1 asked or voted" in words
    assert "Votes a minute 0.6 the last hour: 28" in words
    assert "Votes 28 of 80" in words
    assert "Check questions right - none was answered yet" in words
    assert "Counted 100 % 28 of 28 stored" in words
    assert "1 rater flagged" in words
    assert re.search(r"rater-2 25 .*nearly always left pressed left 25 of 25 times", words)
    assert shown.count("<rect") == 2
    assert "28 votes in the last hour, at most 25 in a minute" in shown


def test_names_and_reasons_are_escaped(small):
    small.writer.call(lambda db: Person(db).vote(NOW))
    small.writer.call(lambda db: db.conn.execute("UPDATE raters SET name = '<b>x</b>'"))
    assert "<b>x</b>" not in live.live_view(small, live.Looks(small), "first")


def test_every_vote_is_read_seldom_however_often_one_looks(small):
    time = [0.0]
    looks = live.Looks(small, lambda: time[0])
    first = small.writer.call(lambda db: campaigns.get_campaign(db, "first"))
    person = small.writer.call(lambda db: Person(db))
    before = looks.at(first)
    small.writer.call(lambda db: person.vote(NOW))
    assert looks.at(first) is before
    time[0] = live.LOOK_EVERY + 1
    after = looks.at(first)
    assert after.counts.counted == 1
    time[0] += 2 * live.LOOK_EVERY
    assert looks.at(first) is after, "nothing new came in"
    time[0] += live.LONGEST_LOOK
    assert looks.at(first) is not after


def test_a_look_that_takes_long_is_followed_by_a_long_rest(small):
    ticks = iter((0.0, 4.0, 4.0, 100.0, 121.0, 125.0, 125.0, 125.0, 125.0))
    looks = live.Looks(small, lambda: next(ticks))
    first = small.writer.call(lambda db: campaigns.get_campaign(db, "first"))
    before = looks.at(first)  # takes four seconds
    small.writer.call(lambda db: Person(db).vote(NOW))
    assert looks.at(first) is before, "at 100 s"
    assert looks.at(first) is before, "at 121 s"
    assert looks.at(first) is not before


@pytest.mark.parametrize(
    ("past", "words"),
    [(timedelta(seconds=100), "just now"), (timedelta(minutes=5), "5 min ago"), (timedelta(hours=7), "7 hours ago"),
     (timedelta(days=3), "3 days ago")],
)  # fmt: skip
def test_how_long_ago_is_coarse(past, words):
    stamped = (NOW - past).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert live.ago(stamped, NOW) == words


# -- the planner -----------------------------------------------------------------------------------------------


def test_the_planner_reckons_and_says_what_is_wrong(small):
    grounds = planner.Grounds(small)
    words = plain(planner.plan_view(grounds, "first", planner.wish_of(70, 20, 12, 33, " EUR ", None)))
    assert "To see a 70:30 preference you need about" in words
    assert "EUR" in words
    assert "65:35" in words
    assert "Choose a campaign" in planner.plan_view(grounds, None, Wish())
    assert "Choose a campaign" in planner.plan_view(grounds, "gone", Wish())
    assert "1 to 100,000 people" in planner.plan_view(
        grounds, "first", planner.wish_of(60, None, None, None, None, None)
    )
    assert "no number is enough" in planner.plan_view(
        grounds, "first", planner.wish_of(52, 3, 0, 0, "", None)
    )


def test_the_ground_is_read_anew_only_where_something_changed(small):
    grounds = planner.Grounds(small)
    first = grounds.of("first")
    assert grounds.of("first") is first
    small.writer.call(lambda db: Person(db).vote(NOW))
    after = grounds.of("first")
    assert after is not first
    assert after.votes == 1


def test_a_child_reads_the_ground_of_a_large_campaign(small, monkeypatch):
    here = planner.Grounds(small).of("first")
    begun = []
    read = small.kept.read
    monkeypatch.setattr(small.kept, "read", lambda work, *args: begun.append(args) or read(work, *args))
    monkeypatch.setattr(planner, "LARGE", 0)
    assert planner.Grounds(small).of("first") == here
    assert [campaign.name for (campaign,) in begun] == ["first"]
    small.kept.close()
