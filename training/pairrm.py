"""PairRM: a DeBERTa that reads a prompt and two answers together and says which is better. Heavy.

The class for checkpoints in the form of `llm-blender/PairRM-hf` (Jiang, Ren and Lin, LLM-Blender, 2023), whose own
package does not load any more. Each text stands behind a marker token of its own; an answer is rated by the states of the
prompt's marker and its own, and the logit is the first answer's rate less the second's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from transformers import AutoTokenizer, DebertaV2Config, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.deberta_v2.modeling_deberta_v2 import DebertaV2Model, DebertaV2PreTrainedModel

from db.entities.catalog import Message
from db.errors import UserError
from training.loading import NO_CODE, WEIGHTS_ONLY, explained, working_dtype

SOURCE, FIRST, SECOND = MARKERS = ("<|source|>", "<|candidate1|>", "<|candidate2|>")
SOURCE_ROOM, ANSWER_ROOM = 1224, 412
"""tokens: what the prompt leaves of its room is shared by the two answers"""


class PairRM(DebertaV2PreTrainedModel):  # type: ignore[misc]  # transformers types it as Any here
    """The network; the names of its parts are those of the published weights."""

    config_class = DebertaV2Config

    def __init__(self, config: DebertaV2Config) -> None:
        super().__init__(config)
        self.pretrained_model = DebertaV2Model(config)
        size, dropped = config.hidden_size, getattr(config, "drop_out", 0.0)
        self.head_layer = nn.Sequential(
            nn.Dropout(dropped), nn.Linear(2 * size, size), nn.Tanh(),
            nn.Dropout(dropped), nn.Linear(size, getattr(config, "n_tasks", 1)),
        )  # fmt: skip
        self.post_init()

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> SequenceClassifierOutput:
        """One logit a row, positive where the first answer is better. Each row holds each marker once."""
        states = self.pretrained_model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        rows = torch.arange(len(input_ids), device=input_ids.device)

        def at(marker: int) -> torch.Tensor:
            return torch.as_tensor(states[rows, (input_ids == marker).int().argmax(dim=1)])

        source = at(self.config.source_prefix_id)
        first, second = (
            self.head_layer(torch.cat([source, at(marker)], dim=-1))
            for marker in (self.config.cand1_prefix_id, self.config.cand2_prefix_id)
        )
        return SequenceClassifierOutput(logits=(first - second).mean(dim=-1))


class Encoded(NamedTuple):
    """A prompt and two answers in tokens, and whether any of the three was cut."""

    ids: list[int]
    cut: bool


def load(source: str) -> tuple[PairRM, PreTrainedTokenizerBase]:
    """(model, tokenizer) of a folder or hub id, on the GPU where there is one. UserError where it is no such checkpoint."""
    _refuse_without_sentencepiece(source)
    with explained(source):
        tokenizer = AutoTokenizer.from_pretrained(source, **NO_CODE)
        config = DebertaV2Config.from_pretrained(source, **NO_CODE)
    ids = [getattr(config, f"{name}_prefix_id", None) for name in ("source", "cand1", "cand2")]
    if None in ids or tokenizer.convert_tokens_to_ids(list(MARKERS)) != ids:
        raise _no_pairrm(source, "its markers for the prompt and the two answers are missing")
    with explained(source):
        model, found = PairRM.from_pretrained(
            source, config=config, dtype=working_dtype(), output_loading_info=True, **WEIGHTS_ONLY
        )
    if missing := sorted(found["missing_keys"]):
        raise _no_pairrm(source, f"{len(missing)} of its weights are missing, {missing[0]} among them")
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    return model, tokenizer


def _refuse_without_sentencepiece(source: str) -> None:
    """The published DeBERTas keep their vocabulary in a file that only these two packages read."""
    try:
        # transformers would ask for another package, which does not help
        import google.protobuf  # type: ignore[import-untyped]  # noqa: F401
        import sentencepiece  # noqa: F401
    except ImportError as e:
        raise UserError(f"{source} needs sentencepiece and protobuf to be read ({e})",
                        "install the versions in requirements.txt") from e  # fmt: skip


def _no_pairrm(source: str, why: str) -> UserError:
    return UserError(
        f"{source} is no PairRM checkpoint: {why}", "use llm-blender/PairRM-hf, or a folder in its form"
    )


def encode(tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Message], first: str, second: str) -> Encoded:
    """A prompt and two answers as the published model was taught to read them; what does not fit is cut at its end."""
    source = _segment(tokenizer, SOURCE, dialogue(prompt), SOURCE_ROOM)
    room = (SOURCE_ROOM + 2 * ANSWER_ROOM - len(source.ids)) // 2
    answers = [_segment(tokenizer, m, text, room) for m, text in ((FIRST, first), (SECOND, second))]
    return Encoded(
        [i for part in (source, *answers) for i in part.ids], any(p.cut for p in (source, *answers))
    )


def dialogue(prompt: Sequence[Message]) -> str:
    """A prompt as one text: a single turn as it stands, several with their roles."""
    if len(prompt) == 1:
        return prompt[0]["content"]
    return "\n".join(f"{m['role'].upper()}: {m['content']}" for m in prompt)


def _segment(tokenizer: PreTrainedTokenizerBase, marker: str, text: str, room: int) -> Encoded:
    """One text behind its marker, in at most `room` tokens. A marker in the text itself would count as one."""
    for known in MARKERS:
        text = text.replace(known, "")
    whole = tokenizer.encode(marker + text)
    if len(whole) <= room:
        return Encoded(whole, False)
    return Encoded(tokenizer.encode(marker + text, truncation=True, max_length=room), True)
