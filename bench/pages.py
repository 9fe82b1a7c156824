"""A home with very many votes: how long each page and each tab of the studio takes to open.

    python -m bench.pages [--votes 100000] [--home DIR] [--no-browser]

Two ways. On the server: what a tab asks of the home when it is looked at (`Part.refresh`, as Gradio calls it), in seconds of
processor time, the best of three. In Chromium: from the click to the last answer, Gradio's own work included, and beside it the
processor time the server spent on it (all its work, its clocks and rounds too). What is folded in the Campaigns tab is unfolded,
a part after the other. A home that was filled before can be given with --home.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bench.results_page import fill
from bench.rows import Row, report
from bench.serving import ours
from bench.votes import ROOT

GOAL = "1 s"
FOLDED = ("Plan: how many votes", "Preview: ballots", "Blinding guard")
"""what waits in the Campaigns tab until it is looked at, and asks the home for most"""
QUIET = 0.6
"""seconds without a request in flight after which a page is taken as drawn"""


def server_side(home: Path) -> Iterator[tuple[str, float]]:
    """(tab, processor seconds of drawing it anew) of the studio; large reports have been made before, as in a server."""
    import gradio as gr

    from arena.web import chrome
    from arena.web.context import Context
    from arena.web.pages.studio import shell
    from db.connection import Readers, Writer, home_at

    place = home_at(home)
    writer, readers = Writer(place), Readers(place)
    context = Context(place, readers, writer, chrome.theme())
    try:
        with gr.Blocks():
            tabs = gr.Tabs()
            parts = {name: shell._build(name, context, tabs) for name in shell.TABS}
        for name, part in parts.items():
            words = [c.value for c in part.inputs]
            yield name, best(lambda part=part, words=words: part.refresh(*words))  # type: ignore[misc]
    finally:
        context.players.close()
        context.kept.close()
        writer.close()


def best(work: Callable[[], object], times: int = 3) -> float:
    """The fewest processor seconds of several."""
    found = []
    for _ in range(times):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


class Drawn(NamedTuple):
    """What a click took: seconds until the last answer, and the server's processor seconds meanwhile."""

    seconds: float
    processor: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s ({self.processor:.2f} of the server's processor)"


def in_browser(home: Path) -> Iterator[tuple[str, Drawn]]:
    """(page, tab or part, what the click on it took)."""
    import psutil
    from playwright.sync_api import sync_playwright

    from arena.web.pages.studio.shell import TABS

    flying, last = set(), time.perf_counter()

    def began(request: object) -> None:
        if "heartbeat" not in request.url:  # type: ignore[attr-defined]
            flying.add(request)

    def ended(request: object) -> None:
        nonlocal last
        flying.discard(request)
        last = time.perf_counter()

    def drawn(click: Callable[[], object]) -> Drawn:
        nonlocal last
        busy, started = worked(), time.perf_counter()
        last = started
        click()
        while flying or time.perf_counter() - last < QUIET:
            page.wait_for_timeout(20)
        return Drawn(last - started, worked() - busy)

    def worked() -> float:
        spent = psutil.Process(served.process.pid).cpu_times()
        return spent.user + spent.system

    with ours(str(home)) as served, sync_playwright() as play:
        said = subprocess.run([sys.executable, "launch.py", "--home", str(home), "owner", "link"], cwd=ROOT,
                              capture_output=True, text=True, check=True).stdout  # fmt: skip
        link = next(word for word in said.split() if "/login" in word)
        base = f"http://127.0.0.1:{served.port}"
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(600_000)
        page.goto(f"{base}/{link.split('/', 3)[3]}")
        page.locator("#studio-tabs").wait_for()  # logged in, and at rest
        page.on("request", began)
        page.on("requestfinished", ended)
        page.on("requestfailed", ended)
        for path in ("results", "chat", "studio"):
            page.goto(f"{base}/{path}/")  # once before: what is measured is opening it again
            if path == "results":
                page.wait_for_selector(".tr-light")  # the first report of many votes is made by a child
            yield f"/{path}", drawn(lambda path=path: page.goto(f"{base}/{path}/"))  # type: ignore[misc]
        for tab in TABS[1:]:
            button = page.locator("#studio-tabs").get_by_role("tab", name=tab.title(), exact=True).first
            yield f"/studio, {tab}", drawn(button.click)
            for part in FOLDED if tab == "campaigns" else ():
                fold = page.get_by_role("button", name=part)
                yield f"/studio, {tab}, {part.partition(':')[0].lower()} unfolded", drawn(fold.click)
                fold.click()
        browser.close()


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--votes", type=int, default=100_000)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--no-browser", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder)
        if not (home / "arena.db").exists():
            fill(home, options.votes, 6, 200)
        for name, seconds in server_side(home):
            report(Row(f"studio {name}, processor time on the server", f"{seconds:.2f} s", goal=GOAL))
        if not options.no_browser:
            for name, took in in_browser(home):
                report(Row(f"{name} in Chromium, click to drawn", str(took), goal=GOAL))


if __name__ == "__main__":
    main()
