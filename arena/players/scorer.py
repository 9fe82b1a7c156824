"""The reward model: a sequence-classification checkpoint with one logit that scores answers. Heavy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arena.players import Scored
from arena.players.disentangled import reckon_leanly
from arena.players.local import read_batches
from db.entities.catalog import Message
from db.errors import UserError
from training.loading import NO_CODE, WEIGHTS_ONLY, explained, quiet, working_dtype
from training.scoring import encode

if TYPE_CHECKING:
    import torch
    from transformers import BatchEncoding

UNSTATED = 1_000_000


class RewardScorer:
    """Scores answers with any one-logit sequence-classification checkpoint.

    They are read as `training.scoring.encode` has it; what does not fit is cut from the left of the prompt.
    """

    def __init__(self, source: str, max_length: int | None = None) -> None:
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        quiet()
        with explained(source):
            self.tokenizer = AutoTokenizer.from_pretrained(
                source, truncation_side="left", padding_side="right", **NO_CODE
            )
            self.model = AutoModelForSequenceClassification.from_pretrained(
                source, dtype=working_dtype(), **WEIGHTS_ONLY
            )
        if self.model.config.num_labels != 1:
            raise UserError(
                f"{Path(source).name} gives {self.model.config.num_labels} values for a text, not one score",
                "use a reward model: sequence classification with a single logit",
            )
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model.config.pad_token_id = self.tokenizer.pad_token_id
        self.model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        reckon_leanly(self.model)
        self.max_length = max_length or self._own_length()

    def score(self, pairs: Sequence[tuple[Sequence[Message], str]]) -> list[Scored]:
        """One score for each (prompt, answer), in their order."""
        import torch

        read = [encode(self.tokenizer, prompt, answer, self.max_length) for prompt, answer in pairs]
        scores: dict[int, float] = {}
        for rows in read_batches([len(encoded["input_ids"]) for encoded, _ in read], self.model.device):
            batch = self._padded([read[i][0] for i in rows])
            with torch.inference_mode():
                scores.update(zip(rows, self.model(**batch).logits[:, 0].float().tolist(), strict=True))
        return [Scored(scores[i], cut) for i, (_, cut) in enumerate(read)]

    def _padded(self, rows: Sequence[BatchEncoding]) -> dict[str, torch.Tensor]:
        """Texts of one batch filled up on the right, on the model's device. `tokenizer.pad` takes ten times as long."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        fill = {"input_ids": self.tokenizer.pad_token_id, "token_type_ids": self.tokenizer.pad_token_type_id}
        return {
            key: pad_sequence([torch.tensor(row[key]) for row in rows], True, fill.get(key, 0)).to(
                self.model.device
            )
            for key in rows[0]
        }

    def _own_length(self) -> int:
        """What the checkpoint says it can read, else 512."""
        stated = self.tokenizer.model_max_length
        positions = getattr(self.model.config, "max_position_embeddings", None) or UNSTATED
        length = min(stated if stated < UNSTATED else UNSTATED, positions)
        return length if length < UNSTATED else 512
