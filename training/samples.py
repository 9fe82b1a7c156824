"""What a model says while it learns: a few fixed prompts, answered at the start, halfway and at the end.

With each look the page can show the answers side by side, and the alarms can tell whether answers grow longer, repeat
themselves or no longer end. Greedy, so that two looks differ by the model alone. Heavy inside the functions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from db.entities.catalog import Message
from db.files import written_file

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FILE = "samples.jsonl"
PROMPTS = 4
FEWEST_TOKENS, MOST_TOKENS = 16, 256
"""bounds of an answer's length, which is otherwise a quarter of the longest row"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer after a step. `repetition` is the share of its runs of three tokens that had come before in it."""

    step: int
    prompt: str
    text: str
    tokens: int
    stopped: bool
    repetition: float


def fixed_prompts(rows: Path, at_most: int = PROMPTS) -> list[list[Message]]:
    """The first different prompts of a snapshot file: held-out ones, or those that train where there are none."""
    found: dict[str, dict[str, list[Message]]] = {"heldout": {}, "train": {}}
    with rows.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            found[row["part"]].setdefault(json.dumps(row["prompt"]), row["prompt"])
    return list((found["heldout"] or found["train"]).values())[:at_most]


def answer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[Message]],
    step: int,
    max_length: int,
) -> list[Sample]:
    """The model's greedy answers; a prompt longer than half of `max_length` is left out."""
    import torch
    from transformers import GenerationConfig

    asked = [(p, _ids(tokenizer, p)) for p in prompts]
    asked = [(p, ids) for p, ids in asked if len(ids) <= max_length // 2]
    if not asked:
        return []
    width, pad = max(len(ids) for _, ids in asked), tokenizer.pad_token_id
    config = GenerationConfig(
        do_sample=False, max_new_tokens=min(MOST_TOKENS, max(FEWEST_TOKENS, max_length // 4)),
        pad_token_id=pad, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    with torch.no_grad():
        out = model.generate(
            input_ids=torch.tensor([[pad] * (width - len(i)) + i for _, i in asked], device=model.device),
            attention_mask=torch.tensor(
                [[0] * (width - len(i)) + [1] * len(i) for _, i in asked], device=model.device
            ),
            generation_config=config,
        )[:, width:].tolist()
    return [_sample(tokenizer, p, ids, step) for (p, _), ids in zip(asked, out, strict=True)]


def _ids(tokenizer: PreTrainedTokenizerBase, prompt: list[Message]) -> list[int]:
    text = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _sample(tokenizer: PreTrainedTokenizerBase, prompt: list[Message], ids: list[int], step: int) -> Sample:
    stopped = tokenizer.eos_token_id in ids
    said = ids[: ids.index(tokenizer.eos_token_id)] if stopped else ids
    text = tokenizer.decode(said, skip_special_tokens=True).strip()
    return Sample(step, str(prompt[-1]["content"]), text, len(said), stopped, round(repetition(said), 4))


def repetition(ids: Sequence[int], n: int = 3) -> float:
    """The share of runs of n tokens that had come before: 0 where nothing repeats, near 1 in a loop."""
    runs = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def figures(samples: Sequence[Sample]) -> dict[str, float]:
    """The samples of one look as metrics: mean tokens, share that ended by itself, mean repetition."""
    n = len(samples)
    return {} if not n else {
        "samples/tokens": sum(s.tokens for s in samples) / n,
        "samples/stopped": sum(s.stopped for s in samples) / n,
        "samples/repetition": sum(s.repetition for s in samples) / n,
    }  # fmt: skip


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """The model in evaluation mode while the block runs, then as it was."""
    was = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was)


def write(run: Path, samples: Sequence[Sample]) -> None:
    """Add the samples of one look to the run's file."""
    with (run / FILE).open("a", encoding="utf-8") as file:
        file.writelines(_lines(samples))


def _lines(samples: Sequence[Sample]) -> Iterator[str]:
    return (json.dumps(asdict(s)) + "\n" for s in samples)


def read_samples(run: Path, up_to: int | None = None) -> list[Sample]:
    """The samples a run has so far, as they were taken; a line still being written is left for the next reading."""
    path = run / FILE
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.is_file() else []
    found = [Sample(**json.loads(line)) for line in lines]
    return [s for s in found if up_to is None or s.step <= up_to]


def cut_after(run: Path, step: int | None) -> None:
    """Forget the samples after a step (None: all of them): the run takes those steps again."""
    kept = [] if step is None else read_samples(run, step)
    if not kept:
        (run / FILE).unlink(missing_ok=True)
        return
    with written_file(run / FILE) as aside:
        aside.write_text("".join(_lines(kept)), encoding="utf-8")
