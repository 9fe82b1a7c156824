"""A reward model of one's own: scores answers so that those people chose come out higher. Heavy; read top to bottom.

The loss of a pair is -log sigmoid(score of chosen - score of rejected - margin), where the margin grows with how clear
the vote was (2204.05862 without, 2307.09288 eq. 2 with a margin). Answers are encoded exactly as the arena's scorer
reads them. What is written is a whole sequence-classification checkpoint, whatever was trained of it, so that
`judge --with reward --model` can load it.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import RewardConfig, RewardTrainer

from db.entities.catalog import Split
from db.errors import UserError
from training.folders import written_aside
from training.following import follow
from training.loading import load_scorer, quiet, working_dtype
from training.merging import FOUR_BIT, rounded
from training.metrics import Metric
from training.preflight import Row, read_rows
from training.running import (
    Trained,
    begin,
    common_arguments,
    gathered_weights,
    going_on_with_less,
    lora,
    memory_explained,
    result,
    save_whole,
)
from training.scoring import SIDES, encode_side, preflight_scored
from training.settings import RewardSettings, RunSpec
from training.together import first


@going_on_with_less
def train(
    spec: RunSpec[RewardSettings],
    observe: Callable[[Metric], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Run the spec: `spec.folder` gets settings.json, metrics.jsonl and, if all goes well, model/.

    `observe` sees every log; `should_stop` is asked after each step and ends the run with `Cancelled`.
    UserError: rows that cannot train, a model that does not load or fit, no memory, no disk.
    """
    quiet()
    s = spec.settings
    if spec.start.adapter:
        raise UserError(
            "a reward model starts from a whole checkpoint", "`merge` the adapter into its base first"
        )
    with memory_explained(s):
        torch.manual_seed(s.seed)  # the new head is drawn
        dtype = None if s.lora else torch.float32
        model, tokenizer = load_scorer(spec.start.source, s.quantize or spec.start.quantize, dtype)
        report = preflight_scored(read_rows(spec.rows), tokenizer, s)
        begin(spec, report, "pairs", split_prompts=report.split_prompts)
        trainer = build_trainer(spec, model, tokenizer)
        monitor = follow(trainer, spec, observe, should_stop)
        folder = save(spec, trainer, tokenizer)
        return result(spec, trainer, monitor, report, folder, is_adapter=False)


def build_trainer(
    spec: RunSpec[RewardSettings], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> RewardTrainer:
    """The trainer over the pairs, which it is handed in tokens; with LoRA the head is trained whole."""
    s = spec.settings
    rows = [row for row in read_rows(spec.rows) if not row.identical]
    taught, heldout = (as_dataset(rows, part, tokenizer, s) for part in (Split.TRAIN, Split.HELDOUT))
    trainer = RewardTrainer(
        model=model,
        args=RewardConfig(
            center_rewards_coefficient=s.center or None,
            **common_arguments(s, spec.folder, taught.num_rows, heldout.num_rows),
        ),
        train_dataset=taught,
        eval_dataset=heldout if heldout.num_rows else None,
        processing_class=tokenizer,
        peft_config=lora(s, "SEQ_CLS") if s.lora else None,
    )
    # On a quantised base the trainer rounds all that is trained to bfloat16, the head too, which reads wider numbers.
    for name, parameter in trainer.model.named_parameters():
        if "modules_to_save" in name:
            parameter.data = parameter.data.to(working_dtype())
    return trainer


def as_dataset(
    rows: list[Row], part: Split, tokenizer: PreTrainedTokenizerBase, s: RewardSettings
) -> Dataset:
    """The pairs of one part in tokens, as the scorer reads them, with the margin each must keep."""
    return Dataset.from_list([
        {**{f"{side}_ids": encode_side(tokenizer, r, side, s.max_length)[0] for side in SIDES},
         "margin": s.margin * r.clear}
        for r in rows if r.part is part
    ])  # fmt: skip


def save(spec: RunSpec[RewardSettings], trainer: RewardTrainer, tokenizer: PreTrainedTokenizerBase) -> Path:
    """Write the whole model in its start's number type, an adapter folded into the base it was taught on, unpacked."""
    folder = spec.folder / "model"
    weights = gathered_weights(trainer)
    if not first():
        return folder
    with written_aside(folder) as aside:
        model = trainer.model
        if spec.settings.lora:
            model.save_pretrained(str(aside / "adapter"), state_dict=weights)
            weights = None
            base, _ = load_scorer(spec.start.source, dtype=torch.float32)
            if (spec.settings.quantize or spec.start.quantize) == FOUR_BIT:  # the base it was taught on
                base = rounded(base, load_scorer(spec.start.source, FOUR_BIT, torch.float32)[0])
            model = PeftModel.from_pretrained(base, str(aside / "adapter")).merge_and_unload()
            for file in (aside / "adapter").iterdir():
                file.unlink()
            (aside / "adapter").rmdir()
        save_whole(model, weights, spec.start.source, aside)
        tokenizer.save_pretrained(str(aside))
    return folder
