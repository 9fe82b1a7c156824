"""The reward model: a sequence-classification checkpoint with one logit that scores answers. Heavy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arena.players import Scored
from arena.players.local import batches
from db.entities import Message
from db.errors import UserError
from training.loading import explained, quiet, working_dtype

if TYPE_CHECKING:
    from transformers import BatchEncoding

UNSTATED = 1_000_000


class RewardScorer:
    """Scores answers with any one-logit sequence-classification checkpoint.

    Where its tokenizer has a chat template the whole chat is rendered with it; otherwise the dialogue so far and
    the answer are two segments, the form such models are published with. What does not fit is cut from the left
    of the prompt; the answer is cut only where it alone is too long.
    """

    def __init__(self, source: str, max_length: int | None = None) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        quiet()
        with explained(source):
            self.tokenizer = AutoTokenizer.from_pretrained(
                source, truncation_side="left", padding_side="right"
            )
            self.model = AutoModelForSequenceClassification.from_pretrained(source, dtype=working_dtype())
        if self.model.config.num_labels != 1:
            raise UserError(
                f"{Path(source).name} gives {self.model.config.num_labels} values for a text, not one score",
                "use a reward model: sequence classification with a single logit",
            )
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model.config.pad_token_id = self.tokenizer.pad_token_id
        self.model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        self.max_length = max_length or self._own_length()

    def score(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> list[Scored]:
        """One score for each (prompt, answer), in their order."""
        import torch

        read = [self._encode(prompt, answer) for prompt, answer in pairs]
        scores: dict[int, float] = {}
        for rows in batches([len(encoded["input_ids"]) for encoded, _ in read], 0):
            batch = self.tokenizer.pad({key: [read[i][0][key] for i in rows] for key in read[rows[0]][0]},
                                       return_tensors="pt").to(self.model.device)  # fmt: skip
            with torch.inference_mode():
                scores.update(zip(rows, self.model(**batch).logits[:, 0].float().tolist(), strict=True))
        return [Scored(scores[i], cut) for i, (_, cut) in enumerate(read)]

    def _encode(self, prompt: Sequence[Message], answer: str) -> tuple[BatchEncoding, bool]:
        """The row in tokens, and whether anything was cut."""
        if self.tokenizer.chat_template:
            return self._as_chat(prompt, answer)
        return self._as_segments(prompt, answer)

    def _as_chat(self, prompt: Sequence[Message], answer: str) -> tuple[BatchEncoding, bool]:
        chat = [*prompt, {"role": "assistant", "content": answer}]
        whole = self.tokenizer.apply_chat_template(chat, return_dict=True)
        before = self.tokenizer.apply_chat_template(
            list(prompt), add_generation_prompt=True, return_dict=True
        )
        over = len(whole["input_ids"]) - self.max_length
        if over <= 0:
            return whole, False
        # The prompt gives way first; an answer longer than everything keeps its beginning.
        first = min(over, len(before["input_ids"]))
        return type(whole)({key: ids[first : first + self.max_length] for key, ids in whole.items()}), True

    def _as_segments(self, prompt: Sequence[Message], answer: str) -> tuple[BatchEncoding, bool]:
        question = "\n\n".join(m["content"] for m in prompt)
        room = self.max_length - self.tokenizer.num_special_tokens_to_add(pair=True)
        sizes = [len(self.tokenizer(t, add_special_tokens=False)["input_ids"]) for t in (question, answer)]
        if sum(sizes) <= room:
            return self.tokenizer(question, answer), False
        if sizes[1] < room:
            return self.tokenizer(question, answer, truncation="only_first", max_length=self.max_length), True
        ids = self.tokenizer(answer, add_special_tokens=False)["input_ids"][:room]
        return self.tokenizer("", self.tokenizer.decode(ids)), True

    def _own_length(self) -> int:
        """What the checkpoint says it can read, else 512."""
        stated = self.tokenizer.model_max_length
        positions = getattr(self.model.config, "max_position_embeddings", None) or UNSTATED
        length = min(stated if stated < UNSTATED else UNSTATED, positions)
        return length if length < UNSTATED else 512
