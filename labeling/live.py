"""A session while it is on: who is there, how fast it goes, how far it is. Reads only.

`pulse` is cheap and may be asked for every few seconds, however many votes there are; `look` reads every vote.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlite_utils import Database

from db import counting, live, votes
from db.campaigns import Coverage, coverage
from db.checks import GoldScore, check_votes
from db.entities.campaigns import Campaign, CampaignStatus
from db.figures import one_moment, text_lengths
from db.raters import BY_DESIGN, counted_in_order
from labeling.alarms import counted_share_alarm
from labeling.flags import Limits, Raised
from labeling.joining import stamp
from labeling.quality import judged

ONLINE = timedelta(minutes=2)
"""somebody who asked for a ballot or voted within this time is there"""
PACE = timedelta(minutes=5)
LAST_HOUR = 60
LOOKED_BACK = 2_000
"""votes that the alarm looks at"""


@dataclass(frozen=True, slots=True)
class RaterLine:
    """One rater of the session. Times are UTC ISO text."""

    rater: str
    simulated: bool
    votes: int
    online: bool
    last_seen: str
    excluded: str | None


@dataclass(frozen=True, slots=True)
class Pulse:
    """A session at one moment."""

    campaign: str
    status: CampaignStatus
    online: int
    votes_a_minute: float
    """over the last five minutes; votes that bring a battle nearer to its overlap"""
    last_hour: tuple[int, ...]
    """such votes in each of the last sixty minutes, the oldest first"""
    covered: Coverage
    minutes_left: float | None
    """to the target at the pace of the last five minutes; None where nothing comes in"""
    gold: GoldScore
    last_vote: str | None
    raters: tuple[RaterLine, ...]
    """who is there first, then the one seen last"""


def pulse(db: Database, campaign: Campaign, now: datetime) -> Pulse:
    """The session now, every figure of the same moment."""
    with one_moment(db):
        return _pulse(db, campaign, now)


def _pulse(db: Database, campaign: Campaign, now: datetime) -> Pulse:
    hour = _last_hour(live.votes_since(db, campaign.id, stamp(now - timedelta(minutes=LAST_HOUR))), now)
    there = live.asked_since(db, campaign.id, stamp(now - ONLINE)) | hour.voting
    pace = hour.covering / (PACE / timedelta(minutes=1))
    covered = coverage(db, campaign)
    lines = [_line(p, there) for p in live.present(db, campaign.id) if p.last_vote or p.last_asked]
    missing = max(0, covered.wanted - covered.votes)
    return Pulse(
        campaign=campaign.name, status=campaign.status, online=len(there), votes_a_minute=pace,
        last_hour=hour.by_minute, covered=covered,
        minutes_left=0.0 if not missing else missing / pace if pace else None,
        gold=live.gold_of_session(db, campaign.id), last_vote=hour.newest,
        raters=tuple(sorted(lines, key=lambda r: (r.online, r.last_seen), reverse=True)),
    )  # fmt: skip


def _line(p: live.Present, there: set[int]) -> RaterLine:
    seen = max(p.last_vote or "", p.last_asked or "")
    return RaterLine(p.name, p.kind == "simulated", p.votes, p.rater in there, seen, p.excluded)


class _LastHour(NamedTuple):
    """What the votes of the last hour tell: those of each minute that cover a battle (the oldest minute first), how many of
    them fall within `PACE`, who voted within `ONLINE`, and when the newest vote came."""

    by_minute: tuple[int, ...]
    covering: int
    voting: set[int]
    newest: str | None


def _last_hour(came: Iterable[live.Cast], now: datetime) -> _LastHour:
    """Counted in passing, the newest first: an hour may hold many votes."""
    by_minute, covering, voting, newest = [0] * LAST_HOUR, 0, set(), None
    recent, pace = stamp(now - ONLINE), stamp(now - PACE)
    for vote in came:
        newest = newest or vote.at
        if vote.at >= recent:
            voting.add(vote.rater)
        if vote.covers:
            covering += vote.at >= pace
            ago = int((now - moment(vote.at)) / timedelta(minutes=1))
            if 0 <= ago < LAST_HOUR:
                by_minute[LAST_HOUR - 1 - ago] += 1
    return _LastHour(tuple(by_minute), covering, voting, newest)


def moment(stamped: str) -> datetime:
    """A time as the database writes it."""
    return datetime.fromisoformat(stamped).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Look:
    """What only a look at every vote of a session tells."""

    flags: Mapping[str, tuple[Raised, ...]]
    """by rater; who has none is left out"""
    counts: counting.Counts
    alarm: str | None
    """why the owner should look at once, in words"""


def look(db: Database, campaign: Campaign) -> Look:
    """The flags of everyone who votes in a session, and what counts of their votes. Reads every vote."""
    limits = {campaign.id: Limits(campaign.settings.time_floor, campaign.settings.warn_below)}
    found = judged(votes.counted_votes(db, campaign.id), text_lengths(db, campaign.id),
                   check_votes(db, campaign.id), limits)  # fmt: skip
    return replace(
        quick_look(db, campaign), flags={rater: j.raised for rater, j in found.items() if j.raised}
    )


def quick_look(db: Database, campaign: Campaign) -> Look:
    """What counts of a session's votes, and the alarm, without the flags."""
    alarm = counted_share_alarm(counted_in_order(db, campaign.id, LOOKED_BACK))
    return Look({}, counting.counts(db, campaign.id), alarm.words if alarm else None)


