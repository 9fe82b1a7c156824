"""Players: the running things behind models. Light; each kind of player loads what it needs itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from db.entities.catalog import Message
from db.errors import UserError

HOTTEST, LONGEST = 100, 1_000_000
"""temperature, and tokens of an answer, that may be asked for"""


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How answers are drawn. Temperature 0 takes the likeliest token; `seed` fixes the draw of one call."""

    temperature: float = 0.8
    top_p: float = 1.0
    max_new_tokens: int = 256
    seed: int = 0
    system: str = ""

    def __post_init__(self) -> None:
        for fits, what, remedy in (
            (0 <= self.temperature <= HOTTEST, f"a temperature of {self.temperature:g}", f"give 0 to {HOTTEST}"),
            (0 < self.top_p <= 1, f"a top-p of {self.top_p:g}", "give more than 0 and at most 1"),
            (1 <= self.max_new_tokens <= LONGEST, f"answers of {self.max_new_tokens} tokens", f"give 1 to {LONGEST}"),
            (0 <= self.seed < 2**63, f"a seed of {self.seed}", "give a whole number from 0 on, of at most 18 digits"),
        ):  # fmt: skip
            if not fits:
                raise UserError(f"no answer can be drawn with {what}", remedy)


@dataclass(frozen=True, slots=True)
class Generated:
    """One answer; `finish_reason` is "stop" where the model ended it and "length" where it was cut."""

    text: str
    finish_reason: str
    tokens: int


class Unanswerable(UserError):
    """One prompt that a player cannot take (too long for it, say); it may well take others."""


class Unfinished(UserError):
    """A call for several answers that failed for good; `answers` are those that came, by the prompt's place."""

    def __init__(self, error: UserError, answers: Mapping[int, Generated]) -> None:
        self.answers = answers
        super().__init__(error.what, error.remedy)


@dataclass(frozen=True, slots=True)
class Scored:
    """What a scorer gave one answer, and whether the text had to be cut to fit it."""

    score: float
    truncated: bool


class Player(Protocol):
    """Anything that answers prompts."""

    @property
    def made_by(self) -> Mapping[str, str]:
        """What is stored with each response beside the settings: which weights, where and how they ran."""
        ...

    def respond(self, prompts: Sequence[Sequence[Message]], settings: GenerationSettings) -> list[Generated]:
        """One answer to each prompt, in their order."""
        ...

    def stream(self, messages: Sequence[Message], settings: GenerationSettings) -> Iterator[str]:
        """The answer to one chat, piece by piece as it is drawn."""
        ...


def with_system(messages: Sequence[Message], system: str) -> list[Message]:
    """The messages after a system turn, where one is asked for and none is there."""
    if not system or (messages and messages[0]["role"] == "system"):
        return list(messages)
    return [{"role": "system", "content": system}, *messages]
