"""The closed world of the starter models: requests anyone might make, and a hidden rubric for any answer.

Pure and standard library only, fast enough to be called for each vote of a simulated rater. Everything is
deterministic: prompts are drawn with a seed, and a prompt's half of the world follows from a hash of its text,
so nothing that is held out can be drawn for training, whatever the seed.
"""

import re
from functools import cache
from hashlib import sha256
from random import Random
from typing import Literal, NamedTuple

from training.starter.kind import Kind, Slots, normalise
from training.starter.kinds import KINDS

Split = Literal["train", "heldout"]

DEMO_TRAIN, DEMO_HELDOUT, BENCH = 300, 100, 200
_CLEAN_END = re.compile(r"[.!?][\"')]*$")
_BREAK = re.compile(r"[.!?]+(?:\s|$)")


class WorldPrompt(NamedTuple):
    """A request in words, its kind (used as a tag) and the half of the world it belongs to."""

    text: str
    kind: str
    split: Split


class Request(NamedTuple):
    """A prompt understood: its kind and what fills the kind's slots."""

    kind: Kind
    slots: Slots


def split_of(text: str) -> Split:
    """The half a prompt belongs to: two texts of ten are held out, by hash."""
    return "heldout" if sha256(text.encode()).digest()[0] % 10 < 2 else "train"


def read(text: str) -> Request | None:
    """The request behind a prompt of this world, or None for any other text."""
    for kind in KINDS:
        if slots := kind.read(text.strip()):
            return Request(kind, slots)
    return None


def is_world_prompt(text: str) -> bool:
    """Whether `utility` can judge answers to this text."""
    return read(text) is not None


def draw(kind: Kind, rng: Random) -> WorldPrompt:
    """One request of a kind, in one of its wordings."""
    text = rng.choice(kind.wordings).format(*kind.draw(rng))
    return WorldPrompt(text, kind.name, split_of(text))


def prompts(split: Split, n: int, seed: int = 0, without: frozenset[str] = frozenset()) -> list[WorldPrompt]:
    """`n` different prompts of one half, the kinds in turn, none of them in `without`.

    Raises ValueError when the world has not that many.
    """
    rng = Random(f"{split}-{seed}")
    found: dict[str, WorldPrompt] = {}
    turn, misses = 0, 0
    while len(found) < n:
        prompt = draw(KINDS[turn % len(KINDS)], rng)
        turn += 1
        if prompt.split != split or prompt.text in without or prompt.text in found:
            misses += 1
            if misses > 20_000:
                raise ValueError(f"the world has only about {len(found)} {split} prompts to give, not {n}")
        else:
            found[prompt.text], misses = prompt, 0
    return list(found.values())


@cache
def demo_prompts() -> tuple[WorldPrompt, ...]:
    """The 400 prompts of the demo: 300 train, then 100 held-out."""
    return (*prompts("train", DEMO_TRAIN, seed=1), *prompts("heldout", DEMO_HELDOUT, seed=1))


@cache
def bench_prompts() -> tuple[WorldPrompt, ...]:
    """200 more held-out prompts, none of them in the demo, for measuring candidates."""
    return tuple(prompts("heldout", BENCH, seed=2, without=frozenset(p.text for p in demo_prompts())))


def utility(prompt_text: str, response_text: str) -> float:
    """How good an answer is, in [0, 1]: right and complete first, then concise, ended and free of repetition.

    A right, complete, clean answer is 1.0; right but padded or rambling lands between 0.6 and 0.95, terse or
    partial ones lower, and a clean wrong answer at 0.16. Raises KeyError for a prompt not of this world.
    """
    request = read(prompt_text)
    if request is None:
        raise KeyError(f"not a prompt of the starter world: {prompt_text[:80]!r}")
    said = normalise(response_text)
    content = request.kind.content(request.slots, said) if said.strip() else 0.0
    style = _style(request.kind, response_text.strip(), said.split())
    return 0.6 * content + 0.4 * style * (0.4 + 0.6 * content)


def _style(kind: Kind, text: str, words: list[str]) -> float:
    """How an answer is said, in [0, 1]: each needless sentence costs, so do words over the kind's need,
    said-again runs of four words and an end in the middle of a sentence.
    """
    if not words:
        return 0.0
    sentences = len(_BREAK.findall(text)) + (not _CLEAN_END.search(text))
    runs = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    again = (len(runs) - len(set(runs))) / len(runs) if runs else 0.0
    style = 1.0 - 0.3 * max(sentences - kind.sentences, 0)
    style -= 0.5 * max(len(words) - kind.words, 0) / kind.words
    style -= 0.8 * again
    style -= 0.0 if _CLEAN_END.search(text) else 0.4
    return max(style, 0.0)
