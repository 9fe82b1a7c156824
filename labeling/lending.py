"""The workflow that hands out ballots: which campaign a rater is served from, what comes before it, which battles.

Every function takes the writer's database inside its transaction; `now` is passed in (UTC).
"""

import math
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlite_utils import Database

from db import assignments, campaigns, checks, counting, seats, votes
from db.catalog import get_prompt, get_response
from db.entities.campaigns import Campaign, CampaignStatus, Matchmaking, Purpose, QuizQuestion, Sampling
from db.entities.catalog import content_id
from db.entities.votes import Assignment, Ballot, BallotKind
from db.errors import Refused
from db.live_turns import Fought, fought
from db.sessions import Session
from labeling.assignment import POOL, REPEAT_GAP, Drawn, draw, kind_of_next
from labeling.ballot import blind
from labeling.flags import blocked
from labeling.joining import rater_session, stamp, take_seat
from labeling.matchmaking import pair_up
from labeling.scanning import as_served

MAX_BALLOTS = 5
QUIZ_TRIES = 2
MOST_SKIPPED = 0.2
"""share of a rater's ballots that may be skipped and still earn the completion code"""
LOT = secrets.SystemRandom()

ALL_DONE = "That was everything for now. Every vote you gave is saved. Thank you!"
PAUSED = "The owner has paused this session. Your votes are saved; come back by the same link later."
CLOSED = "This session is closed. Your votes are saved. Thank you!"
NOTHING = "There is nothing to rate right now. Come back by the same link later."
NOT_YET = "This session has not begun yet. Come back by the same link later."
OVER = "This session is over. Your votes are saved. Thank you!"
SCREENED = "Thank you for your interest. The answers to the questions at the start do not fit this session, so it ends here."
BLOCKED = "Thank you. Your votes are saved; there are no further ballots for you in this session."
SKIPPED = "Your votes are saved. There is no completion code, because most of your ballots were skipped. Ask whoever invited you."
SEEN = (
    "You have seen which model wrote what, so this session is over for you. Your votes are saved. Thank you!"
)


class ConsentRequired(Refused):
    """The rater has not agreed to the campaign's consent text yet (HTTP 403, consent_required)."""

    def __init__(self, version: str, text: str) -> None:
        self.version, self.text = version, text
        super().__init__("consent_required", "agree to the consent text first")


class QuizRequired(Refused):
    """The rater has not passed the comprehension check yet (HTTP 403, quiz_required)."""

    def __init__(self, questions: Sequence[QuizQuestion], tries_left: int) -> None:
        self.questions, self.tries_left = tuple(questions), tries_left
        super().__init__("quiz_required", "answer the questions first")


@dataclass(frozen=True, slots=True)
class End:
    """Why there is no ballot left, in words for the rater; the code they show where they were recruited."""

    message: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """The ballots a rater holds now, all of one campaign and phase, and how far they are."""

    ballots: tuple[Ballot, ...]
    done: int
    target: int
    end: End | None = None
    briefing: str = ""
    """opaque: changes where what the rater should know about the ballots changes"""


def next_ballots(
    db: Database, session: Session | None, n: int, now: datetime, campaign: str | None = None
) -> Next:
    """The rater's next n ballots: those they hold already first, then new ones. Takes the seat at its first call.

    ConsentRequired and QuizRequired come before the first ballot of a campaign that wants them.
    """
    rater = rater_session(session)
    take_seat(db, rater)
    assignments.expire_leases(db, stamp(now))
    offers = campaigns_for(db, rater, now, campaign)
    if rater.screened_out:
        return _ended(db, rater, offers, End(SCREENED, _own(db, rater).settings.screenout_code or None))
    end: End | None = None
    for one in offers:
        check_gates(one, rater)
        over = no_more(db, one, rater, now)
        end = end or over
        held = [] if over else _lend(db, one, rater.rater or 0, n, now)
        if held:
            done, target = progress(db, one, rater.rater or 0)
            ballots = tuple(ballot_of(db, one, a) for a in held)
            return Next(ballots, done, target, None, briefing_key(one, held[0]))
    return _ended(db, rater, offers, end or _why_none(db, rater, offers, now))


