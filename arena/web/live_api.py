"""The JSON routes of a live session: where the rater stands, a message, another try, giving up.

While the answers are written every reply has the same form and says nothing of either side; both texts come together,
as a ballot like any other.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from arena.web.api import ballot_json, json_body, text_field, web_of, written
from arena.web.live_room import Room, Stage
from arena.web.sessions import now
from db.connection import Database
from db.errors import Refused
from db.sessions import Session
from labeling import joining, live_battles
from labeling.blinding import render_markdown
from labeling.live_battles import LONGEST, Standing
from labeling.submission import Malformed

router = APIRouter()
T = TypeVar("T")


def _room(request: Request) -> Room:
    room: Room = request.app.state.room
    return room


async def _by_rater(request: Request, work: Callable[[Database, Session | None, datetime], T]) -> T:
    """What a workflow function returns for the rater who asks; refused where the cookie is nobody's."""
    cookie = web_of(request).door.rater_cookie(request)

    def done(db: Database) -> T:
        at = now()
        return work(db, joining.session_from(db, cookie, at), at)

    return await written(request, done)


@router.get("/api/live")
async def get_live(request: Request) -> Response:
    """Where the rater stands: a ballot, answers on the way, or what a next message goes on from."""
    where = await _by_rater(request, live_battles.standing)
    stage = _room(request).begin(where.turn) if where.turn is not None else None
    return JSONResponse(
        _standing_json(where, stage), headers={"x-campaign": where.briefing} if where.briefing else None
    )


def _standing_json(where: Standing, stage: Stage | None) -> Mapping[str, object]:
    """The same keys whatever the state; `ballots` as /api/next gives them."""
    return {
        "ballots": [ballot_json(where.ballot)] if where.ballot else [],
        "progress": {"done": where.used, "target": max(where.used, where.campaign.settings.live_limit)},
        "live": {
            "state": stage.value if stage else "ballot" if where.ballot else "over" if where.end else "open",
            "talk": [m | {"html": render_markdown(m["content"])} for m in where.talk],
            "note": where.end or where.note,
        },
    }


@router.post("/api/live")
async def post_live(request: Request) -> Response:
    """A rater's message: two models are drawn and begin to write."""
    body = await json_body(request)
    message = text_field(body, "message", LONGEST)
    if not message.strip():
        raise Malformed("message", "is empty")
    after = body.get("after", False)
    if not isinstance(after, bool):
        raise Malformed("after", "must be true or false")
    turn = await _by_rater(request, lambda db, rater, at: live_battles.ask(db, rater, message, after, at))
    return JSONResponse({"state": _room(request).begin(turn).value})


@router.post("/api/live/again")
async def post_again(request: Request) -> Response:
    """Try once more where an answer did not come."""
    await json_body(request)
    turn = await _by_rater(request, live_battles.waiting)
    return JSONResponse({"state": _room(request).again(turn).value})


@router.post("/api/live/back")
async def post_back(request: Request) -> Response:
    """Give up a message whose answers do not come; refused while they are being written."""
    await json_body(request)
    turn = await _by_rater(request, live_battles.waiting)
    if _room(request).begin(turn) is Stage.WRITING:
        raise Refused("your message is being answered", "wait for the two answers")
    await _by_rater(request, live_battles.give_up)
    _room(request).drop(turn)
    return JSONResponse({"state": "open"})
