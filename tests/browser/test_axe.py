"""axe-core on every page and every state of the rating page: no fault but minor ones (WCAG 2.2 A and AA, good practice).

All rules run as they come with axe-core, also on what Gradio draws: nothing is left out.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, TimeoutError, expect  # noqa: A004

from arena.demo import seed
from db.campaigns import battles_of, get_campaign
from db.checks import GoldPair, add_gold_pairs
from db.connection import open_writer
from db.entities.campaigns import CampaignSettings, QuizQuestion
from tests.browser.conftest import LOOKS, RATING
from tests.browser.test_rate import SETTLED
from tests.factories import make_home, new_home
from tests.serving import Running, running

BAD = ("moderate", "serious", "critical")
FILLED = (
    2000  # ms until an owner's page has filled its tables; it keeps a connection open, so it is never idle
)
AXE = Axe()


def faults(page: Page) -> list[str]:
    """The faults of the page as it stands, minor ones left out, each with the elements and what is wrong."""
    page.wait_for_timeout(250)  # a colour that is on its way is no colour
    found = AXE.run(page).response["violations"]
    return [
        f"{v['id']}: {node['target']} {node['html'][:140]} {node['failureSummary'][:240]}"
        for v in found
        if v["impact"] in BAD
        for node in v["nodes"]
    ]


@pytest.fixture
def look(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of this width in this colour scheme."""
    width, scheme = request.param
    context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield page
    context.close()


def walked(page: Page, web: Running) -> Iterator[str]:
    """Walk a rater through every state of the rating page; the name of each."""
    page.goto(web.base + web.link())
    page.wait_for_selector("[data-do=agree]:visible")
    yield "consent"
    page.click("[data-do=agree]")
    page.wait_for_selector(".tb-quiz input")
    yield "quiz"
    page.locator("[name=question-0]").first.check()
    page.click(".tb-quiz button")
    page.wait_for_selector("[data-wrong]")
    yield "quiz, answered wrong"
    page.locator("[name=question-0]").last.check()
    page.click(".tb-quiz button")
    page.wait_for_selector(RATING)
    yield "practice"
    page.wait_for_timeout(SETTLED)
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("[data-role=drawer]:visible")
    yield "details"
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-role=feedback]:visible")
    yield "feedback"
    page.click("[data-do=on]")
    page.wait_for_selector(".tb-panels[data-folded]")
    yield "ballot, folded"
    page.keyboard.press("d")
    yield "differences"
    page.keyboard.press("f")
    yield "ballot, all shown"
    page.keyboard.press("r")
    yield "raw text"
    page.keyboard.press("i")
    yield "guidelines"
    page.keyboard.press("?")
    yield "keys"
    page.keyboard.press("Escape")
    page.click("[data-do=menu]")
    yield "menu"
    page.click("[data-do=leave]")
    yield "withdraw?"
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    yield "skip"
    page.keyboard.press("s")
    page.wait_for_selector("[data-role=title]:visible")
    expect(page.locator("[data-do=reveal]")).to_be_visible()
    yield "end"
    page.click("[data-do=reveal]")
    page.wait_for_selector(".tb-revealed table")
    yield "revealed"


SETTINGS = CampaignSettings(
    consent_text="We keep **your votes**.", consent_version="1", guidelines="Choose what [helps](https://a.example) more.",
    quiz=(QuizQuestion("What counts?", ("Length", "Help"), 1),), practice=1, criteria=("truth",), ask_strength=True,
    ask_acceptable=True, ask_comment=True, ask_better=True, reason_tags=("wrong", "rude"), reveal="end", overlap=20,
    ends_at="2099-01-01T00:00:00.000Z",
)  # fmt: skip


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    text = "\n\n".join(f"> Part {i}\n\nSome `code`, *words*, [a link](https://a.example).\n\n```python\nprint({i})\n```"
                       for i in range(14))  # fmt: skip
    home = make_home(tmp_path_factory.mktemp("axe") / "home", prompts=1, settings=SETTINGS,
                     answer=lambda model, i: f"{text}\n\n| a | {model} |\n|---|---|\n| 1 | $x^2$ |")  # fmt: skip
    db = open_writer(home)
    campaign = get_campaign(db, "first")
    add_gold_pairs(
        db,
        campaign,
        [GoldPair(battles_of(db, campaign.id)[0].prompt, "A good answer.", "bad")],
        "file",
    )
    db.conn.close()
    with running(home) as served:
        yield served