def _ended(db: Database, rater: Session, offers: Sequence[Campaign], end: End) -> Next:
    done, target = progress(db, offers[0] if offers else _own(db, rater), rater.rater or 0)
    return Next((), done, target, end)


def briefing_key(campaign: Campaign, assignment: Assignment) -> str:
    """What stands for a campaign's questions and phase on the way to the rater; it names nothing."""
    return content_id("briefing", campaign.id, assignment.kind is BallotKind.PRACTICE)[:16]


def quiz_key(quiz: Sequence[QuizQuestion]) -> str:
    """What stands for a comprehension check on a seat that has passed it: another check is asked anew."""
    return content_id("quiz", [(q.question, list(q.answers), q.correct) for q in quiz])


def check_gates(campaign: Campaign, session: Session) -> None:
    """Consent, then the comprehension check; ConsentRequired, QuizRequired."""
    wanted = campaign.settings
    if wanted.consent_text and session.consent_version != wanted.consent_version:
        raise ConsentRequired(wanted.consent_version, wanted.consent_text)
    if wanted.quiz and session.quiz_passed != quiz_key(wanted.quiz):
        raise QuizRequired(wanted.quiz, QUIZ_TRIES - session.quiz_tries)


def campaigns_for(db: Database, session: Session, now: datetime, name: str | None = None) -> list[Campaign]:
    """The campaigns this seat may rate now, in the order they are served.

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

    return sorted((c for c in found if c.status is CampaignStatus.OPEN and _within(c, now)), key=order)


def _within(campaign: Campaign, now: datetime) -> bool:
    """Whether a campaign's session is on; votes on ballots that are out are taken after its end too."""
    time, wanted = stamp(now), campaign.settings
    return (wanted.starts_at or "") <= time and (wanted.ends_at is None or time < wanted.ends_at)


# -- which battles ---------------------------------------------------------------------------------------------


def _lend(db: Database, campaign: Campaign, rater: int, n: int, now: datetime) -> list[Assignment]:
    """Up to n assignments of a campaign: those the rater holds, then new ones."""
    held = held_by(db, campaign, rater, now)
    to_practise = campaign.settings.practice - checks.practised(db, rater, campaign.id)
    if to_practise > 0:
        practice = [a for a in held if a.kind is BallotKind.PRACTICE]
        room = min(n, to_practise) - len(practice)
        fresh = checks.unseen_gold(db, campaign.id, rater, room) if room > 0 else []
        practice += [assign(db, campaign, rater, b, now, kind=BallotKind.PRACTICE) for b in fresh]
        if practice:
            return practice[:n]
    room = n - len(held)
    if campaign.settings.rater_cap is not None:
        given = counting.rater_progress(db, rater, campaign.id)
        room = min(room, campaign.settings.rater_cap - len(held) - given)
    if room > 0:
        held += _new(db, campaign, rater, room, now, held)
    return held[:n]


def held_by(db: Database, campaign: Campaign, rater: int, now: datetime) -> list[Assignment]:
    """A rater's assignments that wait for a vote: live ones, and expired ones whose battle still wants one, lent anew."""
    return [
        old if old.expires_at > stamp(now) else lend_again(db, campaign, old, now)
        for old in assignments.open_assignments(db, campaign.id, rater)
        if old.expires_at > stamp(now) or assignments.still_wanted(db, old.battle, campaign.settings.overlap)
    ]


def _new(
    db: Database, campaign: Campaign, rater: int, n: int, now: datetime, held: Sequence[Assignment]
) -> list[Assignment]:
    """New ballots: battles as the campaign samples them, check questions among them at their stated rates."""
    wanted = campaign.settings
    cover = campaigns.coverage(db, campaign)
    if wanted.target is not None:
        n = min(n, wanted.target - cover.votes - assignments.live_leases(db, campaign.id))
    rates = {
        BallotKind.GOLD: wanted.gold_rate,
        BallotKind.REPEAT: 0.0 if wanted.reveal == "each" else wanted.repeat_rate,
    }
    given = Counter(checks.checks_of_rater(db, rater, campaign.id))
    number = counting.rater_progress(db, rater, campaign.id) + len(held)
    given.update(a.kind for a in held)
    made: list[Assignment] = []
    for drawn in _drawn(db, campaign, rater, n) if n > 0 else ():
        check = _check(db, campaign, rater, kind_of_next(rates, given, number + len(made), LOT), now)
        made.append(check or assign(db, campaign, rater, drawn.battle, now, drawn=drawn))
        given[made[-1].kind] += 1
    return made


