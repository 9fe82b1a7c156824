"""Workflow: letting people in: personal and open links, who holds a seat, what to do so that links work elsewhere."""

import ipaddress
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil
from sqlite_utils import Database

from arena.hosting import LOOPBACK, PORT, address_of
from db import open_links
from db.campaigns import get_campaign, list_campaigns
from db.connection import Home, transaction
from db.entities.campaigns import CampaignSettings, Recruit
from db.errors import NotFound, UserError
from db.lock import server_of
from db.open_links import OpenLink
from db.raters import get_rater
from db.seats import SeatState, SeatStatus, get_seat, owner_seat, revoke_seat, seat_states
from labeling import joining
from labeling.joining import stamp

LONGEST = 3650
"""days until a link expires, at most"""
PROLIFIC = "?PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"
"""what Prolific fills in for each participant"""
BACK = "https://app.prolific.com/submissions/complete?cc=CODE"
PROLIFIC_STEP = "On Prolific paste the open link as the study's URL and choose URL parameters; Prolific fills the three names in."
MTURK_STEP = (
    "On Mechanical Turk make a survey-link task whose link takes workerId, assignmentId and hitId along, and ask for the "
    "completion code; docs/guide-session.md has the lines to paste."
)
GUIDE = "docs/guide-session.md has each step"


@dataclass(frozen=True, slots=True)
class Link:
    """A link, shown once: a person's own (seat) or one that many may use (open_link)."""

    link: str
    seat: int | None = None
    open_link: int | None = None
    seats: int = 1
    expires_at: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Who was let in, without any link."""

    open_links: tuple[OpenLink, ...]
    seats: tuple[SeatState, ...]


# -- links -----------------------------------------------------------------------------------------------------


def address(db: Database, home: Home) -> str:
    """What stands before a link: the public address, else the running server's, else where it would be."""
    running = server_of(home)
    where = running.address if running else ""  # one that is only starting does not say yet
    return joining.public_address(db) or where or address_of(LOOPBACK, PORT)


def invite(db: Database, home: Home, name: str, seats: int, days: float | None = None) -> list[Link]:
    """New personal links, each one seat; they expire after some days where that is wanted."""
    if not 1 <= seats <= 1000:
        raise UserError("--seats must be between 1 and 1000", "invite more people in a second call")
    base, until = address(db, home), _until(days)
    made = joining.invite(db, name, seats, expires_at=until)
    return [Link(f"{base}/join/{i.token}", seat=i.seat, expires_at=until) for i in made]


def reissue(db: Database, home: Home, name: str, seat: int, days: float | None = None) -> Link:
    """A new link to a seat: the old one stops working; who rated on it goes on where they were."""
    of_campaign(db, name, seat)
    until = _until(days)
    made = joining.reissue(db, seat, expires_at=until)
    return Link(f"{address(db, home)}/join/{made.token}", seat=seat, expires_at=until)


def invite_openly(db: Database, home: Home, name: str, seats: int, days: float | None = None) -> Link:
    """One link for many; on a campaign that recruits on Prolific it holds the placeholders that Prolific fills in."""
    until = _until(days)
    made = joining.invite_openly(db, name, seats, until)
    link = f"{address(db, home)}/join/{made.token}"
    if get_campaign(db, name).settings.recruit is Recruit.PROLIFIC:
        link += PROLIFIC
    return Link(link, open_link=made.link, seats=seats, expires_at=until)


def _until(days: float | None) -> str | None:
    if days is None:
        return None
    if not 0 < days <= LONGEST:
        raise UserError(
            f"a link cannot expire after {days:g} days",
            f"give 1 to {LONGEST}, or leave it out: it never expires",
        )
    return stamp(datetime.now(UTC) + timedelta(days=days))


def listing(db: Database, name: str) -> Listing:
    """The open links and seats of a campaign and the versions and rounds it shares seats with, the newest first."""
    lineage = get_campaign(db, name).lineage
    links = [x for c in list_campaigns(db, lineage=lineage) for x in open_links.links_of(db, c.id)]
    return Listing(
        tuple(sorted(links, key=lambda x: -x.id)), tuple(seat_states(db, lineage, stamp(datetime.now(UTC))))
    )


def of_campaign(db: Database, name: str, seat: int) -> None:
    """NotFound unless the seat is one of this campaign, or of one it shares seats with."""
    if get_seat(db, seat).lineage != get_campaign(db, name).lineage:
        raise NotFound(f"campaign {name!r} has no seat {seat}", f"`campaign links {name!r}` shows the seats")


def revoke(db: Database, name: str, seat: int) -> None:
    """Close a seat of this campaign; its votes stay."""
    of_campaign(db, name, seat)
    revoke_seat(db, seat)


