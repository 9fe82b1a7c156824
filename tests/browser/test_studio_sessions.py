"""A session in the studio's Campaigns tab, in a real browser: links made and printed, watched live, planned."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from arena.web.sessions import now
from db.connection import open_reader
from db.entities.campaigns import CampaignSettings
from db.seats import list_seats
from tests.browser.conftest import RATING, logged_in, look_at
from tests.browser.test_axe import faults
from tests.browser.test_rate import vote
from tests.browser.test_studio import field, fold, wait_until
from tests.factories import make_home
from tests.serving import Running, running
from tests.test_labeling_live import Person


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two recorded models over sixty prompts, one open campaign."""
    home = make_home(
        tmp_path_factory.mktemp("sessions") / "home", prompts=60, settings=CampaignSettings(overlap=2)
    )
    with running(home) as served:
        yield served


@pytest.fixture
def campaigns(web: Running, context) -> Iterator[Page]:
    """The Campaigns tab with its one campaign chosen; the test fails on a script error or a refused request."""
    with logged_in(web, context) as page:
        look_at(page, web, "campaigns")
        expect(field(page, "Campaign")).to_have_value("first")
        yield page


def test_a_session_is_prepared_watched_and_paused_without_leaving_the_tab(
    campaigns: Page, web: Running, context, tmp_path
) -> None:
    page = campaigns
    expect(page.locator(".tb-live-empty")).to_contain_text("waits for its first rater")
    fold(page, "Invite raters")
    field(page, "Seats").fill("2")
    page.get_by_role("button", name="Make links").click()
    links = field(page, "Links, one a line")
    expect(links).to_have_value(re.compile(r"^(http://\S+/join/\S{32}\n?){2}$"))
    first, second = links.input_value().splitlines()

    with page.expect_download() as download:
        page.get_by_text("Save the page to print").click()
    download.value.save_as(tmp_path / "cards.html")
    paper = context.new_page()
    paper.goto((tmp_path / "cards.html").as_uri())
    expect(paper.locator("article")).to_have_count(2)
    for card, link in zip(paper.locator("article").all(), (first, second), strict=True):
        expect(card).to_contain_text(link)
        inside, words = card.bounding_box(), card.locator(".link").bounding_box()
        assert words["y"] + words["height"] <= inside["y"] + inside["height"], "the link is not cut off"
    paper.close()

    person = context.browser.new_context().new_page()
    person.goto(web.base + "/join/" + first.split("/join/")[1])
    person.wait_for_selector(RATING)
    for _ in range(3):
        vote(person, "ArrowLeft")
    expect(page.locator(".tb-live")).to_contain_text(re.compile(r"Here now\s*1"), timeout=20_000)
    expect(page.locator(".tb-live tbody tr").first).to_contain_text("here now")
    expect(page.locator(".tb-live")).to_contain_text("of 120")

    field(page, "Seat").click()
    page.get_by_role("option", name=re.compile(r"^2: .*waiting")).click()
    page.get_by_role("button", name="Close this seat").click()
    expect(page.get_by_text("Seat 2 is closed; its votes stay.")).to_be_visible()
    wait_until(lambda: [s.revoked for s in list_seats(open_reader(web.home))] == [False, True])
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".tb-live header")).to_contain_text("paused", timeout=20_000)
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.locator(".tb-live header")).to_contain_text("open", timeout=20_000)
    person.context.close()


def test_the_planner_reckons_while_one_types(campaigns: Page, web: Running) -> None:
    page = campaigns
    expect(page.locator(".tb-live, .tb-live-empty")).to_be_visible()
    assert page.locator(".tb-plan").count() == 0  # every vote is read for it: not while it is folded
    fold(page, "Plan: how many votes")
    said = page.locator(".tb-plan .tb-big")
    expect(said).to_contain_text("No number of votes by 10 people on these prompts is enough")
    people = re.search(r"(\d+) people could tell", said.inner_text())[1]
    field(page, "People").fill(people)
    expect(said).to_contain_text("To see a 60:40 preference you need about")
    expect(said).to_contain_text(f"{people} people for about")
    field(page, "Pay an hour").fill("12")
    expect(said).to_contain_text("EUR")
    assert faults(page) == []
    field(page, "People").fill("0")
    expect(page.get_by_text("a session has 1 to 100,000 people")).to_be_visible()


def test_nothing_moves_on_the_page_where_nothing_happens(campaigns: Page, web: Running) -> None:
    web.writer.call(lambda db: Person(db, at=now()).vote(now()))
    page = campaigns
    expect(page.locator(".tb-live tbody tr")).to_have_count(len([s for s in list_seats(open_reader(web.home)) if s.taken]),
                                                            timeout=20_000)  # fmt: skip
    page.evaluate("""() => { window.changes = 0;
      new MutationObserver(seen => window.changes += seen.length).observe(
        document.querySelector('.tb-live').parentElement, {subtree: true, childList: true, characterData: true}); }""")
    for _ in range(2):  # the second of two is surely the tab's clock
        with page.expect_request("**/queue/join*", timeout=20_000):
            pass
    page.wait_for_timeout(1500)
    assert page.evaluate("window.changes") == 0


def test_a_rater_who_asks_for_it_is_forgotten(campaigns: Page, web: Running) -> None:
    person = web.writer.call(lambda db: Person(db, at=now()))
    web.writer.call(lambda db: person.vote(now()))
    name = list_seats(open_reader(web.home))[-1].rater
    page = campaigns
    look_at(page, web, "raters")
    field(page, "Rater").click()
    page.get_by_role("option", name=name, exact=True).click()
    fold(page, "Forget a rater who asks for it")
    page.get_by_role("button", name="Forget", exact=True).click()
    expect(page.get_by_text(f"there is no way back from this; type {name} into the field")).to_be_visible()
    field(page, "Type the rater's pseudonym").fill(name)
    page.get_by_role("button", name="Forget", exact=True).click()
    expect(page.get_by_text(f"{name} is forgotten")).to_be_visible()
    expect(page.locator("tr", has_text=f"withdrawn-{name.partition('-')[2]}").first).to_be_visible()
    expect(field(page, "Rater")).to_have_value("")
