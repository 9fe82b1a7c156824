"""Attacks over HTTP: posts of other sites, replay, guessed links, climbing paths, fetched addresses, uploads, sessions."""

import concurrent.futures
import contextlib
import itertools
import logging
import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import HTTPConnection
from starlette.routing import Mount

from arena.web.guard import Guard
from arena.web.pace import BY_ADDRESS, BY_RATER, Pace, Rate
from arena.web.sessions import BadTries, Page, address_of, now
from db.connection import Database, Home, open_reader
from db.entities.campaigns import CampaignSettings
from db.errors import NotFound
from db.upkeep import backup
from labeling.exporting import ExportFormat, export
from labeling.joining import RATER_DAYS, hashed, join
from labeling.owners import OWNER_DAYS, add, owner_link_token
from tests.census import routes_of
from tests.factories import make_home
from tests.serving import Running, awaited, running


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = make_home(
        tmp_path_factory.mktemp("noone") / "home",
        prompts=40,
        settings=CampaignSettings(overlap=500, ask_better=True),
    )
    with running(home) as served:
        yield served


@pytest.fixture(scope="module")
def braked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose brakes the tests at the end of this file use up, in their order."""
    with running(make_home(tmp_path_factory.mktemp("braked") / "home")) as served:
        yield served


def rows(home: Home) -> dict[str, int]:
    """How many rows each table has."""
    db = open_reader(home)
    with contextlib.closing(db.conn):
        names = [r[0] for r in db.conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {n: db.conn.execute(f"SELECT count(*) FROM [{n}]").fetchone()[0] for n in names}


def posts(web: Running) -> list[str]:
    """Every address that takes a post, ours and Gradio's under each page."""
    own = {path for method, path in routes_of(web.app) if method == "POST"}
    for mount in (r for r in web.app.routes if isinstance(r, Mount)):
        own |= {re.sub(r"[{}]|:path", "", mount.path + p) for m, p in routes_of(mount.app) if m == "POST"}
    return sorted(own)


def ballot(client: httpx.Client) -> str:
    return str(client.get("/api/next").json()["ballots"][0]["assignment"])


# -- posts of other sites ----------------------------------------------------------------------------------------

FOREIGN = (
    "https://evil.example",
    "null",
    None,
    "http://127.0.0.1.evil.example",
    "https://127.0.0.1",
    "self.evil.example",
)
SITES = ("cross-site", "same-site", None)
TYPES = (
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
)


def test_no_post_of_another_site_does_anything_whatever_it_says(web: Running) -> None:
    """Over the wire; test_no_one_in_forged.py has the whole matrix."""
    rater, owner = web.rater(), web.owner()
    held = ballot(rater)
    body = f'{{"assignment": "{held}", "choice": "left", "key": "csrf", "version": "1", "message": "x"}}'.encode()
    cookies = "; ".join(f"{c.name}={c.value}" for client in (rater, owner) for c in client.cookies.jar)
    before, tried = rows(web.home), 0
    with httpx.Client(base_url=web.base, trust_env=False) as evil:
        for path in [*(p for p in posts(web) if p.startswith("/api/")), "/studio/gradio_api/queue/join"]:
            for origin, site, kind in zip(
                itertools.cycle(FOREIGN), itertools.cycle(SITES), itertools.islice(itertools.cycle(TYPES), 12)
            ):
                headers = {"cookie": cookies, "content-type": kind}
                headers |= {"origin": origin} if origin else {}
                headers |= {"sec-fetch-site": site} if site else {}
                answer = evil.post(path, content=body, headers=headers)
                assert answer.status_code in (403, 404), (path, origin, site, kind)
                assert not [h for h in answer.headers if h.startswith("access-control")]
                tried += 1
    assert tried > 100
    assert rows(web.home) == before


HOSTS = (
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost",
    "127.0.0.1@evil.example",
    "evil.example:80",
    "",
    "[::1]",
)


@pytest.mark.parametrize("host", HOSTS)
def test_the_host_header_opens_nothing(web: Running, host: str) -> None:
    """A page of another name that points here (DNS rebinding) has no cookies of ours, and its own origin or none."""
    with socket.create_connection(("127.0.0.1", int(web.base.rpartition(":")[2])), timeout=10) as line:
        line.sendall(
            f"POST /api/undo HTTP/1.1\r\nHost: {host}\r\nOrigin: {web.base}\r\nContent-Type: application/json\r\n"
            "Content-Length: 2\r\nConnection: close\r\n\r\n{}".encode()
        )
        status = int(line.recv(4096).split(b" ")[1])
    assert status in (400, 403, 421)


