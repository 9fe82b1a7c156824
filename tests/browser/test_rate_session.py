"""A whole session in a real browser against the real server, as a recruited rater meets it, with its pictures.

Consent, the check, practice, check questions that nothing tells apart, repeats, undo, the code, the reveal, withdrawing.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from db.assignments import get_assignment
from db.campaigns import battles_of, get_campaign
from db.checks import GoldPair, add_gold_pairs, expected
from db.connection import Home, open_reader, open_writer
from db.entities.campaigns import CampaignSettings, QuizQuestion, Recruit
from db.entities.votes import BallotKind
from labeling.joining import invite_openly
from tests.browser.conftest import RATING
from tests.browser.test_rate import assignment, press, vote
from tests.factories import make_home
from tests.serving import Running, running

Open = Callable[..., Page]
QUIZ = (
    QuizQuestion("Which answer should you choose?", ("The longer one", "The one that helps more"), 1),
    QuizQuestion("May you skip?", ("Yes", "No"), 0),
)
RECRUITED = CampaignSettings(
    consent_text="We keep **your votes**.", consent_version="2026-1", guidelines="Choose what *helps more*.", quiz=QUIZ,
    practice=2, recruit=Recruit.PROLIFIC, completion_code="C0DE-77", completion_url="https://app.prolific.com/submissions/complete?cc=C0DE77",
    screenout_code="OUT-1", screenout_url="https://app.prolific.com/submissions/complete?cc=OUT1", reveal="end", overlap=9,
)  # fmt: skip


def home_with_gold(folder: Path, settings: CampaignSettings, prompts: int, gold: int) -> Home:
    home = make_home(folder / "home", prompts=prompts, settings=settings)
    db = open_writer(home)
    campaign = get_campaign(db, "first")
    asked = [b.prompt for b in battles_of(db, campaign.id)][:gold]
    add_gold_pairs(
        db,
        campaign,
        [GoldPair(p, f"A good answer {i}.", f"A bad one {i}.") for i, p in enumerate(asked)],
        "file",
    )
    db.conn.close()
    return home


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Running]:
    with running(home_with_gold(tmp_path, RECRUITED, prompts=4, gold=2)) as served:
        yield served


def arrive(context: BrowserContext, web: Running, worker: str = "a" * 24) -> Page:
    """A participant comes by the study's open link."""
    token = web.writer.call(lambda db: invite_openly(db, "first", 5).token)
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto(f"{web.base}/join/{token}?PROLIFIC_PID={worker}&STUDY_ID={'b' * 24}&SESSION_ID={'c' * 24}")
    return page


def answer_quiz(page: Page, *answers: int) -> None:
    page.wait_for_selector(".tb-quiz:visible")
    for question, answer in enumerate(answers):
        page.locator(f"[name=question-{question}]").nth(answer).check()
    page.click(".tb-quiz button")


def lent(web: Running, one: str) -> tuple[BallotKind, str | None]:
    """Why an assignment was lent, and the side known to be better."""
    db = open_reader(web.home)
    found = get_assignment(db, one)
    better = expected(db, found.battle)
    db.conn.close()
    return found.kind, None if better is None else "left" if better.value == found.left_is else "right"


def test_a_participant_walks_from_the_link_to_the_code(
    web: Running, context: BrowserContext, pictures: Path
) -> None:
    page = arrive(context, web)
    expect(page.locator("[data-role=title]")).to_have_text("Before you begin")
    page.screenshot(path=pictures / "1-consent.png")
    page.click("[data-do=agree]")

    expect(page.locator("[data-role=words] em")).to_have_text(
        "helps more"
    )  # the check is about the guidelines
    page.wait_for_selector(".tb-quiz:visible")
    page.click(".tb-quiz button")
    expect(page.locator(".tb-quiz")).to_contain_text("Answer every question first.")
    answer_quiz(page, 0, 0)
    expect(page.locator(".tb-quiz fieldset[data-wrong]")).to_have_count(1)
    expect(page.locator(".tb-lead")).to_contain_text("Tries left: 1")
    page.screenshot(path=pictures / "2-check.png")
    answer_quiz(page, 1, 0)
    page.wait_for_selector(RATING)

    for number, right in ((1, True), (2, False)):
        expect(page.locator("[data-role=practice]")).to_contain_text(f"Practice {number} of 2")
        expect(page.locator("[data-role=count]")).to_have_text("0 of 4")
        kind, better = lent(web, assignment(page))
        assert kind is BallotKind.PRACTICE
        pressed = better if right else {"left": "right", "right": "left"}[better]
        shown = press(page, {"left": "ArrowLeft", "right": "ArrowRight"}[pressed])
        said = page.locator("[data-role=feedback-text]")
        expect(said).to_contain_text(f"would pick {better.title()} here")
        expect(said).to_contain_text("as you did" if right else "Look at both once more")
        assert assignment(page) == shown, "the two answers are still there to compare"
        page.screenshot(path=pictures / f"3-practice-{number}.png")
        page.keyboard.press("Enter")
        expect(page.locator(".tb-rate")).not_to_have_attribute("data-assignment", shown)
    expect(page.locator("[data-role=practice]")).to_be_hidden()

    for key in ("ArrowLeft", "g", "t", "ArrowRight"):
        vote(page, key)
    expect(page.locator("[data-role=title]")).to_have_text("All done")
    expect(page.locator("[data-role=code]")).to_have_text("C0DE-77")
    back = page.get_by_role("link", name="Return to Prolific")
    expect(back).to_have_attribute("href", "https://app.prolific.com/submissions/complete?cc=C0DE77")
    page.screenshot(path=pictures / "4-code.png")
    page.click("[data-do=copy]")
    assert page.evaluate("getSelection().toString()") == "C0DE-77"

    # the last vote can be taken back until the models are shown
    page.click(".tb-screen [data-do=undo]")
    page.wait_for_selector(RATING)
    last = vote(page, "b")
    page.click("[data-do=reveal]")
    rows = page.locator(".tb-revealed tbody tr")
    expect(rows.first).to_be_visible()
    assert {c for r in rows.all() for c in r.locator("td").all_inner_texts()[2:]} >= {
        "model-one",
        "model-two",
    }
    assert "Both bad" in page.inner_text(".tb-revealed")
    page.screenshot(path=pictures / "5-revealed.png", full_page=True)
    expect(page.locator(".tb-screen [data-do=undo]")).to_be_hidden()
    refused = page.evaluate(
        "a => fetch('../api/undo', {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify({assignment: a})}).then(r => r.status)",
        last,
    )
    assert refused == 409


