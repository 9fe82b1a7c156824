"""Open links, participants of crowd platforms, and withdrawal, on real homes."""

import sqlite3

import pytest

from db import open_links
from db.connection import open_writer, transaction
from db.counting import counts
from db.entities.campaigns import Recruit
from db.entities.votes import RaterKind
from db.errors import Conflict, NotFound, Refused
from db.raters import get_rater, list_raters
from db.seats import list_seats, revoke_seat
from db.upkeep import check
from db.votes import counted_votes
from labeling import briefing, joining, lending, rating
from labeling.submission import Malformed, parse_submission
from tests.factories import NOW, make_home

PID = "5f1b2c3d4e5f6a7b8c9d0e1f"


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path / "home")


@pytest.fixture
def db(home):
    opened = open_writer(home)
    yield opened
    opened.conn.close()


def session(db, cookie):
    return joining.session_from(db, cookie, NOW)


def begin(db, cookie):
    """The first ballot, which takes the seat."""
    with transaction(db):
        return lending.next_ballots(db, session(db, cookie), 1, NOW).ballots[0]


def prolific(worker=PID, **more):
    return joining.recruited_from(
        {"PROLIFIC_PID": worker, "STUDY_ID": "study1", "SESSION_ID": "sess1", **more}
    )


def recruiting(db, recruit=Recruit.PROLIFIC):
    db.execute("UPDATE campaigns SET recruit = ?", (recruit,))
    db.conn.commit()


def test_each_browser_gets_a_seat_of_its_own_until_they_are_taken(db):
    token = joining.invite_openly(db, "first", 2).token
    cookies = [joining.join(db, token, None, NOW) for _ in range(3)]
    assert joining.join(db, token, cookies[0], NOW) == cookies[0], "the same browser keeps its seat"
    assert len({session(db, c).rater for c in cookies}) == 3
    for cookie in cookies[:2]:
        begin(db, cookie)
    with pytest.raises(Refused, match="full"):
        begin(db, cookies[2])
    with pytest.raises(Conflict, match="full"):
        joining.join(db, token, None, NOW)
    link = open_links.links_of(db, 1)[0]
    assert (link.seats, link.taken) == (2, 2)
    begin(db, cookies[0])


def test_looking_at_an_open_link_takes_no_seat(db):
    token = joining.invite_openly(db, "first", 1).token
    for _ in range(5):
        joining.join(db, token, None, NOW)
    assert open_links.links_of(db, 1)[0].taken == 0
    begin(db, joining.join(db, token, None, NOW))


def test_a_revoked_or_expired_open_link_lets_nobody_new_in(db):
    made = joining.invite_openly(db, "first", 5)
    cookie = joining.join(db, made.token, None, NOW)
    begin(db, cookie)
    open_links.revoke_link(db, 1, made.link)
    with pytest.raises(NotFound):
        joining.join(db, made.token, None, NOW)
    begin(db, cookie)
    late = joining.invite_openly(db, "first", 5, expires_at="2026-01-01T00:00:00.000Z")
    with pytest.raises(NotFound):
        joining.join(db, late.token, None, NOW)
    with pytest.raises(NotFound):
        open_links.revoke_link(db, 1, 99)


def test_a_personal_link_past_its_end_is_no_good(db):
    made = joining.invite(db, "first", 1, expires_at="2026-01-01T00:00:00.000Z")[0]
    with pytest.raises(NotFound):
        joining.join(db, made.token, None, NOW)


def test_a_participant_comes_back_to_the_same_seat_from_another_browser(db):
    recruiting(db)
    token = joining.invite_openly(db, "first", 3).token
    first = joining.join(db, token, None, NOW, prolific())
    ballot = begin(db, first)
    second = joining.join(db, token, None, NOW, prolific())
    assert session(db, second).rater == session(db, first).rater
    assert begin(db, second) == ballot
    assert joining.join(db, token, None, NOW, prolific("a" * 24)) != second
    assert open_links.links_of(db, 1)[0].taken == 1


