"""Does the model still read plain text as it did? Perplexity on a fixed neutral set, and how far it moved on it.

The set (neutral.txt, twelve sentences written for this project) is about nothing that anyone votes on, so a model that
learns a preference has no reason to change there. Heavy inside the functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
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


def lines(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Iterator[Read]:
    """The model's distributions over the set, a sentence at a time: shape (places, vocabulary), 32 bits, on the CPU."""
    import torch

    for line in TEXT.read_text(encoding="utf-8").splitlines():
        ids = torch.tensor([tokenizer(line)["input_ids"][:MOST_TOKENS]], device=model.device)
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
            logps = logits.float().log_softmax(-1).cpu()
        yield Read(logps, ids[0, 1:].cpu())


def read(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Read:
    """The same over the whole set at once."""
    import torch

    found = list(lines(model, tokenizer))
    return Read(torch.cat([r.logps for r in found]), torch.cat([r.next_ids for r in found]))


def moved(now: Read, start: torch.Tensor | None) -> Moved:
    """How well the model reads the set now, and how far it is from the start.

    Perplexity is exp of the mean negative log-likelihood of a token; the divergence is KL(start || now) in nats, the mean
    over the places; None without the start's distributions.
    """
    return moved_by([now], start)


def moved_by(sentences: Iterable[Read], start: torch.Tensor | None) -> Moved:
    """The same, from sentences that need not be in memory together."""
    places, loss, divergence = 0, 0.0, 0.0
    for now in sentences:
        n = len(now.next_ids)
        loss -= float(now.logps.gather(-1, now.next_ids[:, None]).sum())
        if start is not None:
            was = start[places : places + n]
            divergence += float((was.exp() * (was - now.logps)).sum())
        places += n
    return Moved(math.exp(min(loss / places, 700.0)), divergence / places if start is not None else None)
