"""Take the pictures of the README from the running program: `make pictures`.

Serves an empty home, rates a few ballots with the keyboard, lets simulated raters vote, and photographs the rating
page, the studio's loop and a session while it is on in Chromium.
"""

import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from shutil import which
from time import sleep

from playwright.sync_api import Page, sync_playwright

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


def main() -> None:
    """Write docs/pictures/*.png."""
    TARGET.mkdir(exist_ok=True)
    browser_path = which("chromium") or which("chromium-browser") or which("google-chrome")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as play:
        command = [sys.executable, "launch.py", "--home", home]
        server = subprocess.Popen([*command, "serve", "--no-open", "--port", str(PORT)], cwd=ROOT,
                                  stdout=subprocess.PIPE, text=True)  # fmt: skip
        try:
            assert server.stdout is not None
            printed = iter(server.stdout.readline, "")
            rate, studio = (next(m[0] for line in printed if (m := re.search(rf"http://\S+/{word}\S+", line)))
                            for word in ("join", "login"))  # fmt: skip
            _wait()
            subprocess.run(
                [*command, "simulate", "SFT vs DPO", "--raters", "6", "--votes", "60"], cwd=ROOT, check=True
            )
            browser = play.chromium.launch(executable_path=browser_path, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1280, "height": 800}, device_scale_factor=1)
            _rating(page, rate)
            _studio(page, studio)
            _session(page)
            browser.close()
        finally:
            server.terminate()
            server.wait(20)


def _wait() -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=2).read()
            return
        except OSError:
            sleep(0.1)


def _rating(page: Page, link: str) -> None:
    page.goto(link)
    page.get_by_role("button", name=re.compile("Left is better")).wait_for()
    for key in ("ArrowLeft", "ArrowRight"):
        page.keyboard.press(key)
        page.wait_for_timeout(900)
    page.screenshot(path=TARGET / "rate.png")


def _studio(page: Page, link: str) -> None:
    page.goto(link)
    page.wait_for_url(re.compile("/studio"))
    page.wait_for_timeout(4000)
    page.screenshot(path=TARGET / "loop.png")
    page.goto(f"http://127.0.0.1:{PORT}/results")
    page.wait_for_timeout(4000)
    page.screenshot(path=TARGET / "results.png")


def _session(page: Page) -> None:
    page.goto(f"http://127.0.0.1:{PORT}/studio/#campaigns")
    page.reload()
    page.get_by_label("Campaign", exact=True).first.click()
    page.get_by_role("option", name="SFT vs DPO", exact=True).click()
    page.locator(".tb-live").wait_for()
    page.locator(".tb-live").screenshot(path=TARGET / "session.png")


if __name__ == "__main__":
    main()