def test_a_page_of_another_name_that_points_here_is_nobody(web: Running) -> None:
    with httpx.Client(base_url=web.base, trust_env=False) as rebound:
        headers = {"host": "evil.example", "origin": "http://evil.example"}
        assert rebound.post("/api/undo", json={"assignment": "x"}, headers=headers).status_code == 421
        assert rebound.get("/studio/", headers=headers).status_code == 421


# -- replay and double submit ------------------------------------------------------------------------------------


def test_fifty_at_once_a_replay_after_a_restart_and_another_rater_make_one_row(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", settings=CampaignSettings(overlap=5))
    with running(home) as web:
        rater, other = web.rater(), web.rater()
        other.get("/api/next")
        body = {"assignment": ballot(rater), "choice": "left", "key": "again"}
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(lambda _: rater.post("/api/vote", json=body), range(50)))
        assert {a.status_code for a in answers} == {200}
        assert len({a.json()["receipt"] for a in answers}) == 1
        kept = dict(rater.cookies)
        others = dict(other.cookies)
    with running(home) as web:
        again = web.client()
        again.cookies.update(kept)
        assert again.post("/api/vote", json=body).json()["receipt"] == answers[0].json()["receipt"]
        assert again.post("/api/vote", json=body | {"choice": "right"}).status_code == 422
        assert again.post("/api/vote", json=body | {"choice": "right", "key": "new"}).status_code == 409
        stranger = web.client()
        stranger.cookies.update(others)
        assert stranger.post("/api/vote", json=body).status_code == 403
        assert web.client().post("/api/vote", json=body).status_code == 401
        assert rows(home)["votes"] == 1
        print("\nS5: 50 at once, one after a restart, one by another rater: 1 row")


# -- guessed links -----------------------------------------------------------------------------------------------


