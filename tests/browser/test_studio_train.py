"""The Train form in a real browser: every kind of run, other rows, warnings at their fields, and a run made to fit."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from arena.demo import seed
from db.connection import open_writer
from labeling.importing import ImportKind, import_file
from tests.browser.conftest import logged_in, look_at
from tests.factories import new_home
from tests.serving import Running, running
from tests.test_arena_loop import give


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The demo with votes of one person, and a file of answers."""
    folder = tmp_path_factory.mktemp("train")
    home = new_home(folder / "home")
    db = open_writer(home)
    seed(db)
    give(db, "SFT vs DPO", 61)
    rows = folder / "answers.jsonl"
    rows.write_text(
        "".join(json.dumps({"question": f"What is {i}?", "answer": f"It is {i}."}) + "\n" for i in range(9))
    )
    import_file(home, ImportKind.RESPONSES, str(rows))
    db.conn.close()
    with running(home) as served:
        yield served


@pytest.fixture
def train(web: Running, context: BrowserContext) -> Iterator[Page]:
    """The Train tab, drawn."""
    with logged_in(web, context) as page:
        look_at(page, web, "train")
        expect(page.locator("#look .tb-big")).to_be_visible()
        yield page


def unfold(page: Page, words: str) -> None:
    page.get_by_role("button", name=words).click()


def pick(page: Page, words: str) -> None:
    """Choose one of a group of circles."""
    page.get_by_label(words).check()


def test_a_newcomer_sees_a_parent_its_votes_a_preset_and_one_button(train: Page) -> None:
    shown = train.locator("#train-tabs input:visible, #train-tabs button.primary:visible")
    assert shown.count() < 14
    expect(train.locator("#retrain")).to_be_visible()
    expect(train.locator("#set-learning_rate")).to_be_hidden()
    expect(train.locator("#look")).to_contain_text("All 61 votes are by one rater")
    expect(train.locator("#look .tb-memory summary")).to_contain_text("Memory: about")
    expect(train.locator("#fit")).to_be_hidden()


def test_each_kind_shows_its_own_settings_and_its_command(train: Page) -> None:
    unfold(train, "Another kind of run")
    unfold(train, "Settings")
    command = train.locator("#look .tb-command code")
    expect(train.locator("#set-beta")).to_be_visible()
    pick(train, "Answers (SFT)")
    expect(command).to_contain_text("train sft --from starter-sft")
    expect(train.locator("#set-beta")).to_be_hidden()
    expect(train.locator("#reference")).to_be_hidden()
    pick(train, "Answers of a file or a model")
    expect(command).to_contain_text("--data answers")
    expect(train.locator("#look .tb-big")).to_contain_text("answer")
    pick(train, "Thumbs (KTO)")
    expect(command).to_contain_text("train kto --from starter-sft --campaign")
    expect(train.locator("#set-good_weight")).to_be_visible()
    expect(train.locator("#look .tb-pair").first).to_contain_text(re.compile("A (good|bad) answer"))
    pick(train, "Reward model")
    expect(command).to_contain_text("train reward --from starter-sft")
    expect(train.locator("#set-margin")).to_be_visible()
    expect(train.locator("#against")).to_be_hidden()
    expect(train.locator("#more")).to_contain_text("warmup_ratio")


def test_a_setting_outside_its_band_is_warned_of_at_its_field(train: Page) -> None:
    unfold(train, "Settings")
    beta = train.locator("#set-beta")
    beta.locator("input").fill("0.9")
    expect(beta).to_contain_text("Beta 0.9 lies outside 0.01 to 0.5")
    beta.locator("input").fill("0.2")
    expect(beta).not_to_contain_text("lies outside")
    expect(train.locator("#look .tb-command code")).to_contain_text("--set beta=0.2")


def test_a_run_that_is_too_large_is_made_to_fit_by_one_press(train: Page, web: Running) -> None:
    unfold(train, "Settings")
    train.locator("#set-batch_size input").fill("4000000")
    expect(train.locator("#look .tb-memory")).to_contain_text("too much")
    train.locator("#fit").click()
    expect(train.locator("#said")).to_contain_text("Changed so that it fits")
    expect(train.locator("#look .tb-memory summary")).not_to_contain_text("too much")
    expect(train.locator("#fit")).to_be_hidden()
    assert int(train.locator("#set-batch_size input").input_value()) < 4_000_000
    assert "gradient_accumulation=" in train.locator("#look .tb-command code").inner_text()
