"""Hostile texts stay in their pane, a few at a time in Chromium; every page works with the network cut."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect

from arena.web.sessions import now
from db.entities.campaigns import CampaignSettings
from labeling.owners import owner_link_token
from tests.browser.conftest import RATING
from tests.factories import make_home
from tests.payloads import PAYLOADS
from tests.serving import running

pytestmark = pytest.mark.slow
A_BALLOT = 6
SETTLED = 320

# everything of a text lies within its pane, and the middle of every choice is that choice
LOOK = """() => {
  const wrong = [];
  for (const pane of document.querySelectorAll('.tb-text')) {
    const frame = pane.closest('[data-role=left], [data-role=right], [data-role=prompt]') || pane;
    for (const e of pane.querySelectorAll('*')) {
      if (/^(fixed|sticky|absolute)$/.test(getComputedStyle(e).position)) wrong.push('position ' + e.outerHTML.slice(0, 80));
      if (e.matches('script, style, link, img, iframe, frame, object, embed, video, audio, form, button, input, textarea, select, dialog,'
          + ' svg, base, meta, [id], [style], [srcset], [background], [formaction]')) wrong.push(e.outerHTML.slice(0, 80));
      for (const a of e.attributes) if (/^on/.test(a.name) || /javascript:/i.test(a.value)) wrong.push(a.name + '=' + a.value);
    }
    if (getComputedStyle(frame).overflow === 'visible' && frame.scrollWidth > frame.clientWidth + 2) wrong.push('wider than its pane');
  }
  if (document.documentElement.scrollWidth > innerWidth + 1) wrong.push('the page is wider than the window');
  for (const b of document.querySelectorAll('button[data-choice]')) {
    b.scrollIntoView({block: 'nearest'});
    const r = b.getBoundingClientRect();
    if (!r.width) continue;
    const hit = document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2);
    if (!hit || !b.contains(hit)) wrong.push('covered: ' + b.dataset.choice + ' by ' + (hit ? hit.outerHTML.slice(0, 80) : 'nothing'));
  }
  if (window.hit !== undefined) wrong.push('a script ran');
  if (window.name || document.title.includes('hit')) wrong.push('the window was named');
  return wrong;
}"""


def test_there_are_120_of_them() -> None:
    assert len({t for t in PAYLOADS if len(t) < 3000 and t.strip()}) >= 120


def test_no_text_leaves_its_pane_and_every_choice_is_hit(
    tmp_path: Path, open_rate: Callable[..., Page]
) -> None:
    texts = [t for t in PAYLOADS if len(t) < 3000 and t.strip()]
    packs = ["\n\n".join(texts[i : i + A_BALLOT]) for i in range(0, len(texts), A_BALLOT)]
    home = make_home(tmp_path / "home", prompts=len(packs), answer=lambda model, i: packs[i] + f"\n\n{model[-3:]}",
                     messages=lambda i: [{"role": "user", "content": packs[i]}], settings=CampaignSettings(rater_cap=None))  # fmt: skip
    with running(home) as web:
        page = open_rate(web)
        said: list[Dialog] = []
        page.on("dialog", lambda d: (said.append(d), d.dismiss()))
        for _ in packs:
            assert page.evaluate(LOOK) == []
            page.wait_for_timeout(SETTLED)
            shown = page.get_attribute(".tb-rate", "data-assignment")
            page.click('button[data-choice="tie"]')
            page.wait_for_function(
                "a => document.querySelector('.tb-rate').dataset.assignment !== a || document.querySelector('.tb-rate').dataset.state === 'screen'",
                arg=shown,
            )
        expect(page.locator("[data-role=title]")).to_have_text("All done")
        assert said == []
        assert len(page.context.pages) == 1
        assert page.url.startswith(web.base + "/rate/")
        print(
            f"\nS3: {len(texts)} payloads on {len(packs)} ballots: 0 scripts, 0 dialogs, 0 elements outside their pane"
        )


def test_every_page_works_with_the_network_cut(tmp_path: Path, chromium: Browser) -> None:
    """Whatever does not go to this machine fails, and nothing asks for it: fonts, scripts and all come along."""
    with running(make_home(tmp_path / "home")) as web:
        context: BrowserContext = chromium.new_context(viewport={"width": 1280, "height": 860})
        asked: list[str] = []

        def cut(route: object, request: object) -> None:
            asked.append(request.url)  # type: ignore[attr-defined]
            route.abort("internetdisconnected")  # type: ignore[attr-defined]

        context.route(lambda url: not url.startswith((web.base, "data:", "blob:")), cut)
        page = context.new_page()
        page.set_default_timeout(30_000)
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(web.base + web.link())
        page.wait_for_selector(RATING)
        page.wait_for_timeout(SETTLED)
        page.keyboard.press("ArrowLeft")
        expect(page.locator("[data-role=saved]")).to_have_text("Saved")
        token = web.writer.call(lambda db: owner_link_token(db, now()))
        page.goto(f"{web.base}/login/?token={token}")
        page.wait_for_url("**/studio/**")
        for name in ("studio", "results", "chat"):
            page.goto(f"{web.base}/{name}/")
            expect(page.locator(".gradio-container button").first).to_be_visible()
        context.close()
        assert (asked, wrong) == ([], [])
        print("\nS4: the network cut: 0 requests to other hosts on five pages, a vote saved")
