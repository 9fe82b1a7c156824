"""An owner who never read the README runs a session from the first look to the data set, in a real browser.

The other two walks are a rater's and a participant's of a crowd platform (test_rate_session.py).
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from arena.demo import seed
from arena.web.sessions import now
from db.campaigns import find_campaign, get_campaign
from db.connection import open_reader, open_writer
from db.entities.campaigns import CampaignStatus
from db.raters import get_rater
from labeling.owners import owner_link_token
from tests.browser.conftest import RATING, choose_in, look_at
from tests.browser.test_rate import press
from tests.browser.test_studio import field, fold, wait_until
from tests.factories import new_home
from tests.serving import Running, running


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Running]:
    home = new_home(tmp_path / "home")
    db = open_writer(home)
    seed(db)
    db.conn.close()
    with running(home) as served:
        yield served


def log_in(web: Running, context: BrowserContext) -> Page:
    page = context.new_page()
    page.set_default_timeout(20_000)
    token = web.writer.call(lambda db: owner_link_token(db, now()))
    page.goto(f"{web.base}/login/?token={token}")
    page.wait_for_url("**/studio/**")
    return page


def choose(page: Page, label: str, name: str) -> None:
    page.wait_for_timeout(1000)  # a tab that was just opened draws its lists once more
    choose_in(field(page, label), page.get_by_role("option", name=name, exact=True))


def test_an_owner_makes_a_session_watches_it_and_takes_the_data_home(
    web: Running, context: BrowserContext, pictures: Path
) -> None:
    studio = log_in(web, context)
    expect(studio.locator("#step h2")).to_be_visible()
    studio.screenshot(path=pictures / "owner-1-overview.png", full_page=True)

    # a campaign with a question of its own and a reason to tick
    look_at(studio, web, "campaigns")
    fold(studio, "Create a campaign")
    field(studio, "Name").fill("my session")
    for name in ("starter-sft", "starter-dpo"):
        field(studio, "Models").click()
        studio.get_by_role("option", name=name).click()
    choose(studio, "Prompts", "starter world:train")
    studio.get_by_role("button", name="Create", exact=True).click()
    wait_until(lambda: find_campaign(open_reader(web.home), "my session") is not None)
    expect(studio.locator(".tb-table", has_text="my session")).to_be_visible()

    # its settings, before anybody has voted
    choose(studio, "Campaign", "my session")
    studio.wait_for_timeout(1500)  # its settings come into the fields
    fold(studio, "Settings of this campaign")
    fold(studio, "What raters are asked")
    studio.get_by_label("How clear is it?").first.check()
    studio.get_by_role("button", name="Save settings").click()
    wait_until(lambda: get_campaign(open_reader(web.home), "my session").settings.ask_strength)
    fold(studio, "Preview: ballots as raters read them")
    expect(studio.locator(".tb-previewed")).to_have_count(3)
    expect(studio.locator(".tb-previewed").first).not_to_contain_text("<p>")
    studio.screenshot(path=pictures / "owner-2-campaign.png", full_page=True)

    # a link, a rater who uses it
    fold(studio, "Invite raters")
    studio.get_by_role("button", name="Make links").click()
    links = field(studio, "Links, one a line")
    expect(links).to_have_value(re.compile(r"/join/"))
    path = re.search(r"/join/\S+", links.input_value())
    assert path is not None
    browser = context.browser
    assert browser is not None
    rater = browser.new_page()
    rater.set_default_timeout(20_000)
    rater.goto(web.base + path[0])
    rater.wait_for_selector(RATING)
    for given in (1, 2, 3):
        shown = press(rater, "ArrowLeft")
        expect(rater.locator("[data-role=drawer]")).to_be_visible()
        rater.keyboard.press("2")  # clearly better; nothing else is asked, so it is sent
        wait_until(lambda n=given: votes_of(web) == n)
        rater.wait_for_function("a => document.querySelector('.tb-rate').dataset.assignment !== a", arg=shown)

    # watched live, paused with one press, opened again
    look_at(studio, web, "campaigns")
    choose(studio, "Campaign", "my session")
    expect(studio.locator(".tb-table", has_text="3 of 287").first).to_be_visible()
    studio.get_by_role("button", name="Pause", exact=True).first.click()
    wait_until(lambda: get_campaign(open_reader(web.home), "my session").status is CampaignStatus.PAUSED)
    studio.screenshot(path=pictures / "owner-3-live.png", full_page=True)
    rater.reload()
    expect(rater.get_by_text("paused this session")).to_be_visible()
    expect(rater.locator("[data-role=title]")).to_have_text("This session is paused")

    # with votes, a change makes a new version
    fold(studio, "Settings of this campaign")
    fold(studio, "What raters are asked")
    studio.get_by_label("Free comment").first.check()
    studio.get_by_role("button", name="Save settings").click()
    wait_until(lambda: find_campaign(open_reader(web.home), "my session v2") is not None)
    assert get_campaign(open_reader(web.home), "my session").status is CampaignStatus.CLOSED

    # a rater left out with a reason, the data taken home
    name = rater_of(web)
    look_at(studio, web, "raters")
    choose(studio, "Rater", name)
    field(studio, "Reason").fill("pressed left only")
    studio.get_by_role("button", name="Exclude").click()
    wait_until(lambda: get_rater(open_reader(web.home), name).excluded == "pressed left only")
    studio.get_by_role("button", name="Include again").click()
    wait_until(lambda: get_rater(open_reader(web.home), name).excluded is None)
    look_at(studio, web, "data")
    choose(studio, "Campaign", "my session")
    fold(studio, "Export as a dataset folder")
    studio.click("#export-look")
    expect(studio.get_by_role("button", name="Export", exact=True)).to_be_enabled()
    studio.screenshot(path=pictures / "owner-4-data.png", full_page=True)
    field(studio, "Folder name").fill("taken home")
    studio.click("#export-go")
    wait_until(lambda: (web.home.exports / "taken home" / "manifest.json").is_file())
    rater.close()


def votes_of(web: Running) -> int:
    db = open_reader(web.home)
    found = db.conn.execute(
        "SELECT count(*) FROM votes v JOIN campaigns c ON c.id = v.campaign WHERE c.name = 'my session'"
    ).fetchone()
    return int(found[0])


def rater_of(web: Running) -> str:
    db = open_reader(web.home)
    return str(db.conn.execute("SELECT t.name FROM votes v JOIN raters t ON t.id = v.rater JOIN campaigns c ON "
                               "c.id = v.campaign WHERE c.name = 'my session'").fetchone()[0])  # fmt: skip
