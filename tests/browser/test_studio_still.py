"""Nothing on the studio's tabs moves under somebody's hand when the data arrives, in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import look_at
from tests.factories import make_home
from tests.serving import Running, running

WATCH = """() => {
  window.moved = []
  new PerformanceObserver((seen) => {
    for (const e of seen.getEntries()) window.moved.push([e.value, e.sources.map((s) => s.node?.textContent?.trim().slice(0, 40))])
  }).observe({ type: "layout-shift" })
}"""
MOST = 0.02
"""of the window's height and width together, as Chromium measures it; tabs that drew their controls first had 0.05 to 0.3"""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A campaign, so that every tab has something to draw."""
    home = make_home(tmp_path_factory.mktemp("still") / "home", prompts=12)
    with running(home) as served:
        yield served


def test_what_can_be_pressed_stays_where_it_is_while_a_tab_is_drawn(studio: Page, web: Running) -> None:
    look_at(studio, web, "data")
    studio.evaluate(WATCH)
    for tab, drawn in (
        ("Models", "Add a model"), ("Campaigns", "waits for its first rater"), ("Raters", "Exclude"),
        ("Prompts", "Search prompts"), ("Train", "Retrain"), ("Jobs", "Resume or run again"), ("Settings", "Add person"),
        ("Overview", "All notices"),
    ):  # fmt: skip
        studio.get_by_role("tab", name=tab, exact=True).click()
        expect(studio.get_by_text(drawn).locator("visible=true").first).to_be_visible()
        studio.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 300)))")
        moved = studio.evaluate("() => window.moved.splice(0)")
        assert sum(share for share, _ in moved) < MOST, f"{tab}: {moved}"
