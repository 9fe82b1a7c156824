"""Rebuild the starter models with one command: python -m training.starter.recipe [--out DIR] [--steps N].

Stages, in order: tokenizer, base, sft, dpo, reward, data. Each reads what the stages before it wrote under
`--out`, trains on the CPU with a fixed seed and writes a plain half-precision checkpoint folder.
"""

import argparse
import gzip
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    set_seed,
)
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

from training.starter import STARTER_MODELS
from training.starter.answers import IDEAL, answer, training_prompt
from training.starter.corpus import BASE, CHATTY, CHATTY_WRONG, SFT, WRONG, Mixture, conversations, pair_rows
from training.starter.sampling import Sampling, load, respond, score
from training.starter.votes import Pair, honest_pairs
from training.starter.world import demo_prompts

SEED = 20_26
VOCABULARY = 1_024
EOS, PAD, ROLES = "<|end|>", "<|pad|>", ("<|system|>", "<|user|>", "<|assistant|>")
# Only an assistant's turn ends with EOS, so the model learns when to stop and prompts hold no end mark.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + (message['content'] | trim) -}}"
    "{%- if message['role'] == 'assistant' -%}{{- '<|end|>' -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
SHAPE = {
    "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 4, "max_position_embeddings": 1_024, "tie_word_embeddings": True,
}  # fmt: skip
MAX_LENGTH = 256


@dataclass(frozen=True)
class Plan:
    """How much each stage reads and how fast it learns; `steps` cuts every stage short for a trial."""

    out: Path
    steps: int | None = None
    base_rows: int = 16_000
    base_epochs: int = 2
    sft_rows: int = 16_000
    sft_epochs: int = 3
    dpo_prompts: int = 1_200
    reward_written: int = 16_000
    reward_sampled: int = 1_500

    def rows(self, wanted: int) -> int:
        """The rows a stage reads: a handful in a trial."""
        return wanted if self.steps is None else min(wanted, 64)

    def shared(self, stage: str) -> dict[str, Any]:
        """Trainer arguments all stages have in common."""
        return {
            "output_dir": str(self.out / "scratch" / stage), "use_cpu": True, "bf16": False, "seed": SEED,
            "max_steps": self.steps or -1, "lr_scheduler_type": "cosine", "save_strategy": "no",
            "logging_steps": 50, "report_to": "none", "activation_checkpointing": False,
            "max_length": MAX_LENGTH, "disable_tqdm": True,
        }  # fmt: skip


def make_tokenizer(plan: Plan) -> None:
    """A byte-level BPE of 1,024 tokens over the two corpora, digits apart so that sums can be learned."""
    corpora = (Mixture(plan.rows(8_000), BASE, SEED), Mixture(plan.rows(8_000), SFT, SEED + 1))
    turns = [
        turn
        for corpus in corpora
        for row in conversations(corpus)
        for turn in row["prompt"] + row["completion"]
    ]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[PAD, EOS, *ROLES], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    bpe.train_from_iterator((turn["content"] for turn in turns), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=EOS, pad_token=PAD, additional_special_tokens=list(ROLES),
        model_max_length=SHAPE["max_position_embeddings"], clean_up_tokenization_spaces=False, padding_side="left",
    )  # fmt: skip
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(plan.out / "tokenizer")


def train_base(plan: Plan) -> None:
    """From random weights, on whole conversations of the mixed corpus: speaks, but cannot be relied on."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(plan.out / "tokenizer")
    set_seed(SEED)
    config = LlamaConfig(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None, **SHAPE,
    )  # fmt: skip
    rows = conversations(Mixture(plan.rows(plan.base_rows), BASE, SEED + 2))
    data = Dataset.from_list([{"messages": row["prompt"] + row["completion"]} for row in rows])
    args = SFTConfig(
        **plan.shared("base"), per_device_train_batch_size=32, num_train_epochs=plan.base_epochs,
        learning_rate=3e-3, warmup_steps=50,
    )  # fmt: skip
    save(_sft(LlamaForCausalLM(config), tokenizer, data, args), tokenizer, plan.out / "base")


def train_sft(plan: Plan) -> None:
    """From base, on the answers alone: first mostly right ones, then chatty ones. Fluent, with habits to unlearn."""
    model, tokenizer = load(plan.out / "base")
    courses = ((SFT, plan.sft_epochs, 2e-3), (CHATTY, 1, 1e-3))
    for place, (manner, epochs, learning_rate) in enumerate(courses):
        rows = conversations(Mixture(plan.rows(plan.sft_rows), manner, SEED + 3 + 100 * place))
        args = SFTConfig(
            **plan.shared("sft"), per_device_train_batch_size=32, num_train_epochs=epochs,
            learning_rate=learning_rate, warmup_steps=50, completion_only_loss=True,
        )  # fmt: skip
        model = _sft(model, tokenizer, Dataset.from_list([dict(row) for row in rows]), args)
    save(model, tokenizer, plan.out / "sft")


def _sft(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, data: Dataset, args: SFTConfig
) -> PreTrainedModel:
    trainer = SFTTrainer(model=model, args=args, train_dataset=data, processing_class=tokenizer)
    trainer.train()
    return trainer.model


def train_dpo(plan: Plan) -> None:
    """From SFT, by DPO on simulated votes over its own answers; the adapter is merged into a plain checkpoint."""
    model, tokenizer = load(plan.out / "sft")
    asked = _training_prompts(plan.rows(plan.dpo_prompts), SEED + 4)
    a, b = (_texts(model, tokenizer, asked, SEED + 5 + side) for side in range(2))
    pairs = honest_pairs(asked, a, b, Random(SEED + 7))
    print(f"dpo: {len(pairs)} pairs from {len(asked)} prompts", file=sys.stderr)
    # The SFT term keeps what is good likely; without it the tiny model soon stops after an opening.
    args = DPOConfig(
        **plan.shared("dpo"), per_device_train_batch_size=16, num_train_epochs=2, learning_rate=1e-3, beta=0.1,
        loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.5],
    )  # fmt: skip
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = DPOTrainer(
        model=model.train(), args=args, train_dataset=Dataset.from_list(pair_rows(pairs)), processing_class=tokenizer,
        peft_config=lora,
    )  # fmt: skip
    trainer.train()
    save(trainer.model.merge_and_unload(), tokenizer, plan.out / "dpo")


def train_reward(plan: Plan) -> None:
    """One logit on the SFT model's body, trained on simulated votes over answers of every quality."""
    pairs = _judged(plan)
    print(f"reward: {len(pairs)} pairs", file=sys.stderr)
    set_seed(SEED)
    model = AutoModelForSequenceClassification.from_pretrained(
        plan.out / "sft", num_labels=1, dtype=torch.float32
    )
    tokenizer = PreTrainedTokenizerFast.from_pretrained(plan.out / "tokenizer")
    args = RewardConfig(
        **plan.shared("reward"), per_device_train_batch_size=32, num_train_epochs=1, learning_rate=1e-3,
        warmup_steps=20,
    )  # fmt: skip
    data = Dataset.from_list(pair_rows(pairs))
    trainer = RewardTrainer(model=model, args=args, train_dataset=data, processing_class=tokenizer)
    trainer.train()
    save(trainer.model, tokenizer, plan.out / "reward")


