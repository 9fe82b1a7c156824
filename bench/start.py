"""How long until a newcomer can rate, and how heavy the page is.

    python -m bench.start [--times 3]

Start of `serve` on an empty home to the first ballot in a rater's hands, `--help`, and what the rating page weighs on
the wire (every request a browser makes until the first ballot is drawn, where Chromium is at hand).
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

from bench.rows import Row, report
from bench.votes import ROOT, free_port, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Page


def first_ballot() -> tuple[float, float]:
    """(seconds to the printed links, seconds to the first ballot) of a serve on an empty home."""
    with tempfile.TemporaryDirectory() as home:
        started = time.monotonic()
        port = free_port()
        server = subprocess.Popen([sys.executable, "launch.py", "--home", home, "serve", "--no-open", "--port", str(port)],
                                  cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip
        try:
            assert server.stdout is not None
            link = next(m[0] for line in server.stdout if (m := re.search(r"http://\S+/join/\S+", line)))
            printed = time.monotonic() - started
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
            while True:
                try:
                    opener.open(link, timeout=5).read()
                    break
                except OSError:
                    time.sleep(0.05)
            ballots = json.loads(opener.open(f"http://127.0.0.1:{port}/api/next", timeout=20).read())[
                "ballots"
            ]
            assert ballots
            return printed, time.monotonic() - started
        finally:
            server.terminate()
            server.wait(20)


def help_seconds() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "launch.py", "--help"], cwd=ROOT, capture_output=True, check=True)
    return time.perf_counter() - started


def page_weight() -> dict[str, dict[str, object]] | None:
    """Requests, bytes on the wire and milliseconds to the first drawn ballot, cold and warm; None without Chromium."""
    browser_path = next(
        (p for p in (which("chromium"), which("chromium-browser"), which("google-chrome")) if p), None
    )
    if browser_path is None:
        return None
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import ARGUMENTS

    found: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as home, sync_playwright() as play:
        port = free_port()
        server = subprocess.Popen([sys.executable, "launch.py", "--home", home, "serve", "--no-open", "--port", str(port)],
                                  cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip
        try:
            assert server.stdout is not None
            link = next(m[0] for line in server.stdout if (m := re.search(r"http://\S+/join/\S+", line)))
            wait_for(f"http://127.0.0.1:{port}/healthz", server)
            browser = play.chromium.launch(executable_path=browser_path, args=ARGUMENTS)
            page = browser.new_page()
            client = page.context.new_cdp_session(page)
            client.send("Network.enable")
            sizes: list[float] = []
            client.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
            for name in ("cold", "warm"):
                sizes.clear()
                started = time.monotonic()
                page.goto(link if name == "cold" else f"http://127.0.0.1:{port}/rate")
                page.get_by_role("button", name=re.compile("Left")).first.wait_for(state="visible")
                page.wait_for_function("() => document.body.innerText.length > 200")
                paint = page.evaluate(
                    "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
                )
                found[name] = {
                    "requests": len(sizes),
                    "kB": round(sum(sizes) / 1000),
                    "ms": round(1000 * (time.monotonic() - started)),
                    "first_paint_ms": None if paint is None else round(paint),
                }
            found["click"] = clicks(page)
            browser.close()
        finally:
            server.terminate()
            server.wait(20)
    return found


def clicks(page: "Page", times: int = 8) -> dict[str, object]:
    """Milliseconds from a click on Left until the next ballot is drawn, as the page itself sees them, and until it is stored."""
    stored: list[float] = []
    page.on(
        "requestfinished",
        lambda r: stored.append(r.timing["responseEnd"]) if r.url.endswith("/api/vote") else None,
    )
    drawn = []
    for _ in range(times):
        page.wait_for_timeout(400)
        drawn.append(page.evaluate(
            """() => new Promise(done => {
              setTimeout(() => done(null), 5000)  // the page was not ready for a click
              const shown = () => document.body.innerText, before = shown(), began = performance.now()
              const look = () => shown() === before ? requestAnimationFrame(look) : done(performance.now() - began)
              const button = [...document.querySelectorAll('button')].find(b => b.innerText.includes('Left is better'))
              button.click(); requestAnimationFrame(look) })"""
        ))  # fmt: skip
    page.wait_for_timeout(1000)
    drawn = [ms for ms in drawn if ms is not None]
    if not drawn or not stored:
        raise SystemExit("no click on Left was followed by a ballot")
    return {
        "drawn_ms": round(statistics.median(drawn)),
        "stored_ms": round(statistics.median(stored)),
        "votes": len(stored),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    starts = [first_ballot() for _ in range(options.times)]
    report(
        Row("empty home to first ballot", f"{statistics.median(s for _, s in starts):.1f} s (links printed after "
            f"{statistics.median(p for p, _ in starts):.1f} s)", goal="10 s"),
        Row("--help", f"{statistics.median(help_seconds() for _ in range(5)):.2f} s", goal="0.3 s"),
    )  # fmt: skip
    for name, found in (page_weight() or {}).items():
        what = "click to next ballot drawn, and stored" if name == "click" else f"rating page opened, {name}"
        report(Row(what, ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in found.items())))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
