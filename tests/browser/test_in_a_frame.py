"""The rating page in a frame of another site, as a Hugging Face Space shows it, in a browser that keeps nothing for frames."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Frame, Page, expect

from db.campaigns import set_status
from db.connection import open_reader
from db.counting import counts
from db.entities.campaigns import CampaignSettings, CampaignStatus, Recruit
from tests.browser.conftest import RATING
from tests.browser.test_rate import SETTLED
from tests.factories import make_home
from tests.serving import Running, running


class OtherSite(BaseHTTPRequestHandler):
    """Answers with a page whose frame shows the address after the `?`."""

    def do_GET(self) -> None:
        """The page."""
        body = f'<iframe src="{unquote(self.path.partition("?")[2])}" width=1200 height=760></iframe>'
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    """Another site: `localhost` is not 127.0.0.1 to a browser."""
    with HTTPServer(("127.0.0.1", 0), OtherSite) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def web(site: str, tmp_path: Path) -> Iterator[Running]:
    settings = CampaignSettings(
        share_results=True,
        recruit=Recruit.PROLIFIC,
        completion_code="C",
        completion_url="https://panel.example",
    )
    with running(make_home(tmp_path / "home", settings=settings), https=True, embed=site) as served:
        yield served


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    with contextlib.closing(chromium.new_context(viewport={"width": 1280, "height": 860})) as context:
        opened = context.new_page()
        opened.set_default_timeout(20_000)
        yield opened


def framed(page: Page, site: str, address: str) -> Frame:
    """The frame of the other site's page that shows the address."""
    page.goto(f"{site}/?{address}")
    return page.frames[1]


def vote(page: Page, frame: Frame) -> None:
    """For the left answer of the ballot on the screen, until it is saved."""
    page.wait_for_timeout(SETTLED)
    frame.locator('[data-choice="left"]').click()
    expect(frame.locator('[data-role="saved"]')).to_contain_text("Saved")


def test_a_rater_votes_in_the_frame_though_the_browser_keeps_nothing_there(
    web: Running, site: str, page: Page
) -> None:
    frame = framed(page, site, web.base + web.link())
    frame.wait_for_selector(RATING)
    assert (
        frame.evaluate("(() => { try { return Boolean(localStorage) } catch { return false } })()") is False
    )
    first = frame.locator(".tb-rate").get_attribute("data-assignment")
    vote(page, frame)
    expect(frame.locator(".tb-rate")).not_to_have_attribute("data-assignment", first or "")
    db = open_reader(web.home)
    with contextlib.closing(db.conn):
        assert counts(db).stored == 1
    frame.locator("[data-do=menu]").click()
    expect(frame.locator("[data-role=language]")).to_be_hidden()


def test_at_the_end_a_rater_reads_the_shared_results_in_the_frame(
    web: Running, site: str, page: Page
) -> None:
    frame = framed(page, site, web.base + web.link())
    frame.wait_for_selector(RATING)
    vote(page, frame)
    web.writer.call(lambda db: set_status(db, "first", CampaignStatus.CLOSED))
    frame.goto(web.base + "/rate/")
    expect(frame.locator('[data-role="finish"]')).to_have_attribute("target", "_blank")
    frame.get_by_text("See the results").click()
    expect(frame.locator(".tr-page")).to_contain_text("model-one")
    expect(frame.get_by_role("link", name="Rate", exact=True)).to_be_visible()
    expect(frame.get_by_role("link", name="Studio")).to_be_hidden()


def test_a_stranger_in_the_frame_is_told_about_links(web: Running, site: str, page: Page) -> None:
    frame = framed(page, site, web.base + "/")
    expect(frame.locator("body")).to_contain_text("Open the personal link you were given.")
    assert frame.locator("input").count() == 0