def _check(
    db: Database, campaign: Campaign, rater: int, kind: BallotKind, now: datetime
) -> Assignment | None:
    """A check question of the kind that is due, where there is one for this rater."""
    if kind is BallotKind.GOLD:
        fresh = checks.unseen_gold(db, campaign.id, rater, 1)
        return assign(db, campaign, rater, fresh[0], now, kind=kind) if fresh else None
    if kind is BallotKind.REPEAT:
        again = checks.repeatable(db, campaign.id, rater, REPEAT_GAP)
        if again is not None:
            return assign(db, campaign, rater, again.battle, now, "b" if again.left_is == "a" else "a", kind)
    return None


def _drawn(db: Database, campaign: Campaign, rater: int, n: int) -> list[Drawn]:
    wanted = campaign.settings
    if wanted.follow_turns:
        on = assignments.following(db, campaign, rater)
        if on is not None:
            return [Drawn(on, 1.0, 1)]
    if wanted.matchmaking is not Matchmaking.UNIFORM and len(campaign.models) > 2:
        return _matched(db, campaign, rater, n)
    if wanted.sampling is Sampling.LEAST_COVERED:
        among = max(1, campaigns.coverage(db, campaign).battles)
        return [Drawn(b, 1 / among, among) for b in assignments.least_covered(db, campaign, rater, n)]
    pool, among = assignments.candidates(db, campaign, rater, POOL)
    return draw(pool, among, wanted.sampling, wanted.random_share, n, LOT)


def _matched(db: Database, campaign: Campaign, rater: int, n: int) -> list[Drawn]:
    """n different battles: each time first which two models meet, then which of their battles, as they are sampled."""
    wanted, known = campaign.settings, fought(db, campaign.id)
    drawn: list[Drawn] = []
    while len(drawn) < n:
        but = tuple(d.battle for d in drawn)
        left = assignments.twos_left(db, campaign, rater, but)
        if not left:
            break
        twos = list(left)
        met = pair_up(
            [known.get(two, Fought(0, 0, 0)) for two in twos], wanted.matchmaking, wanted.random_share, LOT
        )
        among = assignments.Among(twos[met.at], but)
        if wanted.sampling is Sampling.LEAST_COVERED:
            battle, within = (
                assignments.least_covered(db, campaign, rater, 1, among)[0],
                1 / left[among.models],
            )
        else:
            pool, there = assignments.candidates(db, campaign, rater, POOL, among)
            battle, within, _ = draw(pool, there, wanted.sampling, wanted.random_share, 1, LOT)[0]
        drawn.append(Drawn(battle, min(1.0, met.chance * within), sum(left.values())))
    return drawn


def assign(
    db: Database, campaign: Campaign, rater: int, battle: int, now: datetime, left_is: str | None = None,
    kind: BallotKind = BallotKind.BATTLE, drawn: Drawn | None = None,
) -> Assignment:  # fmt: skip
    """Lend a battle: 128 random bits, the side drawn unless it was shown before."""
    lease = timedelta(seconds=campaign.settings.lease_seconds)
    assignment = Assignment(
        secrets.token_urlsafe(16), battle, rater, left_is or secrets.choice("ab"), stamp(now), stamp(now + lease), kind,
        drawn.chance if drawn else None, drawn.among if drawn else None,
    )  # fmt: skip
    assignments.add_assignment(db, assignment)
    return assignment


def lend_again(db: Database, campaign: Campaign, old: Assignment, now: datetime) -> Assignment:
    """Lend the same battle to the same rater anew: same sides and kind, and the chance it was drawn with.

    Without that chance a vote on it would weigh like one of even sampling.
    """
    drawn = None if old.chance is None else Drawn(old.battle, old.chance, old.among or 1)
    return assign(db, campaign, old.rater, old.battle, now, old.left_is, old.kind, drawn)


def lend(db: Database, campaign: Campaign, seat: int, battle: int, now: datetime) -> Assignment:
    """Lend a battle of the owner's choosing to whoever sits on this seat."""
    return assign(db, campaign, seats.get_seat(db, seat).rater, battle, now)


