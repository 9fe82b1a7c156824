"""What is compared: prompts, models, responses, scores.

Ids are hashes of content (docs/vocabulary.md).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict


class Message(TypedDict):
    """One turn of a chat, in the form every chat template takes."""

    role: str
    content: str


class Split(StrEnum):
    """Whether a prompt may train (train) or is kept for measuring (heldout)."""

    TRAIN = "train"
    HELDOUT = "heldout"


class ModelKind(StrEnum):
    """What answers: weights on disk or on a hub, an adapter over them, a server, or recorded texts."""

    CHECKPOINT = "checkpoint"
    ADAPTER = "adapter"
    ENDPOINT = "endpoint"
    RECORDED = "recorded"


class Quantize(StrEnum):
    """How a checkpoint's weights are held in memory."""

    FOUR_BIT = "4bit"
    EIGHT_BIT = "8bit"


def content_id(*parts: object) -> str:
    """128 bits of SHA-256 over the canonical JSON of the parts, as 32 hex digits.

    Two things have the same id exactly when their content is the same, so importing twice adds nothing.
    """
    return hashlib.sha256(_CANONICAL.encode(parts).encode()).hexdigest()[:32]


_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def bare(text: str) -> str:
    """A text without the spaces, tabs and line ends around it: what decides whether two responses differ.

    The same four characters are trimmed in the schema (battles, vote_pairs).
    """
    return text.strip(" \t\n\r")


def split_of(prompt_id: str) -> Split:
    """The split a prompt falls into by its id alone: one in five is held out."""
    return Split.HELDOUT if int(prompt_id[:8], 16) % 5 == 0 else Split.TRAIN


@dataclass(frozen=True, slots=True)
class Prompt:
    """Chat messages ending with the user's. `messages` is empty where only an id is known (imported votes)."""

    id: str
    messages: tuple[Message, ...]
    split: Split
    tags: tuple[str, ...] = ()

    @staticmethod
    def of(messages: Sequence[Message], split: Split | None = None, tags: Sequence[str] = ()) -> "Prompt":
        """The prompt with its content id, and the split that id gives unless one is named."""
        clean: list[Message] = [{"role": m["role"], "content": m["content"]} for m in messages]
        pid = content_id("prompt", clean)
        return Prompt(pid, tuple(clean), split or split_of(pid), tuple(sorted(set(tags))))

    @property
    def text(self) -> str:
        """The last user turn: what a list shows."""
        return self.messages[-1]["content"] if self.messages else ""


@dataclass(frozen=True, slots=True)
class Model:
    """Anything that can answer. `source`, `adapter` are hub ids or folders; see Home.locate for relative ones."""

    id: int
    name: str
    kind: ModelKind
    source: str | None = None
    adapter: str | None = None
    quantize: Quantize | None = None
    endpoint: str | None = None
    remote_name: str | None = None
    parent: str | None = None
    run: int | None = None
    note: str = ""
    created_at: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """One model's answer to one prompt. `text` is None where only the vote on it is known."""

    id: str
    prompt: str
    model: str | None
    text: str | None
    sample: int = 0
    finish_reason: str | None = None
    settings: Mapping[str, object] | None = None

    @staticmethod
    def of(prompt: str, model: str | None, text: str | None, *, sample: int = 0, finish_reason: str | None = None,
           settings: Mapping[str, object] | None = None) -> "Response":  # fmt: skip
        """The response with its content id: prompt, model, sample number and text."""
        return Response(content_id("response", prompt, model, sample, text), prompt, model, text, sample,
                        finish_reason, settings)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer (a reward model, say) gave one response; unbounded, only differences mean something."""

    response: str
    scorer: str
    score: float
    truncated: bool = False
