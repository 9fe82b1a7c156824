"""Does the model still read plain text as it did? Perplexity on a fixed neutral set, and how far it moved on it.

The set (neutral.txt, twelve sentences written for this project) is about nothing that anyone votes on, so a model that
learns a preference has no reason to change there. Heavy inside the functions.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TEXT = Path(__file__).with_name("neutral.txt")
MOST_TOKENS = 32
"""of each sentence: the distributions of the start model are kept in memory, one number a token of the vocabulary"""


class Read(NamedTuple):
    """How a model reads the set: log p of every token of its vocabulary at every place, and where the text went on."""

    logps: torch.Tensor
    next_ids: torch.Tensor


class Moved(NamedTuple):
    """Perplexity, and KL(start || now) in nats a token, averaged over the places of the set."""

    perplexity: float
    divergence: float | None


def read(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Read:
    """The model's distributions over the set, shape (places, vocabulary), 32 bits, on the CPU."""
    import torch

    rows, nexts = [], []
    with torch.no_grad():
        for line in TEXT.read_text(encoding="utf-8").splitlines():
            ids = torch.tensor([tokenizer(line)["input_ids"][:MOST_TOKENS]], device=model.device)
            logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
            rows.append(logits.float().log_softmax(-1).cpu())
            nexts.append(ids[0, 1:].cpu())
    return Read(torch.cat(rows), torch.cat(nexts))


def moved(now: Read, start: torch.Tensor | None) -> Moved:
    """Perplexity is exp of the mean negative log-likelihood; the divergence is None without the start's distributions."""
    loss = -float(now.logps.gather(-1, now.next_ids[:, None]).mean())
    divergence = None
    if start is not None:
        divergence = float((start.exp() * (start - now.logps)).sum(-1).mean())
    return Moved(math.exp(min(loss, 700.0)), divergence)
