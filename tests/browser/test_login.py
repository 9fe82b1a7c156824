"""The login page in a real browser: a link's token is spent by the page's script, once, and leaves the address."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from arena.web.sessions import now
from db.owners import password_hash
from labeling.owners import hash_of, owner_link_token, set_password
from tests.browser.conftest import LOOKS, look_at
from tests.factories import make_home
from tests.serving import running

SAYS_TOKEN, SAYS_PASSWORD = "#tb-token-says", "#tb-password-says"
PASSWORD = "correct horse battery"


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
        expect(page.locator(SAYS_TOKEN)).to_contain_text("unknown, used or too old")
        assert "token" not in page.url


def test_a_token_can_be_pasted(tmp_path: Path, context: BrowserContext) -> None:
    with running(make_home(tmp_path)) as web:
        page = context.new_page()
        page.goto(f"{web.base}/studio")
        expect(page.locator(".tb-login h1")).to_have_text("Owner's login")
        page.get_by_role("button", name="Open the studio").click()
        expect(page.locator(SAYS_TOKEN)).to_have_text("Paste the token first.")
        page.fill("#tb-token", web.writer.call(lambda db: owner_link_token(db, now())))
        page.keyboard.press("Enter")
        page.wait_for_url(f"{web.base}/studio/")


def test_a_password_is_set_in_settings_and_signs_in_again(tmp_path: Path, context: BrowserContext) -> None:
    with running(make_home(tmp_path)) as web:
        page = context.new_page()
        page.goto(f"{web.base}/login/?token={web.writer.call(lambda db: owner_link_token(db, now()))}")
        page.wait_for_url(f"{web.base}/studio/")
        look_at(page, web, "settings")
        page.get_by_role("button", name="My password and my browsers").click()
        page.get_by_label("New password").fill(PASSWORD)
        page.get_by_role("button", name="Set password").click()
        expect(page.get_by_text("Log in with the name owner and this password")).to_be_visible()
        expect(page.get_by_label("New password")).to_have_value("")
        page.get_by_role("button", name="Log out everywhere").click()
        page.wait_for_url("**/login/**")
        page.goto(f"{web.base}/studio/")
        page.wait_for_url("**/login/**")
        page.fill("#tb-name", "owner")
        page.keyboard.press("Enter")
        expect(page.locator(SAYS_PASSWORD)).to_have_text("Write your password first.")
        page.fill("#tb-password", "not this one, no")
        page.keyboard.press("Enter")
        expect(page.locator(SAYS_PASSWORD)).to_have_text("The name or the password is wrong.")
        page.fill("#tb-password", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{web.base}/studio/")


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_the_page_fits_and_its_fields_have_names(
    tmp_path: Path, context: BrowserContext, pictures: Path, width: int, theme: str
) -> None:
    home = make_home(tmp_path)
    with running(home) as web:
        hashed = hash_of(PASSWORD, "owner")
        web.writer.call(lambda db: set_password(db, "owner", hashed))
        assert web.writer.call(lambda db: password_hash(db, "owner")) == hashed
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"{web.base}/login/?from=rate&__theme={theme}")
        for label in ("One-time token", "Name", "Password"):
            expect(page.get_by_label(label, exact=True)).to_be_visible()
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator(SAYS_PASSWORD)).to_have_text("Write your name first.")
        assert overflow(page) <= 0
        for button in page.locator(".tb-login button").all():
            assert (button.bounding_box() or {"height": 0})["height"] >= 44
        page.screenshot(path=pictures / f"login-{width}-{theme}.png", full_page=True)
