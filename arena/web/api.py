"""The raters' JSON routes: join by a link, take ballots, vote, undo, consent; and health.

A handler unpacks the request, calls one workflow function in the writer's thread and returns what it says. The answer
goes out only after that thread's commit is on disk.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from arena.web.chrome import ICON, NAME, message_page
from arena.web.context import Context
from arena.web.request_log import request_id
from arena.web.sessions import BadTries, Door, Logins, Page, address_of, may_open, now
from db import campaigns
from db.entities.campaigns import CampaignStatus
from db.entities.votes import Ballot
from db.errors import Busy, Conflict, NotFound, Refused, Unwritable, UserError
from labeling import briefing, joining, lending, rating
from labeling.blinding import render_markdown
from labeling.submission import Malformed, parse_submission

T = TypeVar("T")
Json = Mapping[str, object]

STATUS: tuple[tuple[type[UserError], int], ...] = (
    (Malformed, 422), (joining.NoSession, 401), (Refused, 403), (Conflict, 409), (NotFound, 404), (Busy, 503),
    (Unwritable, 507),
)  # fmt: skip
RETRY_AFTER = 2
"""seconds after which a page may ask a busy server again"""

# said on the rating page where ballots come from the demo; the same words whichever model answered
DEMO_NOTES = {
    "starter": "Demo: both answers come from tiny models that know one small made-up world.",
    "showcase": "Demo: both answers were written for this demo, to show what real ballots look like.",
}

router = APIRouter()
"""all routes but the two that every ballot takes: those stand in front of it, plain (add_ballot_routes)"""


@dataclass(frozen=True, slots=True)
class Web:
    """What the handlers share: the context, the cookies, the brakes on guessing, the prefix of a proxy."""

    context: Context
    door: Door
    tries: BadTries
    root_path: str = ""
    logins: Logins = field(default_factory=Logins)


def web_of(request: Request) -> Web:
    """The app's shared parts."""
    web: Web = request.app.state.web
    return web


async def written(request: Request, work: Callable[[Any], T]) -> T:
    """What a workflow function returns, after its transaction is on disk. It gets the writer's database."""
    return await asyncio.wrap_future(web_of(request).context.writer.submit(work))


def on_user_error(_request: Request, error: Exception) -> Response:
    """Any UserError as JSON: what is wrong, what to do, and what the kind of error adds."""
    assert isinstance(error, UserError)
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 400)
    body: dict[str, object] = {"error": error.what, "remedy": error.remedy}
    if isinstance(error, Malformed):
        body["field"] = error.field
    if isinstance(error, rating.Contradiction) and error.stored is not None:
        body["stored"] = dict(error.stored)
    if isinstance(error, lending.ConsentRequired):
        body |= {"version": error.version, "html": render_markdown(error.text)}
    if isinstance(error, lending.QuizRequired):
        body |= {
            "questions": [{"question": q.question, "answers": list(q.answers)} for q in error.questions],
            "tries_left": error.tries_left,
        }
    return JSONResponse(body, status, {"retry-after": str(RETRY_AFTER)} if status == 503 else None)


def on_bug(_request: Request, _error: Exception) -> Response:
    """A failure of ours: its traceback is in the log under the number that the answer names."""
    body = {
        "error": "something went wrong on the server",
        "remedy": f"try again; if it stays so, tell the owner this number: {request_id.get()}",
    }
    return JSONResponse(body, 500, {"x-request-id": request_id.get()})


async def json_body(request: Request) -> dict[str, object]:
    """The request's JSON object; Malformed names what is wrong with it."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise NotJson
    raw = await request.body()
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise Malformed("body", "is not JSON") from None
    if not isinstance(body, dict):
        raise Malformed("body", "must be a JSON object")
    if b"\\u" in raw or b"\xed" in raw:
        _refuse_half_characters(body)
    return body


def _refuse_half_characters(body: Json) -> None:
    """Malformed for half a surrogate pair: JSON has it, but no text that could be stored or answered."""
    for name, value in body.items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
            name.encode()
        except UnicodeEncodeError:
            raise Malformed(name.encode(errors="replace").decode(), "holds half a character") from None


class NotJson(Exception):
    """A post that does not say it is JSON: only pages of other sites can be made to send one (HTTP 415)."""


def on_not_json(_request: Request, _error: Exception) -> Response:
    """415."""
    return JSONResponse({"error": "send JSON with content-type application/json"}, 415)


def text_field(body: Json, name: str, longest: int = 200) -> str:
    """A text of the body; Malformed."""
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise Malformed(name, f"must be a text of 1 to {longest} characters")
    return value


# -- joining ---------------------------------------------------------------------------------------------------


@router.head("/join/{token}")
async def peek() -> Response:
    """A link scanner's look: changes nothing."""
    return Response()


