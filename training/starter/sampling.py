"""Answers of a starter model, in batches on the CPU (heavy: torch and transformers).

The arena has its own player for any model; this one keeps the recipe free of everything but the models.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

BATCH = 100


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn."""

    temperature: float = 0.8
    top_p: float = 1.0
    max_new_tokens: int = 96
    min_new_tokens: int = 2  # an answer is never empty
    seed: int = 0

    def to_dict(self) -> dict[str, float]:
        """The settings as stored beside a response."""
        return asdict(self)


class Answer(NamedTuple):
    """An answer and why it ended: 'stop' or 'length'."""

    text: str
    finish_reason: str


def load(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model (float32, as half precision is slow on CPUs) and tokenizer of a checkpoint folder."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def respond(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], sampling: Sampling
) -> list[Answer]:
    """One answer a prompt, drawn in batches through the chat template, left-padded."""
    torch.manual_seed(sampling.seed)
    answers: list[Answer] = []
    for start in range(0, len(prompts), BATCH):
        chats = [[{"role": "user", "content": text}] for text in prompts[start : start + BATCH]]
        inputs = tokenizer.apply_chat_template(
            chats, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
        )
        drawn = model.generate(
            **inputs, do_sample=True, temperature=sampling.temperature, top_p=sampling.top_p, top_k=0,
            max_new_tokens=sampling.max_new_tokens,
            min_new_tokens=sampling.min_new_tokens, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        for tokens in drawn[:, inputs["input_ids"].shape[1] :]:
            ended = bool((tokens == tokenizer.eos_token_id).any())
            text = tokenizer.decode(tokens, skip_special_tokens=True).strip()
            answers.append(Answer(text, "stop" if ended else "length"))
    return answers


def score(folder: Path, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
    """The reward model's logit for each answer; only differences between answers mean something."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    scores: list[float] = []
    for start in range(0, len(prompts), BATCH):
        chats = [
            [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
            for asked, said in zip(
                prompts[start : start + BATCH], responses[start : start + BATCH], strict=True
            )
        ]
        inputs = tokenizer.apply_chat_template(chats, padding=True, return_tensors="pt", return_dict=True)
        with torch.inference_mode():
            scores += model(**inputs).logits[:, 0].tolist()
    return scores