def test_a_links_token_is_nowhere_but_in_the_link(
    braked: Running, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        link = braked.link()
        token = link.rpartition("/")[2]
        one_time = braked.writer.call(lambda db: owner_link_token(db, now()))
        rater, owner = braked.client(), braked.client()
        joined = rater.get(link)
        assert owner.post("/api/login", json={"token": one_time}).status_code == 200
        assert rater.get(f"/join/{token[:-1]}x").status_code == 404
        assert joined.headers["location"] == "/rate"
        assert joined.headers["referrer-policy"] == "no-referrer"
        assert joined.headers["cache-control"] == "no-store"
        page = rater.get("/rate/").text + rater.get("/api/next").text + str(dict(joined.headers))
        secrets = [token, one_time, *rater.cookies.values(), *owner.cookies.values()]
        page = page.replace(rater.cookies["tastebench"], "", 1)  # the cookie that is set holds itself
    said = "".join(capfd.readouterr()) + "".join(
        r.getMessage() for r in caplog.records if not r.name.startswith(("httpx", "httpcore"))
    )
    assert len(secrets) == 4
    for secret in secrets:
        assert secret not in page
        assert secret not in said
        for file in braked.home.root.rglob("*"):
            assert not file.is_file() or secret.encode() not in file.read_bytes(), file


def test_exports_and_copies_hold_no_token_and_no_cookie(
    web: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN", "OPENAI_API_KEY", "TASTEBENCH_METRICS_TOKEN"):
        monkeypatch.setenv(name, f"planted-{name}")
    link, login = web.link(), web.writer.call(lambda db: owner_link_token(db, now()))
    rater, owner = web.client(), web.client()
    assert rater.get(link).status_code == 303
    assert owner.post("/api/login", json={"token": login}).status_code == 200
    body = {"assignment": ballot(rater), "choice": "left", "key": "export", "better": "A better one"}
    assert rater.post("/api/vote", json=body).status_code == 200
    for shape in ExportFormat:
        export(web.home, tmp_path / shape, format=shape)
    backup(web.home, tmp_path / "copy.db")
    secrets = [link.rpartition("/")[2], login, *rater.cookies.values(), *owner.cookies.values()]
    assert len(secrets) == 4
    files = [f for f in tmp_path.rglob("*") if f.is_file()]
    assert len(files) > 2 * len(ExportFormat)
    for file in files:
        content = file.read_bytes()
        hashes = [] if file.suffix == ".db" else [hashed(s) for s in secrets]
        assert [s for s in (*secrets, *hashes, "planted-") if s.encode() in content] == [], file


def test_ten_thousand_guesses_find_nothing_and_are_braked_after_ten(braked: Running) -> None:
    """Guesses that are near: a real link with one letter changed, its hash, parts of it."""
    with braked.client() as guesser:
        token = braked.link().rpartition("/")[2]
        near = (
            token[:i] + c + token[i + 1 :]
            for i in range(len(token))
            for c in "abcdefghijXYZ0189_-"
            if c != token[i]
        )
        far = (
            hashed(token),
            hashed(token)[:32],
            token[:-1],
            token.upper(),
            token.lower(),
            "-" * 32,
            "0",
            "a" * 128,
        )
        chain = itertools.chain(far, near, (f"{i:032x}" for i in itertools.count()))
        statuses = [guesser.get(f"/join/{g}").status_code for g in itertools.islice(chain, 300)]
        tried = statuses.count(404)
        assert BadTries.LIMIT - 1 <= tried <= BadTries.LIMIT  # one wrong link was opened by the test before
        assert statuses[tried:] == [429] * (300 - tried)
        assert not guesser.cookies

        # beyond the brake, where a thousand addresses guess: straight at what the door asks
        def guess(db: Database) -> int:
            hits = 0
            for number in range(10_000):
                with contextlib.suppress(NotFound):
                    join(db, f"{number:032x}", None, now())
                    hits += 1
            return hits

        assert braked.writer.call(guess) == 0
        assert guesser.get("/join/" + token).status_code == 303, "a good link is let in all the same"
        print(
            f"\nS5: {len(statuses)} guesses over the line, {statuses.count(429)} braked; 10,000 past the brake: 0 hits"
        )


# -- climbing paths and fetched addresses ------------------------------------------------------------------------

UP = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "%252e%252e%252f", "..;/", "%c0%ae%c0%ae/", "..//", "./../", "%u002e%u002e/",
      "....//", "..%00/", "%2e./", ".%2e/", "..%c0%af", "%ef%bc%8e%ef%bc%8e/", "..%09/")  # fmt: skip
UNDER = (
    "/rate/assets/",
    "/rate/static/",
    "/rate/svelte/",
    "/login/static/",
    "/studio/gradio_api/file=",
    "/join/",
)
FILES = ("etc/passwd", "arena.db")


def raw(web: Running, client: httpx.Client, target: str) -> httpx.Response:
    """The answer to a path sent as it stands: a client would tidy it up."""
    request = client.build_request("GET", "/")
    request.url = httpx.URL(web.base).copy_with(raw_path=target.encode())
    return client.send(request)


def test_no_spelling_climbs_out(web: Running) -> None:
    client = web.owner()
    spellings = [f"{base}{up * 8}{file}" for base in UNDER for up in UP for file in FILES]
    spellings += [f"/rate/assets//{f}" for f in ("etc/passwd", "%2fetc%2fpasswd")]
    spellings += [
        "/rate/assets/C:%5cWindows%5cwin.ini",
        "/rate/static/%2e%2e",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/..%2farena.db",
    ]
    assert len(spellings) > 200
    for target in spellings:
        answer = raw(web, client, target)
        assert answer.status_code in (400, 404, 429), target
        assert b"root:" not in answer.content, target
        assert b"SQLite format" not in answer.content, target


class Trap:
    """A listener on this machine that counts who comes."""

    def __enter__(self) -> "Trap":
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.port, self.hits, self._open = self._socket.getsockname()[1], 0, True
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        return self

    def _listen(self) -> None:
        while self._open:
            with contextlib.suppress(TimeoutError):
                self._socket.accept()[0].close()
                self.hits += 1

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._thread.join()
        self._socket.close()


def test_the_server_fetches_nothing_it_is_told_to(web: Running) -> None:
    with Trap() as trap:
        socket.create_connection(("127.0.0.1", trap.port)).close()
        at = [f"http://{h}:{trap.port}/x" for h in (
            "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0",
            "127.0.0.1.nip.io", "x@127.0.0.1", "127.0.0.1%23@example.org", "LOCALHOST", "127.0.0.1%00.example.org")]  # fmt: skip
        routes = (
            "file=",
            "file/",
            "proxy=",
            "stream/",
            "call/",
            "custom_component/",
            "deep_link?session_hash=",
            "vibe-code?u=",
        )
        client = web.owner()
        for address in at:
            for page in ("rate", "studio", "chat", "login"):
                for route in routes:
                    assert raw(web, client, f"/{page}/gradio_api/{route}{address}").status_code in (400, 404)
            data = {"path": address, "url": address, "meta": {"_type": "gradio.FileData"}, "orig_name": "x"}
            for page in ("studio", "chat", "results"):
                for number in range(6):
                    body = {
                        "data": [data] * 3,
                        "fn_index": number,
                        "session_hash": "trap",
                        "event_data": None,
                    }
                    client.post(f"/{page}/gradio_api/queue/join", json=body)
            rater = web.rater()
            rater.post(
                "/api/vote",
                json={
                    "assignment": ballot(rater),
                    "choice": "tie",
                    "key": "k",
                    "comment": f"![x]({address})",
                },
            )
        assert trap.hits == 1, "the one that shows that the trap works"


# -- bodies and uploads ------------------------------------------------------------------------------------------


def disk(*folders: Path) -> int:
    return sum(f.stat().st_size for folder in folders for f in folder.rglob("*") if f.is_file())


def test_ten_megabytes_are_refused_everywhere_and_leave_the_disk_as_it_was(
    web: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = tmp_path / "temporary"
    aside.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(aside))
    owner, rater = web.owner(), web.rater()
    big = b"x" * 10_000_000
    form = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n' + big + b"\r\n--x--\r\n"
    )
    before = disk(web.home.root, aside)
    for path in posts(web):
        if path.startswith("/api/"):
            answer = rater.post(path, content=big, headers={"content-type": "application/json"})
            assert answer.status_code == 413, path
        elif "upload" in path or "recording" in path or path.endswith(("queue/join", "component_server")):
            for client in (owner, rater):
                kind = {"content-type": "multipart/form-data; boundary=x"}
                with contextlib.suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
                    # a refusal may close the line before all is sent
                    assert client.post(path, content=form, headers=kind).status_code in (401, 404, 413), path
    assert disk(web.home.root, aside) == before


