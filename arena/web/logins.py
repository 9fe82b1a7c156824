"""The owners' routes: log in with a one-time token or a password, log out here or everywhere.

Wrong tries are braked by address and by name and only counted: neither is stored.
"""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from arena.web.api import Json, json_body, text_field, web_of, written
from arena.web.sessions import Page, address_of, now
from db.owners import password_hash
from labeling import owners

router = APIRouter()

WAIT = "too many wrong tries; wait a minute, or use a one-time link"
WRONG_TOKEN = "this token is unknown, used or too old; ask for a new one"  # noqa: S105 - words, no secret
WRONG_PASSWORD = "the name or the password is wrong"  # noqa: S105 - words, no secret


@router.post("/api/login")
async def post_login(request: Request) -> Response:
    """The owner's cookie for a one-time token, or for a name and its password."""
    web, body = web_of(request), await json_body(request)
    logins, address = web.logins, address_of(request)
    by_password = "password" in body
    name = text_field(body, "name", 80).strip() if by_password else ""
    secret = (
        text_field(body, "password", owners.LONGEST) if by_password else text_field(body, "token").strip()
    )
    if web.tries.too_many(address) or (by_password and (logins.names.too_many(name) or logins.crowded)):
        return JSONResponse({"error": WAIT}, 429)
    if by_password:
        value = await _by_password(request, name, secret)
    else:
        value = await written(request, lambda db: owners.open_studio(db, secret, now()))
    if value is None:
        web.tries.note(address)
        logins.failed(name if by_password else None)
        return JSONResponse({"error": WRONG_PASSWORD if by_password else WRONG_TOKEN}, 401)
    before = web.door.visitor(request).owner
    if before is not None:  # who had a copy of the old cookie is out
        await written(request, lambda db: owners.log_out(db, before, now()))
    response = JSONResponse({"next": f"{web.root_path}/{Page.STUDIO}/"})
    web.door.let_owner_in(request, response, value)
    return response


async def _by_password(request: Request, name: str, password: str) -> str | None:
    """The cookie's value, or None; an unknown name takes as long as a wrong password."""
    web = web_of(request)
    stored = await asyncio.to_thread(lambda: password_hash(web.context.readers.get(), name))
    found = await web.logins.slowly(lambda: owners.checked(stored, password))
    if stored is None or not found.right:
        return None
    return await written(request, lambda db: owners.log_in(db, name, stored, found.rehashed, now()))


@router.post("/api/logout")
async def post_logout(request: Request) -> Response:
    """End the session in this browser, or with `everywhere` all of this owner's."""
    web = web_of(request)
    body: Json = await json_body(request)
    owner = web.door.visitor(request).owner
    if owner is not None:
        everywhere = body.get("everywhere") is True
        await written(request, lambda db: owners.log_out(db, owner, now(), everywhere=everywhere))
    response = JSONResponse({"next": f"{web.root_path}/{Page.LOGIN}/"})
    web.door.see_owner_out(request, response)
    return response
