"""Machine judges in a real browser: the panel that starts them, pairs by rank, and one battle judged after a person's vote."""

import contextlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from db.campaigns import battles_of, get_campaign
from db.catalog import add_model, add_responses
from db.connection import open_reader, open_writer
from db.entities.catalog import ModelKind, Response
from db.figures import judge_votes
from db.runs import list_jobs
from db.snapshots import pair_sets
from tests.browser.conftest import RATING, look_at
from tests.browser.test_axe import faults
from tests.browser.test_studio import field, fold, wait_until
from tests.serving import Running, running
from tests.standin import StandIn, standing_in
from tests.test_arena_judging_comparing import polite
from tests.test_arena_report import voted
from tests.workshop import run, trainable_home


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with standing_in() as standing:
        standing.answer = lambda text: polite(text) if "[answer A begins]" in text else "Friendly.\nGRADE: 8"
        yield standing


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, server: StandIn) -> Iterator[Running]:
    """A campaign of which a person judged six battles for the shorter answer, a judge by length all, and `far` to be asked."""
    home = trainable_home(tmp_path_factory.mktemp("judges") / "home", heldout=0)
    db = open_writer(home)
    with contextlib.closing(db.conn):
        add_model(db, "far", ModelKind.ENDPOINT, endpoint=server.url, remote_name="far-away-7b")
        first = get_campaign(db, "first")
        add_responses(
            db, [Response.of(b.prompt, "one", f"Well, {b.id}.", sample=1) for b in battles_of(db, first.id)]
        )
        voted(db, first, ["b"] * 6, raters=["ann"])
    run(home, "judge", "first", "--with", "length")
    with running(home) as served:
        yield served


def test_a_battle_where_a_judge_and_people_differ_is_opened_and_judged(
    studio: Page, web: Running, server: StandIn
) -> None:
    page = studio
    page.goto(f"{web.base}/results/")
    row = page.locator(".tr-differs").first
    row.locator("summary").click()
    row.get_by_role("link", name="Ask a judge about it").click()
    battle = page.locator("article[id^=battle-]")
    expect(battle).to_contain_text("two, chosen by 1 person")
    expect(battle).to_contain_text("length (prefers the longer answer): one is better")
    number = int(battle.get_attribute("id").removeprefix("battle-"))
    page.locator("#one-judge input").click()
    page.get_by_role("option", name="far").click()
    page.locator("#one-go").click()
    shown = f"launch.py judge first --with llm --model far --battle {number} --again"
    expect(page.locator(".tb-says[data-kind=good]")).to_contain_text(shown)
    said = page.locator(".tb-verdict", has_text="llm far pair-1")
    expect(said).to_contain_text("one is better", timeout=90_000)
    expect(said.locator("details").first).to_contain_text("One of them is friendlier.")
    expect(said.locator("details")).to_have_count(2)
    assert len(server.seen) == 2
    db = open_reader(web.home)
    [vote] = [v for v in judge_votes(db, get_campaign(db, "first").id) if v.rater_name == "llm far pair-1"]
    assert vote.battle == number
    expect(page.locator(".tb-says[data-kind=busy]")).to_have_count(0)
    assert faults(page) == []


def test_a_battle_no_person_voted_on_is_refused_in_a_line(studio: Page, web: Running) -> None:
    look_at(studio, web, "data")
    fold(studio, "Ask a judge about one battle")
    battles = battles_of(open_reader(web.home), get_campaign(open_reader(web.home), "first").id)
    jobs = len(list_jobs(open_reader(web.home)))
    for typed, told in (
        (str(battles[7].id), f"No person has voted on battle {battles[7].id} yet; ask a judge once one has"),
        ("99999", "There is no battle '99999'; choose one from the list"),
    ):
        studio.locator("#one-battle input").fill(typed)
        studio.locator("#one-battle input").press("Enter")
        expect(studio.locator(".tb-says[data-kind=bad]")).to_contain_text(told)
        expect(studio.locator("article[id^=battle-]")).to_have_count(0)
    studio.locator("#one-go").click()
    expect(studio.get_by_test_id("toast-text")).to_contain_text("there is no battle '99999'")
    studio.locator("#one-battle input").fill(str(battles[0].id))
    studio.locator("#one-battle input").press("Enter")
    expect(studio.locator("article[id^=battle-]")).to_contain_text("Question 0, please?")
    studio.locator("#one-go").click()
    expect(studio.get_by_text("no judge is chosen; choose a model that judges")).to_be_visible()
    assert len(list_jobs(open_reader(web.home))) == jobs


def test_raters_see_nothing_of_judges_while_they_rate(open_rate, web: Running) -> None:
    page = open_rate(web)
    page.wait_for_selector(RATING)
    for word in ("friendlier", "prefers the longer", "llm far", "verdict", "judge"):
        assert word not in page.content().lower(), word


@pytest.mark.slow
def test_the_panel_starts_judges_and_says_how_far_they_are(
    studio: Page, web: Running, server: StandIn
) -> None:
    page = studio
    look_at(page, web, "campaigns")
    expect(field(page, "Campaign")).to_have_value("first")
    fold(page, "Machine judges")
    expect(page.locator("tr", has_text="prefers the longer answer")).to_contain_text("8 verdicts")
    page.get_by_label("Language model: gives reasons, then a grade from 1 to 10").check()
    page.locator("#judge-model input").click()
    page.get_by_role("option", name="far", exact=True).click()
    page.locator("#judge-go").click()
    expect(page.locator(".tb-says[data-kind=good]")).to_contain_text(
        "judge first --with llm --single --model far"
    )
    wait_until(lambda: list_jobs(open_reader(web.home))[0].status.over)
    look_at(page, web, "campaigns")
    expect(field(page, "Campaign")).to_have_value("first")
    fold(page, "Machine judges")
    expect(page.locator("tr", has_text="llm far single-1")).to_contain_text("16 grades")
    assert faults(page) == []


@pytest.mark.slow
def test_answers_ranked_by_a_judge_become_a_pair_set(studio: Page, web: Running) -> None:
    page = studio
    look_at(page, web, "prompts")
    fold(page, "Pairs without people")
    for label, value in (("Prompts", "questions"), ("Who answers", "one")):
        field(page, label).click()
        page.get_by_role("option", name=value, exact=True).click()
    field(page, "Answers a prompt").fill("2")
    page.get_by_label("Length: prefers the longer answer").locator("visible=true").check()
    field(page, "Name of the pair set").fill("by length")
    page.locator("#rank-go").click()
    expect(page.locator(".tb-says[data-kind=good]")).to_contain_text(
        "--n 2 --with length --pairs best-worst --as"
    )
    wait_until(lambda: list_jobs(open_reader(web.home))[0].status.over)
    assert [(name, n) for name, _, n in pair_sets(open_reader(web.home))] == [("by length", 8)]
