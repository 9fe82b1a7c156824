"""The chat in a browser: documents with their sources, an agent's steps, and how it looks."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import LOOKS, logged_in
from tests.serving import running
from tests.standin import StandIn, standing_in
from tests.workshop import endpoint_home


@pytest.fixture
def far() -> Iterator[StandIn]:
    with standing_in() as server:
        yield server


@pytest.fixture
def opened(far: StandIn, context: BrowserContext, tmp_path: Path) -> Iterator[Page]:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "quokka.md").write_text("A quokka lives on Rottnest Island, off the coast of Australia.")
    with running(endpoint_home(tmp_path / "home", far.url)) as web, logged_in(web, context) as page:
        page.goto(f"{web.base}/chat/")
        expect(page.get_by_label("Talk to")).to_have_value("far")
        page.get_by_role("button", name="Documents and tools").click()
        page.get_by_label("Folder of documents").fill(str(docs))
        yield page


def ask(page: Page, text: str) -> None:
    page.locator("#chat-text textarea").fill(text)
    page.locator("#chat-send").click()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_sources_and_steps(far: StandIn, opened: Page, pictures: Path, width: int, scheme: str) -> None:
    opened.emulate_media(color_scheme=scheme)
    opened.set_viewport_size({"width": width, "height": 900})
    ask(opened, "Where does a quokka live?")
    expect(opened.locator("#chat")).to_contain_text("You said Where does a quokka live?")
    opened.get_by_text("Sources of the last question (1)").click()
    expect(opened.locator("#chat")).to_contain_text("Rottnest Island")
    opened.screenshot(path=pictures / f"chat-sources-{width}-{scheme}.png", full_page=True)
    text = 'Action: {"name": "final_answer", "arguments": {"answer": "Six times seven is 42."}}'
    far.body = f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\ndata: [DONE]\n\n"
    opened.get_by_label("Let the model use tools").check()
    ask(opened, "What is 6 times 7?")
    expect(opened.locator("#chat")).to_contain_text("Six times seven is 42.")
    assert opened.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    opened.screenshot(path=pictures / f"chat-tools-{width}-{scheme}.png", full_page=True)


def test_a_talk_is_there_again_after_a_reload_until_it_is_deleted(opened: Page, pictures: Path) -> None:
    ask(opened, "Where does a quokka live?")
    expect(opened.locator("#chat")).to_contain_text("You said Where does a quokka live?")
    expect(opened.get_by_role("button", name="Delete this talk")).to_be_visible()
    opened.reload()
    expect(opened.locator("#chat")).to_contain_text("Choose a model")
    expect(opened.get_by_label("Talk to")).to_have_value("far")
    opened.get_by_label("Earlier talks").click()
    opened.get_by_role("option", name="Where does a quokka live?").click()
    expect(opened.locator("#chat")).to_contain_text("You said Where does a quokka live?")
    opened.get_by_role("button", name="Documents and tools").click()
    expect(opened.get_by_label("Folder of documents")).to_have_value(re.compile("docs$"))
    ask(opened, "And a wombat?")
    expect(opened.locator("#chat")).to_contain_text("You said And a wombat?")
    opened.get_by_label("Earlier talks").click()
    expect(opened.get_by_role("option")).to_have_count(1)
    opened.keyboard.press("Escape")
    opened.screenshot(path=pictures / "chat-earlier.png", full_page=True)
    opened.once("dialog", lambda asked: asked.dismiss())
    opened.get_by_role("button", name="Delete this talk").click()
    opened.wait_for_timeout(500)
    expect(opened.locator("#chat")).to_contain_text("And a wombat?")
    opened.once("dialog", lambda asked: asked.accept())
    opened.get_by_role("button", name="Delete this talk").click()
    expect(opened.locator("#chat")).to_contain_text("Choose a model")
    expect(opened.get_by_role("button", name="Delete this talk")).to_be_hidden()
