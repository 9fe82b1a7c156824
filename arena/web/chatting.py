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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from arena.environment import for_models
from arena.players import Generated, GenerationSettings
from arena.players.endpoint import EndpointPlayer
from arena.players.limits import Limits, limits_from
from db.connection import PROJECT, Home
from db.entities.catalog import Message, Model, ModelKind
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
                encoding="utf-8", env={**for_models(os.environ), "OMP_NUM_THREADS": threads},
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

    def respond(self, messages: Sequence[Message], settings: GenerationSettings, seconds: float) -> Generated:
        """The whole answer with how it ended; a model that takes longer than this is ended. The caller holds `busy`."""
        watch = threading.Timer(seconds, self._process.kill)
        watch.start()
        try:
            self._wait_ready()
            self._asked += 1
            self._send(
                {"id": self._asked, "messages": list(messages), "settings": asdict(settings), "whole": True}
            )
            while (line := self._receive()).get("id") != self._asked:
                pass  # the end of an answer that was stopped
        finally:
            watch.cancel()
            self.used = time.monotonic()
        if "error" in line:
            raise UserError(str(line["error"]))
        return Generated(str(line["text"]), str(line["finish_reason"]), int(str(line["tokens"])))

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


def _check_answers(model: Model) -> None:
    if model.kind is ModelKind.RECORDED:
        raise UserError(
            f"{model.name} is recorded: it has no weights that could answer", "choose another model"
        )


class Players:
    """The models people talk to now. `paused` says why local ones must give way, None where they need not."""

    def __init__(self, home: Home, paused: Callable[[], str | None] = lambda: None) -> None:
        self._home = home
        self._paused = paused
        self._children: dict[str, Child] = {}
        self._far: dict[tuple[str, str, Limits], EndpointPlayer] = {}
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)

    def stream(
        self, model: Model, messages: Sequence[Message], settings: GenerationSettings
    ) -> Iterator[str]:
        """One model's answer, piece by piece. UserError: recorded, busy, dead, or what the model itself refuses."""
        _check_answers(model)
        if model.kind is ModelKind.ENDPOINT:
            yield from self._endpoint(model).stream(messages, settings)
            return
        child = self._take(model.name)
        try:
            yield from child.stream(messages, settings)
        finally:
            self._let_go(child)

    def respond(
        self, model: Model, messages: Sequence[Message], settings: GenerationSettings, seconds: float
    ) -> Generated:
        """One model's whole answer. It may wait this long for room, and answer this long; UserError after that."""
        _check_answers(model)
        if model.kind is ModelKind.ENDPOINT:
            return self._endpoint(model, seconds).respond([messages], settings)[0]
        child = self._take(model.name, seconds)
        try:
            return child.respond(messages, settings, seconds)
        finally:
            self._let_go(child)

    def _endpoint(self, model: Model, seconds: float | None = None) -> EndpointPlayer:
        """The player of an endpoint; with `seconds`, one that is asked once and waits no longer."""
        limits = limits_from()
        if seconds is not None:
            limits = replace(limits, timeout=min(limits.timeout, seconds), tries=1)
        key = (model.endpoint or "", model.remote_name or model.name, limits)
        with self._lock:
            if key not in self._far:
                self._far[key] = EndpointPlayer(*key)
            return self._far[key]

    def alive(self) -> list[str]:
        """The models in memory, the one used last at the end."""
        with self._lock:
            return [c.model for c in sorted(self._children.values(), key=lambda c: c.used) if c.alive]

    def give_way(self) -> None:
        """Where a training holds every GPU, let go of the models that nobody is asking at the moment."""
        if self._children and self._paused() is not None:
            self.unload_idle()

    def unload_idle(self) -> None:
        """End the children that are not answering."""
        with self._lock:
            for name, child in list(self._children.items()):
                if not child.busy.locked():
                    child.end()
                    del self._children[name]

    def close(self) -> None:
        """End every child."""
        with self._lock:
            for child in self._children.values():
                child.end()
            self._children.clear()

    def _take(self, name: str, patience: float = 0.0) -> Child:
        """The model's child, started where there is none, and held for one answer; UserError where it stays busy."""
        if (why := self._paused()) is not None:
            self.unload_idle()
            raise UserError(why, "ask again when it has ended, or ask a model behind an endpoint")
        until = time.monotonic() + patience
        with self._freed:
            while (child := self._free(name)) is None:
                if not self._freed.wait(max(0.0, until - time.monotonic())) and time.monotonic() >= until:
                    busy = f"{name} is" if name in self._children else f"{MOST} models are"
                    raise UserError(f"{busy} answering already", "wait, or stop what is being answered")
            child.busy.acquire()
            return child

    def _let_go(self, child: Child) -> None:
        with self._freed:
            child.busy.release()
            self._freed.notify_all()

    def _free(self, name: str) -> Child | None:
        """The model's child where it is idle, started where there is room; None where it has to be waited for."""
        for gone in [c for c in self._children.values() if not c.alive and not c.busy.locked()]:
            gone.end()
            del self._children[gone.model]
        child = self._children.get(name)
        if child is not None:
            return None if child.busy.locked() else child
        if not self._make_room():
            return None
        child = self._children[name] = Child(self._home, name)
        return child

    def _make_room(self) -> bool:
        """Whether one more may start; the one unused for longest goes where there are MOST."""
        if len(self._children) < MOST:
            return True
        idle = [c for c in self._children.values() if not c.busy.locked()]
        if not idle:
            return False
        oldest = min(idle, key=lambda c: c.used)
        oldest.end()
        del self._children[oldest.model]
        return True
