"""What the runs of every kind share: the trainer's common arguments, the adapter, and what a run hands back. Heavy."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig

from db.errors import UserError
from training.monitoring import ReferenceProof
from training.settings import Settings


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows: used for training and evaluation, left out (dropped for length or identical), and cut."""

    trained: int
    evaluated: int
    dropped: int
    identical: int
    cut: int


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run made. `metrics` are the last value of each key; `notes` is what a reader should know of it.

    `reference_proof` is None for the kinds that have no reference.
    """

    model_folder: Path
    is_adapter: bool
    reference_proof: ReferenceProof | None
    metrics: dict[str, float]
    seconds: float
    steps: int
    counts: Counts
    plain_template: bool
    notes: tuple[str, ...]
    versions: dict[str, str]


def lora(s: Settings, task: str = "CAUSAL_LM") -> LoraConfig:
    """LoRA on every linear layer but the output, which the trainers read past."""
    return LoraConfig(
        r=s.lora_r,
        lora_alpha=s.lora_alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type=task,
    )


def common_arguments(s: Settings, folder: Path, trained: int, evaluated: int) -> dict[str, Any]:
    """What every trainer is told, in its own words. `trained` and `evaluated` count rows."""
    cuda = torch.cuda.is_available()
    if torch.cuda.device_count() > 1:
        raise UserError("more than one GPU is visible", "choose one, for example CUDA_VISIBLE_DEVICES=0")
    steps = s.max_steps or -(-trained // s.effective_batch) * s.epochs
    return {
        "output_dir": str(folder / "trainer"),
        "learning_rate": s.learning_rate,
        "num_train_epochs": s.epochs,
        "max_steps": s.max_steps or -1,
        "per_device_train_batch_size": s.batch_size,
        "per_device_eval_batch_size": even_batch(evaluated, s.batch_size),
        "gradient_accumulation_steps": s.gradient_accumulation,
        "max_length": s.max_length,
        "warmup_steps": s.warmup_ratio,
        "lr_scheduler_type": s.schedule.value,
        "max_grad_norm": s.max_grad_norm,
        "seed": s.seed,
        "data_seed": s.seed,
        "use_cpu": not cuda,
        "bf16": cuda and torch.cuda.is_bf16_supported(),
        "fp16": cuda and not torch.cuda.is_bf16_supported(),
        "activation_checkpointing": s.checkpointing,
        "gradient_checkpointing": s.checkpointing,
        "eval_strategy": "no" if not evaluated else "steps" if s.eval_every else "epoch",
        "eval_steps": s.eval_every or None,
        "eval_on_start": bool(evaluated),
        "logging_strategy": "steps",
        "logging_steps": max(1, int(steps // 500)),
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "dataloader_pin_memory": cuda,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def even_batch(rows: int, at_most: int) -> int:
    """A batch size that splits the rows evenly: the trainer averages batches, not rows, so ragged ones bias."""
    batches = -(-rows // at_most)
    return -(-rows // batches) if batches else at_most


def versions() -> dict[str, str]:
    """What the run was made with."""
    packages = ("trl", "transformers", "peft", "datasets", "torch")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
