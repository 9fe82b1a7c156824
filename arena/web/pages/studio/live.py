"""A session while it is on, in the Campaigns tab: who is there, how fast it goes, how far it is, what looks odd."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import gradio as gr

from arena.web.context import Context
from arena.web.kept import LARGE
from arena.web.pages.studio.acts import panel
from arena.web.pages.studio.markup import chip, render
from arena.web.pages.studio.together import Together
from arena.web.sessions import now
from db.campaigns import find_campaign
from db.connection import Database
from db.entities.campaigns import Campaign, CampaignStatus
from db.figures import votes_in
from db.live import newest_vote
from labeling.joining import stamp
from labeling.live import LAST_HOUR, Look, Pulse, counted_share, look, moment, pulse, quick_look, time_left

LOOK_EVERY = 15.0
"""seconds between two looks at every vote, where votes come in"""
LONGEST_LOOK = 120.0
"""seconds after which to look again where none does: raters are excluded and taken in again too"""
REST = 30.0
"""times as long as a look takes, until the next one: in a long session it must not keep votes waiting"""
MOST_LINES = 12
BARS_HIGH = 28.0
"""units of the little chart"""


class Looks:
    """The last look at each campaign, shared by everybody who looks at it, so that a busy session is read seldom."""

    def __init__(self, context: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._context, self._clock = context, clock
        self._kept: dict[int, _Kept] = {}
        self._making: set[int] = set()
        self._lock = threading.Lock()

    def at(self, campaign: Campaign) -> Look | None:
        """A look that is fresh enough; the last one, where a child is making a newer one. None: the first is being made."""
        db = self._context.readers.get()
        newest = newest_vote(db, campaign.id)
        with self._lock:
            kept = self._kept.get(campaign.id)
            due = kept is None or self._clock() > (kept.until if newest == kept.newest else kept.rest)
            large = due and votes_in(db, campaign.name) >= LARGE
            if due and not large:
                self._keep(campaign, newest, *_timed(db, campaign, self._clock))
            begin = large and campaign.id not in self._making
            if begin:
                self._making.add(campaign.id)
        if begin:  # without the lock: the pool may hold one of its own while it tells of a child that died
            made = self._context.kept.read(_timed, campaign, time.monotonic)
            made.add_done_callback(lambda done: self._made(campaign, newest, done))
        kept = self._kept.get(campaign.id)
        return kept.look if kept else None

    def _made(self, campaign: Campaign, newest: int, done: "Future[tuple[Look, float]]") -> None:
        with self._lock:
            self._making.discard(campaign.id)
            if not done.cancelled() and done.exception() is None:
                self._keep(campaign, newest, *done.result())

    def _keep(self, campaign: Campaign, newest: int, seen: Look, seconds: float) -> None:
        now, rest = self._clock(), max(LOOK_EVERY, REST * seconds)
        self._kept[campaign.id] = _Kept(seen, newest, now + rest, now + max(rest, LONGEST_LOOK))


def _timed(db: Database, campaign: Campaign, clock: Callable[[], float]) -> tuple[Look, float]:
    """A look at every vote of a campaign, and the seconds it took."""
    start = clock()
    return look(db, campaign), clock() - start


class _Kept(NamedTuple):
    """A look, the newest vote it knows, and until when it does: where votes came in since, where none did."""

    look: Look
    newest: int
    rest: float
    until: float


def live_view(context: Context, looks: Looks, name: str | None) -> str:
    """The card of a campaign's session; empty where none is chosen, a sentence where nobody has come yet."""
    db = context.readers.get()
    found = find_campaign(db, name) if name else None
    if found is None:
        return ""
    time_now = now()
    session = pulse(db, found, time_now)
    if not session.raters and not session.online:
        return render("live_empty", status=chip(session.status), name=found.name, idle=_idle(session.status),
                      failing=failing(context, found, time_now))  # fmt: skip
    kept, covered, gold = looks.at(found), session.covered, session.gold
    seen = kept or quick_look(db, found)
    lines = [
        {"rater": r.rater, "simulated": r.simulated, "votes": r.votes, "online": r.online, "excluded": r.excluded,
         "seen": ago(r.last_seen, time_now), "flags": seen.flags.get(r.rater, ())}
        for r in session.raters[:MOST_LINES]
    ]  # fmt: skip
    flagged = sum(1 for r in session.raters if r.rater in seen.flags)
    share = counted_share(seen)
    return render(
        "live", name=found.name, status=chip(session.status), online=session.online, pace=f"{session.votes_a_minute:.1f}",
        bars=bars(session), busiest=max(session.last_hour), hour=sum(session.last_hour), votes=covered.votes,
        wanted=covered.wanted, percent=round(100 * min(1.0, covered.votes / covered.wanted)) if covered.wanted else 0,
        left=time_left(session), gold=gold, gold_percent=round(100 * gold.right / gold.answered) if gold.answered else None,
        counted=seen.counts.counted, stored=seen.counts.stored, counted_percent=None if share is None else round(100 * share),
        alarm=seen.alarm, failing=failing(context, found, time_now), flagged=flagged, reading=kept is None, lines=lines, more=max(0, len(session.raters) - MOST_LINES),
    )  # fmt: skip


def failing(context: Context, campaign: Campaign, time_now: datetime) -> list[str]:
    """A sentence for each model that does not answer raters' own prompts now."""
    return [
        f"{f.model} does not answer raters' prompts: {f.times} {'time' if f.times == 1 else 'times'} since "
        f"{f.since:%H:%M} UTC, last {ago(stamp(f.last), time_now)}. {f.reason}"
        for f in context.failures.of(campaign.id)
    ]


def _idle(status: CampaignStatus) -> str:
    if status is CampaignStatus.OPEN:
        return "It is open and waits for its first rater. Invite people below."
    return "Nobody has rated here yet."


def bars(session: Pulse) -> list[tuple[int, float, float]]:
    """(minute, top, height) of a bar for each minute that had votes, in units of the little chart."""
    most = max(1, *session.last_hour)
    high = [max(2.0, BARS_HIGH * n / most) for n in session.last_hour]
    return [(i, BARS_HIGH - high[i], high[i]) for i in range(LAST_HOUR) if session.last_hour[i]]


def ago(stamped: str, time_now: datetime) -> str:
    """How long something is past, coarsely, so that a calm page stays as it is."""
    past = time_now - moment(stamped)
    if past < timedelta(minutes=2):
        return "just now"
    if past < timedelta(hours=2):
        return f"{past // timedelta(minutes=1)} min ago"
    if past < timedelta(days=2):
        return f"{past // timedelta(hours=1)} hours ago"
    return f"{past // timedelta(days=1)} days ago"


def build(context: Context, chosen: gr.Dropdown, clock: gr.Timer, changed: Together) -> None:
    """The card for the campaign in `chosen`, drawn anew with every tick of the tab's clock."""
    looks = Looks(context)
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    view = panel()
    for event in (changed, clock.tick):
        event(lambda n: live_view(context, looks, n), chosen, view, **quiet)
