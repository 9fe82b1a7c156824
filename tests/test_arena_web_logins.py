"""Logging in over HTTP: by token or password, braked by address and by name, noted without saying from where."""

import asyncio
import threading

import argon2
import pytest

from arena.web.sessions import BadTries, Logins, now
from db import audit, owners
from db.connection import open_reader
from labeling import owners as way_in
from tests.factories import make_home
from tests.serving import Running, awaited, running

GOOD, WRONG = "four words in a row", "four other words here"
QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)


@pytest.fixture
def web(tmp_path):
    """A served home whose owner has a password, and a viewer who has none."""
    with running(make_home(tmp_path / "home")) as served:
        served.writer.call(lambda db: way_in.set_password(db, "owner", QUICK.hash(GOOD)))
        served.writer.call(lambda db: way_in.add(db, "vera", viewer=True, now=now()))
        yield served


def acts(web: Running):
    return [(a.who, a.what) for a in web.writer.call(audit.recent)]


def log_in(client, **body):
    return client.post("/api/login", json=body)


def test_a_name_and_its_password_open_the_studio(web):
    client = web.client()
    answer = log_in(client, name=" owner ", password=GOOD)
    assert (answer.status_code, answer.json()) == (200, {"next": "/studio/"})
    assert client.get("/studio/").status_code == 200
    assert acts(web)[0] == ("owner", "logged in by password")
    again = web.writer.call(lambda db: owners.password_hash(db, "owner"))
    assert "m=65536,t=3,p=4" in again, "the hash was made anew with today's settings"


def test_wrong_unknown_and_none_are_told_the_same(web):
    for name, password in (("owner", WRONG), ("nobody", GOOD), ("vera", GOOD)):
        answer = log_in(web.client(), name=name, password=password)
        assert (answer.status_code, answer.json()) == (401, {"error": "the name or the password is wrong"}), (
            name
        )


def test_a_body_that_is_no_login_names_its_field(web):
    for body in ({}, {"name": "owner"}, {"password": GOOD}, {"name": 1, "password": GOOD}, {"name": "owner", "password": ""},
                 {"name": "x" * 81, "password": GOOD}, {"name": "owner", "password": "x" * 257}, {"token": None}):  # fmt: skip
        answer = log_in(web.client(), **body)
        assert answer.status_code == 422, body
        assert answer.json()["field"] in ("token", "name", "password")


def test_ten_wrong_passwords_by_one_name_brake_that_name_and_not_the_links(web):
    web.app.state.web.tries.LIMIT = 1000  # as if each came from an address of its own
    client = web.client()
    for _ in range(BadTries.LIMIT):
        assert log_in(client, name="nobody", password=WRONG).status_code == 401
    assert log_in(client, name="nobody", password=WRONG).status_code == 429
    assert log_in(client, name="owner", password=GOOD).status_code == 200
    token = web.writer.call(lambda db: way_in.owner_link_token(db, now()))
    assert log_in(client, token=token).status_code == 200


def test_ten_wrong_tries_brake_an_address_whatever_it_tries(web):
    client = web.client()
    for n in range(BadTries.LIMIT):
        wrong = {"token": f"wrong{n}"} if n % 2 else {"name": f"name{n}", "password": WRONG}
        assert log_in(client, **wrong).status_code == 401
    token = web.writer.call(lambda db: way_in.owner_link_token(db, now()))
    for body in ({"token": token}, {"name": "owner", "password": GOOD}):
        answer = log_in(client, **body)
        assert (answer.status_code, "wait a minute" in answer.json()["error"]) == (429, True)


def test_failed_logins_are_counted_and_nothing_of_them_is_kept(tmp_path):
    home = make_home(tmp_path / "home")
    with running(home) as web:
        client = web.client()
        log_in(client, name="their-own-secret", password=WRONG)
        for n in range(2):
            log_in(client, token=f"a-token-of-nobody-{n}")
    kept = "\n".join(open_reader(home).conn.iterdump())
    said = [what for who, what in acts_in(home) if who == "(nobody)"]
    assert sum({"once": 1, "2": 2, "3": 3}[what.split()[4]] for what in said) == 3, said
    assert not [s for s in ("their-own-secret", WRONG, "a-token-of-nobody", "127.0.0.1") if s in kept]


def acts_in(home):
    return [(a.who, a.what) for a in audit.recent(open_reader(home))]


def test_so_many_passwords_at_once_are_not_taken():
    async def crowd():
        logins, go = Logins(), threading.Event()
        tasks = [asyncio.create_task(logins.slowly(go.wait)) for _ in range(Logins.MOST_WAITING)]
        assert not logins.crowded
        await asyncio.sleep(0)
        crowded = logins.crowded
        go.set()
        await asyncio.gather(*tasks)
        left = logins.crowded
        logins.close()
        return crowded, left

    assert awaited(crowd()) == (True, False)


def test_logging_out_here_leaves_the_others_and_everywhere_leaves_none(web):
    clients = [web.owner() for _ in range(3)]
    assert clients[0].post("/api/logout", json={}).json() == {"next": "/login/"}
    assert [c.get("/studio/").status_code for c in clients] == [303, 200, 200]
    assert clients[1].post("/api/logout", json={"everywhere": True}).status_code == 200
    assert [c.get("/studio/").status_code for c in clients] == [303, 303, 303]
    assert [what for _, what in acts(web)[:2]] == ["logged out everywhere (2)", "logged out"]
    assert web.client().post("/api/logout", json={"everywhere": True}).status_code == 200, (
        "nobody's is nothing"
    )


def test_a_viewer_may_open_the_owners_pages(web):
    token = web.writer.call(lambda db: way_in.owner_link_token(db, now(), "vera"))
    client = web.client()
    assert log_in(client, token=token).status_code == 200
    assert [client.get(f"/{page}/").status_code for page in ("studio", "results", "chat")] == [200, 200, 200]
