"""A model in a process of its own: reads requests from stdin, streams the answer to stdout, one JSON object a line.

    python -m arena.players.worker HOME MODEL

In:  {"id": 1, "messages": [...], "settings": {...}}      {"stop": 1}
Out: {"ready": true}      {"id": 1, "piece": "..."}      {"id": 1, "done": true}      {"id": 1, "error": "..."}

With "whole": true in the request one line answers it: {"id": 1, "text": "...", "finish_reason": "stop", "tokens": 3}

It ends when its stdin closes (whoever started it is gone) and after IDLE seconds without a request.
"""

import json
import os
import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from arena.players import GenerationSettings, Player
from db.entities.catalog import Message
from db.errors import UserError

IDLE = 300.0
CLOSED = "closed"


class Inbox:
    """The requests as they come, read by a thread so that a stop is seen while an answer is drawn."""

    def __init__(self, lines: TextIO) -> None:
        self._lines = lines
        self._waiting: queue.Queue[dict[str, object]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._lines:
            self._waiting.put(json.loads(line))
        self._waiting.put({CLOSED: True})

    def next(self, seconds: float) -> dict[str, object] | None:
        """The next request; None where none comes in time or no more can come."""
        try:
            found = self._waiting.get(timeout=seconds)
        except queue.Empty:
            return None
        return None if CLOSED in found else found

    def stopped(self, number: object) -> bool:
        """Whether the answer to this request is not wanted any more."""
        while not self._waiting.empty():
            found = self._waiting.get()
            if found.get("stop") == number:
                return True
            if CLOSED in found:
                self._waiting.put(found)
                return True
        return False


def answer(player: Player, inbox: Inbox, request: dict[str, object]) -> Iterator[dict[str, object]]:
    """The lines that answer one request."""
    number = request["id"]
    messages: list[Message] = request["messages"]  # type: ignore[assignment]
    settings = GenerationSettings(**request["settings"])  # type: ignore[arg-type]
    if request.get("whole"):
        yield {"id": number} | whole(player, messages, settings)
        return
    pieces = player.stream(messages, settings)
    try:
        for piece in pieces:
            yield {"id": number, "piece": piece}
            if inbox.stopped(number):
                break
        yield {"id": number, "done": True}
    except UserError as error:
        yield {"id": number, "error": str(error)}
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


def whole(player: Player, messages: Sequence[Message], settings: GenerationSettings) -> dict[str, object]:
    """The whole answer with how it ended, or why there is none."""
    try:
        [made] = player.respond([messages], settings)
    except UserError as error:
        return {"error": str(error)}
    return {"text": made.text, "finish_reason": made.finish_reason, "tokens": made.tokens}


def main(home: str, model: str) -> None:
    """Load the model, then answer until nobody asks any more."""
    # what libraries print must not stand between the lines of the protocol
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(line: dict[str, object]) -> None:
        out.write(json.dumps(line, ensure_ascii=False) + "\n")
        out.flush()

    inbox = Inbox(sys.stdin)
    try:
        player = _player(home, model)
    except UserError as error:
        say({"error": str(error)})
        return
    say({"ready": True})
    while (request := inbox.next(IDLE)) is not None:
        if "id" in request:
            for line in answer(player, inbox, request):
                say(line)


def _player(home: str, model: str) -> Player:
    """The model's player; the database is closed before the weights are loaded."""
    from arena.generating import player_of
    from db.catalog import get_model
    from db.connection import home_at, open_reader

    here = home_at(Path(home))
    db = open_reader(here)
    found = get_model(db, model)
    db.conn.close()
    return player_of(here, found)


if __name__ == "__main__":
    os.nice(5)
    main(*sys.argv[1:3])
