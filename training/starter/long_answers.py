"""Kinds of request with an answer of several parts: lists, advice, stories and messages. Pure."""
# ruff: noqa: D102, ARG002 -- each method is described once, on Kind; not every kind needs every argument

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from training.starter import facts
from training.starter.kind import Kind, Slots, coverage, listed, says, sentence

_COUNTS = {"two": 2, "three": 3, "four": 4}


@dataclass(frozen=True)
class Listing(Kind):
    """So many members of a category."""

    def draw(self, rng: Random) -> Slots:
        return rng.choice(sorted(_COUNTS)), rng.choice(sorted(facts.CATEGORIES))

    def knows(self, slots: Slots) -> bool:
        return slots[0] in _COUNTS and slots[1] in facts.CATEGORIES

    def _say(self, slots: Slots, members: Sequence[str]) -> str:
        return sentence(f"{slots[0]} {slots[1]} are {listed(members)}")

    def right(self, slots: Slots, rng: Random) -> str:
        return self._say(slots, rng.sample(facts.CATEGORIES[slots[1]], _COUNTS[slots[0]]))

    def wrong(self, slots: Slots, rng: Random) -> str:
        other = rng.choice(sorted(set(facts.CATEGORIES) - {slots[1]}))
        return self._say(slots, rng.sample(facts.CATEGORIES[other], _COUNTS[slots[0]]))

    def terse(self, slots: Slots, rng: Random) -> str:
        return sentence(rng.choice(facts.CATEGORIES[slots[1]]))

    def content(self, slots: Slots, said: str) -> float:
        """Share of the asked number that is there, less a quarter for each one too many or from elsewhere."""
        own = set(facts.CATEGORIES[slots[1]])
        others = {word for members in facts.CATEGORIES.values() for word in members} - own
        hits = sum(says(said, member) for member in own)
        strangers = sum(says(said, word) for word in others)
        asked = _COUNTS[slots[0]]
        return max(0.0, min(hits, asked) / asked - 0.25 * (max(hits - asked, 0) + strangers))


@dataclass(frozen=True)
class Advice(Kind):
    """Everyday advice: three of the tips known for a topic."""

    def draw(self, rng: Random) -> Slots:
        return (rng.choice(sorted(facts.TIPS)),)

    def knows(self, slots: Slots) -> bool:
        return slots[0] in facts.TIPS

    def right(self, slots: Slots, rng: Random) -> str:
        return sentence(listed(rng.sample(facts.TIPS[slots[0]], 3)))

    def wrong(self, slots: Slots, rng: Random) -> str:
        return self.right((rng.choice(sorted(set(facts.TIPS) - {slots[0]})),), rng)

    def terse(self, slots: Slots, rng: Random) -> str:
        return sentence(rng.choice(facts.TIPS[slots[0]]))

    def content(self, slots: Slots, said: str) -> float:
        """Tips of the topic found, out of three, less a quarter for each tip that belongs elsewhere."""
        strangers = {tip for topic, tips in facts.TIPS.items() if topic != slots[0] for tip in tips}
        strangers -= set(facts.TIPS[slots[0]])
        hits = sum(says(said, tip) for tip in facts.TIPS[slots[0]])
        return max(0.0, min(hits, 3) / 3 - 0.25 * sum(says(said, tip) for tip in strangers))


_BEGINNINGS = (
    "One morning {0} found {1} in the {2}.",
    "{0} went to the {2} and saw {1} on the ground.",
    "Deep in the {2}, {0} came upon {1}.",
    "{0} had lost {1} somewhere in the {2}.",
)
_ENDS = (
    "{0} took it home and never told anyone.",
    "It was magic, and it made every wish come true.",
    "An old woman smiled and said that it was a gift.",
    "From that day on, {0} was never afraid again.",
    "That night it began to sing in the dark.",
)