# -- as it is printed ------------------------------------------------------------------------------------------


def document(now: Pulse, seen: Look) -> dict[str, object]:
    """The session as `campaign live --json` prints it."""
    answered = now.gold.answered
    return {
        "campaign": now.campaign, "status": now.status.value, "online": now.online,
        "votes_a_minute": round(now.votes_a_minute, 2), "last_hour": list(now.last_hour),
        "coverage": {"battles": now.covered.battles, "votes": now.covered.votes, "wanted": now.covered.wanted},
        "minutes_left": now.minutes_left,
        "check_questions": now.gold._asdict() | {"share": now.gold.right / answered if answered else None},
        "counts": seen.counts._asdict(), "counted_share": counted_share(seen), "alarm": seen.alarm,
        "raters": [
            {"rater": r.rater, "simulated": r.simulated, "votes": r.votes, "online": r.online, "last_seen": r.last_seen,
             "excluded": r.excluded, "flags": [f.flag.value for f in seen.flags.get(r.rater, ())],
             "reasons": [f.reason for f in seen.flags.get(r.rater, ())]}
            for r in now.raters
        ],
    }  # fmt: skip


def counted_share(seen: Look) -> float | None:
    """The share of stored votes that count, those left away that were never meant to: check questions, skips, undone ones."""
    by_design = sum(seen.counts.excluded.get(state, 0) for state in BY_DESIGN)
    expected = seen.counts.stored - seen.counts.retracted - by_design
    return seen.counts.counted / expected if expected else None


def lines(now: Pulse, seen: Look) -> list[str]:
    """The session for a person at a terminal."""
    share, gold = counted_share(seen), now.gold
    said = [
        f"{now.campaign}: {now.status}, {now.online} here now, {now.votes_a_minute:.1f} votes a minute",
        f"{now.covered.votes} of {now.covered.wanted} votes; {time_left(now)}",
        f"check questions: {gold.right} of {gold.answered} right" if gold.answered else "check questions: none answered",
        f"counted: {seen.counts.counted} of {seen.counts.stored} stored" + (f" ({share:.0%} of those that should)" if share is not None else ""),
    ]  # fmt: skip
    said += [f"ALARM: {seen.alarm}"] if seen.alarm else []
    for r in now.raters:
        flags = "; ".join(f"{f.flag}: {f.reason}" for f in seen.flags.get(r.rater, ()))
        said.append(f"  {r.rater:14} {r.votes:5} votes  {_seen(r)}  {flags}".rstrip())
    return said


def _seen(r: RaterLine) -> str:
    return "here now" if r.online else f"last seen {r.last_seen[:16].replace('T', ' ')}"


def time_left(now: Pulse) -> str:
    """How long the target is away at the present pace, in words."""
    if now.minutes_left is None:
        return "no votes are coming in"
    if now.minutes_left == 0:
        return "the target is met"
    minutes = now.minutes_left
    if minutes < 90:
        return f"about {max(1, round(minutes))} minutes to go at this pace"
    if minutes < 48 * 60:
        return f"about {minutes / 60:.0f} hours to go at this pace"
    return f"about {minutes / 1440:.0f} days to go at this pace"
