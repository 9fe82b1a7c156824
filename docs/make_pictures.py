"""Take the pictures of the documentation from the running program: `make pictures`.

Serves an empty home, rates with the keyboard, lets simulated raters vote, trains a candidate, and photographs what a
newcomer meets on the way (docs/tour.md) in Chromium. With a folder (`python -m docs.make_pictures FOLDER`) every screen
goes there instead, wide and narrow, light and dark, to be looked through.
"""

import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from time import sleep

from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(__file__).parent / "pictures"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]
PORT = 7899
BASE = f"http://127.0.0.1:{PORT}"
PATIENCE = 180_000
"""milliseconds that anything may take: models are loaded on the way"""
WIDE, NARROW = (1280, 800), (390, 844)
IN_THE_DOCS = {("rate", NARROW, "light"), ("rate", WIDE, "dark")}
"""beside each screen as it is wide and light"""


class Camera:
    """Photographs a screen: for the documentation as it needs it, for looking through in every way."""

    def __init__(self, folder: Path | None) -> None:
        """`folder`: where every screen goes in every way; None: docs/pictures."""
        self.folder = folder or TARGET
        self.every = folder is not None
        self.folder.mkdir(exist_ok=True, parents=True)

    def take(self, page: Page, name: str, part: str = "") -> None:
        """Photograph the window, or the part of the page that a selector names."""
        for size in (WIDE, NARROW):
            for scheme in ("light", "dark"):
                usual = (size, scheme) == (WIDE, "light")
                if usual or self.every or (name, size, scheme) in IN_THE_DOCS:
                    tail = "" if usual else f"-{scheme}" if size == WIDE else f"-narrow-{scheme}"
                    self._shoot(page, self.folder / f"{name}{tail}.png", size, scheme == "dark", part)
        page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
        page.emulate_media(color_scheme="light")

    def _shoot(self, page: Page, file: Path, size: tuple[int, int], dark: bool, part: str) -> None:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.wait_for_timeout(600)
        (page.locator(part).first if part else page).screenshot(path=file)


