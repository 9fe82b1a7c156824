"""Owners and viewers: links that work once, passwords that are kept as argon2id, one owner who always stays."""

import sqlite3
from datetime import timedelta

import argon2
import pytest

from db import audit, owners
from db.errors import Conflict, NotFound, Refused, UserError
from db.owners import OwnerRole
from db.sessions import session_of
from labeling import owners as way_in
from labeling.joining import hashed, session_from, stamp
from tests.factories import NOW

GOOD = "four words in a row"


def let_in(db, name, **options):
    """The session of someone new."""
    cookie = way_in.open_studio(db, way_in.add(db, name, now=NOW, **{"viewer": False, **options}), NOW)
    return session_from(db, cookie, NOW)


def done(db):
    return [(a.who, a.what) for a in audit.recent(db)][::-1]


# -- links -----------------------------------------------------------------------------------------------------


def test_a_home_begins_with_one_owner_without_a_password(db):
    (first,) = owners.list_owners(db)
    assert (first.name, first.role, first.has_password, first.browsers) == (
        "owner",
        OwnerRole.OWNER,
        False,
        0,
    )


def test_a_link_lets_its_owner_in_once_and_within_a_day(db):
    token = way_in.owner_link_token(db, NOW)
    cookie = way_in.open_studio(db, token, NOW)
    session = session_from(db, cookie, NOW)
    who = way_in.looker(db, session.id, NOW)
    assert (session.role, who.name, who.viewer) == ("owner", "owner", False)
    assert way_in.open_studio(db, token, NOW) is None
    late = way_in.owner_link_token(db, NOW)
    assert way_in.open_studio(db, late, NOW + timedelta(hours=way_in.OWNER_LINK_HOURS, seconds=1)) is None
    assert done(db) == [("owner", "logged in by a one-time link")]
    assert session_from(db, cookie, NOW + timedelta(days=way_in.OWNER_DAYS, seconds=1)) is None


def test_secrets_are_stored_as_hashes_only(db):
    token = way_in.owner_link_token(db, NOW)
    way_in.set_password(db, None, way_in.hash_of(GOOD, "owner"))
    cookie = way_in.open_studio(db, way_in.owner_link_token(db, NOW), NOW)
    dump = "\n".join(db.conn.iterdump())
    assert not [secret for secret in (token, cookie, GOOD) if secret in dump]
    assert hashed(cookie) in dump


def test_a_viewer_looks_and_does_not_act(db):
    viewer = let_in(db, "vera", viewer=True)
    who = way_in.looker(db, viewer.id, NOW)
    assert (who.name, who.viewer) == ("vera", True)
    assert way_in.looker(db, viewer.id, NOW).name == "vera"
    with pytest.raises(Refused, match="you are here as a viewer"):
        way_in.actor(db, viewer.id, NOW)
    anna = let_in(db, "anna")
    assert way_in.actor(db, anna.id, NOW).name == "anna"
    for nobody in (None, 999):
        with pytest.raises(Refused, match="your login has ended"):
            way_in.actor(db, nobody, NOW)


# -- who there is ----------------------------------------------------------------------------------------------


def test_a_name_is_one_persons_and_plain(db):
    way_in.add(db, " anna ", viewer=False, now=NOW)
    with pytest.raises(Conflict, match="is here already"):
        way_in.add(db, "anna", viewer=True, now=NOW)
    with pytest.raises(UserError, match="cannot be the name of a person"):
        way_in.add(db, "<b>", viewer=True, now=NOW)
    with pytest.raises(NotFound, match="nobody here is named 'nobody'"):
        way_in.owner_link_token(db, NOW, "nobody")


def test_who_is_removed_has_no_way_in_and_may_come_back_without_a_password(db):
    anna = let_in(db, "anna")
    way_in.set_password(db, "anna", way_in.hash_of(GOOD, "anna"), but=anna.id)
    waiting = way_in.owner_link_token(db, NOW, "anna")
    stored = owners.password_hash(db, "anna")
    owners.remove_owner(db, "anna")
    assert way_in.open_studio(db, waiting, NOW) is None
    assert way_in.log_in(db, "anna", stored, None, NOW) is None
    assert [o.name for o in owners.list_owners(db)] == ["owner"]
    with pytest.raises(Refused):
        way_in.actor(db, anna.id, NOW)
    back = let_in(db, "anna", viewer=True)
    assert way_in.looker(db, back.id, NOW).viewer
    assert owners.password_hash(db, "anna") is None


