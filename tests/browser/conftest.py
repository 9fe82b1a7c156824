"""Chromium for the browser tests; they skip with a message where there is none."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Locator,
    Page,
    TimeoutError,  # noqa: A004
    expect,
    sync_playwright,
)

from arena.web.sessions import now
from labeling.owners import owner_link_token
from tests.serving import Running

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
LOOKS = [
    pytest.param(1280, "light"),
    pytest.param(390, "dark"),
    pytest.param(1280, "dark", marks=pytest.mark.slow),
    pytest.param(390, "light", marks=pytest.mark.slow),
]
"""(width, colour scheme): both of each on every run, all four of them on the long one"""
RATING = '.tb-rate[data-state="rating"]'
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A click in a real browser may miss on a busy machine: it gets a second try, and the run's last line counts those."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium, else the one that Playwright brings."""
    system = next(
        (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None
    )
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=system, args=ARGUMENTS)
        except Error as error:
            pytest.skip(f"no Chromium to test pages with: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser profile of its own, which must reach nothing but this machine."""
    opened = chromium.new_context(viewport={"width": 1280, "height": 860})
    outside: list[str] = []
    opened.on(
        "request",
        lambda r: outside.append(r.url) if urlsplit(r.url).hostname not in ("127.0.0.1", None) else None,
    )
    yield opened
    opened.close()
    assert outside == []


@pytest.fixture
def open_rate(context: BrowserContext) -> Callable[..., Page]:
    """Follow a new link of a served home to its first ballot."""

    def opened(web: Running, campaign: str = "first", *, ready: bool = True) -> Page:
        page = context.new_page()
        page.set_default_timeout(20_000)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(web.base + web.link(campaign))
        if ready:
            page.wait_for_selector(RATING)
        assert errors == []
        return page

    return opened


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where a test may leave screenshots."""
    return tmp_path


@contextlib.contextmanager
def logged_in(web: Running, context: BrowserContext) -> Iterator[Page]:
    """The studio in the owner's browser; the test fails on a script error or a refused request."""
    page = context.new_page()
    page.set_default_timeout(20_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("response", lambda r: wrong.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    token = web.writer.call(lambda db: owner_link_token(db, now()))
    page.goto(f"{web.base}/login/?token={token}")
    page.wait_for_url("**/studio/**")
    yield page
    assert wrong == []


def look_at(page: Page, web: Running, tab: str) -> None:
    """Open a tab by its address in a fresh document, so that nothing late of the last one has a say."""
    page.goto("about:blank")
    page.goto(f"{web.base}/studio/#{tab}")
    expect(page.get_by_role("tab", name=tab.title(), exact=True)).to_have_attribute("aria-selected", "true")


def choose_in(box: Locator, option: Locator) -> None:
    """Choose in one of Gradio's lists; it is opened once more where the page drew it anew in between."""
    for _ in range(5):
        box.click()
        with contextlib.suppress(TimeoutError):
            option.click(timeout=4000)
            return
        box.press("Escape")
    raise AssertionError(f"{option} was never there to be clicked")


@pytest.fixture
def studio(web: Running, context: BrowserContext) -> Iterator[Page]:
    """The studio of a file's own server; the test fails on a script error or a refused request."""
    with logged_in(web, context) as page:
        yield page
