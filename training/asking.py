"""Asking a reference once, before the first step: each prompt is read a single time for both of its answers. Heavy."""

from collections.abc import Mapping

import torch
from transformers import DynamicCache, PreTrainedModel


def shares_prompts(model: PreTrainedModel, inputs: Mapping[str, torch.Tensor]) -> bool:
    """Whether reading a prompt once for both answers works for this model, and pays.

    It pays on a CPU, where time goes with the tokens read; a GPU is faster with whole batches. It works where the model
    keeps what it has read as keys and values of every token, and where both answers follow the very same tokens. Layers
    of 4 bits are left to the trainer: they are packed when a model is first evaluated, which rounds them.
    """
    config = model.config.get_text_config()
    if model.device.type != "cpu" or getattr(config, "quantization_config", None):
        return False
    if not model._supports_default_dynamic_cache() or getattr(config, "sliding_window", None):
        return False
    return all(_shared(inputs, i) > 1 for i in range(len(inputs["input_ids"]) // 2))


def _shared(inputs: Mapping[str, torch.Tensor], pair: int) -> int:
    """How many tokens the prompt of a pair has; 0 where its two rows do not begin with the same ones."""
    chosen, rejected = inputs["input_ids"][pair :: len(inputs["input_ids"]) // 2]
    starts = inputs["completion_mask"][pair :: len(inputs["input_ids"]) // 2].argmax(-1).tolist()
    same = starts[0] == starts[1] and torch.equal(chosen[: starts[0]], rejected[: starts[0]])
    return int(starts[0]) if same else 0


def answer_logps_once(model: PreTrainedModel, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """log p(answer | prompt) of each sequence, shape (2 * pairs,), chosen ones first, as the rows come.

    Rows are padded on the right. The prompt but its last token is read once and its keys and values serve both answers.
    """
    pairs = len(inputs["input_ids"]) // 2
    found = torch.zeros(2, pairs)
    for pair in range(pairs):
        ids, seen, answer = (
            inputs[k][pair::pairs] for k in ("input_ids", "attention_mask", "completion_mask")
        )
        longest, start = int(seen.sum(-1).max()), _shared(inputs, pair) - 1
        cache = DynamicCache(config=model.config)
        model(input_ids=ids[:1, :start], past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(2)
        logits = model(
            input_ids=ids[:, start:longest],
            attention_mask=seen[:, :longest],
            past_key_values=cache,
            use_cache=True,
        ).logits
        logps = logits[:, :-1].float().log_softmax(-1).gather(-1, ids[:, start + 1 : longest, None])[..., 0]
        found[:, pair] = (logps * answer[:, start + 1 : longest]).sum(-1)
    return found.flatten()
