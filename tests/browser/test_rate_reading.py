"""Reading two answers in a real browser: folded alike, scrolled together, differences marked, another language."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from db.entities.campaigns import CampaignSettings
from tests.browser.conftest import RATING
from tests.browser.test_rate import vote
from tests.factories import make_home
from tests.serving import Running, running

Open = Callable[..., Page]
WORDS = "The harbour wakes before the town does and the gulls argue over what the boats bring in. "


def long_answer(model: str, i: int) -> str:
    text = "\n\n".join(f"Part {n}. {WORDS}" for n in range(40 if model.endswith("one") else 25))
    return (
        text if model.endswith("one") else text.replace("gulls", "crows").replace("Part 3.", "Part 3. Truly.")
    )


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = make_home(
        tmp_path_factory.mktemp("reading") / "home",
        prompts=5,
        answer=long_answer,
        settings=CampaignSettings(overlap=50),
    )
    with running(home) as served:
        yield served


def heights(page: Page) -> list[float]:
    return [page.locator(f"[data-role={side}]").bounding_box()["height"] for side in ("left", "right")]


@pytest.mark.parametrize("width", [1280, 390])
def test_long_answers_are_folded_to_one_height_and_opened_together(
    web: Running, open_rate: Open, width: int
) -> None:
    page = open_rate(web)
    page.set_viewport_size({"width": width, "height": 844})
    page.wait_for_function("'folded' in document.querySelector('.tb-panels').dataset")
    left, right = heights(page)
    assert left == right < 700
    page.locator(".tb-more").nth(1).click()
    opened = heights(page)
    assert min(opened) > 1000, "one press opens both"
    expect(page.locator(".tb-more").first).to_have_text("Show less")
    page.reload()
    page.wait_for_selector(RATING)
    assert heights(page) == opened, "what the reader prefers is kept"
    page.keyboard.press("f")
    assert len(set(heights(page))) == 1


TOPS = "['left', 'right'].map(s => { const b = document.querySelector(`[data-role=${s}]`); return b.scrollTop / (b.scrollHeight - b.clientHeight); })"
"""how far each side is scrolled, as a share of its way"""


def test_folded_answers_scroll_together_in_proportion(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    scroll = "share => { const b = document.querySelector('[data-role=left]'); b.scrollTop = share * (b.scrollHeight - b.clientHeight); }"
    for share in (0.5, 1, 0.2):
        page.evaluate(scroll, share)
        page.wait_for_function(
            f"(() => {{ const [l, r] = {TOPS}; return Math.abs(l - {share}) < .01 && Math.abs(r - l) < .01; }})()"
        )
    page.keyboard.press("l")  # no longer together
    page.evaluate(scroll, 0.9)
    page.wait_for_timeout(80)
    left, right = page.evaluate(TOPS)
    assert left > 0.85
    assert right < 0.3
    page.keyboard.press("l")


def test_space_reads_on_and_votes_nothing(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    page.keyboard.press("Space")
    page.wait_for_function(f"Math.min(...{TOPS}) > 0")
    page.keyboard.press("Shift+Space")
    page.wait_for_function(f"Math.max(...{TOPS}) === 0")
    expect(page.locator("[data-role=count]")).to_have_text("0 of 5")


def test_the_key_d_marks_the_words_only_one_side_has(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    texts = page.inner_text("[data-role=left]"), page.inner_text("[data-role=right]")
    page.keyboard.press("d")
    marks = {s: page.locator(f"[data-role={s}] mark").all_inner_texts() for s in ("left", "right")}
    gulls, crows = ("left", "right") if "gulls" in texts[0] else ("right", "left")
    assert marks[gulls].count("gulls") >= 20
    assert {m.strip(" .") for m in marks[crows]} == {"crows", "Truly"}
    assert any(m.startswith("Part 30") for m in marks[gulls]), "what only the longer one goes on to say"
    assert (page.inner_text("[data-role=left]"), page.inner_text("[data-role=right]")) == texts
    page.keyboard.press("d")
    expect(page.locator("mark")).to_have_count(0)


def test_formulas_and_raw_text_can_be_compared_too(tmp_path: Path, open_rate: Open) -> None:
    home = make_home(
        tmp_path,
        prompts=1,
        answer=lambda model, i: (
            f"So $x^2$ is **{model[-3:]}** `code` and\n\n| a | b |\n|---|---|\n| 1 | {len(model)} |"
        ),
    )
    with running(home) as web:
        page = open_rate(web)
        formula = page.locator("[data-role=left] math").inner_html()
        page.keyboard.press("d")
        assert sorted(page.locator("mark").all_inner_texts()) == ["one", "two"]
        assert page.locator("[data-role=left] math").inner_html() == formula
        page.keyboard.press("r")
        assert sorted(page.locator("pre.tb-raw mark").all_inner_texts()) == ["one", "two"]


def test_differences_agree_with_a_second_source(web: Running, open_rate: Open) -> None:
    """The marked words leave a common subsequence as long as the one of the textbook's full table."""
    page = open_rate(web)
    page.keyboard.press("f") if page.locator("[data-folded]").count() else None
    plain = {s: page.inner_text(f"[data-role={s}]").split() for s in ("left", "right")}
    page.keyboard.press("d")
    left = {s: " ".join(page.evaluate(
        "s => { const c = document.querySelector(`[data-role=${s}]`).cloneNode(true); c.querySelectorAll('mark').forEach(m => m.remove()); return c.innerText || c.textContent; }", s).split())
        for s in ("left", "right")}  # fmt: skip
    squeezed = [left[s].replace(" ", "") for s in ("left", "right")]
    assert squeezed[0] == squeezed[1], "what is not marked is the same on both sides"
    a, b = plain["left"], plain["right"]
    row = [0] * (len(b) + 1)
    for word in a:
        above = row[:]
        for j, other in enumerate(b):
            row[j + 1] = above[j] + 1 if word == other else max(above[j + 1], row[j])
    kept = sum(len(w) for w in left["left"].split())
    assert kept >= 0.9 * row[-1], "and it is not just less"