@pytest.mark.parametrize("look", [pytest.param(p.values, marks=p.marks) for p in LOOKS], indirect=True)
def test_the_rating_page_has_no_fault_in_any_state(session: Running, look: Page) -> None:
    found = {state: wrong for state in walked(look, session) if (wrong := faults(look))}
    assert found == {}


@pytest.mark.parametrize("look", [pytest.param(p.values, marks=p.marks) for p in LOOKS], indirect=True)
def test_messages_and_the_login_have_none(session: Running, look: Page) -> None:
    for path in ("/join/" + "x" * 32, "/nothing", "/login/", "/login/?from=rate"):
        look.goto(session.base + path, wait_until="networkidle")
        look.set_extra_http_headers({"accept": "text/html"})
        assert faults(look) == [], path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The demo with what its own simulated raters said."""
    home = new_home(tmp_path_factory.mktemp("axe-demo") / "home")
    db = open_writer(home)
    seed(db)
    db.conn.close()
    with running(home) as served:
        yield served


TABS = ("overview", "models", "prompts", "campaigns", "raters", "data", "train", "jobs", "settings")


def logged_in(page: Page, web: Running) -> Page:
    """The page with the owner's cookie, in the studio."""
    cookies = web.owner().cookies
    page.context.add_cookies([{"name": n, "value": v, "url": web.base} for n, v in cookies.items()])
    page.goto(f"{web.base}/studio/")
    return page


@pytest.mark.slow
@pytest.mark.parametrize("look", [(1280, "light"), (1280, "dark"), (390, "light")], indirect=True)
def test_the_owners_pages_have_none(demo: Running, look: Page) -> None:
    page = logged_in(look, demo)
    found: dict[str, list[str]] = {}
    for where in (*(f"/studio/#{tab}" for tab in TABS), "/results/", "/chat/"):
        page.goto(demo.base + where)
        page.reload()
        page.locator("main, .tabs").first.wait_for()
        page.wait_for_timeout(FILLED)
        found[where] = faults(page)
    assert {where: wrong for where, wrong in found.items() if wrong} == {}


def test_the_last_tab_of_the_studio_is_reached_on_a_phone(demo: Running, chromium: Browser) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    try:
        page = logged_in(context.new_page(), demo)
        page.wait_for_timeout(FILLED)
        page.get_by_role("button", name="More tabs").click()
        page.get_by_role("button", name="Settings", exact=True).click()
        expect(page.get_by_role("tab", name="Settings")).to_have_attribute("aria-selected", "true")
        page.wait_for_url("**/studio/#settings")
    finally:
        context.close()


RING = """() => {
  const e = document.activeElement, s = getComputedStyle(e.matches("[role=combobox]") ? e.closest(".wrap") : e);
  return e === document.body || s.outlineStyle !== "none" || s.boxShadow !== "none" ? "" : e.outerHTML.slice(0, 140);
}"""
"""what has the focus, where nothing shows it"""


@pytest.mark.slow
def test_what_has_the_focus_shows_it(demo: Running, chromium: Browser) -> None:
    with contextlib.closing(chromium.new_context(viewport={"width": 1280, "height": 844})) as context:
        page = logged_in(context.new_page(), demo)
        hidden: set[str] = set()
        for where in ("/studio/#train", "/studio/#settings", "/chat/"):
            page.goto(demo.base + where)
            page.reload()
            page.wait_for_timeout(FILLED)
            for _ in range(34):
                page.keyboard.press("Tab")
                # Gradio draws a list's ring once it has heard of the focus
                with contextlib.suppress(TimeoutError):
                    page.wait_for_function(f"({RING})() === ''", timeout=5_000)
                hidden.add(page.evaluate(RING))
        assert hidden == {""}


def test_axe_does_find_a_planted_fault(session: Running, chromium: Browser, tmp_path: Path) -> None:
    page = chromium.new_page()
    page.set_content("<html lang=en><main><img src=x><button></button></main>")
    assert {f.split(":")[0] for f in faults(page)} >= {"image-alt", "button-name"}
    page.close()
