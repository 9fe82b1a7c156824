"""The Data tab in a real browser: look first, export after, rule where raters disagree."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from db.adjudications import rulings
from db.campaigns import get_campaign
from db.connection import home_at, open_reader
from labeling.importing import ImportKind, import_file
from tests.browser.conftest import logged_in, look_at
from tests.serving import Running, running


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A home with votes of three people; one battle they disagree on, one with a mail address."""
    folder = tmp_path_factory.mktemp("exports")
    rows = [{"rater": f"p{i}", "prompt": q, "model_a": "m1", "model_b": "m2", "response_a": a, "response_b": b,
             "winner": "model_a" if c == "a" else "model_b", "split": "train"}
            for q, a, b, given in (("Why is the sky blue?", "It scatters **blue** light.", "It reflects the sea.", "aab"),
                                   ("Who can I ask?", "Ask anna.schmidt@web.de", "Nobody.", "a"))
            for i, c in enumerate(given)]  # fmt: skip
    (folder / "votes.json").write_text(json.dumps(rows))
    home = home_at(folder / "home")
    import_file(home, ImportKind.VOTES, str(folder / "votes.json"))
    with running(home) as served:
        yield served


@pytest.fixture
def tab(web: Running, context: BrowserContext) -> Iterator[Page]:
    """The Data tab, logged in; the test fails on a script error or a refused request."""
    with logged_in(web, context) as page:
        look_at(page, web, "data")
        yield page


def choose(page: Page, name: str, words: str) -> None:
    """Choose in one of Gradio's lists."""
    page.locator(f"#{name} input").click()
    page.get_by_role("option").filter(has_text=words).first.click()


def picture(page: Page, name: str, folder: Path) -> None:
    page.screenshot(path=str(folder / f"{name}.png"), full_page=True)


def test_an_export_is_looked_at_before_it_is_written(web: Running, tab: Page, tmp_path: Path) -> None:
    tab.get_by_role("button", name="Export as a dataset folder").click()
    go = tab.locator("#export-go")
    expect(go).to_be_disabled()
    tab.get_by_role("button", name="Look at it first").click()
    expect(tab.get_by_text("4 rows: 4 train")).to_be_visible()
    expect(tab.get_by_text("train row 4, chosen: mail address ann...")).to_be_visible()
    expect(go).to_be_enabled()
    choose(tab, "export-policy", "majority")
    expect(go).to_be_disabled()  # another choice asks for another look
    tab.get_by_role("button", name="Look at it first").click()
    expect(tab.get_by_text("2 rows: 2 train")).to_be_visible()
    expect(tab.get_by_role("region", name="What each policy would give")).to_contain_text("consensus")
    picture(tab, "export", tmp_path)
    tab.get_by_label("Folder name").fill("first")
    go.click()
    refusal = tab.locator(
        ".tb-line", has_text="personal data"
    )  # of the export; a second press while it starts is ignored
    expect(refusal).to_be_visible(timeout=60_000)
    tab.locator("#export-allow input").check()
    tab.get_by_label("Folder name").fill("second")
    go.click()
    manifest = web.home.exports / "second" / "manifest.json"
    end = time.monotonic() + 60
    while not manifest.exists():
        assert time.monotonic() < end, "nothing was written"
        time.sleep(0.2)
    assert json.loads(manifest.read_text())["policy"]["method"] == "majority"
    assert not (web.home.exports / "first").exists()


def test_the_owner_rules_without_knowing_who_wrote_what(web: Running, tab: Page, tmp_path: Path) -> None:
    tab.get_by_role("button", name="Where raters disagree").click()
    choose(tab, "disputed", "Why is the sky blue?")
    expect(
        tab.get_by_text("Who wrote which, and how people voted, is shown once you have ruled.")
    ).to_be_visible()
    expect(tab.get_by_text("reflects the sea")).to_be_visible()
    tab.get_by_role("button", name="Both bad").click()
    expect(tab.get_by_text("the ruling has no reason")).to_be_visible()
    tab.get_by_label("Reason").fill("Neither says enough.")
    tab.get_by_role("button", name="Both bad").click()
    expect(tab.get_by_text("Ruled: both bad.")).to_be_visible()
    expect(tab.get_by_text("chosen by 2 votes")).to_be_visible()
    picture(tab, "ruling", tmp_path)
    reader = open_reader(web.home)
    kept = rulings(reader, get_campaign(reader, "votes").id)
    assert [(r.outcome, r.reason) for r in kept.values()] == [("both_bad", "Neither says enough.")]
