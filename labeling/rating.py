"""The workflow of a rater: take ballots, cast votes, undo. (Joining by a link: labeling/joining.py.)

Every function takes the writer's database inside its transaction; `now` is passed in (UTC).
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlite_utils import Database

from db import campaigns, votes
from db.campaigns import Session
from db.catalog import get_prompt, get_response
from db.entities import Assignment, Ballot, BallotKind, Campaign, CampaignStatus, Outcome, Purpose
from db.errors import Conflict, Refused
from labeling.ballot import blind, choice_of, outcome_of
from labeling.joining import holder_session, rater_session, stamp
from labeling.submission import Malformed, Submission, details_of

MAX_BALLOTS = 5


class ConsentRequired(Refused):
    """The rater has not agreed to the campaign's consent text yet (HTTP 403, consent_required)."""

    def __init__(self, version: str, text: str) -> None:
        self.version, self.text = version, text
        super().__init__("consent_required", "agree to the consent text first")


class Contradiction(Conflict):
    """Another answer is stored already (HTTP 409); `stored` says which."""

    def __init__(self, what: str, stored: Mapping[str, object] | None = None, remedy: str = "") -> None:
        self.stored = stored
        super().__init__(what, remedy)


@dataclass(frozen=True, slots=True)
class End:
    """Why there is no ballot left, in words for the rater."""

    message: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """The ballots a rater holds now, and how far they are."""

    ballots: tuple[Ballot, ...]
    done: int
    target: int
    end: End | None = None
    guidelines: str = ""
    demo: str | None = None


def next_ballots(
    db: Database, session: Session | None, n: int, now: datetime, campaign: str | None = None
) -> Next:
    """The rater's next n ballots: those they hold already first, then new ones. Takes the seat at its first call."""
    rater = rater_session(session)
    if not rater.bound:
        if not rater.may_bind:
            raise Refused("this seat is in use in another browser", "go on there, or ask for a new link")
        campaigns.bind_seat(db, rater.seat or 0, rater.id)
    campaigns.expire_leases(db, stamp(now))
    offers = _campaigns_for(db, rater, campaign)
    held: list[tuple[Campaign, Assignment]] = []
    for one in offers:
        if len(held) >= n:
            break
        _check_consent(one, rater)
        held += [(one, a) for a in _lend(db, one, rater.rater or 0, n - len(held), now)]
    done, target = _progress(db, held[0][0] if held else offers[0] if offers else None, rater.rater or 0)
    end = None if held else End(_why_none(db, rater, offers))
    guidelines, demo = (held[0][0].settings.guidelines, held[0][0].demo) if held else ("", None)
    return Next(tuple(_ballot(db, c, a) for c, a in held), done, target, end, guidelines, demo)


def _check_consent(campaign: Campaign, session: Session) -> None:
    wanted = campaign.settings
    if wanted.consent_text and session.consent_version != wanted.consent_version:
        raise ConsentRequired(wanted.consent_version, wanted.consent_text)


def _campaigns_for(db: Database, session: Session, name: str | None) -> list[Campaign]:
    """The open campaigns this seat may rate, in the order they are served.

    A seat goes with its lineage: rounds opened after the seat was made come first (the newest first, its blind
    rematch before its collection), then the seat's own campaign, then the rest. The owner's seat goes everywhere.
    """
    found = campaigns.list_campaigns(db, lineage=None if session.owner_seat else session.lineage)
    if name is not None:
        found = [c for c in found if c.name == name]
        if not found:
            raise Refused(f"this seat does not belong to a campaign {name!r}", "leave the campaign out")
    made = session.seat_created_at or ""

    def order(c: Campaign) -> tuple[int, int, int]:
        newer = c.parent_run is not None and (session.owner_seat or c.created_at > made)
        if newer:
            return (0, -(c.parent_run or 0), int(c.settings.purpose is not Purpose.EVALUATE))
        if session.owner_seat:
            return (1, int(c.settings.rater_cap is None), c.id)
        return (1 if c.id == session.campaign else 2, c.id, 0)

    return sorted((c for c in found if c.status is CampaignStatus.OPEN), key=order)


