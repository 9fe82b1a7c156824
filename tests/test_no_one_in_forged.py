"""Posts that another site makes a browser send: every address that takes one, under every host, origin and Fetch Metadata.

The app is called as the server calls it, without a line between, so that all of the matrix is tried.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from db.entities.campaigns import CampaignSettings
from tests.factories import make_home
from tests.serving import Running, awaited, running
from tests.test_no_one_in_http import ballot, posts, rows

OWN = "127.0.0.1:8000"
ORIGINS = (
    f"http://{OWN}", "https://evil.example", "null", None, "", "http://127.0.0.1", f"http://{OWN}.evil.example",
    f"http://evil.example/{OWN}", f"http://{OWN}@evil.example", "http://localhost:8000", "http://127.0.0.1:8001",
    "file://", f"http://evil{OWN}",
)  # fmt: skip
STRANGE = ("evil.example", "127.0.0.1.evil.example:8000", "evil.example:8000", "", None)
"""hosts that the server is not known by: refused before anything else is looked at"""
SITES = ("same-origin", "none", None, "cross-site", "same-site", "", "nonsense")
TYPES = (
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
)

BELONGS = {(OWN, f"http://{OWN}", site) for site in ("same-origin", "none", None)}
"""what a page of this very site sends; an older browser sends no Fetch Metadata"""
FORGED = [t for t in itertools.product((OWN,), ORIGINS, SITES) if t not in BELONGS]
FORGED += [
    (host, origin, site)
    for host in STRANGE
    for origin in (f"http://{OWN}", f"http://{host}")
    for site in SITES
]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = make_home(tmp_path_factory.mktemp("forged") / "home", settings=CampaignSettings(overlap=50))
    with running(home) as served:
        yield served


async def posted(
    app: Any, path: str, headers: Mapping[str, str | None], body: bytes, method: str = "POST"
) -> tuple[int, list[str]]:
    """(status, names of the answer's headers) of one request."""
    said: list[dict[str, Any]] = []
    come = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return come.pop() if come else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        said.append(message)

    raw = [(k.encode(), v.encode()) for k, v in headers.items() if v is not None]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": raw, "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    await app(scope, receive, send)
    return said[0]["status"], [name.decode() for name, _ in said[0]["headers"]]


def test_every_post_under_every_host_origin_and_fetch_metadata(web: Running) -> None:
    rater, owner = web.rater(), web.owner()
    held = ballot(rater)
    body = f'{{"assignment": "{held}", "choice": "left", "key": "csrf", "version": "1", "message": "x"}}'.encode()
    cookies = "; ".join(f"{c.name}={c.value}" for client in (rater, owner) for c in client.cookies.jar)
    kinds, before, tried, paths = itertools.cycle(TYPES), rows(web.home), Counter[int](), posts(web)

    async def forge() -> None:
        for path, (host, origin, site) in itertools.product(paths, FORGED):
            headers = {
                "host": host,
                "origin": origin,
                "sec-fetch-site": site,
                "cookie": cookies,
                "content-type": next(kinds),
            }
            status, named = await posted(web.app, path, headers, body)
            tried[status] += 1
            assert status in ((403, 404) if host == OWN else (421,)), (path, host, origin, site)
            assert not [h for h in named if h.startswith("access-control")], (path, host, origin, site)

    awaited(forge())
    assert rows(web.home) == before
    print(f"\nforged posts: {len(paths)} addresses, {tried.total()} tries, 0 let in: {dict(tried)}")
    assert tried.total() == len(paths) * len(FORGED) > 25_000
    assert tried[403] > 0


def test_no_preflight_and_no_other_method_is_answered(web: Running) -> None:
    async def ask() -> None:
        for path, method in itertools.product(posts(web), ("OPTIONS", "PUT", "PATCH", "DELETE", "TRACE")):
            asks = {"host": OWN, "origin": "https://evil.example", "access-control-request-method": "POST"}
            status, named = await posted(web.app, path, asks, b"", method)
            assert status == 404, (path, method)
            assert not [h for h in named if h.startswith("access-control")], (path, method)

    awaited(ask())


def test_what_a_page_of_this_site_sends_is_let_in(web: Running) -> None:
    """The same posts without a cookie are nobody's: they get past the guard and change nothing."""
    own = [path for path in posts(web) if path.startswith("/api/")]
    let_in = Counter[int]()

    async def send() -> None:
        for path, (host, origin, site) in itertools.product(own, BELONGS):
            headers = {
                "host": host,
                "origin": origin,
                "sec-fetch-site": site,
                "content-type": "application/json",
            }
            status, _ = await posted(web.app, path, headers, b"{}")
            let_in[status] += 1
            assert status not in (403, 404, 421), (path, site)

    awaited(send())
    assert let_in.total() == 3 * len(own)


def test_behind_a_proxy_the_public_name_is_the_only_other_one(tmp_path: Path) -> None:
    with running(make_home(tmp_path / "home"), public_url="https://taste.example") as web:

        async def statuses() -> list[int]:
            tries = itertools.product(
                (OWN, "taste.example"), ("https://taste.example", "https://evil.example")
            )
            found = []
            for host, origin in tries:
                headers = {
                    "host": host,
                    "origin": origin,
                    "sec-fetch-site": "same-origin",
                    "content-type": "application/json",
                }
                found.append((await posted(web.app, "/api/undo", headers, b"{}"))[0])
            return found

        assert awaited(statuses()) == [422, 403, 422, 403]
