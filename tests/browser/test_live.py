"""A live session in a browser: write, wait, vote, go on; what fails; and how the screens look."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from db.entities.campaigns import CampaignSettings
from tests.browser.conftest import LOOKS, RATING
from tests.standin import completion
from tests.test_arena_live import Arena, arena


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Arena]:
    with arena(tmp_path / "home", CampaignSettings(live=True, live_limit=3, reveal="end")) as made:
        yield made


@pytest.fixture
def opened(live: Arena, context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    page.set_default_timeout(20_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(live.web.base + live.web.link())
    page.goto(f"{live.web.base}/live/")
    expect(page.get_by_label("Your message")).to_be_visible()
    yield page
    assert errors == []


def send(page: Page, text: str) -> None:
    page.locator('[data-role="live-text"]').fill(text)
    page.keyboard.press("Enter")


def test_write_wait_vote_and_go_on(live: Arena, opened: Page) -> None:
    held = live.slow.hold()
    send(opened, "What is a quokka?")
    expect(opened.get_by_text("Two models are writing.")).to_be_visible()
    expect(opened.get_by_text("A short reply.")).to_have_count(0)
    held.set()
    opened.wait_for_selector(RATING)
    left = opened.locator('[data-role="left"]').inner_text()
    opened.wait_for_timeout(300)
    opened.keyboard.press("ArrowLeft")
    expect(opened.get_by_label("Your next message")).to_be_visible()
    expect(opened.locator('[data-role="live-talk"]')).to_contain_text(left)
    expect(opened.locator('[data-role="count"]')).to_have_text("1 of 3")
    send(opened, "Tell me more.")
    opened.wait_for_selector(RATING)
    expect(opened.locator('[data-role="prompt"]')).to_contain_text("What is a quokka?")
    opened.reload()
    opened.wait_for_selector(RATING)
    opened.wait_for_timeout(300)
    opened.keyboard.press("t")
    expect(opened.get_by_label("Your next message")).to_be_visible()
    opened.get_by_role("button", name="Begin a new talk").click()
    expect(opened.locator('[data-role="live-talk"]')).to_be_hidden()
    opened.get_by_role("button", name="Undo my last vote").click()
    opened.wait_for_selector(RATING)


def test_a_side_that_fails_is_tried_again_by_a_press(live: Arena, opened: Page) -> None:
    live.slow.statuses = [500, 500]
    send(opened, "Hello?")
    opened.get_by_role("button", name="Try again").click()
    opened.wait_for_selector(RATING)
    opened.wait_for_timeout(300)
    opened.keyboard.press("b")
    expect(opened.get_by_label("Your next message")).to_be_visible()
    live.quick.statuses = [500, 500]
    send(opened, "Another one")
    opened.get_by_role("button", name="Write something else").click()
    expect(opened.locator('[data-role="live-text"]')).to_have_value("Another one")
    expect(opened.get_by_text("The answers did not come.")).to_be_visible()


def test_what_is_written_survives_a_reload_and_answers_alike_are_told(live: Arena, opened: Page) -> None:
    opened.locator('[data-role="live-text"]').fill("Half a thought")
    opened.reload()
    expect(opened.get_by_label("Your message")).to_have_value("Half a thought")
    live.slow.body = live.quick.body = completion("The same.")
    opened.keyboard.press("Tab")
    send(opened, "Twins?")
    expect(opened.get_by_text("There is nothing to compare")).to_be_visible()
    expect(opened.get_by_label("Your message")).to_have_value("")


def test_the_way_from_the_rating_page(live: Arena, opened: Page) -> None:
    opened.goto(f"{live.web.base}/rate/")
    opened.get_by_role("link", name="Write your own prompts").click()
    expect(opened.get_by_label("Your message")).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_screens_fit(live: Arena, opened: Page, pictures: Path, width: int, scheme: str) -> None:
    opened.emulate_media(color_scheme=scheme)
    opened.set_viewport_size({"width": width, "height": 800})
    wide = "document.documentElement.scrollWidth - innerWidth"
    held = live.slow.hold()
    opened.screenshot(path=pictures / f"live-write-{width}-{scheme}.png")
    send(opened, "What is a quokka, and why does it smile on every picture that one sees of it?")
    expect(opened.get_by_text("Two models are writing.")).to_be_visible()
    opened.screenshot(path=pictures / f"live-wait-{width}-{scheme}.png")
    assert opened.evaluate(wide) <= 0
    held.set()
    opened.wait_for_selector(RATING)
    opened.screenshot(path=pictures / f"live-ballot-{width}-{scheme}.png")
    opened.wait_for_timeout(300)
    opened.locator('[data-choice="right"]').click()
    expect(opened.get_by_label("Your next message")).to_be_visible()
    opened.screenshot(path=pictures / f"live-on-{width}-{scheme}.png")
    assert opened.evaluate(wide) <= 0
