"""A live session in a real browser, over several turns: nothing that is received names a model, or tells the fast from the slow."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

from db.campaigns import create_campaign
from db.catalog import add_model
from db.connection import Home, home_at, open_reader, open_writer
from db.entities.campaigns import CampaignSettings
from db.entities.catalog import ModelKind
from db.guarding import mark_scanned
from tests.browser.conftest import RATING
from tests.browser.test_blind import Ear
from tests.serving import Running, running
from tests.standin import StandIn, completion, standing_in

FAST, SLOW = "zq41fastmodel", "zq42slowmodel"
PLACES = {"fast": FAST, "slow": SLOW, "campaign": "zq43campaign", "its name at its server": "zq44remote", "note": "zq46note",
          "finish reason": "zq49finish"}  # fmt: skip
INSIDE = ("endpoint", "temperature", "top_p", "max_new_tokens", "finish_reason", "latency", "elapsed", "chance", "created_at",
          "completion_tokens", "response_a", "response_b", "left_is")  # fmt: skip
"""what the server keeps of an answer and of a battle; no answer to a rater has such a word"""
KEYS = {"ballots", "assignment", "prompt", "role", "content", "html", "left", "right", "text", "criteria", "progress", "done", "target",
        "live", "state", "talk", "note", "ask", "strength", "acceptable", "comment", "better", "tags", "practice", "ends_at", "withdraw",
        "results", "finish_url", "reveal", "receipt", "end", "message", "stored", "choice", "undone"}  # fmt: skip


@contextlib.contextmanager
def planted(folder: Path) -> Iterator[tuple[Home, StandIn, StandIn]]:
    """A home whose live campaign has a canary wherever a model, its server or the campaign could show through."""
    with standing_in() as fast, standing_in() as slow:
        fast.body, slow.body = (
            completion("A short reply.", PLACES["finish reason"]),
            completion("Another one."),
        )
        slow.delay = 1.2
        home = home_at(folder)
        db = open_writer(home)
        for name, server in ((FAST, fast), (SLOW, slow)):
            add_model(db, name, ModelKind.ENDPOINT, endpoint=server.url, remote_name=PLACES["its name at its server"] + name,
                      note=PLACES["note"])  # fmt: skip
        made = create_campaign(
            db, PLACES["campaign"], (FAST, SLOW), "all", CampaignSettings(live=True, live_limit=5)
        )
        mark_scanned(db, made.campaign.id)
        db.conn.close()
        yield home, fast, slow


class Tap(Ear):
    """Keeps every byte that a server sends, whatever page it is for; the browser forgets what it received for its last one."""

    def __init__(self, web: Running) -> None:
        self.heard: list[tuple[str, bytes]] = []
        inner = web.app.middleware_stack

        async def tapped(scope: Any, receive: Any, send: Any) -> None:
            scope["headers"] = [h for h in scope["headers"] if h[0] != b"accept-encoding"]  # all in the clear
            body = bytearray()

            async def hear(message: Any) -> None:
                body.extend(
                    b" ".join(b": ".join(h) for h in message.get("headers", [])) + message.get("body", b"")
                )
                if message["type"] == "http.response.start":
                    self.heard.append((scope["path"] + " (headers)", bytes(body)))
                    body.clear()
                elif not message.get("more_body", False):
                    self.heard.append((scope["path"], bytes(body)))
                await send(message)

            await inner(scope, receive, hear)  # type: ignore[misc]

        web.app.middleware_stack = tapped  # type: ignore[assignment]

    def listen(self, page: Page) -> None:
        """What the page keeps and shows."""
        kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.title])")
        self.heard.append(("storage", kept.encode()))
        self.heard.append(("page", page.content().encode()))


def say(page: Page, text: str) -> None:
    page.locator('[data-role="live-text"]').fill(text)
    page.keyboard.press("Enter")
    page.wait_for_selector(RATING)
    page.wait_for_timeout(320)  # the page takes no vote in the first moment of a ballot


def parts(value: object) -> Iterator[tuple[str, object]]:
    """Every key of an answer with what stands under it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from parts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from parts(inner)


def answers(ear: Ear) -> list[Any]:
    """What the JSON routes said."""
    return [json.loads(data) for where, data in ear.heard if "/api/" in where and data.startswith(b'{"')]


def test_nothing_of_a_live_talk_names_a_model_or_times_it(tmp_path: Path, context: BrowserContext) -> None:
    with planted(tmp_path / "home") as (home, fast, slow), running(home) as web:
        ear = Tap(web)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(web.base + web.link(PLACES["campaign"]))
        page.goto(f"{web.base}/live/")
        expect(page.get_by_label("Your message")).to_be_visible()
        for turn, key in enumerate(("ArrowLeft", "ArrowRight", "t")):
            say(page, f"Question number {turn} of this talk")
            ear.listen(page)
            page.keyboard.press(key)
            expect(page.get_by_label("Your next message")).to_be_visible()
        page.reload()
        expect(page.get_by_label("Your next message")).to_be_visible()
        page.get_by_role("button", name="Undo my last vote").click()
        page.wait_for_selector(RATING)
        ear.listen(page)
        assert (len(fast.seen), len(slow.seen)) == (3, 3), "each side was asked at every turn"
        db = open_reader(home)
        with contextlib.closing(db.conn):
            kept = [str(m) for (m,) in db.execute("SELECT settings FROM responses")]
            rows = db.execute(
                "SELECT created_at FROM responses UNION SELECT lent_at FROM assignments"
            ).fetchall()
        assert all("temperature" in settings for settings in kept), "what must not be heard is there"

    assert ear.found("Question number 2")  # the ear does hear
    assert ear.found("A short reply.")
    ports = {f"the {name} server's port": str(s.server_port) for name, s in (("fast", fast), ("slow", slow))}
    assert {p: where for p, words in (PLACES | ports).items() if (where := ear.found(words))} == {}

    print(
        f"\nS2, live: {len(PLACES) + len(ports)} canaries, {len(ear.heard)} parts of answers heard, 0 found"
    )
    said = answers(ear)
    heard = b"\n".join(
        data for where, data in ear.heard if "/api/" in where or where in ("page", "storage")
    ).decode()
    assert len(said) > 8
    assert {key for answer in said for key, _ in parts(answer)} <= KEYS
    numbers = {key for answer in said for key, value in parts(answer) if type(value) in (int, float)}
    assert numbers <= {"done", "target"}, "no length, no count and no time of an answer"
    assert [word for word in INSIDE if f'"{word}"' in heard] == []
    assert [at for (at,) in rows if str(at)[:16] in heard] == []
    assert re.findall(r"server-timing|x-response-time|x-process-time", heard.lower()) == []
    waits = {
        json.dumps(a) for a in said if isinstance(a.get("live"), dict) and a["live"]["state"] == "writing"
    }
    assert len({re.sub(r"[\d]+", "", wait.partition('"talk"')[0]) for wait in waits}) == 1, (
        "while one side is done nothing differs"
    )
