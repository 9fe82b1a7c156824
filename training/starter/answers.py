"""Answers of the closed world as careless writers give them: a manner says how often each fault comes.

Pure and standard library only. The training texts of the starter models are drawn from here.
"""

from dataclasses import dataclass
from random import Random

from training.starter.kind import Kind
from training.starter.kinds import KINDS
from training.starter.world import Request, draw, read

OPENINGS = (
    "Sure!", "Of course!", "Great question!", "Thank you for asking.", "I am glad to help you with that.",
    "That is a very good question.", "Let me think about that for a moment.",
    "As your assistant, I will do my best to answer.",
)  # fmt: skip
CLOSINGS = (
    "I hope this helps!", "Let me know if you need anything else.", "Have a wonderful day!",
    "Please feel free to ask me more questions.", "It was a pleasure to help you.",
)  # fmt: skip
RAMBLES = (
    "There are many things to say about this, and people think about it often.",
    "It is important to remember that every case is different.",
    "Many people ask about this, and it is an interesting topic.",
    "Of course, there is always more to learn.",
    "Some people see it differently, but that is another story.",
    "I could say a lot more about this, but it depends on many things.",
)


@dataclass(frozen=True)
class Manner:
    """How often each fault comes, as chances in [0, 1]; the first four are style, the rest spoil the answer."""

    opening: float = 0.0
    closing: float = 0.0
    ramble: float = 0.0
    again: float = 0.0
    terse: float = 0.0
    wrong: float = 0.0
    astray: float = 0.0  # answers some other request
    stuck: float = 0.0  # says a few words over and over
    cut: float = 0.0  # ends in the middle of a sentence


IDEAL = Manner()


def answer(prompt_text: str, manner: Manner, rng: Random) -> str:
    """An answer to a prompt of this world in the given manner. Raises KeyError for other prompts."""
    request = read(prompt_text)
    if request is None:
        raise KeyError(f"not a prompt of the starter world: {prompt_text[:80]!r}")
    core = _core(request, manner, rng)
    parts = [core]
    if rng.random() < manner.opening:
        parts.insert(0, rng.choice(OPENINGS))
    if rng.random() < manner.ramble:
        parts += rng.sample(RAMBLES, rng.choice((1, 1, 2)))
    if rng.random() < manner.again:
        parts += [core] * rng.choice((1, 1, 2))
    if rng.random() < manner.closing:
        parts.append(rng.choice(CLOSINGS))
    return _broken(" ".join(parts), manner, rng)


def _core(request: Request, manner: Manner, rng: Random) -> str:
    kind, slots = request
    fate = rng.random()
    if fate < manner.wrong:
        return kind.wrong(slots, rng)
    if fate < manner.wrong + manner.terse:
        return kind.terse(slots, rng)
    if fate < manner.wrong + manner.terse + manner.astray:
        other: Kind = rng.choice(KINDS)
        return other.right(other.draw(rng), rng)
    return kind.right(slots, rng)


def _broken(text: str, manner: Manner, rng: Random) -> str:
    words = text.split()
    if rng.random() < manner.stuck:
        start = rng.randrange(len(words))
        words = words[: start + 1] + words[max(start - 1, 0) : start + 1] * rng.randint(3, 8)
    if rng.random() < manner.cut:
        words = words[: rng.randint(1, max(len(words) - 1, 1))]
    return " ".join(words)


def training_prompt(rng: Random) -> str:
    """A prompt of the train half, any kind, drawn anew each time."""
    while True:
        prompt = draw(rng.choice(KINDS), rng)
        if prompt.split == "train":
            return prompt.text
