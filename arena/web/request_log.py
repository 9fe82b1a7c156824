"""Every request gets an id, is timed, and may leave one line in the log; nothing in a line says who asked.

The id is random and goes back to the browser as X-Request-Id, so that whoever saw something go wrong can name it. Where a
handler fails with a traceback, its lines carry the same id.
"""

import logging
import secrets
import time
from collections.abc import Callable
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arena.web.guard import canonical, target_of

LOG = logging.getLogger("tastebench.requests")
SLOW = 2.0
"""seconds from which a request is worth a warning"""
NO_REQUEST = "-"
METHODS = ("GET", "HEAD", "POST")

request_id: ContextVar[str] = ContextVar("request_id", default=NO_REQUEST)
"""the id of the request that is being answered"""


def route_of(path: str, method: str, root: str = "") -> str:
    """What a request asks for, as few words: never a token, and no more kinds than the app has routes."""
    inner = path[len(root) :] if root and path.startswith(root) else path
    plain = canonical(inner or "/")
    target = target_of(plain, method) if plain is not None else None
    if plain is None or target is None:
        return "other"
    if target.page is None:
        return "/join" if plain.startswith("/join/") else plain
    if target.static:
        return "static"
    return f"/{target.page}/events" if target.rest else f"/{target.page}"


class Requests:
    """ASGI middleware around the guard: the id, the time, the line."""

    def __init__(
        self, app: ASGIApp, *, timed: Callable[[str, str, int, float], None], root_path: str = ""
    ) -> None:
        self._app = app
        self._timed = timed
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and note it once its answer has begun."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        number = secrets.token_hex(8)
        request_id.set(number)
        # the guard rewrites the path: this is what was asked
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = route_of(scope["path"], method, self._root)
        began, status = time.perf_counter(), 0

        async def numbered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", number.encode())]
                self._note(method, route, status, time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, numbered)
        except Exception:  # whatever it was: noted as a 500 here, and raised on
            if not status:
                self._note(method, route, 500, time.perf_counter() - began)
            raise

    def _note(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answer has begun: the histogram, and a line where the log is that chatty or the request that slow."""
        self._timed(method, route, status, seconds)
        level = logging.WARNING if status >= 500 or seconds >= SLOW else logging.INFO
        if LOG.isEnabledFor(level):
            LOG.log(level, "%s %s %d in %.1f ms", method, route, status, 1000 * seconds)
