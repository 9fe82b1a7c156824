"""The workflow of a live session: a rater asks, two hidden models answer, the two answers become a ballot.

Every function takes the writer's database inside its transaction; `now` is passed in (UTC). Who writes the answers is no
matter here: `ask` draws the models, `settle` takes both texts at once.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlite_utils import Database

from db import assignments, campaigns, counting, live_turns, votes
from db.catalog import add_prompts, add_responses, get_model
from db.entities.campaigns import Campaign
from db.entities.catalog import Message, Prompt, Response, bare
from db.entities.votes import Ballot, Outcome
from db.errors import Conflict, Refused
from db.live_turns import Ended, Fought, LiveTurn
from db.sessions import Session
from labeling.assignment import Drawn
from labeling.joining import rater_session, stamp, take_seat
from labeling.lending import (
    LOT,
    assign,
    ballot_of,
    briefing_key,
    campaigns_for,
    check_gates,
    held_by,
    no_more,
)
from labeling.matchmaking import pair_up
from labeling.scanning import as_served, names_in, scan_battles

TAG = "live"
"""what prompts of this kind are tagged with"""
LONGEST = 8_000
"""characters of a message"""
LONGEST_TALK = 60_000
"""characters of a talk"""

NOT_HERE = "you cannot write prompts of your own here"
ALIKE = "There is nothing to compare: both answers came out the same, or one of them is empty. Write something else."
GUARDED = (
    "This pair cannot be shown, because an answer gives away which model wrote it. Write something else."
)
GIVEN_UP = "The answers did not come. Write your message again."
USED_UP = "You have written all the prompts there are for you in this session. Thank you!"
ENOUGH = "This session has all the votes it wanted. Thank you!"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a rater stands in a live session.

    `turn` is the one whose answers are awaited; `ballot` the one to vote on. `talk` is what a next message would go on
    from, `note` what to tell about the last one, `end` why no further message is taken.
    """

    campaign: Campaign
    used: int
    turn: LiveTurn | None = None
    ballot: Ballot | None = None
    briefing: str = ""
    talk: tuple[Message, ...] = ()
    note: str = ""
    end: str = ""


class Answer(NamedTuple):
    """What one model wrote, and how it was drawn."""

    text: str
    finish_reason: str
    settings: Mapping[str, object]


def standing(db: Database, session: Session | None, now: datetime) -> Standing:
    """Where the rater stands now. ConsentRequired and QuizRequired come first, Refused where no session is live."""
    rater, campaign = _enter(db, session, now)
    last = live_turns.newest_turn(db, campaign.id, rater)
    used = live_turns.turns_used(db, campaign.id, rater)
    if last is not None and last.ended is None:
        return Standing(campaign, used, last, talk=last.messages)
    held = held_by(db, campaign, rater, now)
    live = live_turns.live_of(db, [a.battle for a in held])
    ballot = next((a for a in held if a.battle in live), None)
    if ballot is not None:
        return Standing(campaign, used, None, ballot_of(db, campaign, ballot), briefing_key(campaign, ballot))
    over = no_more(db, campaign, rater_session(session), now)
    end = over.message if over else _full(db, campaign, rater, used)
    talk = _carried(db, campaign, last) if last is not None else ()
    return Standing(campaign, used, talk=talk, note=_note(last), end=end)


def ask(
    db: Database, session: Session | None, message: str, after: bool, now: datetime, seed: int | None = None
) -> LiveTurn:
    """Take a rater's message and draw the two models that answer it. `after`: it goes on with the talk there is.

    Conflict while answers are awaited or wait for a vote; Refused where no further message is taken.
    """
    where = standing(db, session, now)
    if where.turn is not None:
        raise Conflict("your last message is being answered", "wait for the two answers")
    if where.ballot is not None:
        raise Conflict("two answers wait for your vote", "vote on them first")
    if where.end:
        raise Refused(where.end)
    rater, campaign = rater_session(session).rater or 0, where.campaign
    last = live_turns.newest_turn(db, campaign.id, rater) if after else None
    before = _carried(db, campaign, last) if last is not None else ()
    messages: tuple[Message, ...] = (*before, {"role": "user", "content": message})
    if sum(len(m["content"]) for m in messages) > LONGEST_TALK:
        raise Refused("this talk is too long to go on", "begin a new one")
    first, second, chance, among = _drawn(db, campaign)
    turn = LiveTurn(
        secrets.token_urlsafe(16), campaign.id, rater, messages, first, second, chance, among,
        secrets.randbelow(2**31) if seed is None else seed, stamp(now),
    )  # fmt: skip
    live_turns.add_turn(db, turn)
    return turn


def waiting(db: Database, session: Session | None, now: datetime) -> LiveTurn:
    """The turn whose answers the rater waits for; Conflict where there is none."""
    rater, campaign = _enter(db, session, now)
    last = live_turns.newest_turn(db, campaign.id, rater)
    if last is None or last.ended is not None:
        raise Conflict("no answer is awaited", "write a message")
    return last


def give_up(db: Database, session: Session | None, now: datetime) -> None:
    """The rater takes a message back whose answers do not come; it does not count towards their limit."""
    live_turns.end_turn(db, waiting(db, session, now).id, Ended.GIVEN_UP)