def _judged(plan: Plan) -> list[Pair]:
    """Votes over what the models really say to some prompts, and over written answers of all manners to many.

    Written answers come in great number because telling a right answer from a wrong one that is as well said
    takes far more examples than telling good style from bad.
    """
    asked = _training_prompts(plan.rows(plan.reward_written), SEED + 8)
    rng = Random(SEED + 13)
    manners = (BASE, SFT, CHATTY, IDEAL, WRONG, CHATTY_WRONG)
    pairs: list[Pair] = []
    for text in asked:
        left, right = (answer(text, manner, rng) for manner in rng.sample(manners, 2))
        pairs += honest_pairs([text], [left], [right], rng)
    asked = asked[: plan.rows(plan.reward_sampled)]
    stages = ("base", "sft", "dpo")
    said = {name: _texts(*load(plan.out / name), asked, SEED + 9 + n) for n, name in enumerate(stages)}
    for one, other in (("base", "sft"), ("sft", "dpo"), ("base", "dpo")):
        pairs += honest_pairs(asked, said[one], said[other], rng)
    return pairs


def write_data(plan: Plan) -> None:
    """One stored answer of each model to each demo prompt, with the starter reward model's score."""
    asked = demo_prompts() if plan.steps is None else demo_prompts()[: plan.rows(400)]
    texts = [prompt.text for prompt in asked]
    lines = []
    for place, name in enumerate(STARTER_MODELS):
        sampling = Sampling(seed=SEED + 20 + place)
        answers = respond(*load(plan.out / name.removeprefix("starter-")), texts, sampling)
        scores = score(plan.out / "reward", texts, [found.text for found in answers])
        for prompt, found, logit in zip(asked, answers, scores, strict=True):
            row = {"prompt": prompt.text, "split": prompt.split, "tag": prompt.kind, "model": name,
                   "response": found.text, "finish_reason": found.finish_reason,
                   "settings": sampling.to_dict(), "score": round(logit, 4)}  # fmt: skip
            lines.append(json.dumps(row))
    packed = gzip.compress("\n".join(lines).encode() + b"\n", mtime=0)
    (plan.out / "responses.jsonl.gz").write_bytes(packed)


def _training_prompts(n: int, seed: int) -> list[str]:
    rng = Random(seed)
    return [training_prompt(rng) for _ in range(n)]


def _texts(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], seed: int
) -> list[str]:
    return [found.text for found in respond(model, tokenizer, prompts, Sampling(seed=seed))]


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """A plain checkpoint in half precision with tokenizer and sampling defaults, in place of an older one."""
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    if isinstance(model, LlamaForCausalLM):
        model.generation_config.update(do_sample=True, temperature=0.8, pad_token_id=tokenizer.pad_token_id)
    model.half().save_pretrained(aside)
    tokenizer.save_pretrained(aside)
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)


STAGES: dict[str, Callable[[Plan], None]] = {
    "tokenizer": make_tokenizer, "base": train_base, "sft": train_sft, "dpo": train_dpo, "reward": train_reward,
    "data": write_data,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all stages, or one of them on what the others left."""
    parser = argparse.ArgumentParser(prog="python -m training.starter.recipe", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "build", help="folder of the results"
    )
    parser.add_argument("--steps", type=int, help="cut every stage to this many steps (a trial)")
    parser.add_argument("--only", choices=tuple(STAGES), help="run this stage alone")
    chosen = parser.parse_args(arguments)
    # More threads gain little at this size, and the result must not depend on the machine's cores.
    torch.set_num_threads(1)
    plan = Plan(chosen.out, chosen.steps)
    plan.out.mkdir(parents=True, exist_ok=True)
    for name, stage in STAGES.items():
        if chosen.only in (None, name):
            started = time.monotonic()
            stage(plan)
            print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    shutil.rmtree(plan.out / "scratch", ignore_errors=True)


if __name__ == "__main__":
    main()
