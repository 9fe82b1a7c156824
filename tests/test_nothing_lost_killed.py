"""kill -9 under load: every vote that was acknowledged is there once, with its receipt; none that was not sent."""

import asyncio
import contextlib
import random

import pytest

from bench.votes import free_port
from db import upkeep
from db.connection import Home, open_reader, open_writer
from db.entities.campaigns import CampaignSettings
from labeling.joining import invite
from tests.factories import make_home
from tests.faults.load import Rater, Server, serving, vote
from tests.serving import awaited


def votes_of(home: Home) -> tuple[int, set[str]]:
    """(rows, assignments) of the votes in a home."""
    with contextlib.closing(open_reader(home).conn) as conn:
        found = [str(r[0]) for r in conn.execute("SELECT assignment FROM votes")]
    return len(found), set(found)


async def under_load(server: Server, raters: list[Rater], seconds: float) -> None:
    """Vote, and in the middle of it the server is killed."""
    voting = asyncio.create_task(vote(raters, asyncio.Event()))
    await asyncio.sleep(seconds)
    await asyncio.to_thread(server.kill)
    await voting


async def asked_again(raters: list[Rater]) -> int:
    """How many acknowledged votes do not get their receipt."""
    return sum(await asyncio.gather(*(rater.ask_again() for rater in raters)))


async def finish(raters: list[Rater], seconds: float) -> None:
    """What was broken is sent again, and some more."""
    stop = asyncio.Event()
    voting = asyncio.create_task(vote(raters, stop))
    await asyncio.sleep(seconds)
    stop.set()
    await voting


@pytest.mark.parametrize(
    ("people", "kills", "seconds"),
    [
        pytest.param(20, 2, 2.0, marks=pytest.mark.slow),
        pytest.param(50, 5, 8.0, marks=pytest.mark.nightly),
        pytest.param(200, 5, 12.0, marks=pytest.mark.nightly),
    ],
)
def test_a_vote_that_was_acknowledged_survives_kill_9(tmp_path, people, kills, seconds):
    dice = random.Random(people)
    home = make_home(
        tmp_path / "home", prompts=600, settings=CampaignSettings(overlap=100_000, lease_seconds=86_400)
    )
    with contextlib.closing(open_writer(home).conn) as conn:
        links = [f"/join/{i.token}" for i in invite(upkeep.Database(conn), "first", people)]
    port, ready = free_port(), []
    raters = [Rater(port, link) for link in links]
    for _ in range(kills):
        with serving(home, port) as server:
            ready.append(server.seconds_to_ready)
            awaited(under_load(server, raters, seconds * dice.uniform(0.7, 1.3)))
        assert upkeep.check(home) == []
    with serving(home, port) as server:
        ready.append(server.seconds_to_ready)
        awaited(finish(raters, seconds / 2))
        lost = awaited(asked_again(raters))
    rows, stored = votes_of(home)
    saved = {a for r in raters for a in r.saved}
    sent = {a for r in raters for a in r.sent}
    print(
        f"\nkill -9: {people} raters, {kills} kills, {len(saved)} acknowledged, {sum(r.broken for r in raters)} broken, "
        f"lost {lost + len(saved - stored)}, doubled {rows - len(stored)}, never sent {len(stored - sent)}, "
        f"ready again in {max(ready):.1f} s at most"
    )
    assert [w for r in raters for w in r.wrong] == []
    assert sum(r.broken for r in raters) > kills, "nobody was voting when the server was killed"
    assert len(saved) > people * kills
    assert lost == 0
    assert saved <= stored <= sent
    assert rows == len(stored)
    assert upkeep.check(home) == []
