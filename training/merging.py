"""An adapter folded into its base, checked against the adapter's own answers before it may serve.

Heavy. The base is loaded in 32 bits, the adapter added, and the sum rounded to the number type the base is kept
in. With `nf4` the base is first rounded to 4 bits and back, which is the base a QLoRA adapter was taught on: the
outcome is as large as with `base16`, and closer to the adapter over its 4-bit base. The written folder is then read back and held against base plus adapter on fixed prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from db.entities.catalog import Message
from db.errors import UserError
from training.folders import written_aside
from training.loading import attach_adapter, leave_unpacked, load_base, load_policy, quiet, stored_dtype
from training.settings import ModelFiles

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PROMPTS = (
    "What is the capital of France?",
    "Name three colours.",
    "Explain in two sentences why the sky is blue.",
    "Write one line of Python that prints the numbers from 1 to 10.",
)
NEW_TOKENS = 32
NF4, FOUR_BIT = "nf4", "4bit"
MODES = ("base16", NF4)
ALONE = "serve the base with its adapter instead"


@dataclass(frozen=True, slots=True)
class MergeReport:
    """How far the merged checkpoint is from base plus adapter.

    `max_difference` is the largest difference of a logit over all positions of the adapter's greedy answers to
    `prompts` fixed prompts; `same_texts` of them are word for word the same, and where one is not, the adapter's
    two best tokens were closer than rounding.
    """

    folder: Path
    dtype: str
    max_difference: float
    tolerance: float
    prompts: int
    same_texts: int


def merge(files: ModelFiles, out: Path, mode: str = "base16") -> MergeReport:
    """Write the merged checkpoint to `out`, which must not exist yet.

    UserError: nothing to merge, an unknown mode, or a result whose answers are not the adapter's; then `out` is
    not written.
    """
    import torch

    quiet()
    if not files.adapter:
        raise UserError(
            f"{files.source} has no adapter, there is nothing to merge", "name a model made by a LoRA run"
        )
    if mode not in MODES:
        raise UserError(f"there is no merge mode {mode!r}", f"use {' or '.join(MODES)}")
    dtype = stored_dtype(files.source)
    if mode == NF4:
        files = ModelFiles(files.source, files.adapter, FOUR_BIT)
    own, tokenizer = load_policy(files, dtype=torch.float32)
    if files.quantize == FOUR_BIT:
        leave_unpacked(own)  # else a CPU's own rounding to bfloat16 would hide what merging changes
    answers = [greedy(own, tokenizer, [{"role": "user", "content": text}]) for text in PROMPTS]
    expected = [logits_over(own, answer) for answer in answers]
    if mode == NF4:
        own = attach_adapter(rounded_base(files.source), files, trainable=False)
    elif files.quantize:  # weights rounded to 4 or 8 bits take no sum; the whole base does
        own = attach_adapter(load_base(files.source, dtype=torch.float32), files, trainable=False)
    merged = own.merge_and_unload().to(dtype)
    tolerance = tolerance_of(dtype)
    with written_aside(out) as aside:
        merged.save_pretrained(str(aside))
        tokenizer.save_pretrained(str(aside))
        # What is compared is what lies on disk, in the type it will be served in.
        again = load_base(str(aside), dtype=torch.float32).eval()
        pairs = [(mine, logits_over(again, answer)) for mine, answer in zip(expected, answers, strict=True)]
        report = MergeReport(
            folder=out,
            dtype=str(dtype).removeprefix("torch."),
            max_difference=float(torch.stack([(mine - its).abs().max() for mine, its in pairs]).max()),
            tolerance=tolerance,
            prompts=len(PROMPTS),
            same_texts=sum(
                same_text(mine, its, answer) for (mine, its), answer in zip(pairs, answers, strict=True)
            ),
        )
        rounded = bool(files.quantize) and mode != NF4
        remedy = "merge with --mode nf4, on the base it was taught on" if rounded else ALONE
        refuse_different(report, [tie_only(mine, its, tolerance) for mine, its in pairs], remedy)
    return report


def rounded_base(source: str) -> PreTrainedModel:
    """The base in 32 bits, rounded as 4-bit loading rounds it."""
    import torch

    return rounded(load_base(source, dtype=torch.float32), load_base(source, FOUR_BIT, torch.float32))


def rounded(whole: PreTrainedModel, packed: PreTrainedModel) -> PreTrainedModel:
    """The whole model with each weight that the 4-bit one holds packed set to what is read from there."""
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit

    for name, layer in packed.named_modules():
        if isinstance(layer, Linear4bit):
            mine = whole.get_submodule(name)
            values = dequantize_4bit(layer.weight.data, layer.weight.quant_state).to(mine.weight.dtype)
            # GPT-2 keeps its linear layers the other way round; in 4 bits they are as everyone's.
            mine.weight.data = values.T.contiguous() if type(mine).__name__ == "Conv1D" else values
    return whole


def refuse_different(report: MergeReport, ties_only: Sequence[bool], remedy: str = ALONE) -> None:
    """UserError where the merged model would answer differently from the adapter."""
    if not report.max_difference <= report.tolerance or not all(ties_only):  # a NaN must not pass
        raise UserError(
            f"the merged model does not answer as the adapter does: logits differ by {report.max_difference:.4f} "
            f"(at most {report.tolerance:g} is rounding) and {report.same_texts} of {report.prompts} answers are "
            "the same; it was not kept",
            remedy,
        )


def tolerance_of(dtype: torch.dtype) -> float:
    """How far a logit may move by rounding the weights: grows with the type's spacing around 1."""
    import torch

    return max(1e-3, 64 * float(torch.finfo(dtype).eps))


def greedy(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> Answer:
    """The model's likeliest answer, token by token."""
    import torch

    prompt = tokenizer.apply_chat_template(
        list(messages), add_generation_prompt=True, return_tensors="pt", return_dict=True
    ).to(model.device)
    with torch.no_grad():
        ids = model.generate(
            **prompt, do_sample=False, max_new_tokens=NEW_TOKENS, pad_token_id=tokenizer.pad_token_id
        )
    return Answer(ids, prompt["input_ids"].shape[1])


@dataclass(frozen=True, slots=True)
class Answer:
    """Prompt and answer tokens, shape (1, length), and where the answer begins."""

    ids: torch.Tensor
    start: int


def logits_over(model: PreTrainedModel, answer: Answer) -> torch.Tensor:
    """The logits that predict each answer token, shape (answer tokens, vocabulary)."""
    import torch

    with torch.no_grad():
        return model(answer.ids.to(model.device)).logits[0, answer.start - 1 : -1].float().cpu()


def same_text(mine: torch.Tensor, its: torch.Tensor, answer: Answer) -> bool:
    """Whether greedy decoding of both gives the same tokens (each step sees the same tokens so far)."""
    return bool((mine.argmax(-1) == its.argmax(-1)).all()) and len(mine) == answer.ids.shape[1] - answer.start


def tie_only(mine: torch.Tensor, its: torch.Tensor, tolerance: float) -> bool:
    """Whether the likeliest token differs only where the adapter's two best are closer than rounding moves them."""
    best = mine.topk(2, dim=-1).values
    clear = (best[:, 0] - best[:, 1]) > tolerance
    return bool((mine.argmax(-1) == its.argmax(-1))[clear].all())