def test_a_second_wrong_try_ends_it_with_the_other_code(web: Running, context: BrowserContext) -> None:
    page = arrive(context, web)
    page.click("[data-do=agree]")
    answer_quiz(page, 0, 0)
    page.wait_for_selector("[data-wrong]")
    answer_quiz(page, 0, 1)
    expect(page.locator("[data-role=words]")).to_contain_text("do not fit this session")
    expect(page.locator("[data-role=code]")).to_have_text("OUT-1")
    expect(page.get_by_role("link", name="Return to Prolific")).to_have_attribute(
        "href", RECRUITED.screenout_url
    )


def test_nothing_on_the_page_tells_a_check_question_or_a_repeat(tmp_path: Path, open_rate: Open) -> None:
    settings = CampaignSettings(gold_rate=0.4, repeat_rate=0.3, overlap=9)
    with running(home_with_gold(tmp_path, settings, prompts=14, gold=10)) as web:
        page = open_rate(web)
        looks: dict[BallotKind, set[str]] = {}
        for _ in range(26):
            if page.get_attribute(".tb-rate", "data-state") != "rating":
                break
            kind, _better = lent(web, assignment(page))
            n, total = re.fullmatch(r"(\d+) of (\d+)", page.inner_text("[data-role=count]")).groups()
            assert int(n) < int(total), "there is a ballot left: this one"
            shape = page.evaluate(
                "() => { const c = document.querySelector('.tb-rate').cloneNode(true);"
                " c.removeAttribute('data-assignment'); c.querySelectorAll('.tb-text, [data-role=said], .tb-progress, [data-role=saved]').forEach(e => e.remove());"
                " c.querySelectorAll('[style]').forEach(e => e.removeAttribute('style'));"
                " c.querySelectorAll('[data-do=undo]').forEach(e => e.removeAttribute('disabled')); return c.outerHTML; }"
            )
            looks.setdefault(kind, set()).add(shape)
            vote(page, "ArrowLeft")
        assert set(looks) == {BallotKind.BATTLE, BallotKind.GOLD, BallotKind.REPEAT}
        assert len(set.union(*looks.values())) == 1


def test_withdrawing_asks_first_and_then_forgets(tmp_path: Path, open_rate: Open) -> None:
    with running(make_home(tmp_path, settings=CampaignSettings(overlap=9))) as web:
        page = open_rate(web)
        vote(page, "g")
        page.click("[data-do=menu]")
        page.click("[data-do=leave]")
        expect(page.locator("[data-role=leave]")).to_contain_text("Your votes leave all figures")
        page.get_by_role("button", name="Stay").click()
        expect(page.locator(RATING)).to_be_visible()
        page.click("[data-do=menu]")
        page.click("[data-do=leave]")
        page.click("[data-do=forget]")
        expect(page.locator("[data-role=title]")).to_have_text("You have withdrawn")
        kept = page.evaluate("Object.keys({...localStorage, ...sessionStorage})")
        assert not {"tastebench-outbox", "tastebench-draft", "tastebench-pace", "tastebench-last"} & set(kept)
        db = open_reader(web.home)
        assert db.execute("SELECT count(*) FROM vote_states WHERE state = 'counted'").fetchone()[0] == 0
        db.conn.close()
        page.reload()
        expect(page.locator(RATING)).to_have_count(0)