def settle(db: Database, turn_id: str, a: Answer, b: Answer, now: datetime) -> Ended | None:
    """Both answers are there: store them, make the battle, let the guard look, lend it. None where the turn is over.

    Answers that leave nothing to compare are not stored, nor is what was asked: only a battle's prompt could be taken
    out again when its rater withdraws. The prompt's half follows from its content like any other's; a battle that the
    guard holds is not lent.
    """
    turn = live_turns.find_turn(db, turn_id)
    if turn is None or turn.ended is not None:
        return None
    if bare(a.text) == bare(b.text) or not bare(a.text) or not bare(b.text):
        live_turns.end_turn(db, turn.id, Ended.ALIKE)
        return Ended.ALIKE
    campaign = campaigns.campaign_by_id(db, turn.campaign)
    prompt = Prompt.of(turn.messages, tags=[TAG])
    add_prompts(db, [prompt])
    made = [
        Response.of(prompt.id, model, answer.text, sample=live_turns.next_sample(db, prompt.id, model),
                    finish_reason=answer.finish_reason, settings=answer.settings)
        for model, answer in ((turn.model_a, a), (turn.model_b, b))
    ]  # fmt: skip
    add_responses(db, made)
    battle, _ = campaigns.add_battle(
        db, campaign.id, prompt.id, made[0].id, made[1].id, get_model(db, turn.model_a).id,
        get_model(db, turn.model_b).id, sum(m["role"] == "user" for m in turn.messages), turn.chance,
    )  # fmt: skip
    scan_battles(db, [battle], names_in(db, campaign.id))
    ended = Ended.HELD if live_turns.is_held(db, battle) else Ended.BATTLE
    live_turns.end_turn(db, turn.id, ended, battle)
    if ended is Ended.BATTLE:
        assign(db, campaign, turn.rater, battle, now, drawn=Drawn(battle, turn.chance, turn.among))
    return ended


def live_campaign(db: Database, session: Session, now: datetime) -> Campaign | None:
    """The campaign in which this rater may write prompts now; None where there is none."""
    open_ = live_turns.live_campaigns(db, None if session.owner_seat else session.lineage)
    return next((c for c in campaigns_for(db, session, now) if c.id in open_), None) if open_ else None


def _enter(db: Database, session: Session | None, now: datetime) -> tuple[int, Campaign]:
    """(rater, campaign) of whoever asks, past the gates every ballot has."""
    seated = rater_session(session)
    take_seat(db, seated)
    assignments.expire_leases(db, stamp(now))
    campaign = None if seated.screened_out else live_campaign(db, seated, now)
    if campaign is None:
        raise Refused(NOT_HERE, "rate the ballots on the rating page")
    check_gates(campaign, seated)
    return seated.rater or 0, campaign


def _full(db: Database, campaign: Campaign, rater: int, used: int) -> str:
    """Why a rater may write no further message; empty where they may."""
    wanted = campaign.settings
    if used >= wanted.live_limit:
        return USED_UP
    if wanted.rater_cap is not None and counting.rater_progress(db, rater, campaign.id) >= wanted.rater_cap:
        return USED_UP
    out = campaigns.coverage(db, campaign).votes + assignments.live_leases(db, campaign.id)
    return ENOUGH if wanted.target is not None and out >= wanted.target else ""


def _note(last: LiveTurn | None) -> str:
    """What to tell about the last turn where no ballot came of it."""
    notes = {Ended.ALIKE: ALIKE, Ended.HELD: GUARDED, Ended.GIVEN_UP: GIVEN_UP}
    return notes.get(last.ended, "") if last is not None and last.ended is not None else ""


def _drawn(db: Database, campaign: Campaign) -> tuple[str, str, float, int]:
    """(first model, second, chance, among): two that can answer, in the campaign's order."""
    names = live_turns.answering_models(db, campaign.id)
    twos = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    known, wanted = live_turns.fought(db, campaign.id), campaign.settings
    met = pair_up(
        [known.get(two, Fought(0, 0, 0)) for two in twos], wanted.matchmaking, wanted.random_share, LOT
    )
    return (*twos[met.at], met.chance, met.among)


def _kept(db: Database, turn: LiveTurn) -> str | None:
    """The slot whose answer a talk goes on with: the better one, by lot where neither is; None after a skip."""
    cast = votes.standing_vote(db, turn.rater, turn.battle or 0, repeat=False)
    if cast is None or cast.outcome is Outcome.SKIP:
        return None
    return cast.outcome.value if cast.outcome.decisive else "ab"[sum(turn.id.encode()) % 2]


def _carried(db: Database, campaign: Campaign, turn: LiveTurn) -> tuple[Message, ...]:
    """The talk that a next message goes on with. What the guard covered stays covered: it stands in the next prompt."""
    if turn.ended is not Ended.BATTLE:
        return turn.messages[:-1]
    kept = _kept(db, turn)
    if kept is None:
        return ()
    a, b = live_turns.answers_of(db, turn.battle or 0)
    served = as_served(db, campaign, turn.battle or 0, a.text, b.text)
    return (*turn.messages, {"role": "assistant", "content": served["ab".index(kept)]})
