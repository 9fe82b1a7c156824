"""A receiver of webhooks on this machine: keeps every request as it came and answers what it is told to."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came, and what is answered next (204 once nothing is planned)."""

    address: str = ""
    requests: list[Received] = field(default_factory=list)
    planned: list[int] = field(default_factory=list)
    holding: threading.Event | None = None
    """where set, an answer waits for it"""


class Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def log_message(self, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.requests.append(Received(self.path, headers, body))
        if self.receiver.holding is not None:
            self.receiver.holding.wait(20)
        status = self.receiver.planned.pop(0) if self.receiver.planned else 204
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("location", f"{self.receiver.address}/moved")
        self.send_header("content-length", "0")
        self.end_headers()


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A running receiver on a free port, over https where it is given a certificate."""
    receiver = Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"receiver": receiver}))
    receiver.address = f"http://127.0.0.1:{server.server_port}"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        receiver.address = f"https://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        if receiver.holding is not None:
            receiver.holding.set()
        server.shutdown()
        server.server_close()
        thread.join()
