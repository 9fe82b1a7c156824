"""Reading the prompt of a pair a single time for both of its answers, instead of once with each. Heavy.

Both answers follow the prompt in one row, each at the places it would have behind the prompt alone, and the second
sees nothing of the first. Only the places where an answer is told go through the output layer. The figures are those
of two rows, to the noise of 32-bit numbers, with about a third fewer tokens read and kept for the way back.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

FAMILIES = frozenset(
    {"gemma", "gpt2", "gpt_neox", "llama", "mistral", "phi", "phi3", "qwen2", "qwen3", "smollm3"}
)
"""`model_type` of the models that this was compared for with rows of their own (tests/test_training_prompts_once.py)"""
ATTENTIONS = frozenset({"eager", "sdpa"})
"""ways to compute attention that take a mask which says for each token what it sees"""


class Packed(NamedTuple):
    """Pairs with one row each. Shapes (pairs, tokens), the mask (pairs, 1, tokens, tokens): 0 or the lowest number."""

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor


def shares_prompts(model: PreTrainedModel, inputs: Mapping[str, torch.Tensor]) -> bool:
    """Whether reading each prompt once works for this model and these rows, and pays.

    It pays on a CPU, where time goes with the tokens read. It works where a token sees others by a mask only and where
    both answers follow the very same tokens. Layers of 4 bits are left to the trainer: they are packed when a model is
    first evaluated, which rounds them.
    """
    config = model.config.get_text_config()
    if model.device.type != "cpu" or getattr(config, "quantization_config", None):
        return False
    if config.model_type not in FAMILIES or config._attn_implementation not in ATTENTIONS:
        return False
    window = getattr(config, "sliding_window", None)
    return (not window or inputs["input_ids"].shape[1] <= window) and _alike(inputs)


def _alike(inputs: Mapping[str, torch.Tensor]) -> bool:
    """Whether the two rows of each pair begin with the same prompt and are their answer from there to the end."""
    ids, told = inputs["input_ids"], inputs["completion_mask"]
    starts, ends = told.argmax(-1), inputs["attention_mask"].sum(-1)
    places = torch.arange(ids.shape[1], device=ids.device)
    whole = (told.bool() == ((places >= starts[:, None]) & (places < ends[:, None]))).all()
    (first, second), (chosen, rejected) = starts.chunk(2), ids.chunk(2)
    prompt = places < first[:, None]
    return bool(
        whole and (first > 0).all() and (first == second).all() and (chosen == rejected)[prompt].all()
    )


def read_once(model: PreTrainedModel, *, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor,
              **how: Any) -> ModelOutput:  # noqa: ANN401 - the trainer's own switches  # fmt: skip
    """What the trainer's model says of rows it is called with (shape (2 * pairs, tokens), chosen ones first, padded on
    the right, `labels` -100 but in the answers), in the shapes it says it in: (2 * pairs, tokens - 1), 0 where not asked.
    """
    pairs, told = len(input_ids) // 2, labels[:, 1:] != -100
    packed = pack(input_ids, attention_mask, told, model.dtype)
    row, place = told.nonzero(as_tuple=True)
    behind = torch.where(row < pairs, 0, told[:pairs].sum(-1)[row % pairs])

    def only_told(_module: object, _args: object, out: ModelOutput) -> ModelOutput:
        out.last_hidden_state = out.last_hidden_state[row % pairs, place + behind][None]
        return out

    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    hook = inner.base_model.register_forward_hook(only_told)
    try:
        said = model(input_ids=packed.ids, attention_mask=packed.mask, position_ids=packed.positions,
                     shift_labels=labels[:, 1:][told][None], **how)  # fmt: skip
    finally:
        hook.remove()
    spread = {k: v.new_zeros(told.shape).masked_scatter(told, v) for k, v in said.items() if v.ndim == 2}
    return type(said)(**spread)


def pack(ids: torch.Tensor, seen: torch.Tensor, told: torch.Tensor, dtype: torch.dtype) -> Packed:
    """Prompt, chosen and rejected answer in one row; of each answer the last token is left out, as nothing follows it.

    The second answer begins with the prompt's last token once more, which is where its first token is told.
    """
    pairs = len(ids) // 2
    starts = told.int().argmax(-1)[:pairs, None, None]  # the prompt's last token
    ends = (seen.sum(-1) - 1).tolist()
    rows, positions = [], []
    for i, start in enumerate(starts.flatten().tolist()):
        chosen, rejected = range(ends[i]), range(start, ends[pairs + i])
        rows.append(torch.cat([ids[i, : ends[i]], ids[pairs + i, start : ends[pairs + i]]]))
        positions.append(torch.tensor([*chosen, *rejected], device=ids.device))
    packed = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    places = torch.arange(packed.shape[1], device=ids.device)
    query, key = places[None, :, None], places[None, None, :]
    second = torch.tensor(ends[:pairs], device=ids.device)[:, None, None]
    hidden = (key > query) | ((query >= second) & (key >= starts) & (key < second))
    mask = torch.zeros(hidden.shape, dtype=dtype, device=ids.device).masked_fill(
        hidden, torch.finfo(dtype).min
    )
    return Packed(packed, torch.nn.utils.rnn.pad_sequence(positions, batch_first=True), mask[:, None])
