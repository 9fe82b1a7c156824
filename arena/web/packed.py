"""Gradio's own files, packed once and kept: a room full of raters opening the page at once costs little."""

import asyncio
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 48 * 1024 * 1024
_ASKED = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")


@dataclass(frozen=True, slots=True)
class File:
    """A file as it goes over the wire."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Packed:
    """A cache of static answers by file and encoding, filled by asking the app once."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, str], File] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._bytes = 0

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        """Answer a request for a static file. The files are the same under every mount, so `name` has none."""
        accepted = Headers(scope=scope).get("accept-encoding", "")
        encoding = next((e for e in ("br", "gzip") if e in accepted), "identity")
        key = (name, encoding)
        if key not in self._files:
            async with self._locks.setdefault(key, asyncio.Lock()):
                if key not in self._files:
                    file = await _fetch(app, scope, encoding)
                    if file.status != 200 or self._bytes + len(file.body) > MOST_BYTES:
                        self._locks.pop(key, None)
                        return await _response(file)(scope, receive, send)
                    self._files[key] = file
                    self._bytes += len(file.body)
        response = _response(self._files[key])
        # names under assets/ carry a hash of their content; the others may change with a version
        fresh = "31536000, immutable" if name.startswith("assets/") else "86400"
        response.headers["cache-control"] = f"public, max-age={fresh}"
        response.headers["vary"] = "accept-encoding"
        return await response(scope, receive, send)


def _response(file: File) -> Response:
    response = Response(file.body, file.status)
    response.raw_headers = [h for h in file.headers if h[0] not in (b"cache-control", b"vary")]
    return response


async def _fetch(app: ASGIApp, scope: Scope, encoding: str) -> File:
    """The app's own answer to a plain GET of this file in this encoding, whoever asked first and may have left since."""
    asked = [(k, v) for k, v in scope["headers"] if k not in _ASKED]
    plain = dict(scope, method="GET", headers=[*asked, (b"accept-encoding", encoding.encode())])
    messages: list[Message] = []
    asking: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not asking:
            await asyncio.Event().wait()  # nobody hangs up
        return asking.pop()

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(plain, receive, keep)
    start = next(m for m in messages if m["type"] == "http.response.start")
    body = b"".join(m.get("body", b"") for m in messages if m["type"] == "http.response.body")
    headers = [(k.lower(), v) for k, v in start["headers"] if k.lower() != b"content-length"]
    return File(start["status"], (*headers, (b"content-length", str(len(body)).encode())), body)
