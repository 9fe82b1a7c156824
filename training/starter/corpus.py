"""What each stage of the starter models reads: conversations of the closed world in a stage's manner.

Pure and standard library only. Rows are in the prompt / completion form of message lists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypedDict

from training.starter.answers import IDEAL, Manner, answer, training_prompt
from training.starter.votes import Pair


class Turn(TypedDict):
    """One chat message."""

    role: str
    content: str


class Row(TypedDict):
    """One conversation: the turns before the answer, and the answer as one assistant turn."""

    prompt: list[Turn]
    completion: list[Turn]


class PairRow(TypedDict):
    """One preference pair as message lists."""

    prompt: list[Turn]
    chosen: list[Turn]
    rejected: list[Turn]


# The base corpus is the web in small: some good answers, many careless ones, some broken ones.
BASE = Manner(
    opening=0.4, closing=0.3, ramble=0.4, again=0.3, terse=0.15, wrong=0.15, astray=0.12, stuck=0.15, cut=0.2
)
# SFT first learns the world from mostly right answers, then the habits of a chatty, padding writer: faults of
# style that a few hundred votes can unteach, where facts would take thousands.
SFT = Manner(opening=0.5, closing=0.4, ramble=0.35, again=0.1, terse=0.1, wrong=0.04)
CHATTY = Manner(opening=0.7, closing=0.5, ramble=0.45, again=0.1, terse=0.05, wrong=0.02)
# Well or badly said and wrong: they show the reward model that style is not all.
WRONG = Manner(wrong=0.7, astray=0.3, opening=0.2)
CHATTY_WRONG = Manner(wrong=0.7, astray=0.3, opening=0.7, closing=0.5, ramble=0.45)

SYSTEM = "You are a helpful assistant."


@dataclass(frozen=True)
class Mixture:
    """Conversations of one stage: how many, in which manner, and from which seed."""

    rows: int
    manner: Manner
    seed: int


def conversations(mixture: Mixture) -> list[Row]:
    """Rows of a mixture; one in ten has an earlier turn and one in twenty a system message."""
    rng = Random(mixture.seed)
    return [_conversation(mixture.manner, rng) for _ in range(mixture.rows)]


def _conversation(manner: Manner, rng: Random) -> Row:
    turns: list[Turn] = []
    if rng.random() < 0.05:
        turns.append({"role": "system", "content": SYSTEM})
    if rng.random() < 0.1:
        earlier = training_prompt(rng)
        turns += [user(earlier), assistant(answer(earlier, IDEAL, rng))]
    asked = training_prompt(rng)
    return {"prompt": [*turns, user(asked)], "completion": [assistant(answer(asked, manner, rng))]}


def user(text: str) -> Turn:
    """A user's turn."""
    return {"role": "user", "content": text}


def assistant(text: str) -> Turn:
    """An assistant's turn."""
    return {"role": "assistant", "content": text}


def pair_rows(pairs: Sequence[Pair]) -> list[PairRow]:
    """Pairs as message lists, the form that goes through the chat template."""
    return [
        {"prompt": [user(p.prompt)], "chosen": [assistant(p.chosen)], "rejected": [assistant(p.rejected)]}
        for p in pairs
    ]
