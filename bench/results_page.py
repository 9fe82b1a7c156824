"""The results page from click to drawn, with many votes, in a real browser.

    python -m bench.results_page [--votes 100000] [--models 6] [--raters 60] [--pictures DIR]

A home is filled with imported votes and served. Timed: the first look right after a start (the report is made by a process of
its own, begun at the start; with --home a second time, what the page showed last is drawn first), a click on two other models, and the page opened anew, Gradio's own start included. "Drawn"
is when the verdict stands on the page.
"""

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from sqlite_utils import Database

from bench.rows import Row, report
from bench.votes import ROOT, free_port, wait_for


def fill(folder: Path, votes: int, models: int, raters: int, prompts: int = 2000) -> None:
    """A home with one campaign and that many imported votes."""
    from db.campaigns import battles_of, create_campaign
    from db.catalog import add_model, add_prompts, add_responses
    from db.connection import home_at, open_writer
    from db.entities.campaigns import CampaignSettings
    from db.entities.catalog import ModelKind, Prompt, Response, Split
    from db.entities.votes import RaterKind
    from db.raters import add_rater

    rng = random.Random(1)
    db = open_writer(home_at(folder))
    asked = [Prompt.of([{"role": "user", "content": f"What is {i} plus {i % 7}, and why is it so?"}], Split.TRAIN,
                       ("code",) if i % 3 else ()) for i in range(prompts)]  # fmt: skip
    add_prompts(db, asked, prompt_set="bench")
    names = [f"model-{i}" for i in range(models)]
    for n, name in enumerate(names):
        add_model(db, name, ModelKind.RECORDED)
        add_responses(db, [Response.of(p.id, name, f"It is **{i}**, in wording {n}. " + "word " * rng.randint(20, 200))
                           for i, p in enumerate(asked)])  # fmt: skip
    campaign = create_campaign(db, "bench", names, "bench", CampaignSettings(overlap=1000)).campaign
    battles = [b.id for b in battles_of(db, campaign.id)]
    ids = [add_rater(db, f"r{i}", RaterKind.PERSON) for i in range(raters)]
    seen: set[tuple[int, int]] = set()
    while len(seen) < votes:
        seen.add((rng.choice(battles), rng.choice(ids)))
    add(db, campaign.id, sorted(seen), rng)
    db.conn.close()


def add(db: Database, campaign: int, cast: list[tuple[int, int]], rng: random.Random) -> None:
    """Imported votes of (battle, rater)."""
    from db.entities.catalog import content_id
    from db.entities.votes import Outcome
    from db.imports import ImportCounts, ImportedVote, add_imported_votes, begin_import, finish_import

    outcomes = [Outcome.A, Outcome.A, Outcome.B, Outcome.TIE]
    number = begin_import(db, "votes", "bench", campaign)
    made = [
        ImportedVote(content_id(campaign, b, r), campaign, b, r, rng.choice(outcomes), None) for b, r in cast
    ]
    add_imported_votes(db, made, number)
    finish_import(db, number, ImportCounts(len(made), len(made), 0, 0))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--votes", type=int, default=100_000)
    parser.add_argument("--models", type=int, default=6)
    parser.add_argument("--raters", type=int, default=60)
    parser.add_argument("--home", help="A home this filled before; made anew otherwise.")
    parser.add_argument("--pictures", help="A folder for screenshots.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(given.home or folder)
        if not (home / "arena.db").exists():
            fill(home, given.votes, given.models, given.raters)
        port = free_port()
        server = subprocess.Popen([sys.executable, "launch.py", "--home", str(home), "serve", "--no-open", "--port", str(port)],
                                  cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            wait_for(f"http://127.0.0.1:{port}/healthz", server)
            look(home, f"http://127.0.0.1:{port}", given.pictures)
        finally:
            server.terminate()
            server.wait()


def look(home: Path, base: str, pictures: str | None) -> None:
    """Open the page as its owner, and print what it took."""
    out = subprocess.run([sys.executable, "launch.py", "--home", str(home), "owner", "link"], cwd=ROOT,
                         capture_output=True, text=True, check=True).stdout  # fmt: skip
    link = next(word for word in out.split() if "/login" in word)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(600_000)
        page.goto(base + "/" + link.split("/", 3)[3])
        page.wait_for_url(lambda url: "/login" not in url)  # the page goes on by itself
        start = time.perf_counter()
        page.goto(f"{base}/results")
        page.wait_for_selector(".tr-hero")
        read = time.perf_counter() - start
        page.wait_for_selector(".tr-light")
        figures = time.perf_counter() - start
        page.get_by_text("Newer votes are being read").wait_for(state="detached")
        newest = time.perf_counter() - start
        report(Row("results page, first look after a start", f"something to read after {read:.2f} s, figures after {figures:.2f} s, "
                   f"the newest after {newest:.2f} s"))  # fmt: skip
        drawn("click on two other models", lambda: other_models(page))
        drawn("page opened anew", lambda: opened(page, base))
        if pictures:
            shots(page, Path(pictures))
        browser.close()


def drawn(what: str, once: Callable[[], float], times: int = 5) -> None:
    """Print the median and the longest of several."""
    took = [once() for _ in range(times)]
    report(Row(f"results page, {what}", f"median {statistics.median(took):.2f} s, longest {max(took):.2f} s ({times} times)",
               goal="1 s"))  # fmt: skip


def other_models(page: Page) -> float:
    """Seconds from a click on two other models until their verdict is drawn."""
    before = page.inner_text(".tr-hero h2")
    page.get_by_role("combobox", name="Models").click()
    option = page.locator("[role=option]:not([aria-selected=true])").nth(random.randrange(5))
    option.wait_for()
    start = time.perf_counter()
    option.click()
    page.wait_for_function("was => document.querySelector('.tr-hero h2').innerText !== was", arg=before)
    return time.perf_counter() - start


def opened(page: Page, base: str) -> float:
    """Seconds from following a link to the page until the verdict is drawn, Gradio's own start included."""
    start = time.perf_counter()
    page.goto(f"{base}/results")
    page.wait_for_selector(".tr-light")
    return time.perf_counter() - start


def shots(page: Page, folder: Path) -> None:
    """Screenshots, wide and narrow, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    for width in (1280, 390):
        for theme in ("light", "dark"):
            page.set_viewport_size({"width": width, "height": 860})
            page.emulate_media(color_scheme=theme)
            page.reload()
            page.wait_for_selector(".tr-light")
            page.screenshot(path=folder / f"{width}-{theme}.png", full_page=True)


if __name__ == "__main__":
    main()
