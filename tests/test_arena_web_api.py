"""The promises of the rater's routes: each status code, one row a vote, the same ballot after a restart."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from arena.web.api import STATUS
from arena.web.sessions import BadTries, now
from db.campaigns import set_status
from db.connection import open_reader
from db.counting import counts
from db.entities.campaigns import CampaignSettings, CampaignStatus
from db.seats import list_seats, revoke_seat
from labeling.lending import MAX_BALLOTS
from labeling.owners import owner_link_token
from tests.factories import make_home
from tests.serving import Running, running

BALLOT_KEYS = {"assignment", "prompt", "left", "right", "criteria"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = make_home(
        tmp_path_factory.mktemp("web") / "home", prompts=40, settings=CampaignSettings(overlap=40)
    )
    with running(home) as served:
        yield served


def another(
    web: Running, name: str, settings: CampaignSettings | None = None, prompts: int = 6
) -> httpx.Client:
    """A rater of one more campaign on this server."""
    make_home(web.home.root, campaign=name, settings=settings, prompts=prompts)
    return web.rater(name)


def ballot(client: httpx.Client) -> dict[str, object]:
    return client.get("/api/next").json()["ballots"][0]


def cast(
    client: httpx.Client, assignment: object, choice: str = "left", key: str = "k", **more: object
) -> httpx.Response:
    return client.post("/api/vote", json={"assignment": assignment, "choice": choice, "key": key, **more})


def stored(web: Running) -> int:
    db = open_reader(web.home)
    found = counts(db).stored
    db.conn.close()
    return found


# -- joining ---------------------------------------------------------------------------------------------------


def test_a_link_lets_in_and_leaves_the_address(web: Running) -> None:
    answer = web.client().get(web.link())
    assert (answer.status_code, answer.headers["location"]) == (303, "/rate")
    name, *flags = [part.strip() for part in answer.headers["set-cookie"].split(";")]
    assert name.startswith("tastebench=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(flags)
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_looking_at_a_link_does_not_take_the_seat(web: Running) -> None:
    link = web.link()
    assert web.client().head(link).headers.get("set-cookie") is None
    web.client().get(link)  # a scanner that follows links, but takes no ballot
    person = web.client()
    person.get(link)
    assert person.get("/api/next").status_code == 200
    late = web.client()
    assert late.get(link).status_code == 409
    assert late.get("/api/next").status_code == 401
    assert person.get(link).status_code == 303  # the link works again in the browser that has the seat


def test_the_second_of_two_browsers_that_followed_a_link_is_told(web: Running) -> None:
    link = web.link()
    first, second = web.client(), web.client()
    first.get(link), second.get(link)
    assert first.get("/api/next").status_code == 200
    refused = second.get("/api/next")
    assert refused.status_code == 403
    assert "another browser" in refused.json()["error"]


def test_wrong_links_are_slowed_down(tmp_path: Path) -> None:
    with running(make_home(tmp_path)) as web:
        client = web.client()
        answers = [client.get(f"/join/{'x' * 30}{i}").status_code for i in range(12)]
        assert answers == [404] * 10 + [429] * 2
        assert client.get(web.link()).status_code == 303, "a good link opens behind an address with bad tries"
        assert client.post("/api/login", json={"token": "x" * 32}).status_code == 429


def test_the_brake_lets_go_after_a_minute() -> None:
    clock = [0.0]
    tries = BadTries(lambda: clock[0])
    for _ in range(10):
        tries.note("here")
    assert tries.too_many("here")
    assert not tries.too_many("there")
    clock[0] = 60.0
    assert not tries.too_many("here")


# -- ballots ---------------------------------------------------------------------------------------------------


def test_a_ballot_carries_what_the_contract_lists_and_nothing_more(web: Running) -> None:
    answer = web.rater().get("/api/next?n=2").json()
    assert set(answer) == {"ballots", "progress"}
    assert set(answer["progress"]) == {"done", "target"}
    assert len(answer["ballots"]) == 2
    for one in answer["ballots"]:
        assert set(one) == BALLOT_KEYS
        assert [set(m) for m in one["prompt"]] == [{"role", "content", "html"}]
        assert set(one["left"]) == set(one["right"]) == {"text", "html"}
        assert len(one["assignment"]) >= 22


def test_the_same_ballots_come_back_until_they_are_voted_on(web: Running) -> None:
    client = web.rater()
    first = client.get("/api/next?n=2").json()["ballots"]
    assert client.get("/api/next?n=2").json()["ballots"] == first
    cast(client, first[0]["assignment"])
    again = client.get("/api/next?n=2").json()["ballots"]
    assert again[0] == first[1]
    assert again[1]["assignment"] not in {b["assignment"] for b in first}


@pytest.mark.parametrize("n", ["0", "-1", "two", "1.5", "", "\u0662"])
def test_a_number_of_ballots_that_is_none_is_named(web: Running, n: str) -> None:
    answer = web.rater().get("/api/next", params={"n": n})
    assert (answer.status_code, answer.json()["field"]) == (422, "n")


def test_no_more_ballots_are_lent_than_a_rater_can_look_at(web: Running) -> None:
    assert len(web.rater().get("/api/next?n=999999999999").json()["ballots"]) == MAX_BALLOTS


# -- votes -----------------------------------------------------------------------------------------------------


def test_a_vote_is_one_row_however_often_it_is_sent(web: Running) -> None:
    client, before = web.rater(), stored(web)
    one = ballot(client)["assignment"]
    answers = [cast(client, one), cast(client, one), cast(client, one, key="another")]
    assert [a.status_code for a in answers] == [200] * 3
    assert len({a.json()["receipt"] for a in answers}) == 1
    assert answers[0].json()["stored"] is True
    assert answers[0].json()["progress"]["done"] == 1
    assert stored(web) == before + 1


def test_fifty_identical_posts_at_once_are_one_vote(web: Running) -> None:
    client, before = web.rater(), stored(web)
    one = ballot(client)["assignment"]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: cast(client, one, "tie", "same"), range(50)))
    assert {a.status_code for a in answers} == {200}
    assert len({a.json()["receipt"] for a in answers}) == 1
    assert stored(web) == before + 1


def test_contradictions_are_refused_with_what_is_stored(web: Running) -> None:
    client = web.rater()
    first, second = client.get("/api/next?n=2").json()["ballots"]
    receipt = cast(client, first["assignment"], "left", "k1").json()["receipt"]
    other_body = cast(client, second["assignment"], "left", "k1")
    assert (other_body.status_code, other_body.json()["field"]) == (422, "key")
    other_choice = cast(client, first["assignment"], "right", "k2")
    assert other_choice.status_code == 409
    assert other_choice.json()["stored"] == {"receipt": receipt, "choice": "left"}


def test_another_raters_ballot_is_refused(web: Running) -> None:
    owner, thief = web.rater(), web.rater()
    ballot(thief)
    before = stored(web)
    assert cast(thief, ballot(owner)["assignment"]).status_code == 403
    assert cast(thief, "A" * 22).status_code == 403
    assert stored(web) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"choice": "left", "key": "k"}, "assignment"),
        ({"assignment": "A", "choice": "sideways", "key": "k"}, "choice"),
        ({"assignment": "A", "choice": "left"}, "key"),
        ({"assignment": "A", "choice": "left", "key": ""}, "key"),
        ({"assignment": "A", "choice": "left", "key": "k" * 129}, "key"),
        ({"assignment": "A", "choice": "left", "key": "k", "model": "x"}, "model"),
        ({"assignment": "A", "choice": "left", "key": "k", "elapsed_ms": -1}, "elapsed_ms"),
        ({"assignment": "A", "choice": "left", "key": "k", "acceptable": {"up": True}}, "acceptable"),
        ({"assignment": "A", "choice": "left", "key": "k", "comment": "\ud800"}, "comment"),
        ([], "body"),
        ("left", "body"),
        (None, "body"),
    ],
)  # fmt: skip
def test_a_malformed_vote_is_refused_with_the_field_named(web: Running, body: object, field: str) -> None:
    client = web.rater()
    answer = client.post("/api/vote", content=json.dumps(body), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["field"]) == (422, field)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 50_000])
def test_a_body_that_is_no_json_is_refused(web: Running, content: bytes) -> None:
    answer = web.rater().post("/api/vote", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["field"]) == (422, "body")


def test_without_a_session_nothing_is_given_and_nothing_taken(web: Running) -> None:
    stranger, before = web.client(), stored(web)
    assert stranger.get("/api/next").status_code == 401
    assert stranger.get("/api/guidelines").status_code == 401
    assert cast(stranger, "A" * 22).status_code == 401
    assert stranger.post("/api/undo", json={"assignment": "A" * 22}).status_code == 401
    assert stranger.post("/api/consent", json={"version": "1"}).status_code == 401
    assert stored(web) == before


@pytest.mark.parametrize("status", [CampaignStatus.PAUSED, CampaignStatus.CLOSED])
def test_a_campaign_that_is_not_open_takes_no_vote_and_says_so(web: Running, status: CampaignStatus) -> None:
    client, before = another(web, status.value), stored(web)
    one = ballot(client)["assignment"]
    web.writer.call(lambda db: set_status(db, status.value, status))
    refused = cast(client, one)
    assert (refused.status_code, "stored" in refused.json()) == (409, False)
    answer = client.get("/api/next").json()
    assert (answer["ballots"], stored(web)) == ([], before)
    assert status.value in answer["end"]["message"]


def test_a_revoked_seat_is_refused(web: Running) -> None:
    client = another(web, "revoked")
    one = ballot(client)["assignment"]
    web.writer.call(lambda db: revoke_seat(db, list_seats(db)[-1].seat))
    assert cast(client, one).status_code == 403
    assert client.get("/api/next").status_code == 403
    assert client.get("/rate/").headers["location"].startswith("/login/")


def test_the_last_ballot_is_followed_by_a_clear_end(web: Running) -> None:
    client = another(web, "short", prompts=2)
    for i in range(2):
        assert cast(client, ballot(client)["assignment"], "skip", f"k{i}").status_code == 200
    answer = client.get("/api/next").json()
    assert answer["ballots"] == []
    assert answer["progress"] == {"done": 2, "target": 2}
    assert "saved" in answer["end"]["message"]


# -- undo, consent, reveal -------------------------------------------------------------------------------------


def test_undo_lends_the_battle_again_with_the_same_sides(web: Running) -> None:
    client = web.rater()
    one = ballot(client)
    cast(client, one["assignment"])
    first, second = (client.post("/api/undo", json={"assignment": one["assignment"]}) for _ in range(2))
    assert first.status_code == second.status_code == 200
    assert set(first.json()) == {"undone", "assignment", "progress"}
    assert first.json()["assignment"] == second.json()["assignment"] != one["assignment"]
    held = client.get("/api/next?n=5").json()["ballots"]
    again = next(b for b in held if b["assignment"] == first.json()["assignment"])
    assert (again["left"], again["right"]) == (one["left"], one["right"])
    assert cast(client, again["assignment"], "right", "k2").status_code == 200


def test_undo_that_cannot_be_is_refused(web: Running) -> None:
    client = another(web, "no undo", CampaignSettings(undo_seconds=0))
    other = web.rater("no undo")
    one = ballot(client)["assignment"]
    ballot(other)
    assert client.post("/api/undo", json={"assignment": one}).status_code == 409  # no vote yet
    cast(client, one)
    assert client.post("/api/undo", json={"assignment": one}).status_code == 409  # too late
    assert other.post("/api/undo", json={"assignment": one}).status_code == 403
    assert client.post("/api/undo", json={}).json()["field"] == "assignment"


def test_consent_comes_before_the_first_ballot(web: Running) -> None:
    settings = CampaignSettings(consent_text="We store **your votes**.", consent_version="v2")
    client = another(web, "consent", settings)
    asked = client.get("/api/next")
    assert asked.status_code == 403
    assert asked.json()["error"] == "consent_required"
    assert asked.json()["version"] == "v2"
    assert "<strong>your votes</strong>" in asked.json()["html"]
    assert client.post("/api/consent", json={"version": 2}).status_code == 422
    client.post("/api/consent", json={"version": "v1"})
    assert client.get("/api/next").status_code == 403
    assert client.post("/api/consent", json={"version": "v2"}).status_code == 200
    assert client.get("/api/next").status_code == 200


def test_models_are_named_after_the_vote_only_where_the_campaign_says_so(web: Running) -> None:
    blind = web.rater()
    assert "reveal" not in cast(blind, ballot(blind)["assignment"]).json()
    client = another(web, "open", CampaignSettings(reveal="each"))
    one = ballot(client)["assignment"]
    reveal = cast(client, one).json()["reveal"]
    assert set(reveal.values()) == {"model-one", "model-two"}
    assert client.post("/api/undo", json={"assignment": one}).status_code == 409


# -- around ----------------------------------------------------------------------------------------------------


def test_a_restart_keeps_rater_ballot_sides_and_votes(tmp_path: Path) -> None:
    home = make_home(tmp_path, prompts=12)
    with running(home) as web:
        client = web.rater()
        first = client.get("/api/next?n=2").json()["ballots"]
        vote = cast(client, first[0]["assignment"]).json()
        cookies = dict(client.cookies)
    with running(home) as web:
        client = web.client()
        client.cookies.update(cookies)
        assert client.get("/api/next").json()["ballots"] == first[1:]
        assert cast(client, first[0]["assignment"]).json() == vote
        assert stored(web) == 1


def test_over_https_the_cookie_is_the_hosts_own(tmp_path: Path) -> None:
    with running(make_home(tmp_path), https=True) as web:
        client = web.client()
        cookie = client.get(web.link()).headers["set-cookie"]
        assert cookie.startswith("__Host-tastebench=")
        assert "; Secure" in cookie
        assert "Domain" not in cookie


def test_in_another_sites_frame_the_cookie_is_partitioned(tmp_path: Path) -> None:
    with running(make_home(tmp_path), https=True, embed="https://team.example") as web:
        client = web.client()
        answer = client.get(web.link())
        assert answer.headers["set-cookie"].endswith("HttpOnly; SameSite=None; Secure; Partitioned")
        assert "frame-ancestors https://team.example" in answer.headers["content-security-policy"]
        assert "x-frame-options" not in answer.headers


@pytest.mark.parametrize(
    ("path", "framed"),
    [("/join/unknown", True), ("/rate/", True), ("/", True), ("/live/", True), ("/results/", True),
     ("/studio/", False), ("/chat/", False), ("/login/", False), ("/login", False), ("/nothing", False)],
)  # fmt: skip
def test_another_site_may_frame_what_raters_see_and_nothing_else(
    tmp_path: Path, path: str, framed: bool
) -> None:
    with running(make_home(tmp_path), https=True, embed="https://team.example") as web:
        answer = web.client(accept="text/html").get(path)
        policies = answer.headers.get_list("content-security-policy")
        assert [p.rpartition("; ")[2] for p in policies] == [
            "frame-ancestors " + ("https://team.example" if framed else "'none'")
        ]
        assert answer.headers.get("x-frame-options") == (None if framed else "DENY")


def test_a_frame_without_a_rater_says_what_to_do(tmp_path: Path) -> None:
    with running(make_home(tmp_path), https=True, embed="https://team.example") as web:
        frame = {"sec-fetch-dest": "iframe", "accept": "text/html"}
        for path in ("/", "/rate/", "/studio/"):
            answer = web.client(**frame).get(path, follow_redirects=True)
            assert answer.status_code == 403
            assert "Open the personal link you were given." in answer.text
            assert "password" not in answer.text
            assert "frame-ancestors https://team.example" in answer.headers["content-security-policy"]
        assert web.client(**frame).get(web.link()).status_code == 303
        assert web.client(accept="text/html").get("/login/").status_code == 200


def test_a_vote_before_the_first_ballot_is_told_to_fetch_one(web: Running) -> None:
    client = web.client()
    client.get(web.link())
    answer = cast(client, "0" * 32)
    assert (answer.status_code, answer.json()["error"]) == (403, "this browser was not given a ballot yet")


def test_under_a_proxys_prefix_every_address_has_it(tmp_path: Path) -> None:
    with running(make_home(tmp_path), root_path="/bench") as web:
        client = web.client()
        assert client.get(web.link()).headers["location"] == "/bench/rate"
        for path in ("/rate", "/bench/rate"):  # whether the proxy takes the prefix off or not
            assert client.get(path).headers["location"] == "/bench/rate/"
            assert client.get(path + "/").status_code == 200
        assert client.get("/bench/api/next").status_code == 200


def test_the_owners_token_opens_the_studio_once(web: Running) -> None:
    client = web.client()
    token = web.writer.call(lambda db: owner_link_token(db, now()))
    assert (
        client.get(f"/login?token={token}", follow_redirects=True).status_code == 200
    )  # looking spends nothing
    answer = client.post("/api/login", json={"token": token})
    assert answer.json() == {"next": "/studio/"}
    assert "SameSite=Strict" in answer.headers["set-cookie"]
    assert web.client().post("/api/login", json={"token": token}).status_code == 401
    assert client.get("/").headers["location"] == "/studio/"
    assert client.get("/api/next").status_code == 401  # an owner's session is no rater's
    assert client.post("/api/logout", json={}).status_code == 200
    assert client.get("/").headers["location"] == "/login/"


def test_health_says_when_there_is_something_to_rate(tmp_path: Path, web: Running) -> None:
    assert web.client().get("/healthz").json() == {"ready_to_rate": True}
    assert web.client().head("/healthz").status_code == 200, "as many watchers of servers ask"
    with running(make_home(tmp_path, prompts=0)) as empty:
        answer = empty.client().get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"ready_to_rate": False})


def test_a_full_disk_is_said_and_nothing_is_claimed_saved(tmp_path: Path) -> None:
    with running(make_home(tmp_path)) as web:
        client = web.rater()
        one = ballot(client)["assignment"]
        # the database may not grow by a single page: what SQLite says then is what it says on a full disk
        links = [web.link() for _ in range(60)]
        pages = web.writer.call(lambda db: int(db.conn.execute("PRAGMA page_count").fetchone()[0]))
        web.writer.call(lambda db: db.conn.execute(f"PRAGMA max_page_count={pages}").fetchone())
        answer = cast(client, one, comment="long " * 3000)
        assert answer.status_code == 507
        assert "disk" in answer.json()["error"]
        joined = (web.client().get(link) for link in links)  # a few still fit into the last pages
        page = next(answer for answer in joined if answer.status_code != 303)
        assert (page.status_code, "Tell whoever invited you" in page.text) == (507, True)
        web.writer.call(lambda db: db.conn.execute("PRAGMA max_page_count=1000000").fetchone())
        assert cast(client, one, key="later").status_code == 200


def test_a_busy_database_is_another_matter_than_a_full_disk(tmp_path: Path) -> None:
    with running(make_home(tmp_path)) as web:
        client = web.rater()
        one = ballot(client)["assignment"]
        web.writer.call(lambda db: db.conn.execute("PRAGMA busy_timeout=20").fetchone())
        with contextlib.closing(sqlite3.connect(web.home.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused = cast(client, one)
            assert client.get("/healthz").status_code == 200
            page = web.client().get("/join/" + "x" * 32)
        assert (page.status_code, "You cannot join right now" in page.text) == (503, True)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert refused.json() == {
            "error": "not saved: the database is busy",
            "remedy": "try again in a moment",
        }
        assert stored(web) == 0
        assert cast(client, one).status_code == 200
        assert stored(web) == 1


def test_a_server_that_stops_takes_no_vote_and_says_when_to_come_again(tmp_path: Path) -> None:
    with running(make_home(tmp_path)) as web:
        client = web.rater()
        one = ballot(client)["assignment"]
        web.writer.close()
        refused = cast(client, one)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        assert refused.json()["error"] == "not saved: the server is stopping"
        assert stored(web) == 0


def test_every_error_for_people_has_a_status() -> None:
    assert {code for _, code in STATUS} == {401, 403, 404, 409, 422, 503, 507}