def revoke_link(db: Database, name: str, link: int) -> None:
    """Let nobody new in by an open link of this campaign; who has a seat keeps it."""
    found = next((x for x in listing(db, name).open_links if x.id == link), None)
    if found is None:
        raise NotFound(f"campaign {name!r} has no open link {link}", f"`campaign links {name!r}` lists them")
    open_links.revoke_link(db, found.campaign, link)


class Revoked(NamedTuple):
    """What was closed, by number."""

    seats: list[int]
    open_links: list[int]


def revoke_all(db: Database, name: str) -> Revoked:
    """Close every seat but the owner's own, and every open link of a campaign; votes stay."""
    found = listing(db, name)
    seats = sorted(s.seat for s in found.seats if s.status is not SeatStatus.CLOSED)
    links = sorted((x for x in found.open_links if x.revoked_at is None), key=lambda x: x.id)
    with transaction(db):
        for seat in seats:
            revoke_seat(db, seat)
        for link in links:
            open_links.revoke_link(db, link.campaign, link.id)
    return Revoked(seats, [link.id for link in links])


def forget(db: Database, name: str) -> str:
    """Forget who a rater is, as when they withdraw themselves; the name of the tombstone that stays.

    The pseudonym, platform ids, links and written texts go; the votes stay as rows and leave every figure.
    """
    rater = get_rater(db, name)
    own = owner_seat(db)
    if own is not None and own.rater == rater.id:
        raise UserError("the owner's own seat cannot be forgotten", "leave it out with `raters exclude`")
    open_links.withdraw(db, rater.id)
    return f"withdrawn-{rater.id}"


# -- advice ----------------------------------------------------------------------------------------------------


def advice(db: Database, home: Home, name: str) -> tuple[str, ...]:
    """What to do so that links of this campaign work for whom they are meant, a sentence or two each; often nothing."""
    url, settings = address(db, home), get_campaign(db, name).settings
    said = (
        []
        if server_of(home)
        else ["No server is running on this home: links work once `python launch.py serve` does."]
    )
    where = reach(url, network_address(), settings.recruit)
    return (*said, *([where] if where else ()), *platform_steps(settings))


def reach(url: str, network: str | None, recruit: Recruit = Recruit.LINK) -> str:
    """Why people elsewhere cannot open links with this address, and what to start instead; empty where they can.

    `network`: this machine's address in its own network, where it has one.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    nearby = f"`python launch.py serve --host 0.0.0.0 --port {port} --public-url http://{network or 'THIS-MACHINE'}:{port}`"
    tunnel = f"start a tunnel or a TLS proxy to port {port}, then `python launch.py serve --port {port} --public-url https://ITS-ADDRESS`"
    if _is(parts.hostname, "is_loopback"):
        if recruit is not Recruit.LINK:
            return f"These links open on this machine only. For people from {joining.PLATFORMS[recruit]} {tunnel}; {GUIDE}."
        return (f"These links open on this machine only. For people in your network stop the server and start {nearby}; "
                f"for people anywhere {tunnel}; {GUIDE}.")  # fmt: skip
    if recruit is not Recruit.LINK and _is(parts.hostname, "is_private"):
        return (f"{parts.hostname} is an address of your own network, which people from {joining.PLATFORMS[recruit]} "
                f"cannot open: {tunnel}; {GUIDE}.")  # fmt: skip
    if parts.scheme != "https" and not _is(parts.hostname, "is_private"):
        return f"These links go over the internet unencrypted (http). Better: {tunnel}."
    return ""


def _is(host: str | None, what: str) -> bool:
    """Whether a host is an address of this kind; `localhost` is this machine, other names are anywhere."""
    if host == "localhost":
        return True
    try:
        return bool(getattr(ipaddress.ip_address(host or ""), what))
    except ValueError:
        return False


def network_address() -> str | None:
    """This machine's address in its own network, or None where it is in none."""
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    for name, found in sorted(psutil.net_if_addrs().items()):
        for one in found:
            usable = one.family is socket.AF_INET and name in up
            if usable and not _is(one.address, "is_loopback") and not _is(one.address, "is_link_local"):
                return str(one.address)
    return None


def platform_steps(settings: CampaignSettings) -> tuple[str, ...]:
    """What to enter at the crowd platform that a campaign recruits on."""
    match settings.recruit:
        case Recruit.LINK:
            return ()
        case Recruit.PROLIFIC:
            steps = [PROLIFIC_STEP]
        case Recruit.MTURK:
            steps = [MTURK_STEP]
    if not settings.completion_code:
        steps.append(
            "This campaign has no completion code yet: nobody could show that they finished. Set completion_code."
        )
    if settings.recruit is Recruit.PROLIFIC and not settings.completion_url:
        steps.append(
            f"Set completion_url to {BACK} with your code, and participants are sent back by themselves."
        )
    return tuple(steps)
