"""Supervised fine-tuning: one model learns answers as they stand. Heavy; read from top to bottom.

The loss is the mean negative log-likelihood of an answer's tokens, given its prompt: prompt and padding carry none. The
answers are those of a file, the chosen sides of pairs, and what raters wrote; a bad answer is never read.
"""

from collections.abc import Callable

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from db.entities.catalog import Split
from training.answers import Answer, look, read_answers, trainable
from training.following import follow
from training.metrics import Metric
from training.running import (
    Start,
    Trained,
    begin,
    common_arguments,
    going_on_with_less,
    load_start,
    lora,
    memory_explained,
    result,
    save_policy,
)
from training.settings import RunSpec, SftSettings


@going_on_with_less
def train(
    spec: RunSpec[SftSettings],
    observe: Callable[[Metric], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Run the spec: `spec.folder` gets settings.json, metrics.jsonl and, if all goes well, model/.

    `observe` sees every log; `should_stop` is asked after each step and ends the run with `Cancelled`.
    UserError: rows that cannot train, a model that does not load or fit, no memory, no disk.
    """
    with memory_explained(spec.settings):
        start = load_start(spec)
        report = look(read_answers(spec.rows, good_only=True), start.tokenizer, spec.settings)
        begin(spec, report, "answers", split_prompts=report.split_prompts)
        trainer = build_trainer(spec, start)
        monitor = follow(trainer, spec, observe, should_stop)
        folder = save_policy(spec, trainer, start.tokenizer)
        return result(spec, trainer, monitor, report, folder, is_adapter=spec.settings.lora)


def build_trainer(spec: RunSpec[SftSettings], start: Start) -> SFTTrainer:
    """The trainer over the good answers; fresh LoRA on a checkpoint, none on a model that has its adapter."""
    s = spec.settings
    rows = trainable(read_answers(spec.rows, good_only=True), start.tokenizer, s)
    taught, heldout = as_dataset(rows, Split.TRAIN), as_dataset(rows, Split.HELDOUT)
    return SFTTrainer(
        model=start.policy,
        args=SFTConfig(
            completion_only_loss=True,
            packing=False,
            **common_arguments(s, spec.folder, taught.num_rows, heldout.num_rows),
        ),
        train_dataset=taught,
        eval_dataset=heldout if heldout.num_rows else None,
        processing_class=start.tokenizer,
        peft_config=lora(s) if s.lora and not start.files.adapter else None,
    )


def as_dataset(rows: list[Answer], part: Split) -> Dataset:
    """The answers of one part with the two columns the trainer reads, and no other."""
    return Dataset.from_list(
        [{"prompt": list(r.prompt), "completion": list(r.completion)} for r in rows if r.part is part]
    )