@router.get("/join/{token}")
async def join(request: Request, token: str) -> Response:
    """An invited rater comes in: a cookie, and on to the rating page."""
    web = web_of(request)
    address = address_of(request)
    cookie = web.door.rater_cookie(request)
    try:
        found = joining.recruited_from(request.query_params)
        value = await written(request, lambda db: joining.join(db, token, cookie, now(), found))
    except NotFound as error:
        # only failures are slowed down: many good links may come from one address
        if web.tries.too_many(address):
            return _said(request, "Too many tries", "Wait a minute, then open your link again.", 429)
        web.tries.note(address)
        return _said(request, "This link does not work", error.what, 404, error.remedy)
    except Conflict as error:
        return _said(request, "You cannot join here", error.what, 409, error.remedy)
    except Refused as error:
        return _said(request, "You cannot join here", error.what, 403, error.remedy)
    except Unwritable as error:
        if isinstance(error, Busy):
            return _said(request, "You cannot join right now", error.what, 503, error.remedy)
        return _said(
            request,
            "You cannot join right now",
            error.what,
            507,
            "Tell whoever invited you. Your link stays good.",
        )
    response = RedirectResponse(f"{web.root_path}/rate", 303)
    web.door.let_rater_in(request, response, value)
    return response


def _said(request: Request, title: str, text: str, status: int, remedy: str = "") -> Response:
    """A message in the language of the request's browser."""
    return message_page(
        title, text, status, remedy=remedy, accepted=request.headers.get("accept-language", "")
    )


def add_ballot_routes(app: FastAPI) -> None:
    """The two routes that every ballot takes, ahead of all others and without what FastAPI does for a route's parameters."""
    for path, method, handler in (("/api/vote", "POST", post_vote), ("/api/next", "GET", get_next)):
        route = Route(path, handler, methods=[method])
        route.methods = {method}  # no HEAD beside GET: it would lend ballots that nobody sees
        app.router.routes.append(route)


# -- rating ----------------------------------------------------------------------------------------------------


async def get_next(request: Request) -> Response:
    """The ballots this rater holds, filled up to n."""
    n, campaign = request.query_params.get("n", "1"), request.query_params.get("campaign")
    if not n.isascii() or not n.isdigit() or int(n[:6]) < 1:
        raise Malformed("n", f"must be a whole number from 1 to {lending.MAX_BALLOTS}")
    wanted = min(int(n[:6]), lending.MAX_BALLOTS)
    found = await _next(request, wanted, campaign)
    # rendering a long text takes milliseconds: not on the loop that serves everybody
    ballots = await asyncio.to_thread(lambda: [ballot_json(b) for b in found.ballots])
    body: dict[str, object] = {"ballots": ballots, "progress": _progress(found.done, found.target)}
    if found.end is not None:
        body["end"] = {"message": found.end.message} | ({"code": found.end.code} if found.end.code else {})
    return JSONResponse(body, headers={"x-campaign": found.briefing} if found.briefing else None)


async def _next(request: Request, n: int, campaign: str | None = None) -> lending.Next:
    cookie = web_of(request).door.rater_cookie(request)
    return await written(
        request,
        lambda db: lending.next_ballots(db, joining.session_from(db, cookie, now()), n, now(), campaign),
    )


def ballot_json(ballot: Ballot) -> Json:
    """A ballot as it goes to the rater: these keys and no more."""
    return {
        "assignment": ballot.assignment,
        "prompt": [
            {"role": m["role"], "content": m["content"], "html": render_markdown(m["content"])}
            for m in ballot.prompt
        ],
        "left": {"text": ballot.left, "html": render_markdown(ballot.left)},
        "right": {"text": ballot.right, "html": render_markdown(ballot.right)},
        "criteria": list(ballot.criteria),
    }


def _progress(done: int, target: int) -> Json:
    return {"done": done, "target": target}


@router.get("/api/guidelines")
async def get_guidelines(request: Request, assignment: str | None = None) -> Response:
    """What the rater should know about a ballot they hold, or about the session where none is named."""
    web = web_of(request)
    visitor = web.door.visitor(request)
    told = briefing.briefing(web.context.readers.get(), visitor.rater, assignment, now())
    wanted = told.settings
    return JSONResponse(
        {"html": render_markdown(wanted.guidelines) if wanted.guidelines else "",
         "note": DEMO_NOTES.get(told.demo or "", ""),
         "ask": {"strength": wanted.ask_strength, "acceptable": wanted.ask_acceptable, "comment": wanted.ask_comment,
                 "better": wanted.ask_better, "tags": list(wanted.reason_tags)},
         "practice": {"number": told.practice[0], "of": told.practice[1]} if told.practice else None,
         "ends_at": wanted.ends_at, "withdraw": visitor.rater is not None and not visitor.rater.owner_seat,
         "results": bool(visitor.shared), "live": visitor.live, "finish_url": told.finish_url, "reveal": wanted.reveal}
    )  # fmt: skip


