"""Kinds of request with one short answer: facts from a table, which is bigger, and numbers. Pure."""
# ruff: noqa: D102, ARG002 -- each method is described once, on Kind; not every kind needs every argument

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from training.starter import facts
from training.starter.kind import Kind, Slots, coverage, normalise, says, sentence


@dataclass(frozen=True)
class Fact(Kind):
    """A subject with one answer from a table; `forms` put {0} subject and {1} answer into a sentence."""

    table: Mapping[str, str]
    forms: tuple[str, ...]
    vague: tuple[str, ...] = ()

    def draw(self, rng: Random) -> Slots:
        return (rng.choice(sorted(self.table)),)

    def knows(self, slots: Slots) -> bool:
        return slots[0] in self.table

    def _say(self, subject: str, answer: str, rng: Random) -> str:
        text = rng.choice(self.forms).format(subject, answer)
        return text[0].upper() + text[1:]

    def right(self, slots: Slots, rng: Random) -> str:
        return self._say(slots[0], self.table[slots[0]], rng)

    def wrong(self, slots: Slots, rng: Random) -> str:
        others = sorted(set(self.table.values()) - {self.table[slots[0]], slots[0]})
        return self._say(slots[0], rng.choice(others), rng)

    def terse(self, slots: Slots, rng: Random) -> str:
        return rng.choice(self.vague) if self.vague else sentence(self.table[slots[0]])

    def content(self, slots: Slots, said: str) -> float:
        """1 if the first answer named is the right one and it is said in a sentence; a bare answer gets 0.6.

        Long answers count by the share of their words that is there, unless another answer fits better.
        """
        answer = self.table[slots[0]]
        rivals = set(self.table.values()) - {answer, slots[0]}
        share = coverage(said, answer)
        if share == 1.0 and len(answer.split()) <= 2:
            place = said.find(normalise(answer))
            first = all(not -1 < said.find(normalise(rival)) < place for rival in rivals)
            share = 1.0 if first and place >= 0 else 0.0
        elif share < 1.0 and (share < 0.5 or any(coverage(said, rival) > share for rival in rivals)):
            share = 0.0
        return share * (1.0 if len(said.split()) >= 4 else 0.6)


@dataclass(frozen=True)
class Bigger(Kind):
    """Which of two things is bigger."""

    def draw(self, rng: Random) -> Slots:
        return tuple(rng.sample(facts.SIZES, 2))

    def knows(self, slots: Slots) -> bool:
        return slots[0] != slots[1] and set(slots) <= set(facts.SIZES)

    def _ordered(self, slots: Slots) -> tuple[str, str]:
        small, big = sorted(slots, key=facts.SIZES.index)
        return big, small

    def right(self, slots: Slots, rng: Random) -> str:
        big, small = self._ordered(slots)
        return sentence(f"{big} is bigger than {small}")

    def wrong(self, slots: Slots, rng: Random) -> str:
        big, small = self._ordered(slots)
        return sentence(f"{small} is bigger than {big}")

    def terse(self, slots: Slots, rng: Random) -> str:
        return sentence(self._ordered(slots)[0])

    def content(self, slots: Slots, said: str) -> float:
        big, small = self._ordered(slots)
        if says(said, f"{big} is bigger than {small}"):
            return 1.0
        return 0.6 if says(said, big) and not says(said, small) else 0.0


@dataclass(frozen=True)
class Number(Kind):
    """A request whose answer is a number with what it counts: sums, things in a bag, units."""

    form: str
    bare: str = "{0}."

    @abstractmethod
    def answer(self, slots: Slots) -> int:
        """The number asked for."""

    @abstractmethod
    def unit(self, slots: Slots) -> str:
        """What the number counts; empty for plain sums."""

    def _say(self, slots: Slots, number: int) -> str:
        return self.form.format(*slots, n=number)

    def right(self, slots: Slots, rng: Random) -> str:
        return self._say(slots, self.answer(slots))

    def wrong(self, slots: Slots, rng: Random) -> str:
        off = rng.choice([-3, -2, -1, 1, 2, 3, 10])
        return self._say(slots, max(self.answer(slots) + off, 0) or self.answer(slots) + 4)

    def terse(self, slots: Slots, rng: Random) -> str:
        return f"{self.answer(slots)}."

    def content(self, slots: Slots, said: str) -> float:
        """1 for the number with its unit in a sentence, 0.6 for the number without, 0 for another number."""
        words = said.split()
        spare = [slot for slot in slots if slot.isdigit()]
        named = [word for word in words if word.isdigit()]
        for word in spare:  # the numbers of the request may be said again, once
            if word in named and len(named) > 1:
                named.remove(word)
        if not named or named[0] != str(self.answer(slots)):
            return 0.0
        complete = len(words) >= 4 and says(said, f"{named[0]} {self.unit(slots)}")
        return 1.0 if complete else 0.6


class Sum(Number):
    """Two small numbers added."""

    def draw(self, rng: Random) -> Slots:
        return str(rng.randint(2, 12)), str(rng.randint(2, 12))

    def knows(self, slots: Slots) -> bool:
        return all(slot.isdigit() and 2 <= int(slot) <= 12 for slot in slots)

    def answer(self, slots: Slots) -> int:
        return int(slots[0]) + int(slots[1])

    def unit(self, slots: Slots) -> str:
        return ""


class Count(Number):
    """Some things, and some more of them."""

    def draw(self, rng: Random) -> Slots:
        return str(rng.randint(2, 12)), str(rng.randint(2, 12)), rng.choice(facts.COUNTABLE)

    def knows(self, slots: Slots) -> bool:
        numbers = slots[:2]
        return slots[2] in facts.COUNTABLE and all(n.isdigit() and 2 <= int(n) <= 12 for n in numbers)

    def answer(self, slots: Slots) -> int:
        return int(slots[0]) + int(slots[1])

    def unit(self, slots: Slots) -> str:
        return slots[2]


class Convert(Number):
    """How many small units a number of big ones makes."""

    def draw(self, rng: Random) -> Slots:
        big, small = rng.choice(sorted(facts.UNITS))
        return str(rng.randint(2, 12)), big, small

    def knows(self, slots: Slots) -> bool:
        return slots[0].isdigit() and 2 <= int(slots[0]) <= 12 and (slots[1], slots[2]) in facts.UNITS

    def answer(self, slots: Slots) -> int:
        return int(slots[0]) * facts.UNITS[slots[1], slots[2]]

    def unit(self, slots: Slots) -> str:
        return slots[2]
