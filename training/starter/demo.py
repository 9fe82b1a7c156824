"""What the demo is seeded from: the starter checkpoints' places, their stored answers, and the showcase.

Standard library only, so that the web process and `launch.py --help` may import it.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from training.starter import world

WEIGHTS = Path(__file__).parent / "weights"
DATA = Path(__file__).parent / "data"
STARTER_MODELS = ("starter-base", "starter-sft", "starter-dpo")
REWARD_MODEL = "starter-reward"
SHOWCASE_MODELS = ("showcase-a", "showcase-b")


class DemoResponse(NamedTuple):
    """A stored answer of a starter model to a demo prompt, with the starter reward model's score."""

    prompt: str
    split: str
    tag: str
    model: str
    response: str
    finish_reason: str
    settings: Mapping[str, float]
    score: float


class ShowcaseAnswer(NamedTuple):
    """A recorded answer of one of the two showcase models."""

    model: str
    response: str


class Showcase(NamedTuple):
    """A realistic prompt as chat messages (role, content), its tags, and its recorded answers."""

    messages: tuple[Mapping[str, str], ...]
    tags: tuple[str, ...]
    answers: tuple[ShowcaseAnswer, ShowcaseAnswer]


def weights_of(model: str) -> Path:
    """The checkpoint folder of 'starter-base', 'starter-sft', 'starter-dpo' or 'starter-reward'."""
    if model not in (*STARTER_MODELS, REWARD_MODEL):
        raise KeyError(model)
    return WEIGHTS / model.removeprefix("starter-")


def demo_prompts() -> tuple[world.WorldPrompt, ...]:
    """The 400 demo prompts, 300 train and 100 held-out, in a fixed order."""
    return world.demo_prompts()


def demo_responses() -> tuple[DemoResponse, ...]:
    """The stored answer of each starter model to each demo prompt: 1,200 rows."""
    with gzip.open(DATA / "responses.jsonl.gz", "rt", encoding="utf-8") as lines:
        return tuple(DemoResponse(**json.loads(line)) for line in lines)


def demo_scores() -> dict[tuple[str, str], float]:
    """The starter reward model's score by (model, prompt text)."""
    return {(row.model, row.prompt): row.score for row in demo_responses()}


def showcase() -> tuple[Showcase, ...]:
    """About fifty realistic prompts written for this project, two recorded answers each."""
    return tuple(_shown(row) for row in _rows(DATA / "showcase.jsonl"))


def _shown(row: Mapping[str, Any]) -> Showcase:
    first, second = (ShowcaseAnswer(model, row[model]) for model in SHOWCASE_MODELS)
    return Showcase(tuple(row["messages"]), tuple(row["tags"]), (first, second))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)
