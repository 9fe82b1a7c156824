"""The answers of live turns while they are written: each model in a line of its own, both released together.

Nothing here is kept: what was asked stands in the database, and a turn that this process knows nothing of (it was
started anew) is simply begun again.
"""

import logging
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum

from arena.generating import settings_like
from arena.players import GenerationSettings
from arena.web.chatting import Players
from arena.web.failing import Failures
from arena.web.sessions import now
from db.campaigns import campaign_by_id
from db.catalog import get_model
from db.connection import Database, Readers, Writer
from db.entities.catalog import Model, ModelKind
from db.errors import UserError
from db.live_turns import LiveTurn
from db.notices import Found, NoticeKind, raise_notice
from labeling.joining import stamp
from labeling.live_battles import Answer, settle

LOG = logging.getLogger("tastebench.live")
SLOTS = ("a", "b")
TRIES = 2
"""how often a side is tried before its rater is asked whether to try on"""
AT_ONCE = 4
"""answers that one server writes at the same time; a model in this machine's memory writes one"""
SECONDS = 90.0
"""time that one try of one side may take"""
REMEMBERED = 1000
LONGEST_ANSWER = 512
"""tokens, where the model's stored responses do not say how long they were allowed to be"""


class Stage(StrEnum):
    """Where a turn is, as its rater is told: the same words whichever side is meant."""

    WRITING = "writing"
    FAILED = "failed"


@dataclass(slots=True)
class _Writing:
    """A turn whose answers are not both there: what came, and which sides are still at work."""

    turn: LiveTurn
    answers: dict[str, Answer] = field(default_factory=dict)
    at_work: set[str] = field(default_factory=set)


class Room:
    """Whoever writes answers now."""

    def __init__(self, readers: Readers, writer: Writer, players: Players, failures: Failures) -> None:
        self._readers, self._writer, self._players, self._failures = readers, writer, players, failures
        self._lock = threading.Lock()
        self._open: dict[str, _Writing] = {}
        self._lines: dict[str, ThreadPoolExecutor] = {}
        self._settled: deque[str] = deque(maxlen=REMEMBERED)

    def begin(self, turn: LiveTurn) -> Stage:
        """Let both models write, once; where the turn is."""
        with self._lock:
            if turn.id in self._settled:
                return Stage.WRITING  # it was read just before its answers were stored
            known = self._open.get(turn.id)
            if known is None:
                known = self._open[turn.id] = _Writing(turn)
                self._start(known)
            return Stage.WRITING if known.at_work else Stage.FAILED

    def again(self, turn: LiveTurn) -> Stage:
        """Try a failed turn again: only the side that has no answer."""
        with self._lock:
            known = self._open.setdefault(turn.id, _Writing(turn))
            if not known.at_work:
                self._start(known)
        return Stage.WRITING

    def drop(self, turn: LiveTurn) -> None:
        """Forget a turn that its rater gave up."""
        with self._lock:
            self._open.pop(turn.id, None)

    def close(self) -> None:
        """Take no more work."""
        for line in self._lines.values():
            line.shutdown(wait=False, cancel_futures=True)

    def _start(self, known: _Writing) -> None:
        """Send the sides that have no answer to their models' lines. The caller holds the lock.

        Where both are there and only the storing failed, that is tried again.
        """
        lacking = [s for s in SLOTS if s not in known.answers]
        if not lacking:
            known.at_work.add(SLOTS[0])
            threading.Thread(target=self._ended, args=(known, SLOTS[0], None), daemon=True).start()
        for slot, name in zip(SLOTS, (known.turn.model_a, known.turn.model_b), strict=True):
            if slot in lacking:
                known.at_work.add(slot)
                self._line(get_model(self._readers.get(), name)).submit(
                    self._side, known, slot, name
                ).add_done_callback(_loud)

    def _line(self, model: Model) -> ThreadPoolExecutor:
        """A model's own threads: one that is slow or dead keeps nobody waiting but those who wait for it."""
        if model.name not in self._lines:
            most = AT_ONCE if model.kind is ModelKind.ENDPOINT else 1
            self._lines[model.name] = ThreadPoolExecutor(most, thread_name_prefix=f"live-{model.name}")
        return self._lines[model.name]

    def _side(self, known: _Writing, slot: str, name: str) -> None:
        """Write one side; whoever ends last settles the turn."""
        answer = None
        try:
            answer = self._written(known.turn, name)
        finally:
            self._ended(known, slot, answer)

    def _written(self, turn: LiveTurn, name: str) -> Answer | None:
        """One model's answer; None where it failed at every try, which the owner is told with the reason."""
        db = self._readers.get()
        settings = settings_like(
            db, turn.model_a, GenerationSettings(max_new_tokens=LONGEST_ANSWER, seed=turn.seed)
        )
        model, reason = get_model(db, name), ""
        for _ in range(TRIES):
            try:
                made = self._players.respond(model, turn.messages, settings, SECONDS)
            except UserError as error:
                reason = str(error)
                LOG.warning("%s did not answer a rater: %s", name, error)
            else:
                self._failures.answered(turn.campaign, name)
                return Answer(made.text, made.finish_reason, asdict(settings) | {"tokens": made.tokens})
        if self._failures.failed(turn.campaign, name, reason, at := now()):
            self._writer.submit(lambda db: raise_notice(db, failure(db, turn.campaign, name, reason, at)))
        return None

    def _ended(self, known: _Writing, slot: str, answer: Answer | None) -> None:
        with self._lock:
            if answer is not None:
                known.answers[slot] = answer
            if known.at_work != {slot} or len(known.answers) < len(SLOTS):
                known.at_work.discard(slot)
                return
        try:
            a, b = (known.answers[s] for s in SLOTS)
            self._writer.call(lambda db: settle(db, known.turn.id, a, b, now()))
            with self._lock:
                self._open.pop(known.turn.id, None)
                self._settled.append(known.turn.id)
        finally:
            with self._lock:
                known.at_work.discard(slot)


def failure(db: Database, campaign: int, model: str, reason: str, at: datetime) -> Found:
    """What owners are told of a model that did not answer."""
    where = campaign_by_id(db, campaign).name
    return Found(
        f"live:{campaign}:{model}:{stamp(at)}", NoticeKind.ALARM, campaign,
        f"{where}: {model} did not answer a rater of the live session, at {TRIES} tries: {reason}",
    )  # fmt: skip


def _loud(future: "Future[None]") -> None:
    """A bug in a thread nobody waits for is said in the server's log."""
    if not future.cancelled() and (error := future.exception()) is not None:
        LOG.error("an answer could not be kept", exc_info=error)
