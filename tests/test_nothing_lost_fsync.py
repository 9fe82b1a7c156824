"""A vote is on the disk before it is acknowledged: the calls to the disk are counted while raters vote."""

import asyncio
import contextlib
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from typing import NamedTuple

import pytest
from sqlite_utils import Database

from bench.votes import free_port
from db.connection import open_writer
from db.entities.campaigns import CampaignSettings
from labeling.joining import invite
from tests.factories import make_home
from tests.faults.load import Rater, serving
from tests.serving import awaited

CALLS = "fdatasync,fsync,read,recvfrom,recvmsg,write,writev,sendto,sendmsg"
LINE = re.compile(
    r"(?P<pid>\d+) +(?:(?P<call>\w+)\((?P<rest>.*)|<\.\.\. (?P<resumed>\w+) resumed>(?P<more>.*))"
)


class Counted(NamedTuple):
    """What a trace shows."""

    acknowledged: int
    before: int
    """acknowledged without a whole fdatasync of the log of writes since their request came in"""
    syncs: int


class Call(NamedTuple):
    """A call to the system: the lines of the trace on which it began and ended, its text."""

    name: str
    began: int
    ended: int
    text: str


def calls(lines: Iterable[str]) -> list[Call]:
    """The calls of a trace, in the order they ended."""
    waiting: dict[str, tuple[str, int, str]] = {}
    found = []
    for number, line in enumerate(lines):
        match = LINE.match(line)
        if match is None:
            continue
        if match["resumed"]:
            name, began, text = waiting.pop(match["pid"], (match["resumed"], number, ""))
            found.append(Call(name, began, number, text + match["more"]))
        elif match["rest"].endswith("<unfinished ...>"):
            waiting[match["pid"]] = (match["call"], number, match["rest"].removesuffix("<unfinished ...>"))
        else:
            found.append(Call(match["call"], number, number, match["rest"]))
    return found


def count(lines: Iterable[str]) -> Counted:
    """How many votes were acknowledged, and how many of them too early."""
    asked: dict[str, int] = {}
    syncs: list[tuple[int, int]] = []
    acknowledged = early = 0
    for call in calls(lines):
        socket = call.text.split(",", 1)[0]
        if call.name in ("fdatasync", "fsync") and "-wal>" in call.text:
            syncs.append((call.began, call.ended))
        elif '"POST /api/vote' in call.text and call.name.startswith(("re",)):
            asked[socket] = call.ended
        elif "HTTP/1.1 200" in call.text and socket in asked and call.name.startswith(("write", "send")):
            since = asked.pop(socket)
            acknowledged += 1
            early += not any(began > since and ended < call.began for began, ended in syncs)
    return Counted(acknowledged, early, len(syncs))


GOOD = """\
7 recvfrom(12<TCP:[a]>, "POST /api/vote HTTP/1.1"..., 65536, 0, NULL, NULL) = 300
8 fdatasync(9</h/arena.db-wal> <unfinished ...>
7 recvfrom(13<TCP:[b]>, "POST /api/vote HTTP/1.1"..., 65536, 0, NULL, NULL) = 300
8 <... fdatasync resumed>) = 0
7 sendto(12<TCP:[a]>, "HTTP/1.1 200 OK"..., 200, 0, NULL, 0) = 200
8 fdatasync(9</h/arena.db-wal>) = 0
7 sendto(13<TCP:[b]>, "HTTP/1.1 200 OK"..., 200, 0, NULL, 0) = 200
""".splitlines()


def test_the_count_tells_a_promise_that_came_too_early():
    assert count(GOOD) == Counted(2, 0, 2)
    assert count([*GOOD[:5], GOOD[6]]) == Counted(
        2, 1, 1
    )  # the first one's sync began before the second came in
    assert count([GOOD[0], GOOD[4], GOOD[5]]) == Counted(1, 1, 1)
    assert count([line.replace("-wal", "") for line in GOOD]) == Counted(2, 2, 0)


async def vote_together(raters: list[Rater], each: int) -> None:
    """Every rater votes a few times."""

    async def few(rater: Rater) -> None:
        stop = asyncio.Event()
        voting = asyncio.create_task(rater.work(stop))
        while len(rater.saved) < each and not voting.done():
            await asyncio.sleep(0.01)
        stop.set()
        await voting

    await asyncio.gather(*(few(rater) for rater in raters))


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed (Debian: apt-get install strace)"
)
def test_every_vote_is_on_the_disk_before_it_is_acknowledged(tmp_path):
    home = make_home(tmp_path / "home", prompts=60, settings=CampaignSettings(overlap=1000))
    with contextlib.closing(open_writer(home).conn) as conn:
        links = [f"/join/{i.token}" for i in invite(Database(conn), "first", 16)]
    port, trace = free_port(), tmp_path / "trace.txt"
    raters = [Rater(port, link) for link in links]
    with serving(home, port) as server:
        words = [
            "strace",
            "-f",
            "-y",
            "-s",
            "24",
            "-e",
            f"trace={CALLS}",
            "-o",
            str(trace),
            "-p",
            str(server.process.pid),
        ]
        tracer = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            tracer.wait(10)
            pytest.skip(f"strace may not look at a process here: {said.strip()}")
        awaited(vote_together(raters, 12))
        time.sleep(0.2)
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=30)
    counted = count(trace.read_text(errors="replace").splitlines())
    saved = sum(len(r.saved) for r in raters)
    print(f"\nfsync: {counted.acknowledged} votes acknowledged, {counted.before} before their fdatasync, "
          f"{counted.syncs} fdatasync")  # fmt: skip
    assert [w for r in raters for w in r.wrong] == []
    assert counted.acknowledged == saved >= 16 * 12
    assert counted.before == 0
