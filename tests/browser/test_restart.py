"""The server goes away in the middle of a session and comes back: the page goes on by itself, no vote lost, none twice."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from arena.upkeep import check
from bench.votes import free_port
from db.connection import Home, open_reader, open_writer
from db.entities.campaigns import CampaignSettings
from labeling.joining import invite
from tests.browser.conftest import RATING
from tests.browser.test_rate import assignment, press, vote
from tests.factories import make_home
from tests.faults.load import serving
from tests.serving import running

SAVED = "[data-role=saved]"


def votes_of(home: Home) -> dict[str, tuple[str, int]]:
    """{assignment: (outcome, how many rows)} of a home, whoever has it open."""
    with contextlib.closing(open_reader(home).conn) as conn:
        rows = conn.execute(
            "SELECT assignment, min(outcome), count(*) FROM votes GROUP BY assignment"
        ).fetchall()
    return {str(a): (str(o), int(n)) for a, o, n in rows}


def texts(page: Page) -> list[str]:
    return [page.inner_text(f"[data-role={side}]") for side in ("prompt", "left", "right")]


@pytest.mark.slow
def test_a_session_goes_on_after_the_servers_process_was_killed_and_started_again(
    tmp_path: Path, context: BrowserContext
) -> None:
    home = make_home(tmp_path / "home", prompts=8, settings=CampaignSettings(overlap=5))
    db = open_writer(home)
    with contextlib.closing(db.conn):
        link = f"/join/{invite(db, 'first', 1)[0].token}"
    port = free_port()
    page, errors = context.new_page(), list[str]()
    page.set_default_timeout(120_000)
    page.on("pageerror", lambda error: errors.append(str(error)))
    with serving(home, port):
        page.goto(f"http://127.0.0.1:{port}{link}")
        page.wait_for_selector(RATING)
        sent = [vote(page, "ArrowLeft")]
        with page.expect_response(
            "**/api/next?*"
        ):  # what each vote is followed by: the ballot after the next
            sent.append(vote(page, "ArrowRight"))
        page.wait_for_timeout(300)
        shown, ballot = texts(page), assignment(page)
    # killed: two votes are given to nobody
    sent += [press(page, "t")]
    expect(page.locator(".tb-rate")).not_to_have_attribute("data-assignment", ballot)
    sent += [press(page, "ArrowLeft")]
    expect(page.locator(SAVED)).to_contain_text("2 votes not saved yet")
    assert set(votes_of(home)) == set(sent[:2])
    with serving(home, port):
        expect(page.locator(SAVED)).to_have_attribute("data-kind", "ok", timeout=120_000)
        page.wait_for_selector(RATING)
        assert set(votes_of(home)) == set(sent)
        expect(page.locator("[data-role=count]")).to_have_text("4 of 8")
        held, there = assignment(page), texts(page)
    # killed once more, between two votes: the same ballot with the same sides
    with serving(home, port):
        page.reload()
        page.wait_for_selector(RATING)
        assert (assignment(page), texts(page)) == (held, there)
        while page.locator(RATING).count():
            sent.append(vote(page, "ArrowRight"))
    stored = votes_of(home)
    print(f"\nR10: {len(sent)} votes over 3 kills: lost {len(set(sent) - set(stored))}, "
          f"doubled {sum(n - 1 for _, n in stored.values())}, never sent {len(set(stored) - set(sent))}")  # fmt: skip
    assert shown != there
    assert sorted(stored) == sorted(sent)
    assert len(sent) == len(set(sent)) == 8
    assert {n for _, n in stored.values()} == {1}
    assert check(home) == []
    assert errors == []


def test_votes_wait_while_the_database_is_busy_and_the_page_says_why(
    tmp_path: Path, context: BrowserContext
) -> None:
    with running(make_home(tmp_path / "home", settings=CampaignSettings(overlap=5))) as web:
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(web.base + web.link())
        page.wait_for_selector(RATING)
        web.writer.call(lambda db: db.conn.execute("PRAGMA busy_timeout=20").fetchone())
        with contextlib.closing(sqlite3.connect(web.home.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            sent = press(page, "ArrowLeft")
            expect(page.locator(SAVED)).to_have_text(
                "1 vote not saved yet, trying again (not saved: the database is busy)"
            )
            assert votes_of(web.home) == {}
        expect(page.locator(SAVED)).to_have_text("Saved")
        assert votes_of(web.home)[sent][1] == 1
