"""The login page in a real browser: a link's token is spent by the page's script, once, and leaves the address."""

from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from arena.web.sessions import now
from labeling.joining import owner_link_token
from tests.factories import make_home
from tests.serving import running


def test_the_owners_link_opens_the_studio_once(tmp_path: Path, context: BrowserContext) -> None:
    with running(make_home(tmp_path)) as web:
        token = web.writer.call(lambda db: owner_link_token(db, now()))
        assert web.client().get(f"/login/?token={token}").status_code == 200  # a scanner's look
        page = context.new_page()
        page.goto(f"{web.base}/login?token={token}")
        page.wait_for_url(f"{web.base}/studio/")
        cookie = next(c for c in context.cookies() if c["name"] == "tastebench-owner")
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        context.clear_cookies()
        page.goto(f"{web.base}/login/?token={token}")
        expect(page.locator(".tb-says")).to_contain_text("unknown, used or too old")
        assert "token" not in page.url


def test_a_token_can_be_pasted(tmp_path: Path, context: BrowserContext) -> None:
    with running(make_home(tmp_path)) as web:
        page = context.new_page()
        page.goto(f"{web.base}/studio")
        expect(page.locator(".tb-login h1")).to_have_text("Owner's login")
        page.click("button[type=submit]")
        expect(page.locator(".tb-says")).to_have_text("Paste the token first.")
        page.fill("#tb-token", web.writer.call(lambda db: owner_link_token(db, now())))
        page.keyboard.press("Enter")
        page.wait_for_url(f"{web.base}/studio/")
