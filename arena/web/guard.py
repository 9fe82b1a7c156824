"""The guard in front of every request: what is not allowed here is not there.

It refuses names that are not this server's, paths that are not on its list, cross-site posts and large bodies, checks who may open a page before Gradio
sees the request, sends people without a session to a page they understand, and puts the security headers on every
answer. Gradio's own routes are allowed by name; all others under a mount (config, upload, file, run, call, info,
monitoring and whatever comes with a later version) answer 404.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arena.web.chrome import message_page
from arena.web.hosts import answers_to
from arena.web.pace import BY_ADDRESS, BY_RATER, Pace
from arena.web.packed import Packed
from arena.web.sessions import Door, Page, address_of, may_open

API_CAP, EVENT_CAP, DRAINED = 64 * 1024, 1024 * 1024, 16 * 1024 * 1024
VOTE_CAP = 1024 * 1024
"""of a vote: four texts of 20,000 characters, each 12 bytes at most where JSON escapes them"""

OWN_ROUTES = re.compile(
    r"/|/healthz|/metrics|/favicon\.ico|/manifest\.json|/robots\.txt|/join/[A-Za-z0-9_-]{1,128}"
    r"|/api/(next|vote|undo|consent|quiz|guidelines|reveal|forget|login|logout|live|live/again|live/back)"
)
STATIC = re.compile(r"(assets|static|svelte)/[A-Za-z0-9._@/-]+|theme\.css")
# what a Gradio page needs besides itself and its assets; pages without events need nothing
EVENTS = {
    "GET": re.compile(r"gradio_api/(queue/data|startup-events|login_check|heartbeat/[A-Za-z0-9_-]+)"),
    "POST": re.compile(r"gradio_api/(queue/join|cancel|reset|component_server)"),
}
PAGES_WITH_EVENTS = {Page.RESULTS, Page.STUDIO, Page.CHAT}
PAGES_FOR_FRAMES = {None, Page.RATE, Page.LIVE, Page.RESULTS}
"""what `--embed` lets another site show in a frame: what raters see, where nothing of the owner's can be pressed"""

POLICY = b"content-security-policy"
CSP = (
    b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; media-src 'self'; font-src 'self' data:; connect-src 'self'; frame-src 'none'; "
    b"object-src 'none'; worker-src 'self'; base-uri 'self'; form-action 'self'"
)

