"""The guard: who reaches what, how odd spellings and other sites' posts are met, what every answer carries."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Mount

from arena.web.guard import EVENTS, canonical, target_of
from arena.web.sessions import Page
from db.errors import UserError
from labeling.submission import MAX_TEXT
from tests.census import ROLES, TARGET, document, home_of, own_rows, page_rows
from tests.factories import make_home
from tests.serving import Running, running

HTML = {"accept": "text/html,application/xhtml+xml"}

# what anybody may have, logged in or not, whatever the table says
OPEN_TO_ALL = {
    "GET /healthz", "HEAD /healthz", "GET /favicon.ico", "GET /manifest.json", "GET /robots.txt", "GET /login/", "HEAD /login/",
    "POST /api/login", "POST /api/logout", "HEAD /join/{token} (a good link)", "HEAD /join/{token} (an unknown link)",
}  # fmt: skip


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(home_of(tmp_path_factory.mktemp("guard") / "home")) as served:
        yield served


@pytest.fixture
def people(web: Running) -> dict[str, httpx.Client]:
    rater = web.rater()
    rater.get("/api/next")
    return {"stranger": web.client(), "rater": rater, "owner": web.owner()}


def test_the_census_of_every_route_is_the_committed_table(web: Running) -> None:
    own, pages = own_rows(web), page_rows(web)
    assert len(own) > 20
    assert len(pages) > 300, "or Gradio's own routers were missed"
    print(f"\nS1: {len(own) + len(pages)} routes asked by five kinds of visitor, held against docs/routes.md")
    assert document(own, pages) == TARGET.read_text(encoding="utf-8"), "read it, then: python -m tests.census"


def test_the_table_lets_nobody_in_and_raters_into_no_page_of_the_owners() -> None:
    rows = {
        cells[1].strip("` "): dict(zip(ROLES, (int(c) for c in cells[2:7]), strict=True))
        for line in TARGET.read_text(encoding="utf-8").splitlines()
        if len(cells := line.split("|")) == 8 and cells[2].strip().isdigit()
    }
    assert len(rows) > 80
    for route, answers in rows.items():
        if answers["nobody"] < 300:
            assert route in OPEN_TO_ALL or route.endswith("/theme.css"), route
        if route.split(" ")[1].startswith(("/studio/", "/chat/", "/results/")) and "theme" not in route:
            assert {answers[who] for who in ("nobody", "rater", "other rater")} <= {303, 401, 404}, route
        assert answers["viewer"] == answers["owner"] or answers["viewer"] in (401, 403), route
    assert rows["POST /api/vote"]["other rater"] == rows["POST /api/undo"]["other rater"] == 403


@pytest.mark.parametrize("page", Page)
def test_who_may_open_a_page(web: Running, people: dict[str, httpx.Client], page: Page) -> None:
    assert f"/{page}" in [m.path for m in web.app.routes if isinstance(m, Mount)]
    may = {Page.LOGIN: {"stranger", "rater", "owner"}, Page.RATE: {"rater"}, Page.LIVE: set()}.get(
        page, {"owner"}
    )
    for who, client in people.items():
        answer = client.get(f"/{page}/")
        assert answer.status_code == (200 if who in may else 303), who
        if who not in may:
            assert answer.headers["location"] == f"/login/?from={page}"


def test_a_page_is_found_without_its_last_slash_and_keeps_its_query(people: dict[str, httpx.Client]) -> None:
    answer = people["rater"].get("/rate?__theme=dark")
    assert (answer.status_code, answer.headers["location"]) == (307, "/rate/?__theme=dark")


ODD = [
    "/rate/config", "/rate/config/", "//rate//config", "/rate/./config", "/rate/../rate/config", "/rate/%63onfig",
    "/rate/%2563onfig", "/rate%2fconfig", "/rate/gradio_api%2fupload", "/rate/gradio_api/upload", "/rate//gradio_api/upload",
    "/rate/gradio_api/file=/etc/passwd", "/rate/gradio_api/file%3D/etc/passwd", "/rate/file=/etc/passwd",
    "/rate/gradio_api/proxy=http://127.0.0.1/", "/rate/gradio_api/file=http://127.0.0.1/x", "/rate/monitoring/summary",
    "/rate/gradio_api/info", "/rate/gradio_api/openapi.json", "/rate/gradio_api/runs", "/rate/gradio_api/token",
    "/rate/gradio_api/user", "/rate/gradio_api/deep_link", "/rate/gradio_api/mcp/sse", "/rate/gradio_api/dev/reload",
    "/rate/gradio_api/stream/x/y/z/playlist.m3u8", "/rate/gradio_api/custom_component/1/client/js/x.js",
    "/rate/static/../../../../../../etc/passwd", "/rate/static/..%2f..%2f..%2fetc/passwd",
    "/rate/assets/%2e%2e/%2e%2e/app.py", "/rate/assets/..\\..\\app.py", "/RATE/", "/Rate/config", "/config",
    "/gradio_api/info", "/docs", "/redoc", "/openapi.json", "/rate/login", "/rate/logout", "/arena.db",
    "/rate/assets/../config", "/join/", "/join/a/b", "/api/vote/", "/api", "/studio/config", "/studio/gradio_api/info",
    "/rate/gradio_api/queue/data", "/rate/gradio_api/heartbeat/x", "/rate/gradio_api/startup-events", "/rate/\x00",
]  # fmt: skip


@pytest.mark.parametrize("path", ODD)
@pytest.mark.parametrize("who", ["stranger", "rater", "owner"])
def test_odd_spellings_and_unlisted_routes_are_not_there(
    web: Running, people: dict[str, httpx.Client], path: str, who: str
) -> None:
    raw = path.encode().replace(b"\x00", b"%00").replace(b"\\", b"%5c")
    # sent as it stands: a client would tidy the path up
    url = httpx.URL(web.base).copy_with(raw_path=raw)
    request = people[who].build_request("GET", "/")
    request.url = url
    answer = people[who].send(request)
    assert answer.status_code == 404, answer.text[:200]
    assert "root:" not in answer.text


@given(st.text(max_size=60))
def test_no_path_reaches_a_gradio_route_that_is_not_listed(tail: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        path = canonical("/rate/" + tail)
        target = target_of(path, method) if path else None
        if target is not None and target.rest:
            assert target.static
        path = canonical("/studio/" + tail)
        target = target_of(path, method) if path else None
        if target is not None and target.rest and not target.static:
            assert EVENTS[method].fullmatch(target.rest)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_not_there(people: dict[str, httpx.Client], method: str) -> None:
    for path in ("/api/vote", "/rate/", "/"):
        assert people["rater"].request(method, path).status_code in (404, 405)


SITES = [
    ("https://evil.example", "cross-site"), ("https://evil.example", None), ("null", None), (None, None),
    ("https://evil.example", "same-origin"), ("self", "cross-site"), ("self", "same-site"), ("http://127.0.0.1:1", None),
]  # fmt: skip


@pytest.mark.parametrize(("origin", "site"), SITES)
@pytest.mark.parametrize(
    "path",
    ["/api/vote", "/api/undo", "/api/consent", "/api/login", "/api/logout", "/studio/gradio_api/queue/join"],
)
def test_posts_of_other_sites_are_refused(
    web: Running, people: dict[str, httpx.Client], origin: str | None, site: str | None, path: str
) -> None:
    for who in ("rater", "owner"):
        request = people[who].build_request("POST", path, json={})
        for name in ("origin", "sec-fetch-site"):
            del request.headers[name]
        if origin is not None:
            request.headers["origin"] = web.base if origin == "self" else origin
        if site is not None:
            request.headers["sec-fetch-site"] = site
        assert people[who].send(request).status_code == 403


def test_a_post_that_a_form_could_send_is_refused(people: dict[str, httpx.Client]) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = people["rater"].post("/api/vote", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 415


def test_large_bodies_are_refused_however_they_come(people: dict[str, httpx.Client]) -> None:
    json_type = {"content-type": "application/json"}
    rater = people["rater"]
    assert rater.post("/api/undo", content=b"x" * (64 * 1024 + 1), headers=json_type).status_code == 413
    assert rater.post("/api/vote", content=b"x" * (1024 * 1024 + 1), headers=json_type).status_code == 413
    assert rater.post("/api/vote", content=b"x" * 10_000_000, headers=json_type).status_code == 413
    pieces = (b"x" * 20_000 for _ in range(100))  # without a length
    assert rater.post("/api/vote", content=pieces, headers=json_type).status_code == 413
    assert rater.post("/api/vote", content=b"x" * 60_000, headers=json_type).status_code == 422


@pytest.mark.parametrize("letter", ["\u6f22", "\U0001f600"])
def test_a_vote_with_every_text_at_its_limit_is_read_whole(
    people: dict[str, httpx.Client], letter: str
) -> None:
    texts = dict.fromkeys(("comment", "better", "reason", "report"), letter * MAX_TEXT)
    body = json.dumps({"assignment": "0" * 32, "choice": "left", "key": "long", **texts})
    answer = people["rater"].post("/api/vote", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (403, 404), answer.text


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/rate/", "/login/", "/api/next", "/nothing", "/join/xxx", "/rate/theme.css"]
)
def test_every_answer_carries_the_headers(people: dict[str, httpx.Client], path: str) -> None:
    answer = people["rater"].get(path, headers=HTML)
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    if "theme.css" not in path:
        assert answer.headers["cache-control"] == "no-store"


def test_no_origin_is_ever_invited(people: dict[str, httpx.Client]) -> None:
    for path in ("/rate/", "/login/", "/api/next", "/rate/theme.css"):
        for host in ("127.0.0.1", "192.0.2.7"):
            answer = people["rater"].get(path, headers={"origin": "https://evil.example", "host": host})
            assert not [h for h in answer.headers if h.startswith("access-control")]


def test_a_claimed_host_does_not_reach_the_page(people: dict[str, httpx.Client]) -> None:
    answer = people["rater"].get("/rate/", headers={"x-forwarded-host": "evil.example"})
    assert answer.status_code == 200
    assert "evil.example" not in answer.text


def test_people_get_a_page_and_scripts_get_json(people: dict[str, httpx.Client]) -> None:
    assert "<h1>Nothing here</h1>" in people["stranger"].get("/nothing", headers=HTML).text
    assert people["stranger"].get("/nothing").json() == {"error": "there is nothing here"}
    assert "<h1>This link does not work</h1>" in people["stranger"].get("/join/xxx", headers=HTML).text


@pytest.mark.parametrize("encoding", ["br", "gzip", "identity"])
def test_gradios_files_are_packed_once_and_kept_by_browsers(
    web: Running, people: dict[str, httpx.Client], encoding: str
) -> None:
    page = people["rater"].get("/rate/").text
    name = page.split('src="./assets/')[1].split('"')[0]
    headers = {"accept-encoding": encoding}
    answers = [
        people[who].get(f"/{mount}/assets/{name}", headers=headers)
        for who, mount in (("rater", "rate"), ("stranger", "login"))
    ]
    assert answers[0].content == answers[1].content
    assert len(answers[0].content) > 1000
    assert answers[0].headers.get("content-encoding", "identity") == encoding
    assert answers[0].headers["cache-control"] == "public, max-age=31536000, immutable"
    assert people["rater"].get("/rate/assets/none.js").status_code == 404


def test_addresses_that_cannot_be_are_said(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    for wrong in (
        {"embed": "https://a.example/x"},
        {"embed": "'none'; script-src *"},
        {"root_path": "bench"},
        {"root_path": "/a b"},
    ):
        with pytest.raises(UserError), running(home, **wrong):
            pass
