"""Who is at the door: raters' links, their seats and sessions (owners: labeling/owners.py).

Every function that writes takes the writer's database inside its transaction; `now` is passed in (UTC).
Secrets are 192 random bits and are stored as their SHA-256 only.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlite_utils import Database

from db import campaigns, open_links, sessions
from db.catalog import get_setting
from db.entities.campaigns import Recruit
from db.entities.votes import RaterKind
from db.errors import Conflict, NotFound, Refused, UserError
from db.seats import add_seat, owner_seat, reissue_seat
from db.sessions import Session
from labeling.submission import Malformed

RATER_DAYS = 60
PLATFORMS = {Recruit.PROLIFIC: "Prolific", Recruit.MTURK: "Amazon Mechanical Turk"}
PARAMETERS = {
    Recruit.PROLIFIC: ("PROLIFIC_PID", "SESSION_ID", "STUDY_ID"),
    Recruit.MTURK: ("workerId", "assignmentId", "hitId"),
}
"""the worker's id, this participation's and the study's, as the platforms name the parameters of a study's address"""
_PLATFORM_ID = re.compile(r"[A-Za-z0-9_-]{4,64}")


class NoSession(UserError):
    """Nobody is logged in with this cookie (HTTP 401)."""


def new_secret() -> str:
    """192 random bits for a link or a cookie."""
    return secrets.token_urlsafe(24)


def hashed(secret: str) -> str:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def stamp(moment: datetime) -> str:
    """A time as the database writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def public_address(db: Database) -> str | None:
    """The address raters reach the server by, as the last `serve --public-url` was told; None where it was not."""
    return get_setting(db, "public_url") or None


class Invitation(NamedTuple):
    """A seat and the token of its link, shown once."""

    seat: int
    token: str


def invite(
    db: Database, campaign: str, seats: int, *, simulated: bool = False, expires_at: str | None = None
) -> list[Invitation]:
    """New seats in a campaign, each with a link of its own, good until it expires (UTC ISO text)."""
    found = campaigns.get_campaign(db, campaign)
    kind = RaterKind.SIMULATED if simulated else RaterKind.PERSON
    made = []
    for _ in range(seats):
        token = new_secret()
        made.append(
            Invitation(add_seat(db, found, hashed(token), kind=kind, expires_at=expires_at).id, token)
        )
    return made


class OpenInvitation(NamedTuple):
    """An open link, shown once: whoever has it may take one of its seats."""

    link: int
    token: str


def invite_openly(db: Database, campaign: str, seats: int, expires_at: str | None = None) -> OpenInvitation:
    """A link that many may use, up to its seats."""
    token = new_secret()
    found = campaigns.get_campaign(db, campaign)
    return OpenInvitation(open_links.add_link(db, found.id, hashed(token), seats, expires_at), token)


@dataclass(frozen=True, slots=True)
class Recruited:
    """What a crowd platform says of a participant: their id there and the study's, as the link's parameters."""

    platform: Recruit
    worker: str
    session: str
    """what the platform calls this participation, which only the participant and the study know; empty where not given"""
    parameters: tuple[tuple[str, str], ...]

    def to_json(self) -> str:
        """As it is kept with the rater until they are forgotten."""
        return json.dumps(dict(self.parameters), sort_keys=True)


def recruited_from(query: Mapping[str, str]) -> Recruited | None:
    """Prolific's or MTurk's parameters of a link; None where there are none, or they are not such ids."""
    for platform, (worker, session, other) in PARAMETERS.items():
        if _PLATFORM_ID.fullmatch(query.get(worker, "")):
            names = (worker, session, other)
            kept = {n: query[n] for n in names if _PLATFORM_ID.fullmatch(query.get(n, ""))}
            return Recruited(platform, query[worker], kept.get(session, ""), tuple(kept.items()))
    return None


def reissue(db: Database, seat: int, *, expires_at: str | None = None) -> Invitation:
    """A new link to a seat; the old link stops working, the old browser when the new link is first used."""
    token = new_secret()
    return Invitation(reissue_seat(db, seat, hashed(token), expires_at=expires_at).id, token)


def owner_invitation(db: Database) -> Invitation:
    """A link to the owner's own seat, which is made at the first call and stays the same one."""
    seat = owner_seat(db)
    if seat is not None:
        return reissue(db, seat.id)
    home_of = campaigns.list_campaigns(db)
    if not home_of:
        raise NotFound("there is no campaign to rate yet", "create one with `campaign create`")
    token = new_secret()
    return Invitation(add_seat(db, home_of[0], hashed(token), owner=True).id, token)