@router.post("/api/quiz")
async def post_quiz(request: Request) -> Response:
    """A try at the comprehension check."""
    answers = (await json_body(request)).get("answers")
    cookie = web_of(request).door.rater_cookie(request)
    made = await written(
        request, lambda db: briefing.answer_quiz(db, joining.session_from(db, cookie, now()), answers, now())
    )
    return JSONResponse({"passed": made.passed, "tries_left": made.tries_left, "wrong": list(made.wrong)})


@router.get("/api/reveal")
async def get_reveal(request: Request) -> Response:
    """What the rater chose and whose answers those were, at the end; from here on nothing is undone."""
    cookie = web_of(request).door.rater_cookie(request)
    seen = await written(
        request, lambda db: rating.reveal_all(db, joining.session_from(db, cookie, now()), now())
    )
    return JSONResponse({"votes": [asdict(one) for one in seen]})


@router.post("/api/forget")
async def post_forget(request: Request) -> Response:
    """The rater withdraws."""
    await json_body(request)
    cookie = web_of(request).door.rater_cookie(request)
    return JSONResponse(
        await written(request, lambda db: briefing.withdraw(db, joining.session_from(db, cookie, now())))
    )


async def post_vote(request: Request) -> Response:
    """Store a vote; 200 once it is on disk."""
    submission = parse_submission(await json_body(request))
    cookie = web_of(request).door.rater_cookie(request)
    receipt = await written(
        request,
        lambda db: rating.cast_vote(db, joining.session_from(db, cookie, now()), submission, now()),
    )
    body: dict[str, object] = {
        "stored": True, "receipt": receipt.receipt, "progress": _progress(receipt.done, receipt.target),
    }  # fmt: skip
    if receipt.reveal is not None:
        body["reveal"] = dict(receipt.reveal)
    if receipt.practice is not None:
        body["practice"] = asdict(receipt.practice)
    return JSONResponse(body)


@router.post("/api/undo")
async def post_undo(request: Request) -> Response:
    """Take a vote back; its battle comes again under a new assignment."""
    assignment = text_field(await json_body(request), "assignment", 64)
    cookie = web_of(request).door.rater_cookie(request)
    undone = await written(
        request, lambda db: rating.undo(db, joining.session_from(db, cookie, now()), assignment, now())
    )
    return JSONResponse(
        {"undone": undone.undone, "assignment": undone.assignment,
         "progress": _progress(undone.done, undone.target)}
    )  # fmt: skip


@router.post("/api/consent")
async def post_consent(request: Request) -> Response:
    """The rater agrees to the consent text they were shown."""
    version = text_field(await json_body(request), "version")
    cookie = web_of(request).door.rater_cookie(request)
    await written(request, lambda db: joining.agree(db, joining.session_from(db, cookie, now()), version))
    return JSONResponse({"agreed": version})


# -- around ----------------------------------------------------------------------------------------------------


@router.get("/")
async def root(request: Request) -> Response:
    """The page that suits whoever asks."""
    web = web_of(request)
    visitor = web.door.visitor(request)
    page = next(p for p in (Page.STUDIO, Page.RATE, Page.LOGIN) if may_open(p, visitor))
    return RedirectResponse(f"{web.root_path}/{page}/", 303)


@router.head("/healthz")
@router.get("/healthz")
async def healthz(request: Request) -> Response:
    """200 once database and routes answer; `ready_to_rate` once a campaign is open."""
    known = campaigns.list_campaigns(web_of(request).context.readers.get())
    return JSONResponse({"ready_to_rate": any(c.status is CampaignStatus.OPEN for c in known)})


@router.get("/favicon.ico")
async def favicon() -> Response:
    """The icon."""
    return Response(ICON, media_type="image/svg+xml", headers={"cache-control": "public, max-age=86400"})


@router.get("/manifest.json")
async def manifest(request: Request) -> Response:
    """What a phone shows when the page is put on its home screen."""
    root_path = web_of(request).root_path
    return JSONResponse(
        {"name": NAME, "short_name": NAME, "start_url": f"{root_path}/rate/", "display": "standalone",
         "icons": [{"src": f"{root_path}/favicon.ico", "type": "image/svg+xml", "sizes": "any"}]}
    )  # fmt: skip


@router.get("/robots.txt")
async def robots() -> Response:
    """No page here is for a search engine."""
    return Response("User-agent: *\nDisallow: /\n", media_type="text/plain")
