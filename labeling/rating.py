"""The workflow of a rater who holds a ballot: vote, undo, see who was who. (Joining: joining.py; ballots: lending.py.)

Every function takes the writer's database inside its transaction; `now` is passed in (UTC).
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlite_utils import Database

from db import assignments, campaigns, checks, votes
from db.catalog import get_prompt
from db.entities.campaigns import Campaign, CampaignStatus
from db.entities.votes import Assignment, BallotKind, Choice, Outcome
from db.errors import Conflict, Refused
from db.sessions import Session
from labeling.ballot import choice_of, outcome_of
from labeling.joining import holder_session, stamp
from labeling.lending import lend_again, next_ballots, progress
from labeling.submission import Malformed, Submission, details_of

CHECK_QUESTION = "a check question"


class Contradiction(Conflict):
    """Another answer is stored already (HTTP 409); `stored` says which."""

    def __init__(self, what: str, stored: Mapping[str, object] | None = None, remedy: str = "") -> None:
        self.stored = stored
        super().__init__(what, remedy)


@dataclass(frozen=True, slots=True)
class Practice:
    """What a practice ballot says back: the side known to be better, and whether it was chosen."""

    matched: bool
    expected: Choice


@dataclass(frozen=True, slots=True)
class Receipt:
    """A vote is stored: how it is called, how far the rater is, who was who where the campaign says so."""

    receipt: str
    done: int
    target: int
    reveal: Mapping[str, str] | None = None
    practice: Practice | None = None


def cast_vote(db: Database, session: Session | None, vote: Submission, now: datetime) -> Receipt:
    """Store a vote, once. A repeat gets the stored receipt; a contradiction is refused with what is stored."""
    rater = holder_session(session)
    assignment, campaign = _own_assignment(db, rater, vote.assignment)
    outcome = outcome_of(vote.choice, assignment.left_is)
    stored = _repeated(db, rater.rater or 0, vote, assignment, outcome)
    receipt = stored.receipt if stored is not None else None
    if receipt is None:
        _check_open(campaign)
        if votes.revealed_to(db, assignment.rater, campaign.id):
            raise Contradiction(
                "the models were revealed, so no further vote is taken", None, "your votes are saved"
            )
        receipt = _store(db, vote, assignment, campaign, outcome, now)
    done, target = progress(db, campaign, rater.rater or 0)
    return Receipt(
        receipt, done, target, _reveal(db, campaign, assignment), _practice(db, assignment, outcome)
    )


def _own_assignment(db: Database, session: Session, assignment_id: str) -> tuple[Assignment, Campaign]:
    assignment = assignments.get_assignment(db, assignment_id)
    if assignment is None or assignment.rater != session.rater:
        raise Refused("this ballot is not yours", "reload the page")
    return assignment, campaigns.campaign_of_battle(db, assignment.battle)


def _check_open(campaign: Campaign) -> None:
    if campaign.status is not CampaignStatus.OPEN:
        raise Contradiction(f"this session is {campaign.status}", None, "your earlier votes are saved")


def _repeated(
    db: Database, rater: int, vote: Submission, assignment: Assignment, outcome: Outcome
) -> votes.StoredVote | None:
    """The stored vote that this one repeats; Malformed or Contradiction where it is another one."""
    if not votes.heard_before(db, rater, vote.key, assignment.battle):
        return None
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
    db: Database, vote: Submission, assignment: Assignment, campaign: Campaign, outcome: Outcome, now: datetime
) -> str:  # fmt: skip
    """Store a new vote; its receipt."""
    receipt = secrets.token_urlsafe(16)
    votes.add_vote(
        db, receipt=receipt, assignment=assignment.id, campaign=campaign.id,
        battle=assignment.battle, rater=assignment.rater, outcome=outcome, key=vote.key, body=vote.body,
        details=details_of(vote, assignment.left_is),
        consent_version=campaign.settings.consent_version or None,
        revealed=campaign.settings.reveal == "each", created_at=stamp(now),
    )  # fmt: skip
    return receipt


def _reveal(db: Database, campaign: Campaign, assignment: Assignment) -> Mapping[str, str] | None:
    """Who was left and who was right, where the campaign reveals it after each vote."""
    if campaign.settings.reveal != "each":
        return None
    return _who(db, assignment)


def _who(db: Database, assignment: Assignment) -> dict[str, str]:
    if assignment.kind in (BallotKind.GOLD, BallotKind.PRACTICE):
        return {"left": CHECK_QUESTION, "right": CHECK_QUESTION}
    battle = campaigns.get_battle(db, assignment.battle)
    names = (battle.model_a, battle.model_b)
    left, right = names if assignment.left_is == "a" else names[::-1]
    return {"left": left, "right": right}


def _practice(db: Database, assignment: Assignment, outcome: Outcome) -> Practice | None:
    """The feedback on a practice ballot; None for every other, so that check questions stay unknown."""
    better = checks.expected(db, assignment.battle) if assignment.kind is BallotKind.PRACTICE else None
    return Practice(outcome is better, choice_of(better, assignment.left_is)) if better else None


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
    again = assignments.next_assignment(db, assignment) if stored.retracted else None
    if again is None:
        _check_open(campaign)
        if stored.revealed or votes.revealed_to(db, assignment.rater, campaign.id):
            raise Contradiction("the models were revealed, so this vote stands")
        if stored.created_at < stamp(now - timedelta(seconds=campaign.settings.undo_seconds)):
            raise Contradiction("it is too late to undo this vote")
        votes.retract(db, stored.id)
        again = lend_again(db, campaign, assignment, now)
    done, target = progress(db, campaign, rater.rater or 0)
    return Undone(assignment_id, again.id, done, target)


@dataclass(frozen=True, slots=True)
class Revealed:
    """One of the rater's votes with the models behind it."""

    prompt: str
    choice: Choice
    left: str
    right: str


def reveal_all(db: Database, session: Session | None, now: datetime) -> tuple[Revealed, ...]:
    """What the rater chose and whose answers those were, in the campaigns that reveal at the end; no undo from here on.

    Contradiction while the rater has ballots left there, or where nothing is revealed at the end.
    """
    rater = holder_session(session)
    seen = [c for c in campaigns.list_campaigns(db, lineage=rater.lineage) if c.settings.reveal == "end"]
    given = {c.id: votes.cast_by(db, rater.rater or 0, c.id) for c in seen}
    if not any(given.values()):
        raise Contradiction("nothing is revealed here")
    out = any(
        c.status is CampaignStatus.OPEN and assignments.open_assignments(db, c.id, rater.rater or 0)
        for c in seen
    )
    paused = any(c.status is CampaignStatus.PAUSED for c in seen)
    if out or paused or next_ballots(db, session, 1, now).ballots:
        raise Contradiction("the models are shown at the end", None, "rate the ballots that are left first")
    shown = []
    for campaign, cast in given.items():
        if cast:
            votes.mark_revealed(db, rater.rater or 0, campaign)
        for one in cast:
            assignment = assignments.get_assignment(db, one.assignment)
            assert assignment is not None
            prompt = get_prompt(db, campaigns.get_battle(db, assignment.battle).prompt)
            shown.append(
                Revealed(prompt.text, choice_of(one.outcome, assignment.left_is), **_who(db, assignment))
            )
    return tuple(shown)