# -- sessions ----------------------------------------------------------------------------------------------------


def cookies_of(web: Running) -> Iterator[tuple[str, set[str]]]:
    """The name and the flags of a rater's cookie and of an owner's."""
    token = web.writer.call(lambda db: owner_link_token(db, now()))
    for answer in (web.client().get(web.link()), web.client().post("/api/login", json={"token": token})):
        name, *flags = answer.headers["set-cookie"].split("; ")
        assert len(name.partition("=")[2]) == 32
        yield name.partition("=")[0], set(flags)


def test_cookies_carry_their_flags(web: Running, tmp_path: Path) -> None:
    rater = {"Path=/", f"Max-Age={RATER_DAYS * 86400}", "HttpOnly", "SameSite=Lax"}
    owner = {"Path=/", f"Max-Age={OWNER_DAYS * 86400}", "HttpOnly", "SameSite=Strict"}
    assert list(cookies_of(web)) == [("tastebench", rater), ("tastebench-owner", owner)]
    with running(make_home(tmp_path / "home"), https=True) as over_tls:
        assert list(cookies_of(over_tls)) == [
            ("__Host-tastebench", rater | {"Secure"}), ("__Host-tastebench-owner", owner | {"Secure"}),
        ]  # fmt: skip


def test_a_login_ends_the_session_that_the_browser_had(web: Running) -> None:
    client = web.owner()
    old = dict(client.cookies)
    token = web.writer.call(lambda db: owner_link_token(db, now()))
    assert client.post("/api/login", json={"token": token}).status_code == 200
    assert dict(client.cookies) != old
    thief = web.client()
    thief.cookies.update(old)
    assert thief.get("/studio/").status_code == 303


def test_a_session_that_somebody_chose_is_no_session(web: Running) -> None:
    for name in ("tastebench", "tastebench-owner"):
        client = web.client()
        client.cookies.set(name, "chosen-by-somebody-else-0123456789")
        if name == "tastebench":
            client.get(web.link())
        else:
            token = web.writer.call(lambda db: owner_link_token(db, now()))
            client.post("/api/login", json={"token": token})
        fixed = web.client()
        fixed.cookies.set(name, "chosen-by-somebody-else-0123456789")
        assert fixed.get("/api/next").status_code == 401
        assert fixed.get("/studio/").status_code == 303


def test_what_is_past_its_end_opens_nothing(web: Running) -> None:
    rater, owner = web.rater(), web.owner()
    rater.get("/api/next")
    kept = [hashed(value) for client in (rater, owner) for value in client.cookies.values()]
    assert len(kept) == 2
    with contextlib.closing(sqlite3.connect(web.home.database)) as db, db:
        db.executemany(
            "UPDATE sessions SET expires_at = '2020-01-01T00:00:00.000Z' WHERE token_hash = ?",
            [(k,) for k in kept],
        )
    assert rater.get("/api/next").status_code == 401
    assert rater.get("/rate/").status_code == owner.get("/studio/").status_code == 303
    assert owner.post("/studio/gradio_api/queue/join", json={}).status_code == 401


