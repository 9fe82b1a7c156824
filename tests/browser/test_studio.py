"""The studio and the chat in a real browser, behind the real guard: every act of the owner, and a whole retrain."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from arena import jobs
from arena.demo import seed
from db import runs
from db.campaigns import find_campaign, get_campaign
from db.catalog import add_prompts, find_model, get_setting, prompt_sets
from db.connection import open_reader, open_writer
from db.entities.campaigns import CampaignStatus
from db.entities.catalog import Prompt
from db.entities.runs import JobStatus, RunStatus
from db.raters import get_rater
from db.seats import list_seats
from tests.browser.conftest import look_at
from tests.factories import new_home
from tests.serving import Running, running
from tests.test_arena_loop import give

NASTY = "<img src=x onerror=\"document.title='run'\"> ${document.title='run'} {{7*7}}"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The demo with 61 votes of people and a prompt that would like to run."""
    home = new_home(tmp_path_factory.mktemp("studio") / "home")
    db = open_writer(home)
    seed(db)
    give(db, "SFT vs DPO", 61)
    add_prompts(db, [Prompt.of([{"role": "user", "content": NASTY}])], prompt_set="nasty")
    db.conn.close()
    with running(home) as served:
        yield served


def field(page: Page, label: str) -> Locator:
    """The field under this label, in the tab that is open."""
    words = page.locator("[data-testid=block-info]", has_text=re.compile(rf"^\s*{label}\s*$"))
    block = words.locator("xpath=ancestor::*[contains(concat(' ', @class, ' '), ' block ')][1]")
    return block.locator("input, textarea").locator("visible=true").first


def fold(page: Page, words: str) -> None:
    """Open a folded part."""
    page.get_by_role("button", name=words).click()


