"""Kahneman-Tversky optimisation: one model, answers judged one by one. Heavy; read from top to bottom.

A good answer is to become likelier than it is to a frozen reference, a bad one less likely; the common drift of the
model, estimated from prompts with their neighbours' answers, counts as neither (2402.01306, eq. 7 and 8). The reference
is the model the policy starts from, and the first step proves it.
"""

import random
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice

import torch
from datasets import Dataset
from transformers import PreTrainedModel
from trl import KTOConfig, KTOTrainer

from db.entities.catalog import Split
from db.errors import UserError
from training.answers import Answer, look, read_answers, trainable
from training.following import follow
from training.loading import load_policy
from training.metrics import Metric
from training.proof import ReferenceProof, refuse_unproven, tolerance_for
from training.running import (
    Start,
    Trained,
    begin,
    common_arguments,
    findable,
    going_on_with_less,
    load_start,
    lora,
    memory_explained,
    result,
    save_policy,
)
from training.settings import KtoSettings, RunSpec


@going_on_with_less
def train(
    spec: RunSpec[KtoSettings],
    observe: Callable[[Metric], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Run the spec: `spec.folder` gets settings.json, metrics.jsonl and, if all goes well, model/.

    `observe` sees every log; `should_stop` is asked after each step and ends the run with `Cancelled`.
    UserError: rows that cannot train, another reference than the start, a model that does not load or fit, a first
    step that does not prove the reference, no memory, no disk.
    """
    if spec.reference not in (None, spec.start):
        raise UserError(
            "a kto run is held against the model it starts from",
            "leave --reference out, or use dpo, which takes another one",
        )
    with memory_explained(spec.settings):
        start = load_start(spec)
        report = look(read_answers(spec.rows), start.tokenizer, spec.settings)
        if report.trained and not (report.good and report.bad):
            there, lacking = ("good", "bad") if report.good else ("bad", "good")
            raise UserError(
                f"all {report.trained} answers are {there}, none is {lacking}",
                "collect votes that prefer one answer, or use `train sft` to learn answers as they stand",
            )
        begin(spec, report, "answers", split_prompts=report.split_prompts)
        trainer = build_trainer(spec, start, frozen_start(start, spec.settings))
        monitor = follow(trainer, spec, observe, should_stop, partial(proven, trainer, spec.settings))
        folder = save_policy(spec, trainer, start.tokenizer)
        return result(spec, trainer, monitor, report, folder, is_adapter=spec.settings.lora)


def frozen_start(start: Start, s: KtoSettings) -> PreTrainedModel | None:
    """A second model for full training; an adapter's base with the adapter off, or its frozen copy, needs none.

    Nor is one needed where the start itself is asked before anything is trained.
    """
    return None if s.lora or s.precompute else load_policy(start.files, dtype=start.dtype)[0]


def build_trainer(spec: RunSpec[KtoSettings], start: Start, reference: PreTrainedModel | None) -> KTOTrainer:
    """The trainer over the answers in a drawn order; fresh LoRA on a checkpoint, none on a model that has its adapter."""
    s = spec.settings
    rows = trainable(read_answers(spec.rows), start.tokenizer, s)
    rows = in_turns(rows, s.seed)
    taught, heldout = (
        findable(as_dataset(rows, part), spec, part.value) for part in (Split.TRAIN, Split.HELDOUT)
    )
    trainer = KTOTrainer(
        model=start.policy,
        ref_model=reference,
        args=KTOConfig(
            loss_type=s.loss.value,
            beta=s.beta,
            desirable_weight=s.good_weight,
            undesirable_weight=s.bad_weight,
            precompute_ref_log_probs=s.precompute,
            **common_arguments(s, spec.folder, taught.num_rows, heldout.num_rows),
        ),
        train_dataset=taught,
        eval_dataset=heldout if heldout.num_rows else None,
        processing_class=start.tokenizer,
        peft_config=lora(s) if s.lora and not start.files.adapter else None,
    )
    # On a quantised base the trainer rounds the trained adapter to bfloat16 but not its frozen copy.
    for name, parameter in trainer.model.named_parameters():
        if ".ref." in name:
            parameter.data = parameter.data.to(
                trainer.model.get_parameter(name.replace(".ref.", ".default.")).dtype
            )
    return trainer


def in_turns(rows: list[Answer], seed: int) -> list[Answer]:
    """The rows in a drawn order, good and bad ones spread evenly through it.

    The trainer goes through them as they stand, because it pairs neighbours; no batch should hold one side only.
    """
    draw = random.Random(seed)
    places = []
    for side in (True, False):
        mine = [row for row in rows if row.good is side]
        draw.shuffle(mine)
        places += [(i / len(mine), not side, row) for i, row in enumerate(mine)]
    return [row for *_, row in sorted(places, key=lambda place: place[:2])]


def as_dataset(rows: list[Answer], part: Split) -> Dataset:
    """The answers of one part with the three columns the trainer reads, and no other."""
    return Dataset.from_list(
        [{"prompt": list(r.prompt), "completion": list(r.completion), "label": r.good} for r in rows if r.part is part]
    )  # fmt: skip


def starting_loss(labels: list[bool], s: KtoSettings) -> float:
    """The loss of the first step where policy and reference are one model.

    Every log-ratio is 0 and so is the drift: each answer costs 1 - sigmoid(0) = 1/2, times its side's weight
    (2402.01306, eq. 8; the unpaired APO of 2408.06266, eq. 7, gives the same).
    """
    return sum(s.good_weight if good else s.bad_weight for good in labels) / (2 * len(labels))


def proven(trainer: KTOTrainer, s: KtoSettings, values: Mapping[str, float]) -> ReferenceProof:
    """The proof from the first step's log, or UserError and with it the end of the run.

    A step of one row has no margin: then the reward of its side stands for it, which must be 0 as well.
    """
    labels = [bool(b) for b in islice(trainer.train_dataset["label"], s.effective_batch)]
    rewards = [values[f"rewards/{side}"] for side in ("chosen", "rejected") if f"rewards/{side}" in values]
    margin = values.get("rewards/margins", max(rewards, key=abs, default=0.0))
    expected = starting_loss(labels, s)
    tolerance = tolerance_for(s, torch.cuda.is_available())
    ok = abs(margin) <= tolerance and abs(values["loss"] - expected) <= tolerance * max(1.0, expected)
    proof = ReferenceProof(margin, values["loss"], 0.0, expected, tolerance, ok)
    refuse_unproven(proof)
    return proof
