"""The real app on a real port for a test, and small clients that speak to it as browsers and scripts do."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import uvicorn
from fastapi import FastAPI

from arena.web.app import create_app
from arena.web.sessions import now
from bench.votes import free_port
from db.connection import PROJECT, Home, Writer
from labeling.joining import invite
from labeling.owners import owner_link_token

T = TypeVar("T")


def awaited(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run it to its end in a thread of its own: a browser's tests leave a running loop in the one they had."""
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(asyncio.run, coroutine).result()


@dataclass(frozen=True)
class Running:
    """A served home: where it answers, and its writer for arranging things behind its back."""

    base: str
    home: Home
    writer: Writer
    app: FastAPI

    def link(self, campaign: str = "first") -> str:
        """The path of a new seat's link."""
        return "/join/" + self.writer.call(lambda db: invite(db, campaign, 1)[0].token)

    def client(self, **headers: str) -> httpx.Client:
        """A browser without cookies, on a page of this site."""
        own = {"origin": self.base, "sec-fetch-site": "same-origin", **headers}
        return httpx.Client(base_url=self.base, headers=own, timeout=30, trust_env=False)

    def rater(self, campaign: str = "first") -> httpx.Client:
        """A browser that followed a new link."""
        client = self.client()
        assert client.get(self.link(campaign)).status_code == 303
        return client

    def owner(self) -> httpx.Client:
        """A browser that is logged in to the studio."""
        client = self.client()
        token = self.writer.call(lambda db: owner_link_token(db, now()))
        assert client.post("/api/login", json={"token": token}).status_code == 200
        return client


@contextlib.contextmanager
def running(home: Home, **options: object) -> Iterator[Running]:
    """Serve a home on a free port until the block ends."""
    gc.disable()  # or it looks for garbage among a hundred thousand new objects, none of which is any
    try:
        app = create_app(home, **options)
    finally:
        gc.enable()
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:  # or asyncio leaves Nagle on
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server ended before it answered"
            time.sleep(0.01)
        try:
            yield Running(
                f"http://127.0.0.1:{listener.getsockname()[1]}", home, app.state.web.context.writer, app
            )
        finally:
            server.should_exit = True
            thread.join(20)


@dataclass
class Command:
    """A server started by the command line, as a child process."""

    process: subprocess.Popen[str]
    port: int
    out: str = ""
    err: str = ""

    @property
    def base(self) -> str:
        """Where it answers on this machine."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Tell it to stop and wait; its exit code, and from now on what it printed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.out, self.err = self.process.communicate(timeout=60)
        return self.process.returncode


@contextlib.contextmanager
def served_by_command(
    home: Home, *words: str, environ: Mapping[str, str] | None = None, answers: bool = True
) -> Iterator[Command]:
    """`launch.py serve` on a free port with these words and environment, once it answers (or at once, where it will not)."""
    port = free_port()
    command = [
        sys.executable,
        str(PROJECT / "launch.py"),
        "--home",
        str(home.root),
        *(words or ("serve", "--no-open")),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PORT": str(port), "OMP_NUM_THREADS": "1", **(environ or {})},
    )  # fmt: skip
    served = Command(process, port)
    try:
        deadline = time.monotonic() + 90
        while answers:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline, "the server did not answer"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{served.base}/healthz", trust_env=False, timeout=5).status_code == 200:
                    break
            time.sleep(0.05)
        yield served
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