def test_a_study_of_a_platform_is_for_its_participants(db):
    recruiting(db)
    token = joining.invite_openly(db, "first", 3).token
    with pytest.raises(Refused, match="Prolific"):
        joining.join(db, token, None, NOW)


def test_what_the_platforms_say_is_kept_with_the_rater_and_nothing_else(db):
    recruiting(db, Recruit.MTURK)
    token = joining.invite_openly(db, "first", 3).token
    found = joining.recruited_from(
        {"workerId": "A1B2C3", "assignmentId": "3XYZ", "hitId": "4HIT", "x": "<script>"}
    )
    joining.join(db, token, None, NOW, found)
    kept = db.execute("SELECT external FROM raters WHERE external IS NOT NULL").fetchall()
    assert kept == [('{"assignmentId": "3XYZ", "hitId": "4HIT", "workerId": "A1B2C3"}',)]


@pytest.mark.parametrize("query", [
    {}, {"PROLIFIC_PID": ""}, {"PROLIFIC_PID": "{{%PROLIFIC_PID%}}"}, {"PROLIFIC_PID": "a b c d e"}, {"workerId": "x" * 99},
    {"STUDY_ID": "abcdef"},
])  # fmt: skip
def test_what_is_no_participant_is_none(query):
    assert joining.recruited_from(query) is None


# -- withdrawing -----------------------------------------------------------------------------------------------


def withdrawn(db):
    """A participant who voted with texts and withdrew; their cookie and old name."""
    recruiting(db)
    token = joining.invite_openly(db, "first", 3).token
    cookie = joining.join(db, token, None, NOW, prolific())
    ballot = begin(db, cookie)
    body = {"assignment": ballot.assignment, "choice": "left", "key": "k", "comment": "I am Ada, ada@x.example",
            "better": "My own words.", "reason": "because"}  # fmt: skip
    with transaction(db):
        rating.cast_vote(db, session(db, cookie), parse_submission(body), NOW)
    name = list_raters(db)[-1].name
    with transaction(db):
        assert briefing.withdraw(db, session(db, cookie)) == {"withdrawn": True}
    return cookie, name, token


def test_what_identifies_goes_and_a_tombstone_stays(db, home):
    cookie, name, token = withdrawn(db)
    with pytest.raises(NotFound):
        get_rater(db, name)
    rater = list_raters(db)[-1]
    assert (rater.name, rater.kind, rater.excluded) == (f"withdrawn-{rater.id}", RaterKind.PERSON, "withdrew")
    dump = "\n".join(line for line in db.conn.iterdump() if 'INSERT INTO "responses"' not in line)
    for trace in (PID, "study1", "Ada", "because", joining.hashed(token + "x")):
        assert trace not in dump
    assert session(db, cookie) is None
    assert [s.revoked for s in list_seats(db) if s.rater == rater.name] == [True]
    assert counts(db, 1).excluded == {"withdrawn": 1}
    assert list(counted_votes(db, 1)) == []
    assert check(home) == []


def test_whoever_withdrew_may_come_again_as_somebody_new(db):
    _, name, token = withdrawn(db)
    again = joining.join(db, token, None, NOW, prolific())
    assert (
        get_rater(db, name.replace(name.rpartition("-")[2], str(session(db, again).rater))).id
        == session(db, again).rater
    )