def _lend(db: Database, campaign: Campaign, rater: int, n: int, now: datetime) -> list[Assignment]:
    """Up to n assignments of a campaign: live ones, expired ones whose battle still wants a vote, then new ones."""
    time = stamp(now)
    held: list[Assignment] = []
    for old in campaigns.open_assignments(db, campaign.id, rater):
        if len(held) == n:
            return held
        if old.expires_at > time:
            held.append(old)
        elif campaigns.covered(db, old.battle) < campaign.settings.overlap:
            held.append(_assign(db, campaign, rater, old.battle, now, old.left_is, old.kind))
    room = n - len(held)
    if campaign.settings.rater_cap is not None:
        room = min(
            room, campaign.settings.rater_cap - len(held) - votes.rater_progress(db, rater, [campaign.id])
        )
    if room > 0:
        held += [
            _assign(db, campaign, rater, b, now) for b in campaigns.least_covered(db, campaign, rater, room)
        ]
    return held


def _assign(
    db: Database, campaign: Campaign, rater: int, battle: int, now: datetime, left_is: str | None = None,
    kind: BallotKind = BallotKind.BATTLE,
) -> Assignment:  # fmt: skip
    """Lend a battle: 128 random bits, the side drawn unless it was shown before."""
    lease = timedelta(seconds=campaign.settings.lease_seconds)
    assignment = Assignment(
        secrets.token_urlsafe(16),
        battle,
        rater,
        left_is or secrets.choice("ab"),
        stamp(now),
        stamp(now + lease),
        kind,
    )
    campaigns.add_assignment(db, assignment)
    return assignment


def lend(db: Database, campaign: Campaign, seat: int, battle: int, now: datetime) -> Assignment:
    """Lend a battle of the owner's choosing to whoever sits on this seat."""
    return _assign(db, campaign, campaigns.get_seat(db, seat).rater, battle, now)


def _ballot(db: Database, campaign: Campaign, assignment: Assignment) -> Ballot:
    battle = campaigns.get_battle(db, assignment.battle)
    a, b = get_response(db, battle.response_a), get_response(db, battle.response_b)
    return blind(assignment.id, get_prompt(db, battle.prompt), a.text or "", b.text or "", assignment.left_is,
                 campaign.settings.criteria)  # fmt: skip


def _progress(db: Database, campaign: Campaign | None, rater: int) -> tuple[int, int]:
    """(votes given, votes given plus those still to give) of a rater in a campaign, from the kept counts.

    Still to give: what the campaign wants yet, as far as this rater has not rated it.
    """
    if campaign is None:
        return 0, 0
    done = votes.rater_progress(db, rater, [campaign.id])
    cover = campaigns.coverage(db, campaign)
    wanted = cover.battles * campaign.settings.overlap - cover.votes
    target = done + max(0, min(cover.battles - done, wanted))
    return done, max(done, min(target, campaign.settings.rater_cap or target))


def _why_none(db: Database, session: Session, offers: list[Campaign]) -> str:
    if offers:
        return "That was everything for now. Every vote you gave is saved. Thank you!"
    own = campaigns.campaign_by_id(db, session.campaign or 0)
    if own.status is CampaignStatus.PAUSED:
        return "The owner has paused this session. Your votes are saved; come back by the same link later."
    if own.status is CampaignStatus.CLOSED:
        return "This session is closed. Your votes are saved. Thank you!"
    return "There is nothing to rate right now. Come back by the same link later."


@dataclass(frozen=True, slots=True)
class Receipt:
    """A vote is stored: how it is called, how far the rater is, who was who where the campaign says so."""

    receipt: str
    done: int
    target: int
    reveal: Mapping[str, str] | None = None


def cast_vote(db: Database, session: Session | None, vote: Submission, now: datetime) -> Receipt:
    """Store a vote, once. A repeat gets the stored receipt; a contradiction is refused with what is stored."""
    rater = holder_session(session)
    assignment, campaign = _own_assignment(db, rater, vote.assignment)
    outcome = outcome_of(vote.choice, assignment.left_is)
    stored = _repeated(db, rater.rater or 0, vote, assignment, outcome)
    if stored is None:
        _check_open(campaign)
        stored = _store(db, rater, vote, assignment, campaign, outcome, now)
    done, target = _progress(db, campaign, rater.rater or 0)
    return Receipt(stored.receipt, done, target, _reveal(db, campaign, assignment))


