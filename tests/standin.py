"""A small OpenAI-compatible server for tests: it answers with what it was asked, or as badly as it is told to."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class StandIn(ThreadingHTTPServer):
    """Answers POST /v1/chat/completions. `statuses` are given in turn before answers are; `seen` is what came in."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[dict[str, Any]] = []
        self.headers_seen: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.body: str | None = None
        self.key: str | None = None
        self.delay = 0.0
        self.gate = threading.Event()
        self.gate.set()
        self.retry_after: str | None = None
        self.repeats_key = False
        """whether a refusal says which key it got, as some servers do"""
        self.answer: Callable[[str], str | None] = lambda text: f"You said {text}"
        """what it answers to the last message; None: it refuses that one request as too long"""

    def hold(self) -> threading.Event:
        """Requests from now on are answered only once this event is set; those that wait already are not concerned."""
        self.gate = threading.Event()
        return self.gate

    @property
    def url(self) -> str:
        """The address as `models add --endpoint` takes it."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: StandIn

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Answer as the server was told."""
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append(asked)
        self.server.headers_seen.append({k.lower(): v for k, v in self.headers.items()})
        time.sleep(self.server.delay)
        self.server.gate.wait(60)
        wrong_key = self.server.key and self.headers.get("authorization") != f"Bearer {self.server.key}"
        status = 401 if wrong_key else self.server.statuses.pop(0) if self.server.statuses else 200
        text = self.server.answer(asked["messages"][-1]["content"])
        if self.path != "/v1/chat/completions":
            self.send(404, "nothing here")
        elif status != 200:
            got = f" with {self.headers.get('authorization')}" if self.server.repeats_key else ""
            self.send(status, json.dumps({"error": {"message": f"no\nsuch luck{got}"}}))
        elif text is None:
            self.send(400, json.dumps({"error": {"message": "this model takes 8192 tokens"}}))
        elif asked.get("stream"):
            self.stream(text)
        else:
            self.send(200, self.server.body if self.server.body is not None else completion(text))

    def stream(self, text: str) -> None:
        """Send the answer word by word, as server-sent events."""
        chunks = [{"choices": [{"delta": {"role": "assistant"}}]}]
        chunks += [{"choices": [{"delta": {"content": word + " "}}]} for word in text.split()]
        chunks += [{"choices": []}]
        lines = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
        self.send(
            200, self.server.body if self.server.body is not None else f": hello\n\n{lines}data: [DONE]\n\n"
        )

    def send(self, status: int, body: str) -> None:
        """One whole answer."""
        content = body.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        if status != 200 and self.server.retry_after:
            self.send_header("retry-after", self.server.retry_after)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(content)


def completion(text: str, finish: str = "stop") -> str:
    """An answer in the form that servers give it."""
    message = {"role": "assistant", "content": text}
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}],
                       "usage": {"completion_tokens": len(text.split())}})  # fmt: skip


@contextlib.contextmanager
def standing_in() -> Iterator[StandIn]:
    """The server, while the block runs."""
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
