"""The Rounds page in a real browser: promoted by the rule, promoted by hand, rolled back; two real rounds of the demo.

The demo's raters are the starter world's honest ones, simulated and marked so; the training is real.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from arena.demo import SIMULATED, seed
from db import runs
from db.connection import Home, open_reader, open_writer
from db.lock import Lock
from db.promotions import promotions
from tests.browser.conftest import choose_in, logged_in, look_at
from tests.factories import new_home
from tests.serving import Running, running
from tests.test_arena_promoting import candidate, give
from tests.workshop import give_votes, run, trainable_home


@contextlib.contextmanager
def served(home: Home) -> Iterator[Running]:
    """The home's server, with its lock held as `serve` holds it, so that made-up raters find it."""
    with running(home) as web:
        lock = Lock(home)
        lock.announce(web.base)
        yield web
        lock.release()


def open_rounds(page: Page, web: Running) -> None:
    look_at(page, web, "train")
    page.get_by_role("tab", name="Rounds", exact=True).click()
    expect(page.locator("#round-shown .tb-round")).to_be_visible()


def choose_round(page: Page, words: str) -> None:
    page.wait_for_timeout(1000)  # a tab that was just opened draws its lists once more
    choose_in(page.locator("#round input"), page.get_by_role("option", name=words))


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Running]:
    home = trainable_home(tmp_path / "home", heldout=40)
    db = open_writer(home)
    give_votes(db)
    candidate(db, "better")
    give(db, "better rematch", "w" * 12 + "t")
    db.conn.close()
    with served(home) as running_home:
        yield running_home


def test_promote_by_the_rule_then_by_hand_and_roll_back(
    web: Running, context: BrowserContext, pictures: Path
) -> None:
    with logged_in(web, context) as page:
        expect(page.locator("#step h2")).to_have_text("Promote better: people prefer it to one")
        page.click("#next-step")
        expect(page.locator("#rounds")).to_contain_text("No champion yet")
        expect(page.locator("#round-shown")).to_contain_text(
            "12 preferred better, 0 preferred one, 1 neither; 1 rater"
        )
        page.screenshot(path=pictures / "rounds-1-promote.png", full_page=True)
        page.get_by_role("button", name="Promote better").click()
        expect(page.locator("#round-said")).to_contain_text(
            "better is the champion (rule). Closed: better rematch, better collect."
        )
        expect(page.locator("#rounds h2").first).to_have_text("better")
        expect(page.locator("#promote")).to_be_hidden()

        web.writer.call(lambda db: candidate(db, "second", parent="better", rivals=("better",)))
        web.writer.call(lambda db: give(db, "second rematch", "l" * 12))
        open_rounds(page, web)
        expect(page.locator("#round-shown")).to_contain_text("people prefer better")
        page.locator("#by-hand button").first.click()
        page.click("#promote-hand")
        expect(page.get_by_text("promoting by hand needs a reason")).to_be_visible()
        page.locator("#hand-reason textarea").fill("the launch is on Friday")
        page.click("#promote-hand")
        expect(page.get_by_text("votes found better better than second")).to_be_visible()
        page.get_by_label("Also where votes found a rival better").check()
        page.click("#promote-hand")
        expect(page.locator("#rounds h2").first).to_have_text("second")
        page.locator("#roll-back button").first.click()
        page.locator("#rollback-reason textarea").fill("complaints")
        page.click("#rollback")
        expect(page.locator("#rounds h2").first).to_have_text("better")
        expect(page.locator("#round-shown")).to_contain_text("rolled back")
        page.screenshot(path=pictures / "rounds-2-back.png", full_page=True)
        with page.expect_download() as downloaded:
            page.get_by_role("link", name="rounds.csv").click()
        text = downloaded.value.path().read_text()
        assert "the launch is on Friday" in text
        assert text.count("\n") == 3
    db = open_reader(web.home)
    assert [(p.model, p.way, p.stands) for p in promotions(db)] == [
        ("better", "rule", True),
        ("second", "hand", False),
    ]
    acts = [r[0] for r in db.execute("SELECT what FROM audit ORDER BY id")]
    assert "promoted better" in acts
    assert acts[-1] == "rolled back the last promotion"


def test_a_narrow_dark_page_shows_the_same(web: Running, context: BrowserContext, pictures: Path) -> None:
    with logged_in(web, context) as page:
        page.set_viewport_size({"width": 390, "height": 844})
        page.emulate_media(color_scheme="dark")
        look_at(page, web, "train")
        page.evaluate("document.querySelector('#train-tabs-rounds-button').click()")
        expect(page.locator("#round-shown .tb-round")).to_be_visible()
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.screenshot(path=pictures / "rounds-narrow.png", full_page=True)


@pytest.mark.slow
def test_two_rounds_of_the_demo(tmp_path: Path, context: BrowserContext, pictures: Path) -> None:
    home = new_home(tmp_path / "home")
    db = open_writer(home)
    seed(db)
    db.conn.close()
    with served(home) as web:
        first = run(
            home,
            "train",
            "dpo",
            "--from",
            "starter-sft",
            "--campaign",
            SIMULATED,
            "--name",
            "first",
            "--json",
        )
        assert first.code == 0, first.err
        assert run(home, "simulate", "first rematch", "--raters", 6, "--votes", 90).code == 0
        with logged_in(web, context) as page:
            open_rounds(page, web)
            expect(page.locator("#round-shown")).to_contain_text(
                "90 votes of simulated raters are not counted"
            )
            expect(page.locator("#promote")).to_be_hidden()
            page.get_by_label("Also count simulated votes").check()
            page.get_by_role("button", name="Promote first").click()
            expect(page.locator("#rounds")).to_contain_text("counting simulated votes")
            page.screenshot(path=pictures / "demo-1.png", full_page=True)
        second = run(
            home,
            "train",
            "dpo",
            "--from",
            "first",
            "--campaign",
            SIMULATED,
            "--preset",
            "smoke",
            "--name",
            "second",
            "--json",
        )
        assert second.code == 0, second.err
        assert run(home, "promote", "second", "--reason", "a trial").code == 0
        with logged_in(web, context) as page:
            open_rounds(page, web)
            expect(page.locator("#rounds h2").first).to_have_text("second")
            page.locator("#roll-back button").first.click()
            page.click("#rollback")
            expect(page.locator("#rounds h2").first).to_have_text("first")
            choose_round(page, "Round 1: first")
            expect(page.locator("#round-shown")).to_contain_text("Round 1: first")
            page.screenshot(path=pictures / "demo-2.png", full_page=True)
    read = open_reader(home)
    assert runs.champion(read) == "first"
    assert promotions(read)[0].simulated
