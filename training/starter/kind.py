"""What a kind of request is: how it is worded, read back, answered well or badly, and checked.

Pure and standard library only. A kind's `content` says how right and complete a text is, in [0, 1]; how it
is said (length, repetition, ending) is the same for all kinds and lives in world.py.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

Slots = tuple[str, ...]

_WORD = re.compile(r"[a-z0-9']+")


def normalise(text: str) -> str:
    """Lower-case words of a text, one space between them and at both ends, so that ' word ' can be sought."""
    return f" {' '.join(_WORD.findall(text.lower()))} "


def says(said: str, phrase: str) -> bool:
    """Whether a normalised text contains the words of `phrase` in order."""
    return normalise(phrase) in said


def coverage(said: str, phrase: str) -> float:
    """Share of the longer words of `phrase` that a normalised text contains."""
    words = {word for word in normalise(phrase).split() if len(word) > 3} or set(normalise(phrase).split())
    return sum(f" {word} " in said for word in words) / len(words)


def listed(phrases: Sequence[str]) -> str:
    """'a, b and c'."""
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def sentence(text: str) -> str:
    """The text with a capital first letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def _pattern(wording: str) -> re.Pattern[str]:
    """A wording as a pattern with groups s0, s1, ...; a slot said twice must be the same both times."""
    made = re.escape(wording)
    for slot in sorted(set(re.findall(r"\{(\d)\}", wording))):
        mark = re.escape(f"{{{slot}}}")
        made = made.replace(mark, f"(?P<s{slot}>.+?)", 1).replace(mark, f"(?P=s{slot})")
    return re.compile(made)


@dataclass(frozen=True)
class Kind(ABC):
    """One kind of request. `sentences` and `words` are what a complete, concise answer needs at most."""

    name: str
    wordings: tuple[str, ...]
    sentences: int
    words: int
    patterns: tuple[re.Pattern[str], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "patterns", tuple(map(_pattern, self.wordings)))

    def read(self, prompt: str) -> Slots | None:
        """The slots of a prompt worded in this kind's way, or None."""
        for pattern in self.patterns:
            if found := pattern.fullmatch(prompt):
                slots = tuple(found[name] for name in sorted(found.groupdict()))
                if self.knows(slots):
                    return slots
        return None

    @abstractmethod
    def draw(self, rng: Random) -> Slots:
        """Slots of a request of this kind."""

    @abstractmethod
    def knows(self, slots: Slots) -> bool:
        """Whether the world has an answer for these slots."""

    @abstractmethod
    def right(self, slots: Slots, rng: Random) -> str:
        """A right, complete and concise answer."""

    @abstractmethod
    def wrong(self, slots: Slots, rng: Random) -> str:
        """A clean but wrong answer."""

    @abstractmethod
    def terse(self, slots: Slots, rng: Random) -> str:
        """An answer that leaves something out: the sentence, the unit, most of the list."""

    @abstractmethod
    def content(self, slots: Slots, said: str) -> float:
        """How right and complete a normalised text is, in [0, 1]."""