def join(db: Database, token: str, cookie: str | None, now: datetime, found: Recruited | None = None) -> str:
    """The cookie for whoever follows a link: the same where this browser holds the seat already.

    The seat itself is taken at the first `next_ballots`, so that a link scanner does not burn it. An open link gives
    each new browser a seat of its own, and whoever comes with the same id of a crowd platform their old one.
    """
    seat = sessions.seat_of_token(db, hashed(token), stamp(now))
    if seat is None:
        return _join_openly(db, token, cookie, now, found)
    here = session_from(db, cookie, now)
    if here is not None and here.seat == seat[0] and here.bound:
        return cookie or ""
    if seat[1]:
        raise Conflict("this link is already in use in another browser",
                       "open it there, or ask whoever invited you for a new link")  # fmt: skip
    return _let_in(db, seat[0], hashed(token), now)


def _let_in(db: Database, seat: int, link: str, now: datetime) -> str:
    new = new_secret()
    sessions.add_session(db, hashed(new), stamp(now + timedelta(days=RATER_DAYS)), seat, link)
    return new


def _join_openly(db: Database, token: str, cookie: str | None, now: datetime, found: Recruited | None) -> str:
    link = open_links.link_of_token(db, hashed(token), stamp(now))
    if link is None:
        raise NotFound("this link is unknown or no longer valid", "ask whoever invited you for a new one")
    campaign = campaigns.campaign_by_id(db, link.campaign)
    wanted = campaign.settings.recruit
    found = found if found is not None and found.platform is wanted else None
    if wanted is not Recruit.LINK and found is None:
        raise Refused(
            f"this link is for participants who come from {PLATFORMS[wanted]}", "open the study there"
        )
    here = session_from(db, cookie, now)
    if here is not None and here.open_link == link.id and not here.revoked and (here.bound or here.may_bind):
        own = found is None or open_links.worker_of_seat(db, here.seat or 0) == found.worker
        if own:  # the place of whoever used this browser before is not theirs
            return cookie or ""
    known = open_links.participant(db, campaign.lineage, found.worker) if found else None
    secret = hashed(new_secret())
    if known is not None and found is not None:
        _check_return(known, found)
        return _let_in(db, reissue_seat(db, known.seat, secret).id, secret, now)
    if link.taken >= link.seats:
        raise Conflict("this session is full", "thank you for your interest")
    seat = add_seat(db, campaign, secret)
    open_links.mark_seat(
        db, seat, link.id, found.worker if found else None, found.to_json() if found else None
    )
    return _let_in(db, seat.id, secret, now)


def _check_return(known: open_links.Participant, found: Recruited) -> None:
    """Refused where a worker's place was closed, or was taken under another session than the one they come with now.

    A worker's id is not secret; their session with the platform is, so it is what opens the place in another browser.
    """
    if known.revoked:
        raise Refused("this seat was closed by the owner", "ask whoever invited you")
    if not found.session or found.session not in json.loads(known.parameters or "{}").values():
        raise Refused("this participant has a place here already, taken in another session",
                      "go on in the browser it was taken in, or write to whoever runs the study")  # fmt: skip


def take_seat(db: Database, session: Session) -> None:
    """Let this browser hold its seat from its first ballot on; Refused where another holds it or the session is full."""
    if session.bound:
        return
    if not session.may_bind:
        raise Refused("this seat is in use in another browser", "go on there, or ask for a new link")
    if session.open_link is not None and not open_links.has_room(db, session.open_link, session.seat or 0):
        raise Refused("this session is full", "thank you for your interest")
    sessions.bind_seat(db, session.seat or 0, session.id)


def session_from(db: Database, cookie: str | None, now: datetime) -> Session | None:
    """The live session of a cookie's value, or None."""
    return sessions.session_of(db, hashed(cookie), stamp(now)) if cookie else None


def rater_session(session: Session | None) -> Session:
    """The session if it is a rater's whose seat is open, else NoSession or Refused."""
    if session is None or session.seat is None:
        raise NoSession("nobody is logged in here", "open your personal link")
    if session.revoked:
        raise Refused("this seat was closed by the owner", "ask whoever invited you")
    return session


def holder_session(session: Session | None) -> Session:
    """The session if this browser holds its seat."""
    rater = rater_session(session)
    if rater.may_bind and not rater.bound:
        raise Refused("this browser was not given a ballot yet", "reload the page")
    if not rater.bound:
        raise Refused("this seat is in use in another browser", "go on there, or ask for a new link")
    return rater


def agree(db: Database, session: Session | None, version: str) -> None:
    """The rater agrees to the consent text of this version; Malformed where none of their campaigns has it."""
    rater = rater_session(session)
    take_seat(db, rater)
    lineage = None if rater.owner_seat else rater.lineage
    known = {
        c.settings.consent_version
        for c in campaigns.list_campaigns(db, lineage=lineage)
        if c.settings.consent_text
    }
    if version not in known:
        raise Malformed("version", "is not the version of a text you were shown")
    sessions.agree(db, rater.seat or 0, version)
