"""What comes with a choice in a real browser: the drawer, its keys, a draft that survives, reasons and reports."""

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from db.connection import open_reader
from db.entities.campaigns import CampaignSettings
from tests.browser.conftest import RATING
from tests.browser.test_rate import SETTLED, assignment, outcomes, press, vote
from tests.factories import make_home
from tests.serving import Running, running

Open = Callable[..., Page]
EVERYTHING = CampaignSettings(
    ask_strength=True, ask_acceptable=True, ask_comment=True, ask_better=True, reason_tags=("wrong facts", "too long"),
    criteria=("which is more truthful",), overlap=9,
)  # fmt: skip


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A campaign that asks for everything beside a choice, one for a comment, one for strength, and one that asks for nothing."""
    home = make_home(tmp_path_factory.mktemp("details") / "home", prompts=14, settings=EVERYTHING)
    for name, asked in (
        ("comment", {"ask_comment": True}),
        ("strength", {"ask_strength": True}),
        ("plain", {}),
    ):
        make_home(home.root, campaign=name, settings=CampaignSettings(overlap=9, **asked))
    with running(home) as served:
        yield served


def stored(web: Running, one: str) -> dict[str, object]:
    """What is stored with the vote on an assignment, and which slot stood left."""
    db = open_reader(web.home)
    columns = ("outcome", "strength", "acceptable_a", "acceptable_b", "criteria", "tags_a", "tags_b", "comment", "better",
               "reason", "report")  # fmt: skip
    row = db.execute(
        f"SELECT {', '.join('v.' + c for c in columns)}, a.left_is FROM votes v JOIN assignments a ON a.id = v.assignment"
        " WHERE v.assignment = ?",
        [one],
    ).fetchone()
    db.conn.close()
    return dict(zip((*columns, "left_is"), row, strict=True))


def drawer(page: Page) -> object:
    return page.locator("[data-role=drawer]")


def saved(page: Page, shown: str) -> None:
    """Until another ballot is shown and the vote is saved."""
    expect(page.locator(".tb-rate")).not_to_have_attribute("data-assignment", shown)
    expect(page.locator("[data-role=saved]")).to_have_attribute("data-kind", "ok")


def test_details_go_with_the_vote_and_survive_a_reload(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    expect(drawer(page)).to_be_hidden()
    shown = press(page, "ArrowLeft")
    expect(drawer(page)).to_be_visible()
    assert shown not in outcomes(web), "the choice alone is not sent"
    page.keyboard.press("2")
    page.click("[data-accept=right][data-value=no]")
    page.click("[data-role=criteria] [data-criterion=tie]")
    page.click("[data-role=tags-right] [data-tag='too long']")
    page.fill("[data-text=comment]", "left is plain")
    page.fill("[data-text=better]", "A better answer\nof two lines.")
    page.reload()
    page.wait_for_selector(RATING)
    assert assignment(page) == shown
    expect(drawer(page)).to_be_visible()
    expect(page.locator("[data-text=better]")).to_have_value("A better answer\nof two lines.")
    expect(page.locator("[data-strength=clear]")).to_have_attribute("aria-pressed", "true")
    page.click("[data-role=chosen]")
    page.keyboard.press("Enter")
    saved(page, shown)
    row = stored(web, shown)
    left, right = ("a", "b") if row["left_is"] == "a" else ("b", "a")
    assert row["outcome"] == left
    assert row["strength"] == "clear"
    assert (row[f"acceptable_{left}"], row[f"acceptable_{right}"]) == (None, 0)
    assert json.loads(row["criteria"]) == {"which is more truthful": "tie"}
    assert json.loads(row[f"tags_{right}"]) == ["too long"]
    assert not json.loads(row[f"tags_{left}"] or "[]")
    assert (row["comment"], row["better"]) == ("left is plain", "A better answer\nof two lines.")
    expect(drawer(page)).to_be_hidden()


def test_the_same_key_sends_another_changes_and_escape_goes_back(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    shown = press(page, "ArrowLeft")
    page.keyboard.press("1")
    expect(page.locator("[data-ask=strength]")).to_be_visible()
    page.keyboard.press("g")
    expect(page.locator("[data-ask=strength]")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(drawer(page)).to_be_hidden()
    assert shown not in outcomes(web)
    page.keyboard.press("g")
    page.keyboard.press("g")
    saved(page, shown)
    row = stored(web, shown)
    assert row["outcome"] == "both_good"
    assert row["strength"] is None, "what is not asked beside this choice does not go with it"


def test_strength_alone_is_one_more_key(web: Running, open_rate: Open) -> None:
    page = open_rate(web, "strength")
    first = press(page, "ArrowRight")
    page.keyboard.press("1")
    saved(page, first)
    assert stored(web, first)["strength"] == "slight"
    second = vote(page, "t")  # nothing is asked beside a tie
    assert stored(web, second)["strength"] is None


def test_a_vote_taken_back_keeps_what_was_written(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    shown = press(page, "ArrowRight")
    page.fill("[data-text=better]", "much work")
    page.keyboard.press("Control+Enter")
    saved(page, shown)
    page.keyboard.press("u")
    expect(page.locator("[data-role=saved]")).to_have_text("Vote taken back")
    again = press(page, "ArrowLeft")
    expect(page.locator("[data-text=better]")).to_have_value("much work")
    page.keyboard.press("Enter")
    saved(page, again)
    assert stored(web, again)["better"] == "much work"


@pytest.mark.parametrize(
    ("clicks", "text", "reason", "report"),
    [
        ([], "", None, None),
        (["[data-skip='I do not know the topic']"], "", "I do not know the topic", None),
        ([], "tired", "tired", None),
        (["[data-report='It holds personal data']"], "a phone number", None, "It holds personal data; a phone number"),
    ],
)  # fmt: skip
def test_a_skip_may_say_why_and_report(
    web: Running, open_rate: Open, clicks: list[str], text: str, reason: str | None, report: str | None
) -> None:
    page = open_rate(web, "plain")
    shown = assignment(page)
    page.wait_for_timeout(SETTLED)
    page.keyboard.press("s")
    for one in clicks:
        page.click(one)
    if text:
        page.fill("[data-text=more]", text)
    page.click("[data-do=send]")
    saved(page, shown)
    row = stored(web, shown)
    assert (row["outcome"], row["reason"], row["report"]) == ("skip", reason, report)


def test_everything_on_a_phone_is_large_enough_to_touch(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    page.set_viewport_size({"width": 390, "height": 844})
    small = "() => [...document.querySelectorAll('.tb-rate :is(button, textarea, select, summary, .tb-line)')].filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML)"
    assert page.evaluate(small) == []
    page.wait_for_timeout(SETTLED)
    page.click("[data-choice=left]")
    expect(drawer(page)).to_be_visible()
    assert page.evaluate(small) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("[data-choice=skip]")
    assert page.evaluate(small) == []
    page.click("[data-do=back]")
    page.click("[data-do=menu]")
    assert page.evaluate(small) == []


def test_typing_votes_nothing(web: Running, open_rate: Open) -> None:
    page = open_rate(web, "comment")
    shown = press(page, "t")
    page.focus("[data-text=comment]")
    page.keyboard.type("skip both good ? u d r")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowLeft")
    assert (assignment(page), shown in outcomes(web)) == (shown, False)
    page.keyboard.press("Escape")  # out of the field
    page.keyboard.press("Enter")
    saved(page, shown)
    assert str(stored(web, shown)["comment"]).startswith("skip both good ? u d r")


def test_the_whole_drawer_can_be_filled_by_the_keyboard_alone(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    shown = press(page, "ArrowLeft")
    reached: set[str] = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(() => { const e = document.activeElement, d = e.dataset; return e.closest('.tb-drawer') ?"
                " d.strength || (d.accept && d.accept + d.value) || (d.criterion && 'criterion ' + d.criterion) || (d.tag && d.side + d.tag)"
                " || d.text || d.do : ''; })()"
            )
        )
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or not page.evaluate("!!document.activeElement.closest('.tb-drawer')")
    assert reached >= {
        "back", "send", "slight", "clear", "leftyes", "leftno", "rightyes", "rightno", "criterion left", "criterion tie",
        "criterion right", "lefttoo long", "rightwrong facts", "comment", "better",
    }  # fmt: skip
    page.focus("[data-accept=left][data-value=yes]")
    page.keyboard.press("Space")
    expect(page.locator("[data-accept=left][data-value=yes]")).to_have_attribute("aria-pressed", "true")
    page.focus("[data-do=send]")
    page.keyboard.press("Enter")
    saved(page, shown)
    row = stored(web, shown)
    assert row[f"acceptable_{row['left_is']}"] == 1