def wait_until(check, seconds: float = 180) -> None:
    """Until what is checked holds."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)


def test_the_overview_shows_the_loop_and_leads_on(studio: Page, web: Running) -> None:
    look_at(studio, web, "overview")
    expect(studio.locator("#step h2")).to_have_text("Retrain from 61 votes")
    expect(studio.locator(".tb-node")).to_have_count(10)
    expect(studio.locator(".tb-node[aria-current]")).to_have_attribute("data-stage", "pairs")
    studio.click("#next-step")
    expect(studio.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    expect(studio.locator("#look .tb-big")).to_contain_text("61 pairs train")
    studio.wait_for_url("**/studio/#train")


def test_the_owner_rates_by_one_press(studio: Page, web: Running) -> None:
    look_at(studio, web, "overview")
    studio.click("#rate-now")
    studio.wait_for_url("**/rate/**")
    studio.wait_for_selector('.tb-rate[data-state="rating"]')
    assert len([s for s in list_seats(open_reader(web.home)) if s.rater.startswith("owner")]) == 1


def test_text_of_others_stays_text(studio: Page, web: Running) -> None:
    look_at(studio, web, "prompts")
    field(studio, "Search prompts").fill("onerror")
    studio.get_by_role("button", name="Search").click()
    expect(studio.locator("td", has_text="onerror")).to_have_text(NASTY)
    assert studio.title() == "Studio - Tastebench"
    assert studio.locator("img[src=x]").count() == 0


def test_prompts_are_pasted_looked_at_and_imported(studio: Page, web: Running) -> None:
    look_at(studio, web, "prompts")
    fold(studio, "Bring data in")
    field(studio, "Pasted text").fill('{"prompt": "Who <b>are</b> you?"}\n{"prompt": "Why?"}')
    field(studio, "Name for pasted text").fill("from the browser")
    studio.get_by_role("button", name="Look at three rows").click()
    expect(studio.locator(".tb-pair")).to_have_count(2)
    studio.get_by_role("button", name="Import", exact=True).click()
    expect(studio.locator(".tb-says[data-kind=good]")).to_contain_text("launch.py import prompts")
    wait_until(lambda: any(s.name == "from-the-browser" for s in prompt_sets(open_reader(web.home))))


def test_a_campaign_is_made_paused_and_people_are_invited(studio: Page, web: Running) -> None:
    look_at(studio, web, "campaigns")
    fold(studio, "Create a campaign")
    create = studio.get_by_role("button", name="Create", exact=True)
    create.click()
    expect(studio.get_by_text("the campaign needs a name; write one")).to_be_visible()
    field(studio, "Name").fill("by hand")
    for name in ("starter-base", "starter-dpo"):
        field(studio, "Models").click()
        studio.get_by_role("option", name=name).click()
    field(studio, "Prompts").click()
    studio.get_by_role("option", name="starter world:train").click()
    create.click()
    wait_until(lambda: find_campaign(open_reader(web.home), "by hand") is not None)
    expect(studio.locator(".tb-table", has_text="by hand")).to_be_visible()
    field(studio, "Campaign").click()
    studio.get_by_role("option", name="by hand").click()
    studio.get_by_role("button", name="Pause").click()
    wait_until(lambda: get_campaign(open_reader(web.home), "by hand").status is CampaignStatus.PAUSED)
    fold(studio, "Invite raters")
    studio.get_by_role("button", name="Make links").click()
    links = field(studio, "Links, one a line")
    expect(links).to_have_value(re.compile(r"^(http://\S+/join/\S{32}\n?){5}$"))


def test_a_rater_is_left_out_with_a_reason(studio: Page, web: Running) -> None:
    look_at(studio, web, "raters")
    row = studio.locator("tr", has_text="demo-sim-1 ").first
    expect(row).to_be_visible()  # whom one may choose arrives with the table
    rater = field(studio, "Rater")
    rater.fill("demo-sim-1")
    rater.press("Enter")
    expect(rater).to_have_value("demo-sim-1")
    studio.get_by_role("button", name="Exclude").click()
    expect(studio.get_by_text("a decision about a rater needs a reason")).to_be_visible()
    field(studio, "Reason").fill("just a test")
    studio.get_by_role("button", name="Exclude").click()
    wait_until(lambda: get_rater(open_reader(web.home), "demo-sim-1").excluded == "just a test")
    expect(row).to_be_visible()


def test_models_are_added_and_settings_kept(studio: Page, web: Running) -> None:
    look_at(studio, web, "models")
    fold(studio, "Add a model")
    studio.get_by_label("Recorded: its answers are imported").check()
    field(studio, "Name").fill("recorded-here")
    studio.get_by_role("button", name="Add", exact=True).click()
    wait_until(lambda: find_model(open_reader(web.home), "recorded-here") is not None)
    look_at(studio, web, "settings")
    expect(field(studio, "Reward model")).to_have_value("starter-reward")
    studio.get_by_role("button", name="New one-time link to the studio").click()
    link = field(studio, "Link")
    expect(link).to_have_value(re.compile(re.escape(web.base) + r"/login/\?token=\S{32}"))
    other = studio.context.browser.new_page()
    other.goto(link.input_value())
    other.wait_for_url("**/studio/**")
    other.close()
    assert get_setting(open_reader(web.home), "reward_model") == "starter-reward"


def test_a_failed_job_shows_its_log_and_runs_again(studio: Page, web: Running) -> None:
    job = web.writer.call(lambda db: jobs.start(web.home, db, ["import", "prompts", "/nowhere.jsonl"]))
    wait_until(lambda: runs.get_job(open_reader(web.home), job.id).status.over)
    look_at(studio, web, "jobs")
    field(studio, "Job").click()
    studio.get_by_role("option", name=re.compile(rf"^{job.id}:")).click()
    expect(studio.locator(".tb-log pre")).to_contain_text("error: there is no file /nowhere.jsonl")
    studio.get_by_role("button", name="Resume or run again").click()
    wait_until(lambda: runs.list_jobs(open_reader(web.home))[0].id > job.id)


def test_the_command_follows_the_form(studio: Page, web: Running) -> None:
    look_at(studio, web, "train")
    command = studio.locator("#look .tb-command code")
    expect(command).to_contain_text("--from starter-sft --campaign 'SFT vs DPO'")
    expect(command).to_contain_text("--no-simulated")
    studio.locator("#simulated input").check()
    expect(command).to_contain_text("'SFT vs DPO simulated raters'")
    expect(command).not_to_contain_text("--no-simulated")
    fold(studio, "Settings")
    studio.locator("#set-beta input").fill("0.3")
    expect(command).to_contain_text("--set beta=0.3")
    field(studio, "Preset").click()
    studio.get_by_role("option", name="smoke").click()
    expect(command).to_contain_text("--preset smoke")
    expect(command).not_to_contain_text("beta")


def retrain(page: Page, web: Running, preset: str = "smoke") -> None:
    """Press the button, with as few steps as there can be."""
    look_at(page, web, "train")
    expect(page.locator("#look .tb-big")).to_be_visible()
    field(page, "Preset").click()
    page.get_by_role("option", name=preset).click()
    expect(page.locator("#look .tb-command code")).to_contain_text(f"--preset {preset}")
    page.click("#retrain")
    expect(page.locator(".tb-run")).to_have_attribute("data-status", "running")


def test_the_tab_that_a_reload_opens_keeps_its_clock(studio: Page, web: Running) -> None:
    look_at(studio, web, "train")
    expect(studio.locator("#look .tb-big")).to_be_visible()
    studio.wait_for_timeout(4000)  # whatever the opening asks for has been asked
    with studio.expect_request("**/queue/join*", timeout=20_000):
        pass


def newest(web: Running):
    """The newest retrain's job."""
    return next(j for j in runs.list_jobs(open_reader(web.home)) if j.command[0] == "train")