def ballot_of(db: Database, campaign: Campaign, assignment: Assignment) -> Ballot:
    """An assignment as its rater sees it."""
    battle = campaigns.get_battle(db, assignment.battle)
    a, b = get_response(db, battle.response_a), get_response(db, battle.response_b)
    text_a, text_b = as_served(db, campaign, battle.id, a.text, b.text)
    return blind(assignment.id, get_prompt(db, battle.prompt), text_a, text_b, assignment.left_is,
                 campaign.settings.criteria)  # fmt: skip


# -- how far, and the end --------------------------------------------------------------------------------------


def progress(db: Database, campaign: Campaign, rater: int) -> tuple[int, int]:
    """(ballots answered, those plus the ones still to come) of a rater in a campaign, from the kept counts.

    Still to come: what the campaign wants yet, as far as this rater has not rated it. A check question moves both
    numbers as any other ballot does, so that they do not tell which was one. Practice moves neither.
    """
    done = counting.rater_progress(db, rater, campaign.id)
    cover = campaigns.coverage(db, campaign)
    wanted = min(cover.battles * campaign.settings.overlap, campaign.settings.target or math.inf)
    wanted -= cover.votes - cover.held_votes + checks.answered(db, rater, campaign.id)
    target = done + int(max(0, min(cover.battles - done, wanted)))
    return done, max(done, min(target, campaign.settings.rater_cap or target))


def _own(db: Database, session: Session) -> Campaign:
    return campaigns.campaign_by_id(db, session.campaign or 0)


def no_more(db: Database, campaign: Campaign, session: Session, now: datetime) -> End | None:
    """Why this campaign has no ballot for this rater whatever is left in it."""
    if votes.revealed_to(db, session.rater or 0, campaign.id):
        earned = completed(db, campaign, session.rater or 0, now)
        return End(SEEN, campaign.settings.completion_code if earned else None)
    if campaign.settings.block_below:
        score = checks.gold_score(db, campaign.id, session.rater or 0)
        if blocked(score.right, score.answered, campaign.settings.block_below):
            return End(BLOCKED, campaign.settings.screenout_code or None)
    return None


def _why_none(db: Database, session: Session, offers: Sequence[Campaign], now: datetime) -> End:
    own = _own(db, session)
    if own.status is CampaignStatus.OPEN and stamp(now) < (own.settings.starts_at or ""):
        return End(NOT_YET)
    if not offers and own.status is CampaignStatus.PAUSED:
        return End(PAUSED)
    done = completed(db, own, session.rater or 0, now)
    if done:
        return End(ALL_DONE, own.settings.completion_code)
    if done is False:
        return End(SKIPPED)
    if offers:
        return End(ALL_DONE)
    over = own.settings.ends_at is not None and stamp(now) >= own.settings.ends_at
    return End(CLOSED if own.status is CampaignStatus.CLOSED else OVER if over else NOTHING)


def completed(db: Database, campaign: Campaign, rater: int, now: datetime) -> bool | None:
    """Whether a rater who is through earned the completion code, by the votes that are stored.

    None where the campaign has no code or the rater is not through: through is who gave as many votes as the cap on
    ballots says, or who has given some and has none to come. At most a fifth may be skipped.
    """
    if not campaign.settings.completion_code:
        return None
    stored = counting.standing_of_rater(db, rater, campaign.id)
    through = stored.all >= (campaign.settings.rater_cap or math.inf) or _out(db, campaign, rater, now)
    if stored.all == 0 or not through:
        return None
    return stored.all - stored.skipped >= math.ceil((1 - MOST_SKIPPED) * stored.all)


def _out(db: Database, campaign: Campaign, rater: int, now: datetime) -> bool:
    """Whether a campaign has no ballot for this rater any more: it is over or full, or they hold none and had all."""
    if campaign.status is CampaignStatus.CLOSED or not _within(campaign, now):
        return True
    if assignments.open_assignments(db, campaign.id, rater):
        return False
    full = (
        campaign.settings.target is not None
        and campaigns.coverage(db, campaign).votes >= campaign.settings.target
    )
    return full or not assignments.least_covered(db, campaign, rater, 1)
