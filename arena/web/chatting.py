"""Talking to models from the web process: weights live in child processes, endpoints are asked directly.

One child a model, at most MOST alive; the one unused for longest makes room. A child ends by itself when idle, and
when this process ends (its stdin closes).
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from arena.players import GenerationSettings
from arena.players.endpoint import EndpointPlayer
from db.connection import PROJECT, Home
from db.entities import Message, Model, ModelKind
from db.errors import UserError

MOST = 2
GRACE = 5.0
"""seconds a child has to end once nobody talks to it"""


class Child:
    """A model in a process of its own (arena.players.worker)."""

    def __init__(self, home: Home, model: str) -> None:
        self.model = model
        self.used = time.monotonic()
        self.busy = threading.Lock()
        self._asked = 0
        self._log = home.logs / f"chat-{model}.log"
        threads = str(max(1, (os.cpu_count() or 1) - 1))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "arena.players.worker", str(home.root), model], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, cwd=PROJECT, start_new_session=True, text=True,
                encoding="utf-8", env={**os.environ, "OMP_NUM_THREADS": threads},
            )  # fmt: skip
        self._ready = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stream(self, messages: Sequence[Message], settings: GenerationSettings) -> Iterator[str]:
        """The answer piece by piece; leaving early stops the model. The caller holds `busy`."""
        self._wait_ready()
        self._asked += 1
        number, over = self._asked, False
        self._send({"id": number, "messages": list(messages), "settings": asdict(settings)})
        try:
            while not over:
                line = self._receive()
                if line.get("id") != number:
                    continue  # the end of an answer that was stopped
                over = "piece" not in line
                if "error" in line:
                    raise UserError(str(line["error"]))
                if "piece" in line:
                    yield str(line["piece"])
        finally:
            self.used = time.monotonic()
            if not over and self.alive:
                with contextlib.suppress(UserError):  # it died meanwhile: there is nothing to stop
                    self._send({"stop": number})

    def end(self) -> None:
        """Let it go: its stdin closes, so it ends; it is killed where it does not."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait_ready(self) -> None:
        while not self._ready:
            line = self._receive()
            if "error" in line:
                raise UserError(str(line["error"]))
            self._ready = bool(line.get("ready"))

    def _send(self, line: dict[str, object]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise self._dead() from None

    def _receive(self) -> dict[str, object]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._dead()
        found: dict[str, object] = json.loads(line)
        return found

    def _dead(self) -> UserError:
        """What is known of a child that ended without a word."""
        self._process.wait()
        printed = Path(self._log).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = f": {printed[-1][:200]}" if printed else ""
        return UserError(
            f"{self.model} stopped answering (its process ended with {self._process.returncode}{last})",
            "ask again to start it anew; if it ends again, it may need more memory than there is",
        )


class Players:
    """The models people talk to now."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._children: dict[str, Child] = {}
        self._lock = threading.Lock()

    def stream(
        self, model: Model, messages: Sequence[Message], settings: GenerationSettings
    ) -> Iterator[str]:
        """One model's answer, piece by piece. UserError: recorded, busy, dead, or what the model itself refuses."""
        if model.kind is ModelKind.RECORDED:
            raise UserError(
                f"{model.name} is recorded: it has no weights that could answer", "choose another model"
            )
        if model.kind is ModelKind.ENDPOINT:
            yield from EndpointPlayer(model.endpoint or "", model.remote_name or model.name).stream(
                messages, settings
            )
            return
        child = self._take(model.name)
        try:
            yield from child.stream(messages, settings)
        finally:
            child.busy.release()

    def alive(self) -> list[str]:
        """The models in memory, the one used last at the end."""
        with self._lock:
            return [c.model for c in sorted(self._children.values(), key=lambda c: c.used) if c.alive]

    def close(self) -> None:
        """End every child."""
        with self._lock:
            for child in self._children.values():
                child.end()
            self._children.clear()

    def _take(self, name: str) -> Child:
        """The model's child, started where there is none, and held for one answer."""
        with self._lock:
            for gone in [c for c in self._children.values() if not c.alive]:
                gone.end()
                del self._children[gone.model]
            child = self._children.get(name)
            if child is None:
                self._make_room()
                child = self._children[name] = Child(self._home, name)
            if not child.busy.acquire(blocking=False):
                raise UserError(f"{name} is answering already", "wait for it, or stop it first")
            return child

    def _make_room(self) -> None:
        if len(self._children) < MOST:
            return
        idle = [c for c in self._children.values() if not c.busy.locked()]
        if not idle:
            raise UserError(f"{MOST} models are answering already", "wait for one of them")
        oldest = min(idle, key=lambda c: c.used)
        oldest.end()
        del self._children[oldest.model]