def test_a_vote_of_who_did_not_withdraw_cannot_be_changed(db):
    cookie = joining.join(db, joining.invite(db, "first", 1)[0].token, None, NOW)
    ballot = begin(db, cookie)
    with transaction(db):
        body = {"assignment": ballot.assignment, "choice": "left", "key": "k", "comment": "kept"}
        rating.cast_vote(db, session(db, cookie), parse_submission(body), NOW)
    for change in ("comment = NULL", "outcome = 'tie'"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(f"UPDATE votes SET {change}")
    with transaction(db):
        briefing.withdraw(db, session(db, cookie))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute("UPDATE votes SET outcome = 'tie'")


def test_the_owner_does_not_withdraw(db):
    made = joining.owner_invitation(db)
    cookie = joining.join(db, made.token, None, NOW)
    with pytest.raises(Conflict):
        briefing.withdraw(db, session(db, cookie))


# -- whose place is whose --------------------------------------------------------------------------------------


def test_a_platforms_id_alone_opens_nobodys_place(db):
    """A worker's id is not secret; the session on the platform is."""
    recruiting(db)
    token = joining.invite_openly(db, "first", 3).token
    begin(db, joining.join(db, token, None, NOW, prolific()))
    for stranger in (prolific(SESSION_ID="another"), joining.recruited_from({"PROLIFIC_PID": PID})):
        with pytest.raises(Refused, match="another session"):
            joining.join(db, token, None, NOW, stranger)


def test_who_lost_their_place_to_their_other_browser_gets_it_back_by_the_link(db):
    recruiting(db)
    token = joining.invite_openly(db, "first", 3).token
    first = joining.join(db, token, None, NOW, prolific())
    begin(db, first)
    begin(db, joining.join(db, token, None, NOW, prolific()))
    back = joining.join(db, token, first, NOW, prolific())
    assert back != first
    assert begin(db, back)


def test_a_browser_that_somebody_else_used_gives_the_next_one_their_own_place(db):
    recruiting(db)
    token = joining.invite_openly(db, "first", 3).token
    one = joining.join(db, token, None, NOW, prolific())
    begin(db, one)
    other = joining.join(db, token, one, NOW, prolific("e" * 24, SESSION_ID="sess2"))
    assert session(db, other).rater != session(db, one).rater


def test_another_platforms_id_is_none_here(db):
    recruiting(db)
    token = joining.invite_openly(db, "first", 3).token
    with pytest.raises(Refused, match="Prolific"):
        joining.join(
            db, token, None, NOW, joining.recruited_from({"workerId": "A1B2C3", "assignmentId": "3XYZ"})
        )


def test_one_worker_has_one_place_whichever_link_they_use_and_none_once_it_is_closed(db):
    recruiting(db)
    first, second = (joining.invite_openly(db, "first", 3).token for _ in range(2))
    one = joining.join(db, first, None, NOW, prolific())
    begin(db, one)
    same = joining.join(db, second, None, NOW, prolific())
    assert session(db, same).rater == session(db, one).rater
    revoke_seat(db, session(db, one).seat)
    for token in (first, second):
        with pytest.raises(Refused, match="closed"):
            joining.join(db, token, None, NOW, prolific())


def test_a_second_browser_with_the_link_can_neither_withdraw_nor_agree_nor_read(db):
    token = joining.invite(db, "first", 1)[0].token
    holder, other = joining.join(db, token, None, NOW), joining.join(db, token, None, NOW)
    begin(db, holder)
    for act in (
        lambda: briefing.withdraw(db, session(db, other)),
        lambda: joining.agree(db, session(db, other), "x"),
        lambda: briefing.briefing(db, session(db, other), None, NOW),
    ):
        with pytest.raises(Refused, match="another browser"):
            act()
    assert begin(db, holder)


def test_only_a_text_that_was_shown_can_be_agreed_to_and_its_own_version_is_stored(db):
    db.execute("UPDATE campaigns SET consent_text = 'We keep them.', consent_version = 'v1'")
    db.conn.commit()
    cookie = joining.join(db, joining.invite(db, "first", 1)[0].token, None, NOW)
    with pytest.raises(Malformed):
        joining.agree(db, session(db, cookie), "garbage")
    joining.agree(db, session(db, cookie), "v1")
    ballot = begin(db, cookie)
    with transaction(db):
        body = {"assignment": ballot.assignment, "choice": "left", "key": "k"}
        rating.cast_vote(db, session(db, cookie), parse_submission(body), NOW)
    assert db.execute("SELECT consent_version FROM votes").fetchone() == ("v1",)