@pytest.mark.slow
def test_a_run_is_cancelled_and_nothing_of_it_stays(studio: Page, web: Running) -> None:
    retrain(studio, web, "starter")
    before = {m for m in ("starter-sft-r1", "starter-sft-r2") if find_model(open_reader(web.home), m)}
    expect(studio.locator(".tb-proof")).to_be_visible(timeout=300_000)
    studio.click("#cancel-run")
    expect(studio.locator(".tb-run")).to_have_attribute("data-status", "cancelled", timeout=300_000)
    db = open_reader(web.home)
    assert newest(web).status is JobStatus.CANCELLED
    assert runs.list_runs(db)[0].status is RunStatus.CANCELLED
    assert {m for m in ("starter-sft-r1", "starter-sft-r2") if find_model(db, m)} == before
    expect(studio.locator("#cancel-run")).to_be_hidden()


@pytest.mark.slow
def test_one_press_retrains_survives_a_reload_and_opens_the_blind_rematch(studio: Page, web: Running) -> None:
    retrain(studio, web)
    studio.reload()
    expect(studio.locator(".tb-run")).to_be_visible()
    expect(studio.locator("#cancel-run")).to_be_visible()
    expect(studio.locator(".tb-run")).to_have_attribute("data-status", "succeeded", timeout=600_000)
    expect(studio.locator(".tb-proof")).to_contain_text("margin 0.0000, loss 0.6931")
    expect(studio.locator(".tb-chart polyline")).to_have_count(3)
    run = next(r for r in runs.list_runs(open_reader(web.home)) if r.status is RunStatus.SUCCEEDED)
    assert run.rematch == f"{run.model} rematch"
    expect(studio.locator(".tb-run")).to_contain_text(f"Candidate {run.model} is registered")
    look_at(studio, web, "overview")
    expect(studio.locator("#step h2")).to_have_text(re.compile(r"Rate the blind rematch: 0 of \d+"))
    expect(studio.locator(".tb-node[aria-current]")).to_have_attribute("data-stage", "rematch")


@pytest.mark.slow
def test_two_models_answer_side_by_side(studio: Page, web: Running) -> None:
    studio.goto(f"{web.base}/chat/")
    field(studio, "Talk to").click()
    studio.get_by_role("option", name="starter-sft", exact=True).click()
    field(studio, "Beside it").click()
    studio.get_by_role("option", name="starter-base").last.click()
    for n, question in enumerate(("What is the capital of France?", "What is 2 plus 3?"), 1):
        studio.fill("#chat-text textarea", question)
        studio.press("#chat-text textarea", "Enter")
        expect(studio.locator(".tb-turn[data-who=user]")).to_have_count(2 * n)
        expect(studio.locator(".tb-turn[data-who=assistant] .tb-text")).to_have_count(2 * n, timeout=300_000)
        expect(studio.locator(".tb-wait")).to_have_count(0)
        studio.wait_for_timeout(1500)
    studio.click("#chat-over")
    expect(studio.locator("#chat")).to_contain_text("Choose a model")
