"""The guard in a real browser: the owner releases a battle in the studio; a rater reads covered words."""

import contextlib
from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from arena.web.sessions import now
from db.connection import Home, open_writer
from db.entities.campaigns import CampaignSettings, Guard
from labeling import scanning
from labeling.owners import owner_link_token
from tests.browser.conftest import RATING
from tests.browser.test_rate import vote
from tests.factories import make_home
from tests.serving import running


def answer(model: str, i: int) -> str:
    if model == "model-one" and i < 2:
        return ("Well, I am **ChatGPT**, and it is blue.", "It is green.<|im_end|>")[i]
    return f"Answer {i}, {len(model)} letters long, ends with {model[-1]}."


def scanned(folder: Path, guard: Guard) -> Home:
    """Three battles, two of them with a finding."""
    home = make_home(folder, prompts=3, answer=answer, settings=CampaignSettings(guard=guard))
    db = open_writer(home)
    with contextlib.closing(db.conn):
        scanning.scan(db, 1)
    return home


def test_an_owner_reads_what_was_found_and_releases_it(
    tmp_path: Path, context: BrowserContext, pictures: Path
) -> None:
    with running(scanned(tmp_path / "home", Guard.HOLD)) as web:
        page = context.new_page()
        page.set_default_timeout(20_000)
        token = web.writer.call(lambda db: owner_link_token(db, now()))
        page.goto(f"{web.base}/login/?token={token}")
        page.wait_for_url("**/studio/**")
        page.goto(f"{web.base}/studio/#campaigns")
        page.reload()
        page.get_by_role("button", name="Blinding guard").click()
        view = page.locator(".tb-guard")
        expect(view.locator("mark")).to_have_text(["ChatGPT", "<|im_end|>"])
        expect(view).to_contain_text("Held: 2 battles.")
        page.screenshot(path=pictures / "guard.png", full_page=True)
        page.set_viewport_size({"width": 390, "height": 844})
        page.screenshot(path=pictures / "guard-phone.png", full_page=True)
        page.set_viewport_size({"width": 1280, "height": 860})
        page.get_by_label("Battle", exact=True).click()
        page.get_by_role("option", name="1: names its model").click()
        page.get_by_role("button", name="Release: serve and count it").click()
        expect(page.get_by_text("Battle 1 is served and counted again")).to_be_visible()
        expect(view).to_contain_text("Held: 1 battle.")


def test_a_rater_reads_covered_words_and_never_the_name(tmp_path: Path, context: BrowserContext) -> None:
    with running(scanned(tmp_path / "home", Guard.REDACT)) as web:
        page = context.new_page()
        page.set_default_timeout(20_000)
        heard: list[str] = []
        page.on("response", lambda r: heard.append(r.text()) if "/api/" in r.url else None)
        page.goto(web.base + web.link("first"))
        covered = 0
        page.wait_for_selector(RATING)
        for _ in range(3):
            covered += "[hidden]" in page.locator(RATING).inner_text()
            vote(page, "ArrowLeft")
        assert covered == 2
        assert heard
        assert not any("ChatGPT" in text or "im_end" in text for text in heard)
