"""Simulated votes of the closed world: an honest judge with a little noise, and the pairs its votes make.

Pure and standard library only.
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from training.starter.world import utility

NOISE = 0.04  # standard deviation of the judge's mistake on each answer
TIE = 0.03  # differences smaller than this look equal to the judge


class Pair(NamedTuple):
    """A preference pair in plain text."""

    prompt: str
    chosen: str
    rejected: str


def honest_margin(prompt: str, a: str, b: str, rng: Random, noise: float = NOISE) -> float:
    """How much better a looks than b to one judge: positive for a, negative for b, 0 for a tie."""
    seen = utility(prompt, a) - utility(prompt, b) + rng.gauss(0, noise) + rng.gauss(0, noise)
    return seen if abs(seen) >= TIE else 0.0


def honest_pairs(prompts: Sequence[str], a: Sequence[str], b: Sequence[str], rng: Random) -> list[Pair]:
    """One vote on each two different answers to a prompt; ties make no pair."""
    pairs = []
    for prompt, left, right in zip(prompts, a, b, strict=True):
        margin = honest_margin(prompt, left, right, rng) if left != right else 0.0
        if margin:
            pairs.append(Pair(prompt, left, right) if margin > 0 else Pair(prompt, right, left))
    return pairs


def win_rate(prompts: Sequence[str], a: Sequence[str], b: Sequence[str]) -> float:
    """Share of prompts where a's answer has the higher utility, equal ones counting half."""
    points = 0.0
    for prompt, left, right in zip(prompts, a, b, strict=True):
        gap = utility(prompt, left) - utility(prompt, right)
        points += 0.5 if abs(gap) < 1e-9 else float(gap > 0)
    return points / len(prompts)