def test_the_last_owner_stays_whoever_asks(db):
    way_in.add(db, "vera", viewer=True, now=NOW)
    with pytest.raises(Conflict, match="is the last owner"):
        owners.remove_owner(db, "owner")
    for change in ("removed_at = '2026-01-01'", "role = 'viewer'"):
        with pytest.raises(sqlite3.IntegrityError, match="the last owner stays"):
            db.conn.execute(f"UPDATE owners SET {change} WHERE name = 'owner'")
    with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
        db.conn.execute("DELETE FROM owners WHERE name = 'vera'")
    way_in.add(db, "anna", viewer=False, now=NOW)
    owners.remove_owner(db, "owner")
    assert owners.get_owner(db).name == "anna", "a link without a name is the first owner's who is left"


# -- passwords -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["", "short", "x" * 11, "x" * 257, "aaaaaaaaaaaaaaaa", "the-owner-name"])
def test_a_password_that_is_easy_or_endless_is_refused(bad):
    with pytest.raises(UserError):
        way_in.hash_of(bad, "the-owner-name")


def test_a_password_is_kept_as_argon2id_and_checked(db):
    kept = way_in.hash_of(GOOD, "owner")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert kept != way_in.hash_of(GOOD, "owner"), "each hash has a salt of its own"
    assert way_in.checked(kept, GOOD) == (True, None)
    assert way_in.checked(kept, GOOD + " ") == (False, None)
    assert way_in.checked(None, GOOD) == (False, None)


def test_an_old_hash_is_made_anew_at_the_next_login(db):
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(GOOD)
    way_in.set_password(db, "owner", weak)
    found = way_in.checked(weak, GOOD)
    assert found.right
    cookie = way_in.log_in(db, "owner", weak, found.rehashed, NOW)
    assert way_in.looker(db, session_from(db, cookie, NOW).id, NOW).name == "owner"
    assert way_in.checked(owners.password_hash(db, "owner"), GOOD) == (True, None)
    assert way_in.log_in(db, "owner", weak, None, NOW) is None, "it is no longer the stored hash"


def test_an_unknown_name_is_checked_with_the_same_settings(db):
    nobodys = argon2.extract_parameters(way_in._nobodys_hash())
    assert nobodys == argon2.extract_parameters(way_in.hash_of(GOOD, "owner"))


def test_a_new_password_ends_other_browsers_and_links(db):
    here, there = (
        session_from(db, way_in.open_studio(db, way_in.owner_link_token(db, NOW), NOW), NOW) for _ in range(2)
    )
    waiting = way_in.owner_link_token(db, NOW)
    way_in.set_password(db, "owner", way_in.hash_of(GOOD, "owner"), but=here.id)
    assert way_in.actor(db, here.id, NOW).name == "owner"
    with pytest.raises(Refused):
        way_in.actor(db, there.id, NOW)
    assert way_in.open_studio(db, waiting, NOW) is None


def test_logging_out_here_and_everywhere(db):
    cookies = [way_in.open_studio(db, way_in.owner_link_token(db, NOW), NOW) for _ in range(3)]
    other = let_in(db, "anna")
    waiting = way_in.owner_link_token(db, NOW)
    assert way_in.log_out(db, session_from(db, cookies[0], NOW), NOW) == 1
    assert [session_from(db, c, NOW) is None for c in cookies] == [True, False, False]
    assert way_in.log_out(db, session_from(db, cookies[1], NOW), NOW, everywhere=True) == 2
    assert [session_of(db, hashed(c), stamp(NOW)) for c in cookies] == [None, None, None]
    assert way_in.open_studio(db, waiting, NOW) is None, "a link that was still out is spent too"
    assert way_in.actor(db, other.id, NOW).name == "anna"
    assert done(db)[-2:] == [("owner", "logged out"), ("owner", "logged out everywhere (2)")]


# -- the audit log ---------------------------------------------------------------------------------------------


def test_the_audit_log_is_searched_by_words_and_names_newest_first(db):
    for who, what in (("anna", "paused 50% of it"), ("rolf", "opened a_b"), ("anna", "opened aXb")):
        audit.note(db, who, what)
    assert [a.what for a in audit.recent(db, words="opened")] == ["opened aXb", "opened a_b"]
    assert [a.what for a in audit.recent(db, words="a_b")] == ["opened a_b"]
    assert [a.what for a in audit.recent(db, words="50%")] == ["paused 50% of it"]
    assert [a.what for a in audit.recent(db, words="ANNA")] == ["opened aXb", "paused 50% of it"]
    assert [a.what for a in audit.recent(db, 1)] == ["opened aXb"]
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.conn.execute("DELETE FROM audit")