def test_roles_do_not_mix(web: Running) -> None:
    """A rater's cookie under the owner's name is nobody, and the other way round."""
    rater, owner = web.rater(), web.owner()
    rater.get("/api/next")
    swapped = web.client()
    swapped.cookies.set("tastebench-owner", rater.cookies["tastebench"])
    swapped.cookies.set("tastebench", owner.cookies["tastebench-owner"])
    assert swapped.get("/studio/").status_code == 303
    assert swapped.get("/rate/").status_code == 303
    assert swapped.get("/api/next").status_code == 401


def test_a_viewers_session_ends_with_their_place(web: Running) -> None:
    from db.owners import remove_owner

    token = web.writer.call(lambda db: add(db, "short stay", viewer=True, now=now()))
    looks = web.client()
    assert looks.post("/api/login", json={"token": token}).status_code == 200
    assert looks.get("/results/").status_code == 200
    web.writer.call(lambda db: remove_owner(db, "short stay"))
    assert {looks.get(f"/{page}/").status_code for page in (Page.STUDIO, Page.RESULTS, Page.CHAT)} == {303}


# -- floods ------------------------------------------------------------------------------------------------------


def test_a_bucket_lets_a_burst_through_then_so_many_a_second_and_forgets() -> None:
    at = [0.0]
    pace = Pace(Rate(3, 2), clock=lambda: at[0])

    def asks(key: str) -> int:
        wait = pace.wait(key)
        if not wait:
            pace.take(key)
        return wait

    assert [asks("a") for _ in range(4)] == [0, 0, 0, 1]
    assert asks("b") == 0, "each has their own"
    at[0] = 0.5
    assert [asks("a") for _ in range(2)] == [0, 1]
    at[0] = 60.0
    assert [asks("a") for _ in range(4)] == [0, 0, 0, 1], "no more than the burst is saved up"
    for number in range(20_000):
        pace.take(str(number))
    assert len(pace._buckets) == 10_000


def test_made_up_cookies_are_braked_by_address(braked: Running) -> None:
    """The last of its server: from here on strangers of this address have to wait, raters do not."""
    stranger, statuses, rater = braked.client(), [], braked.rater()
    for number in range(4 * int(BY_ADDRESS.burst)):
        stranger.cookies.set("tastebench", f"{number:032x}")
        answer = stranger.get("/api/guidelines")
        statuses.append(answer.status_code)
        if answer.status_code == 429:
            break
    assert set(statuses) == {401, 429}
    assert len(statuses) > 0.9 * BY_ADDRESS.burst
    assert int(answer.headers["retry-after"]) == 1
    assert stranger.get("/healthz").status_code == 200
    assert rater.get("/api/next").status_code == 200
    assert braked.rater().get("/api/next").status_code == 200


def test_a_flood_with_one_cookie_is_braked_and_the_next_rater_is_not(web: Running) -> None:
    """The guard by itself before an app that does nothing, its clock stopped, so that no machine is too slow for it."""
    flood, calm = web.rater(), web.rater()

    async def nothing(_scope: object, _receive: object, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    guard = Guard(nothing, door=web.app.state.web.door)
    burst = 50
    guard._by_rater = Pace(Rate(burst, BY_RATER.a_second), clock=lambda: 0.0)

    async def ask(client: httpx.Client, times: int) -> list[int]:
        through = httpx.ASGITransport(app=guard)
        async with httpx.AsyncClient(transport=through, base_url=web.base) as asks:
            asks.cookies.update(dict(client.cookies))
            return [(await asks.get("/api/guidelines")).status_code for _ in range(times)]

    assert awaited(ask(flood, burst + 3)) == [204] * burst + [429] * 3
    assert awaited(ask(calm, 1)) == [204]


@pytest.mark.parametrize(
    ("address", "key"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"), ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
     ("::ffff:192.0.2.7", "192.0.2.7"), ("fe80::1%eth0", "fe80::"), ("unix:x", "unix:x"), ("testclient", "testclient")],
)  # fmt: skip
def test_an_address_is_a_household(address: str, key: str) -> None:
    assert address_of(HTTPConnection({"type": "http", "client": (address, 1), "headers": []})) == key
