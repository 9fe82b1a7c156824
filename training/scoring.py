"""How a reward model reads an answer: the same tokens before it is trained, while it is, and when it scores.

Needs a tokenizer only, never torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.entities.catalog import Message, Split
from training.preflight import (
    SHOWN,
    Preflight,
    RenderedRow,
    RenderedToken,
    Row,
    common,
    contradicted,
    quantiles,
    repeated,
    split_prompts,
    texts_of,
    twice,
)
from training.settings import Settings

if TYPE_CHECKING:
    from transformers import BatchEncoding, PreTrainedTokenizerBase


def encode(
    tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Message], answer: str, max_length: int
) -> tuple[BatchEncoding, bool]:
    """The prompt and its answer in at most `max_length` tokens, and whether anything was cut.

    Where the tokenizer has a chat template the whole chat is rendered with it; otherwise the dialogue so far and the
    answer are two segments, the form such models are published with. What does not fit is cut from the left of the
    prompt; the answer is cut only where it alone is too long.
    """
    if tokenizer.chat_template:
        return _as_chat(tokenizer, prompt, answer, max_length)
    return _as_segments(tokenizer, prompt, answer, max_length)


def _as_chat(
    tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Message], answer: str, max_length: int
) -> tuple[BatchEncoding, bool]:
    chat = [*prompt, {"role": "assistant", "content": answer}]
    whole = tokenizer.apply_chat_template(chat, return_dict=True)
    before = tokenizer.apply_chat_template(list(prompt), add_generation_prompt=True, return_dict=True)
    over = len(whole["input_ids"]) - max_length
    if over <= 0:
        return whole, False
    # The prompt gives way first; an answer longer than everything keeps its beginning.
    first = min(over, len(before["input_ids"]))
    return type(whole)({key: ids[first : first + max_length] for key, ids in whole.items()}), True


def _as_segments(
    tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Message], answer: str, max_length: int
) -> tuple[BatchEncoding, bool]:
    question = "\n\n".join(m["content"] for m in prompt)
    whole = tokenizer(question, answer)
    if len(whole["input_ids"]) <= max_length:
        return whole, False
    room = max_length - tokenizer.num_special_tokens_to_add(pair=True)
    ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    if len(ids) < room:
        return tokenizer(question, answer, truncation="only_first", max_length=max_length), True
    return tokenizer("", tokenizer.decode(ids[:room])), True


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPreflight(Preflight):
    """What a reward model's trainer will see of the pairs."""

    @property
    def cut_sentence(self) -> str:
        """What being cut does to a pair."""
        return f"cut at max_length {self.max_length} from the left of the prompt; raise max_length"


def preflight_scored(
    rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, settings: Settings
) -> ScoredPreflight:
    """Counts, pair ids, lengths and three rendered rows of pairs whose answers are scored."""
    size = settings.max_length
    good = [row for row in rows if not row.identical]
    encoded = {row.pair: [encode_side(tokenizer, row, side, size) for side in SIDES] for row in rows}
    training = sum(row.part is Split.TRAIN for row in good)
    return ScoredPreflight(
        train=sum(row.part is Split.TRAIN for row in rows),
        heldout=sum(row.part is Split.HELDOUT for row in rows),
        trained=training,
        evaluated=len(good) - training,
        identical=tuple(row.pair for row in rows if row.identical),
        duplicate=repeated(rows),
        contradictory=contradicted(rows),
        dropped=(),
        cut=tuple(row.pair for row in good if any(cut for _, cut in encoded[row.pair])),
        shifted=(),
        unended=(),
        doubled=tuple(row.pair for row in rows if any(twice(ids, tokenizer) for ids, _ in encoded[row.pair])),
        split_prompts=split_prompts(rows),
        lengths=quantiles([max(len(ids) for ids, _ in both) for both in encoded.values()]),
        rendered=tuple(
            _rendered(row, [ids for ids, _ in encoded[row.pair]], tokenizer) for row in rows[:SHOWN]
        ),
        max_length=size,
    )


SIDES = ("chosen", "rejected")


def encode_side(
    tokenizer: PreTrainedTokenizerBase, row: Row, side: str, max_length: int
) -> tuple[list[int], bool]:
    """One side of a pair in tokens, and whether anything was cut."""
    answer = "\n\n".join(texts_of(row.chosen if side == "chosen" else row.rejected))
    encoded, cut = encode(tokenizer, row.prompt, answer, max_length)
    return list(encoded["input_ids"]), cut


def _rendered(row: Row, sides: Sequence[list[int]], tokenizer: PreTrainedTokenizerBase) -> RenderedRow:
    n = common(*sides)
    chosen, rejected = (tuple(RenderedToken(tokenizer.decode([i]), True) for i in ids[n:]) for ids in sides)
    pieces = tuple(tokenizer.decode([i]) for i in sides[0][:n])
    return RenderedRow(row.pair, tokenizer.decode(sides[0][:n]), pieces, chosen, rejected, n, True)