def main() -> None:
    """Write the pictures."""
    camera = Camera(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    browser_path = which("chromium") or which("chromium-browser") or which("google-chrome")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as play, _served(home) as (rate, studio):
        browser = play.chromium.launch(executable_path=browser_path, args=ARGUMENTS)
        expect.set_options(timeout=PATIENCE)
        page = _page(browser)
        _rating(page, rate, camera)
        _run(home, "simulate", "SFT vs DPO", "--raters", "6", "--votes", "150")
        _before_training(page, studio, camera)
        _run(home, "train", "dpo", "--from", "starter-sft", "--campaign", "SFT vs DPO", "--name", "second")
        _run(home, "simulate", "second rematch", "--raters", "8", "--votes", "240")
        _after_training(page, camera)
        _live(browser, home, camera)
        browser.close()


def _page(browser: Browser) -> Page:
    """A browser profile of its own, as patient as a busy machine wants."""
    page = browser.new_page(viewport={"width": WIDE[0], "height": WIDE[1]}, device_scale_factor=1)
    page.set_default_timeout(PATIENCE)
    return page


def _run(home: str, *words: str) -> str:
    """Run a verb on the home; what it printed."""
    done = subprocess.run(
        [sys.executable, "launch.py", "--home", home, *words],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@contextmanager
def _served(home: str) -> Iterator[tuple[str, str]]:
    """The program on an empty home; the owner's rating link and the studio's."""
    command = [sys.executable, "launch.py", "--home", home, "serve", "--no-open", "--port", str(PORT)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        printed = iter(server.stdout.readline, "")
        rate, studio = (next(m[0] for line in printed if (m := re.search(rf"http://\S+/{word}\S+", line)))
                        for word in ("join", "login"))  # fmt: skip
        _wait()
        yield rate, studio
    finally:
        server.terminate()
        server.wait(PATIENCE / 1000)


def _wait() -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{BASE}/healthz", timeout=2).read()  # noqa: S310 - this machine
            return
        except OSError:
            sleep(0.1)


def _rating(page: Page, link: str, camera: Camera) -> None:
    page.goto(link)
    page.get_by_role("button", name=re.compile("Left is better")).wait_for()
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(900)
    camera.take(page, "rate")
    for key in ("ArrowRight", "ArrowLeft", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
        page.wait_for_timeout(900)


def _tab(page: Page, name: str, part: str = "") -> None:
    """Open a tab of the studio by its address."""
    page.goto(f"{BASE}/studio/#{name}")
    page.reload()
    if part:
        page.locator(part).first.wait_for()
    page.wait_for_timeout(3000)


def _choose(page: Page, label: str, option: str) -> None:
    """Choose from a list, and wait until the list is gone: another one may have an option of the same name."""
    page.get_by_label(label, exact=True).first.click()
    page.get_by_role("option", name=option, exact=True).click()
    expect(page.get_by_role("option")).to_have_count(0)


def _before_training(page: Page, link: str, camera: Camera) -> None:
    page.goto(link)
    page.wait_for_url(re.compile("/studio"))
    page.locator("#loop .tb-node").first.wait_for()
    camera.take(page, "loop")
    _tab(page, "campaigns")
    _choose(page, "Campaign", "SFT vs DPO")
    page.locator(".tb-live", has_text="SFT vs DPO").wait_for()
    camera.take(page, "session", ".tb-live")
    _tab(page, "raters", "table")
    camera.take(page, "raters")
    _tab(page, "train", "#retrain")
    page.get_by_label("Also simulated votes").first.check()
    page.locator("#look .tb-pair").first.wait_for()
    camera.take(page, "train")
    _chat(page, camera)


def _after_training(page: Page, camera: Camera) -> None:
    _tab(page, "train", "#run")
    page.locator("#run").scroll_into_view_if_needed()
    camera.take(page, "run", "#run")
    page.get_by_role("tab", name="Rounds").click()
    page.locator("#round-shown .tb-way").wait_for()
    camera.take(page, "rounds")
    page.goto(f"{BASE}/results")
    _choose(page, "Campaign", "second rematch")
    page.get_by_text(re.compile("^second rematch: ")).first.wait_for()
    expect(page.get_by_text(re.compile("^(processing|queue)"))).to_have_count(
        0
    )  # till then Gradio veils the page
    camera.take(page, "results")
    _tab(page, "data", "table")
    camera.take(page, "data")


def _chat(page: Page, camera: Camera) -> None:
    page.goto(f"{BASE}/chat/")
    for field, model in (("Talk to", "starter-dpo"), ("Beside it", "starter-sft")):
        _choose(page, field, model)
    page.wait_for_timeout(2000)
    page.locator("#chat-text textarea").fill("What is the capital of Switzerland?")
    page.locator("#chat-send").click()
    expect(page.locator("#chat [data-who=assistant] .tb-text")).to_have_count(2)
    page.wait_for_timeout(3000)  # the rest of the words
    camera.take(page, "chat")


def _live(browser: Browser, home: str, camera: Camera) -> None:
    """A rater's own prompt, answered by two hidden models."""
    _run(home, "campaign", "create", "your own", "--models", "starter-sft,second", "--prompts", "train", "--set", "live=yes")  # fmt: skip
    link = _run(home, "campaign", "invite", "your own", "--seats", "1").split()[-1]
    page = _page(browser)
    page.goto(link)
    page.get_by_role("button", name=re.compile("Left is better")).wait_for()
    page.goto(f"{BASE}/live")
    answers = page.locator('[data-choice="right"]')
    for question in ("Why does ice float?", "What is the capital of Peru?", "Name three instruments."):
        page.locator('[data-role="live-text"]').fill(question)
        page.keyboard.press("Enter")
        page.wait_for_timeout(1500)  # till what was said of the last question is gone
        answers.or_(page.locator('[data-role="live-note"]')).filter(visible=True).first.wait_for()
        if answers.is_visible():
            break  # else both wrote the same, and another one is asked for
    page.wait_for_timeout(1000)
    camera.take(page, "live")


if __name__ == "__main__":
    main()
