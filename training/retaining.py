"""What a model still knows of what it came from: how well it reads plain text and answers it was not taught. Heavy inside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from training.answers import Answer, tokenize_answer
from training.loading import load_policy, quiet
from training.neutral import moved, read
from training.settings import ModelFiles

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Knows(NamedTuple):
    """What one model knows: perplexity of the neutral text, its divergence from the start on it (nats a token), and the
    mean negative log-likelihood of a token of the answers of each set (nats; None where no answer fits)."""

    perplexity: float
    divergence: float | None
    losses: dict[str, float | None]


class Measured(NamedTuple):
    """The same with the model's own distributions over the neutral text, for the next model to be held against."""

    knows: Knows
    logps: torch.Tensor


def measure(
    files: ModelFiles, sets: Mapping[str, Sequence[Answer]], start: torch.Tensor | None
) -> Measured:  # fmt: skip
    """Load a model and measure it; UserError where it does not load. `start` None: this is the start."""
    quiet()
    model, tokenizer = load_policy(files)
    now = read(model, tokenizer)
    same = start if start is not None and start.shape == now.logps.shape else None
    plain = moved(now, same)
    losses = {name: loss_on(model, tokenizer, answers) for name, answers in sets.items()}
    return Measured(Knows(plain.perplexity, plain.divergence, losses), now.logps)


def loss_on(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, answers: Sequence[Answer], most_tokens: int = 1024
) -> float | None:  # fmt: skip
    """Mean negative log-likelihood of an answer token, in nats; each answer weighs by its length, cut at `most_tokens`."""
    import torch

    total, count = 0.0, 0
    for answer in answers:
        tokens = tokenize_answer(answer, tokenizer)
        ids = (tokens.prompt + tokens.answer)[:most_tokens]
        n = len(ids) - len(tokens.prompt)
        if n <= 0:
            continue
        row = torch.tensor([ids], device=model.device)
        with torch.no_grad():
            logps = model(input_ids=row, use_cache=False).logits[0, -n - 1 : -1].float().log_softmax(-1)
        total -= float(logps.gather(-1, row[0, -n:, None]).sum())
        count += n
    return total / count if count and math.isfinite(total) else None
