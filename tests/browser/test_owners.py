"""An owner lets a viewer in, and the viewer looks around, in two real browsers; notices come and go."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from arena.demo import seed
from arena.web.sessions import now
from db import audit, runs
from db.campaigns import get_campaign
from db.connection import open_reader, open_writer
from db.entities.campaigns import CampaignStatus
from db.entities.runs import JobStatus
from db.notices import count_unseen
from labeling.owners import owner_link_token
from tests.browser.conftest import look_at
from tests.factories import new_home
from tests.serving import Running, running


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = new_home(tmp_path_factory.mktemp("owners") / "home")
    db = open_writer(home)
    seed(db)
    db.conn.close()
    with running(home) as served:
        yield served


@pytest.fixture
def studio(web: Running, context: BrowserContext) -> Page:
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto(f"{web.base}/login/?token={web.writer.call(lambda db: owner_link_token(db, now()))}")
    page.wait_for_url("**/studio/**")
    return page


def test_a_viewer_comes_in_by_the_link_sees_all_and_changes_nothing(
    web: Running, studio: Page, chromium: Browser, pictures: Path
) -> None:
    look_at(studio, web, "settings")
    studio.get_by_label("New person").fill("vera")
    studio.get_by_role("button", name="Add person").click()
    link = studio.locator("#person-link textarea, #person-link input").first
    expect(link).not_to_have_value("")
    address = link.input_value()
    assert address.startswith(f"{web.base}/login/?token=")
    expect(studio.get_by_role("region", name="Owners and viewers")).to_contain_text("vera")

    theirs = chromium.new_context(viewport={"width": 390, "height": 844}).new_page()
    theirs.set_default_timeout(20_000)
    theirs.goto(address)
    theirs.wait_for_url("**/studio/**")
    expect(theirs.get_by_text("You are here as the viewer vera")).to_be_visible()
    look_at(theirs, web, "settings")
    theirs.get_by_label("Reward model").fill("mine")
    theirs.get_by_role("button", name="Keep").click()
    expect(theirs.get_by_text("you are here as a viewer: you can look at everything")).to_be_visible()
    theirs.screenshot(path=pictures / "viewer-390.png")
    look_at(theirs, web, "campaigns")
    theirs.get_by_role("button", name="Pause").click()
    expect(theirs.get_by_text("you are here as a viewer: you can look at everything").first).to_be_visible()
    assert get_campaign(open_reader(web.home), "SFT vs DPO").status is CampaignStatus.OPEN
    theirs.context.close()

    look_at(studio, web, "settings")
    studio.get_by_role("button", name="What was done here").click()
    done = studio.get_by_role("region", name="What was done here")
    expect(done).to_contain_text("added viewer vera")
    studio.get_by_label("Search").locator("visible=true").fill("vera")
    studio.keyboard.press("Enter")
    expect(done.locator("tbody tr")).to_have_count(2)
    assert [(a.who, a.what) for a in audit.recent(open_reader(web.home), words="vera")] == [
        ("vera", "logged in by a one-time link"), ("owner", "added viewer vera"),
    ]  # fmt: skip


def test_a_job_that_ends_is_told_on_the_overview_until_it_is_read(web: Running, studio: Page) -> None:
    look_at(studio, web, "overview")

    def ends(db) -> None:
        job = runs.add_job(db, ["export", "out"])
        runs.start_job(db, job.id, 1, 0.0)
        runs.end_job(db, job.id, JobStatus.FAILED, 2, "the disk is <full>")

    web.writer.call(ends)
    bell = studio.locator("#bell")
    expect(bell).to_contain_text("failed: python launch.py export out (the disk is <full>)")
    studio.get_by_role("button", name="Mark as read").click()
    expect(bell).to_be_hidden()
    assert count_unseen(open_reader(web.home)) == 0
    studio.get_by_role("button", name="All notices").click()
    expect(studio.get_by_role("region", name="Notices")).to_contain_text("the disk is <full>")