ALWAYS = {
    b"x-content-type-options": b"nosniff", b"referrer-policy": b"no-referrer", b"cross-origin-opener-policy": b"same-origin",
    b"permissions-policy": b"camera=(), microphone=(), geolocation=()",
}  # fmt: skip
UNFRAMED = ALWAYS | {b"x-frame-options": b"DENY", b"cross-origin-resource-policy": b"same-origin"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a path means: a page or something under it (`rest`), or a route of our own (page None)."""

    page: Page | None
    rest: str = ""

    @property
    def static(self) -> bool:
        """Whether it is one of Gradio's own files, the same for everybody."""
        return self.page is not None and STATIC.fullmatch(self.rest) is not None


def canonical(path: str) -> str | None:
    """The path if there is one way only to read it, else None (encoded, doubled or climbing parts)."""
    if (
        unquote(path) != path
        or "//" in path
        or "\\" in path
        or any(p in (".", "..") for p in path.split("/"))
    ):
        return None
    return path if path.isprintable() else None


def target_of(path: str, method: str) -> Target | None:
    """What a canonical path stands for; None where nothing may be asked there by this method."""
    if OWN_ROUTES.fullmatch(path):
        return Target(None)
    first, _, rest = path[1:].partition("/")
    if first not in list(Page):
        return None
    target = Target(Page(first), rest.rstrip("/"))
    if target.rest == "" or target.static:
        return target if method in ("GET", "HEAD") else None
    allowed = EVENTS.get(method) if target.page in PAGES_WITH_EVENTS else None
    return target if allowed is not None and allowed.fullmatch(target.rest) else None


def same_origin(headers: Headers, hosts: Iterable[str]) -> bool:
    """Whether a request comes from a page of this very site."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    return urlsplit(headers.get("origin", "")).netloc.lower() in hosts


class Guard:
    """ASGI middleware around the whole app."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        door: Door,
        root_path: str = "",
        public_host: str | None = None,
        listens: str = "127.0.0.1",
    ) -> None:
        self._app = app
        self._door = door
        self._root = root_path
        self._public_host = public_host
        self._listens = listens
        self._packed = Packed()
        self._by_rater, self._by_address = Pace(BY_RATER), Pace(BY_ADDRESS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request and hand it on."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        headers = Headers(scope=scope)
        guarded = self._with_headers(send, None)
        if not answers_to(headers.get("host", ""), self._listens, self._public_host):
            return await _misdirected(headers)(scope, receive, guarded)
        path = canonical(self._inner_path(scope["path"]))
        target = target_of(path, scope["method"]) if path is not None else None
        if path is None or target is None or scope["method"] not in ("GET", "HEAD", "POST"):
            return await _not_found(headers)(scope, receive, guarded)
        if self._door.embed is not None:
            if target.page in PAGES_FOR_FRAMES:
                guarded = self._with_headers(send, self._door.embed)
            elif headers.get("sec-fetch-dest") in ("iframe", "frame"):
                return await _not_in_a_frame(headers)(
                    scope, receive, self._with_headers(send, self._door.embed)
                )
        # the host a proxy claims would end up in the page's addresses
        scope["headers"] = [(k, v) for k, v in scope["headers"] if k != b"x-forwarded-host"]
        scope["root_path"], scope["path"] = self._root, self._root + path
        refusal = self._refusal(scope, headers, target, path)
        if refusal is not None:
            return await refusal(scope, receive, guarded)
        if target.static:
            return await self._packed.serve(self._app, scope, receive, guarded, target.rest)
        if path.startswith("/api/"):
            wait = self._too_fast(HTTPConnection(scope))
            if wait:
                return await _slow_down(wait)(scope, receive, guarded)
            guarded = self._counting(guarded, scope)
        if scope["method"] == "POST":
            body = await _read(receive, _cap(target, path))
            if body is None:
                return await _error(413, "this is too large")(scope, receive, guarded)
            receive = _replay(body, receive)
        return await self._app(scope, receive, guarded)

    def _inner_path(self, path: str) -> str:
        """The path without the prefix a proxy may or may not have taken off."""
        prefixed = bool(self._root) and (path == self._root or path.startswith(self._root + "/"))
        return (path[len(self._root) :] or "/") if prefixed else path

    def _refusal(self, scope: Scope, headers: Headers, target: Target, path: str) -> Response | None:
        """The answer to whoever may not go on, or None."""
        if scope["method"] == "POST":
            hosts = {headers.get("host", "").lower(), self._public_host} - {"", None}
            if not same_origin(headers, {str(h) for h in hosts}):
                return _error(403, "requests from other sites are refused")
        if target.page is None or target.static:
            return None
        if not may_open(target.page, self._door.visitor(HTTPConnection(scope))):
            if target.rest:
                return _error(401, "not logged in")
            return RedirectResponse(f"{self._root}/{Page.LOGIN}/?from={target.page}", 303)
        if not target.rest and not path.endswith("/"):
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(f"{self._root}{path}/" + (f"?{query}" if query else ""), 307)
        return None

    def _too_fast(self, request: HTTPConnection) -> int:
        """Seconds that whoever asks has to wait: raters by their cookie, all others of a braked address together."""
        cookie = self._door.rater_cookie(request)
        wait = self._by_address.wait(address_of(request))
        if wait and self._door.visitor(request).rater is None:
            return wait
        if cookie is None:
            return 0
        wait = self._by_rater.wait(cookie)
        if not wait:
            self._by_rater.take(cookie)
        return wait

    def _counting(self, send: Send, scope: Scope) -> Send:
        """A send that counts the answer against the address where the request had no session."""

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401:
                self._by_address.take(address_of(HTTPConnection(scope)))
            await send(message)

        return counted

    @staticmethod
    def _with_headers(send: Send, framed_by: str | None) -> Send:
        """A send that puts the security headers on the answer."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _secured(message["headers"], framed_by)
            await send(message)

        return guarded


def _secured(headers: Iterable[tuple[bytes, bytes]], framed_by: str | None) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with ours; Gradio's access-control-* go, which reflect any origin on a public host.

    `framed_by` is the origin whose pages may show the answer in a frame; None: nobody's.
    """
    always = UNFRAMED if framed_by is None else ALWAYS
    kept = [h for h in headers if h[0] not in always and not h[0].startswith(b"access-control-")]
    given = dict(kept)
    policy = given.get(POLICY, CSP) + b"; frame-ancestors " + (framed_by or "'none'").encode()
    stored = [] if b"cache-control" in given else [(b"cache-control", b"no-store")]
    return [*(h for h in kept if h[0] != POLICY), *always.items(), (POLICY, policy), *stored]


def _error(status: int, what: str) -> Response:
    return JSONResponse({"error": what}, status)


def _slow_down(seconds: int) -> Response:
    """429 with the time after which to try again."""
    what = "too many requests; wait a moment, then try again"
    return JSONResponse({"error": what}, 429, {"retry-after": str(seconds)})


def _misdirected(headers: Headers) -> Response:
    """421: the request names a host that this server is not known by."""
    if "text/html" in headers.get("accept", ""):
        return message_page(
            "Wrong address", "This server is not known by the name in this address.", 421,
            remedy="Whoever runs it gives the name with serve --public-url https://NAME.",
            accepted=headers.get("accept-language", ""),
        )  # fmt: skip
    return JSONResponse(
        {
            "error": "this server is not known by the name in this address",
            "remedy": "start it with serve --public-url https://NAME",
        },
        421,
    )


def _not_in_a_frame(headers: Headers) -> Response:
    """403: an owner's page or the login, asked for by another site's frame."""
    return message_page(
        "Not in this frame", "This page opens in a tab of its own only.", 403,
        remedy="Came here to rate? Open the personal link you were given.",
        accepted=headers.get("accept-language", ""),
    )  # fmt: skip


def _not_found(headers: Headers) -> Response:
    if "text/html" in headers.get("accept", ""):
        return message_page(
            "Nothing here", "There is no such page.", 404,
            remedy="Look at the address again, or open the link you were given.",
            accepted=headers.get("accept-language", ""),
        )  # fmt: skip
    return _error(404, "there is nothing here")


def _cap(target: Target, path: str) -> int:
    """How many bytes may be posted there."""
    if target.page is not None:
        return EVENT_CAP
    return VOTE_CAP if path == "/api/vote" else API_CAP


async def _read(receive: Receive, cap: int) -> bytes | None:
    """The whole body, or None where it is larger than the cap (then read to its end, within reason, and dropped)."""
    body, size = bytearray(), 0
    while size <= DRAINED:
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= cap:
            body += chunk
        if not message.get("more_body", False):
            break
    return bytes(body) if size <= cap else None


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body first, then whatever comes (the end of the connection)."""
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay
