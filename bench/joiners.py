"""A room opens the link at once: seconds until everybody has the rating page with all it needs and a first ballot.

    python -m bench.joiners [--raters 100]

Chromium opens the page once to see which requests it takes; then each made-up browser makes the same ones over up to six
connections: cold (link, page, every file) and again warm (page and ballot; files that are immutable stay in its cache, others
are asked for with what it knows of them). The peer is the plain Gradio arena of bench/votes.py, opened the same way.
"""

import argparse
import asyncio
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from urllib.parse import urlsplit

from bench.rows import Row, better, report
from bench.serving import ours, plain_gradio
from bench.votes import make_home
from bench.wire import Wire
from db.connection import home_at, open_writer
from labeling.joining import invite

CONNECTIONS = 6
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def requests_of(port: int, path: str) -> list[str]:
    """The paths that Chromium asks for when it opens a page, in order, the page itself left out."""
    from playwright.sync_api import sync_playwright

    browser_path = next((p for p in map(which, CHROMIUM) if p), None)
    if browser_path is None:
        raise SystemExit("this bench wants Chromium; apt-get install chromium")
    seen: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: seen.append(request.url) if request.method == "GET" else None)
        page.goto(f"http://127.0.0.1:{port}{path}")
        page.get_by_role("button").first.wait_for(timeout=120_000)
        page.wait_for_timeout(1000)
        browser.close()
    paths = [urlsplit(url)._replace(scheme="", netloc="").geturl() for url in seen]
    return [p for p in dict.fromkeys(paths) if re.search(r"/(assets|static|svelte|theme\.css)", p)]


@dataclass
class Browser:
    """One made-up browser: its cookie, and the files it may use again without asking."""

    port: int
    files: Sequence[str]
    cookie: str = ""
    kept: set[str] = field(default_factory=set)
    marks: dict[str, str] = field(default_factory=dict)

    def _wire(self) -> Wire:
        headers = {"Accept-Encoding": "gzip, deflate, br", "Accept": "text/html,*/*"}
        return Wire("127.0.0.1", self.port, headers | ({"Cookie": self.cookie} if self.cookie else {}))

    async def open(self, link: str, page: str, first: str | None) -> float:
        """Seconds until the page, its files and the first ballot are there."""
        began, wire = time.perf_counter(), self._wire()
        if link:
            _, headers, _ = await wire.request("GET", link)
            self.cookie = headers["set-cookie"].split(";")[0]
            wire.headers["Cookie"] = self.cookie
        status, _, _ = await wire.request("GET", page)
        assert status == 200, (page, status)
        waiting = [f for f in self.files if f not in self.kept]
        others = [self._wire() for _ in range(CONNECTIONS - 1)]
        await asyncio.gather(*(self._fetch(w, waiting) for w in (wire, *others)))
        if first:
            status, _, body = await wire.request("GET", first)
            assert b"assignment" in body, (status, body[:200])
        for one in (wire, *others):
            one.close()
        return time.perf_counter() - began

    async def _fetch(self, wire: Wire, waiting: list[str]) -> None:
        while waiting:
            path = waiting.pop()
            known = self.marks.get(path)
            wire.headers |= {"If-None-Match": known} if known else {}
            status, headers, _ = await wire.request("GET", path)
            wire.headers.pop("If-None-Match", None)
            assert status in (200, 304), (path, status)
            self.marks[path] = headers.get("etag", "")
            if "max-age" in headers.get("cache-control", ""):
                self.kept.add(path)


async def room(browsers: Sequence[Browser], links: Sequence[str], page: str, first: str | None) -> float:
    """Seconds until the last of them can begin."""
    return max(await asyncio.gather(*(b.open(k, page, first) for b, k in zip(browsers, links, strict=True))))


def both_times(
    port: int, files: list[str], links: Sequence[str], page: str, first: str | None
) -> tuple[float, float]:
    """(cold, warm) seconds of a room."""
    browsers = [Browser(port, files) for _ in links]
    cold = asyncio.run(room(browsers, links, page, first))
    return cold, asyncio.run(room(browsers, [""] * len(links), page, first))


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--raters", type=int, default=100)
    n = parser.parse_args().raters
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        make_home(folder, 300)
        db = open_writer(home_at(Path(folder)))
        links = [f"/join/{i.token}" for i in invite(db, "bench", n + 1, simulated=True)]
        db.conn.close()
        with ours(folder) as served:
            files = requests_of(served.port, links[-1])
        with ours(folder) as served:  # a fresh one: nothing is packed yet
            cold, warm = both_times(served.port, files, links[:n], "/rate/", "/api/next?n=2")
        with plain_gradio(other) as served:
            files_there = requests_of(served.port, "/")
        with plain_gradio(other) as served:
            cold_there, warm_there = both_times(served.port, files_there, [""] * n, "/", None)
    report(
        Row(f"{n} cold joiners, all can rate", f"{cold:.1f} s ({len(files)} files each)",
            f"plain Gradio page {cold_there:.1f} s ({len(files_there)} files)", better(cold, cold_there, less=True), "4 s"),
        Row(f"{n} joiners again, warm", f"{warm:.2f} s", f"plain Gradio page {warm_there:.2f} s",
            better(warm, warm_there, less=True), "1 s"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