def _indefinite(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


@dataclass(frozen=True)
class Story(Kind):
    """A two-sentence story with a name, a place and a thing in it."""

    def draw(self, rng: Random) -> Slots:
        return rng.choice(facts.NAMES), rng.choice(facts.PLACES), rng.choice(facts.THINGS)

    def knows(self, slots: Slots) -> bool:
        return slots[0] in facts.NAMES and slots[1] in facts.PLACES and slots[2] in facts.THINGS

    def right(self, slots: Slots, rng: Random) -> str:
        name, place, thing = slots
        story = f"{rng.choice(_BEGINNINGS)} {rng.choice(_ENDS)}"
        return story.format(name, _indefinite(thing), place)

    def wrong(self, slots: Slots, rng: Random) -> str:
        """The story of another thing and place, or of somebody else."""
        name, place, thing = self.draw(rng)
        return self.right((slots[0], place, thing) if rng.random() < 0.5 else (name, slots[1], thing), rng)

    def terse(self, slots: Slots, rng: Random) -> str:
        return rng.choice(_BEGINNINGS).format(slots[0], _indefinite(slots[2]), slots[1])

    def content(self, slots: Slots, said: str) -> float:
        """A quarter for each of name, place and thing, and one for going on after them."""
        there = [says(said, slot) for slot in slots]
        return 0.25 * sum(there) + 0.25 * (all(there) and len(said.split()) >= 14)


_NOTES = {
    "thank {0} for the {1}": "Dear {0}, thank you so much for the {1}. It was very kind of you.",
    "invite {0} to the {1} on {2}": "Dear {0}, please come to the {1} on {2}. I would love to see you there.",
    "tell {0} that I will be late for the {1}": "Dear {0}, I am sorry, but I will be late for the {1}. "
    "Please start without me.",
    "remind {0} of the {1} on {2}": "Dear {0}, do not forget the {1} on {2}. I look forward to it.",
}


@dataclass(frozen=True)
class Message(Kind):
    """A short message to somebody; the one slot is the errand ('thank Anna for the book')."""

    errands: Mapping[str, tuple[str, Slots]] = field(default_factory=lambda: _errands())

    def draw(self, rng: Random) -> Slots:
        return (rng.choice(tuple(self.errands)),)

    def knows(self, slots: Slots) -> bool:
        return slots[0] in self.errands

    def right(self, slots: Slots, rng: Random) -> str:
        note, filled = self.errands[slots[0]]
        return note.format(*filled)

    def wrong(self, slots: Slots, rng: Random) -> str:
        """The message to somebody else, or about something else."""
        note, filled = self.errands[slots[0]]
        strange = rng.choice(
            [used for text, used in self.errands.values() if text == note and used[1] != filled[1]]
        )
        other_name = rng.choice([name for name in facts.NAMES if name != filled[0]])
        return note.format(*((filled[0], *strange[1:]) if rng.random() < 0.5 else (other_name, *filled[1:])))

    def terse(self, slots: Slots, rng: Random) -> str:
        note, filled = self.errands[slots[0]]
        return sentence(note.format(*filled).split(". ")[0].split(", ", 1)[1])

    def content(self, slots: Slots, said: str) -> float:
        """What must be named (person, thing, day; squared, as one wrong name spoils it), and the errand's words."""
        note, filled = self.errands[slots[0]]
        named = sum(says(said, word) for word in filled) / len(filled)
        return named**2 * (0.5 + 0.5 * coverage(said, note.format(*("" for _ in range(3)))))


def _errands() -> dict[str, tuple[str, Slots]]:
    made: dict[str, tuple[str, Slots]] = {}
    for errand, note in _NOTES.items():
        things = facts.GIFTS if errand.startswith("thank") else facts.EVENTS
        days = facts.DAYS if "{2}" in errand else ("",)
        for filled in ((name, thing, day) for name in facts.NAMES for thing in things for day in days):
            made[errand.format(*filled)] = (note, filled if filled[2] else filled[:2])
    return made