def _own_assignment(db: Database, session: Session, assignment_id: str) -> tuple[Assignment, Campaign]:
    assignment = campaigns.get_assignment(db, assignment_id)
    if assignment is None or assignment.rater != session.rater:
        raise Refused("this ballot is not yours", "reload the page")
    battle = campaigns.get_battle(db, assignment.battle)
    return assignment, campaigns.campaign_by_id(db, battle.campaign)


def _check_open(campaign: Campaign) -> None:
    if campaign.status is not CampaignStatus.OPEN:
        raise Contradiction(f"this session is {campaign.status}", None, "your earlier votes are saved")


def _repeated(
    db: Database, rater: int, vote: Submission, assignment: Assignment, outcome: Outcome
) -> votes.StoredVote | None:
    """The stored vote that this one repeats; Malformed or Contradiction where it is another one."""
    same_key = votes.vote_of_key(db, rater, vote.key)
    if same_key is not None:
        if same_key.body != vote.body:
            raise Malformed("key", "was used for another vote already")
        return same_key
    stored = votes.vote_of_assignment(db, assignment.id)
    if stored is not None and stored.retracted:
        raise Contradiction("this vote was undone", None, "vote on the ballot that replaced it")
    repeat = assignment.kind is BallotKind.REPEAT
    stored = stored or votes.standing_vote(db, rater, assignment.battle, repeat=repeat)
    if stored is None or stored.outcome is outcome:
        return stored
    choice = choice_of(stored.outcome, assignment.left_is)
    raise Contradiction("you voted otherwise on this ballot before",
                        {"receipt": stored.receipt, "choice": choice}, "undo that vote first")  # fmt: skip


def _store(
    db: Database, session: Session, vote: Submission, assignment: Assignment, campaign: Campaign, outcome: Outcome,
    now: datetime,
) -> votes.StoredVote:  # fmt: skip
    revealed = campaign.settings.reveal == "each"
    votes.add_vote(
        db, receipt=secrets.token_urlsafe(16), assignment=assignment.id, campaign=campaign.id,
        battle=assignment.battle, rater=assignment.rater, outcome=outcome, key=vote.key, body=vote.body,
        details=details_of(vote, assignment.left_is),
        consent_version=session.consent_version, revealed=revealed, created_at=stamp(now),
    )  # fmt: skip
    stored = votes.vote_of_assignment(db, assignment.id)
    assert stored is not None
    return stored


def _reveal(db: Database, campaign: Campaign, assignment: Assignment) -> Mapping[str, str] | None:
    """Who was left and who was right, where the campaign reveals it after each vote."""
    if campaign.settings.reveal != "each":
        return None
    battle = campaigns.get_battle(db, assignment.battle)
    names = (battle.model_a, battle.model_b)
    left, right = names if assignment.left_is == "a" else names[::-1]
    return {"left": left, "right": right}


@dataclass(frozen=True, slots=True)
class Undone:
    """A vote was taken back and its battle lent again, same sides."""

    undone: str
    assignment: str
    done: int
    target: int


def undo(db: Database, session: Session | None, assignment_id: str, now: datetime) -> Undone:
    """Take a vote back by a retraction beside it; twice gives the same answer."""
    rater = holder_session(session)
    assignment, campaign = _own_assignment(db, rater, assignment_id)
    stored = votes.vote_of_assignment(db, assignment_id)
    if stored is None:
        raise Contradiction("there is no vote on this ballot to undo")
    again = campaigns.next_assignment(db, assignment) if stored.retracted else None
    if again is None:
        _check_open(campaign)
        if stored.revealed:
            raise Contradiction("the models were revealed, so this vote stands")
        if stored.created_at < stamp(now - timedelta(seconds=campaign.settings.undo_seconds)):
            raise Contradiction("it is too late to undo this vote")
        votes.retract(db, stored.id)
        again = _assign(
            db, campaign, assignment.rater, assignment.battle, now, assignment.left_is, assignment.kind
        )
    done, target = _progress(db, campaign, rater.rater or 0)
    return Undone(assignment_id, again.id, done, target)
