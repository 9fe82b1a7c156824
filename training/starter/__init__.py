"""The starter models: three tiny checkpoints and a reward model that come with the project, and their world."""

from training.starter.demo import (
    REWARD_MODEL,
    STARTER_MODELS,
    WEIGHTS,
    DemoResponse,
    Showcase,
    ShowcaseAnswer,
    demo_prompts,
    demo_responses,
    demo_scores,
    showcase,
    weights_of,
)

__all__ = [
    "REWARD_MODEL", "STARTER_MODELS", "WEIGHTS", "DemoResponse", "Showcase", "ShowcaseAnswer", "demo_prompts",
    "demo_responses", "demo_scores", "showcase", "weights_of",
]  # fmt: skip
