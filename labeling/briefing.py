"""What a rater is told around the ballots: guidelines, which questions are asked, practice, the comprehension check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlite_utils import Database

from db import assignments, campaigns, checks, open_links
from db.entities.campaigns import Campaign, CampaignSettings, Recruit
from db.entities.votes import BallotKind
from db.errors import Conflict, Refused
from db.sessions import Session
from labeling.joining import rater_session, take_seat
from labeling.lending import QUIZ_TRIES, campaigns_for, completed, quiz_key
from labeling.submission import Malformed


@dataclass(frozen=True, slots=True)
class Briefing:
    """What goes with the ballots of one campaign and phase."""

    settings: CampaignSettings
    demo: str | None
    practice: tuple[int, int] | None
    """(this practice ballot, of how many); None once the session counts"""
    finish_url: str = ""
    """where the rater's platform wants them back; empty until they are finished"""


def briefing(db: Database, session: Session | None, assignment: str | None, now: datetime) -> Briefing:
    """What a rater should know about a ballot they hold, or, without one, about the session they are in.

    Refused where the ballot is another rater's.
    """
    rater = rater_session(session)
    if not rater.bound and not rater.may_bind:
        raise Refused("this seat is in use in another browser", "go on there, or ask for a new link")
    if assignment is None:
        offers = campaigns_for(db, rater, now)
        campaign = offers[0] if offers else campaigns.campaign_by_id(db, rater.campaign or 0)
        return Briefing(campaign.settings, campaign.demo, None, _finish_url(db, campaign, rater, now))
    held = assignments.get_assignment(db, assignment)
    if held is None or held.rater != rater.rater:
        raise Refused("this ballot is not yours", "reload the page")
    campaign = campaigns.campaign_by_id(db, campaigns.get_battle(db, held.battle).campaign)
    practice = None
    if held.kind is BallotKind.PRACTICE:
        of = min(campaign.settings.practice, checks.gold_count(db, campaign.id))
        practice = (min(of, checks.practised(db, rater.rater or 0, campaign.id) + 1), of)
    return Briefing(campaign.settings, campaign.demo, practice)


def _finish_url(db: Database, campaign: Campaign, session: Session, now: datetime) -> str:
    wanted = campaign.settings
    if wanted.recruit is Recruit.LINK:
        return ""
    if session.screened_out:
        return wanted.screenout_url
    return wanted.completion_url if completed(db, campaign, session.rater or 0, now) else ""


@dataclass(frozen=True, slots=True)
class QuizResult:
    """How a try at the comprehension check went."""

    passed: bool
    tries_left: int
    wrong: tuple[int, ...]
    """places of the questions that were answered wrong"""


def answer_quiz(db: Database, session: Session | None, answers: object, now: datetime) -> QuizResult:
    """Check a rater's answers (places among each question's answers); the last wrong try screens the seat out.

    Malformed where they do not fit the questions, Conflict where nothing is asked.
    """
    rater = rater_session(session)
    take_seat(db, rater)
    quizzes = (c.settings.quiz for c in campaigns_for(db, rater, now) if c.settings.quiz)
    asked = next((q for q in quizzes if quiz_key(q) != rater.quiz_passed), ())
    if not asked or rater.screened_out:
        raise Conflict("nothing is asked here", "reload the page")
    given = _answers(answers, len(asked))
    wrong = tuple(
        i for i, (question, answer) in enumerate(zip(asked, given, strict=True)) if question.correct != answer
    )
    left = QUIZ_TRIES - rater.quiz_tries - 1
    open_links.note_quiz(db, rater.seat or 0, passed=None if wrong else quiz_key(asked), tries_left=left)
    return QuizResult(not wrong, max(0, left), wrong)


def _answers(value: object, n: int) -> Sequence[int]:
    if not isinstance(value, list) or len(value) != n or not all(type(v) is int for v in value):
        raise Malformed("answers", f"must be a list of {n} whole numbers, one for each question")
    return value


def withdraw(db: Database, session: Session | None) -> Mapping[str, bool]:
    """The rater who holds this seat withdraws: what identifies them goes, and their votes leave every figure."""
    rater = rater_session(session)
    take_seat(db, rater)
    if rater.owner_seat:
        raise Conflict("the owner's own seat cannot withdraw", "exclude it in the studio instead")
    open_links.withdraw(db, rater.rater or 0)
    return {"withdrawn": True}