def test_the_page_speaks_the_browsers_language_and_keeps_another(web: Running, chromium: Browser) -> None:
    context = chromium.new_context(locale="de-DE")
    try:
        page = context.new_page()
        page.goto(web.base + web.link())
        page.wait_for_selector(RATING)
        expect(page.locator("html")).to_have_attribute("lang", "de")
        expect(page.locator("[data-choice=left]")).to_contain_text("Links ist besser")
        expect(page.locator("[data-role=count]")).to_have_text("0 von 5")
        vote(page, "t")
        expect(page.locator("[data-role=saved]")).to_have_text("Gespeichert")
        login = context.new_page()
        login.goto(web.base + "/login/?from=rate")
        expect(login.locator("[data-for=rate] h2")).to_have_text("Zum Bewerten hergekommen?")
        expect(login.locator("section[lang=en] h1")).to_have_text("Owner's login")
        page.click("[data-do=menu]")
        page.select_option("[data-role=language]", "en")
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page.locator("[data-choice=left]")).to_contain_text("Left is better")
        page.reload()
        expect(page.locator("[data-role=count]")).to_have_text("1 of 5")
        answer = page.goto(web.base + "/join/" + "x" * 32)
        assert answer.status == 404
        expect(page.locator("h1")).to_have_text("Dieser Link funktioniert nicht")
    finally:
        context.close()


def test_time_left_comes_from_the_readers_own_pace(web: Running, open_rate: Open) -> None:
    page = open_rate(web)
    expect(page.locator("[data-role=time]")).to_have_text("")
    for _ in range(3):
        vote(page, "g")
    expect(page.locator("[data-role=time]")).to_have_text("about 1 min left")
    page.evaluate("localStorage.setItem('tastebench-pace', '[90000, 90000, 90000]')")
    page.reload()
    expect(page.locator("[data-role=time]")).to_have_text("about 3 min left")
