"""Talks with models as /chat has them: what was said, its form in the page and in the home, and keeping it there."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from arena.web.context import Context
from arena.web.pages.studio.acts import act, looker, may_act, typed
from db.chats import OpenChat, add_chat, delete_chat, get_chat, list_chats, update_chat
from db.entities.catalog import Message
from db.errors import UserError

LONGEST_TALK = 400_000
"""characters of a talk that the page may send back"""
LISTED, LONGEST_TITLE = 200, 60
"""talks in the list, characters of a title"""
ROLES = ("user", "assistant")


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn; `model` answered it, `problem` is why it did not."""

    role: str
    content: str
    model: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Talk:
    """The talk with one model; both sides of a page are asked the same."""

    turns: tuple[Turn, ...] = ()

    def asked(self, text: str, model: str) -> "Talk":
        """The talk with a question and the place where its answer will come."""
        return Talk((*self.turns, Turn("user", text), Turn("assistant", "", model)))

    def answered(self, piece: str, problem: str = "") -> "Talk":
        """The talk with more of its last answer, or with why there is none."""
        last = self.turns[-1]
        return Talk((*self.turns[:-1], replace(last, content=last.content + piece, problem=problem)))

    @property
    def messages(self) -> list[Message]:
        """What the model is sent: what was said, up to the answer that is awaited."""
        return [{"role": t.role, "content": t.content} for t in self.turns if t.content and not t.problem]


def read_talks(text: str | None) -> tuple[Talk, Talk]:
    """Both talks from what the page kept; UserError where it is not what the page was given."""
    if not typed(text):
        return Talk(), Talk()
    if len(typed(text)) > LONGEST_TALK:
        raise UserError("this talk is too long to go on", "begin a new one")
    try:
        first, second = (
            Talk(tuple(Turn(*(str(t[k]) for k in ("role", "content", "model", "problem"))) for t in side))
            for side in json.loads(typed(text))
        )
    except (ValueError, TypeError, KeyError):
        raise UserError("the talk kept in this page cannot be read", "begin a new one") from None
    if any(t.role not in ROLES for t in (*first.turns, *second.turns)):
        raise UserError("the talk kept in this page cannot be read", "begin a new one")
    return first, second


def kept(talks: Sequence[Talk]) -> str:
    """Both talks as the page and the home keep them."""
    return json.dumps([[asdict(turn) for turn in talk.turns] for talk in talks], ensure_ascii=False)


# -- in the home -----------------------------------------------------------------------------------------------


class Keeping:
    """A talk that is going on, kept in the home for the owner who asks. Refused for a viewer.

    Made before the first answer, so that it is known who asks also where the page has been closed meanwhile.
    """

    def __init__(self, context: Context, which: str | None, settings: Mapping[str, object]) -> None:
        may_act(context)
        self._writer, self._owner, self._settings = context.writer, looker(context).id, settings
        self.id = typed(which)

    def begin(self, question: str, talks: str) -> None:
        """Keep the talk with a new question; where it is not kept yet, or another page was faster, it becomes one."""
        if self.id and self._update(talks, longer=True):
            return
        self.id = secrets.token_urlsafe(16)
        title = title_of(question)
        self._writer.call(lambda db: add_chat(db, self.id, self._owner, title, talks, self._settings))

    def go_on(self, talks: str) -> bool:
        """Keep what was said; False where it was deleted meanwhile, and then it stays so."""
        return self._update(talks, longer=False)

    def _update(self, talks: str, *, longer: bool) -> bool:
        return self._writer.call(
            lambda db: update_chat(db, self.id, self._owner, talks, self._settings, longer=longer)
        )


def title_of(question: str) -> str:
    """What a talk is listed as: the beginning of its first question, on one line."""
    line = " ".join(question.split())
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 3].rstrip() + "..."


def earlier(context: Context) -> list[tuple[str, str]]:
    """(what is shown, id) of the talks of whoever looks, the one that went on last first."""
    return [(f"{c.title} ({c.changed_at[:16].replace('T', ' ')} UTC)", c.id)
            for c in list_chats(context.readers.get(), looker(context).id, LISTED)]  # fmt: skip


def reopened(context: Context, which: str | None) -> OpenChat:
    """A kept talk of whoever looks; NotFound where it is gone."""
    return get_chat(context.readers.get(), typed(which), looker(context).id)


def forget(context: Context, which: str | None) -> None:
    """Delete a kept talk of whoever asks. Refused for a viewer, NotFound where it is gone."""
    owner = looker(context).id
    act(context, "deleted a talk of theirs in the chat", lambda db: delete_chat(db, typed(which), owner))
