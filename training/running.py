"""What the runs of every kind share: the trainer's common arguments, the adapter, and what a run hands back. Heavy."""

import gc
import json
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

import torch
from datasets import Dataset, load_from_disk
from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

from db.errors import UserError
from training.folders import written_aside
from training.loading import PLAIN_TEMPLATE, load_policy, quiet, stored_dtype
from training.monitoring import Monitor
from training.presets import warnings_for
from training.proof import ReferenceProof
from training.reporting import tracker_arguments
from training.settings import ModelFiles, Optimizer, RunSpec, Settings, to_json
from training.together import FOLDER, by_the_first, first, processes, shared

FEWEST = 2
RETRIES = 2
"""times a run that is out of memory goes on with a smaller batch"""

P = ParamSpec("P")
Spec = TypeVar("Spec", bound=RunSpec[Any])


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


class Report(Protocol):
    """What a pre-flight of any kind of rows says."""

    @property
    def train(self) -> int:
        """rows that are there to train on"""

    @property
    def trained(self) -> int:
        """rows that train"""

    @property
    def evaluated(self) -> int:
        """rows that are held out"""

    @property
    def dropped(self) -> tuple[int, ...]:
        """rows too long to train at all"""

    @property
    def identical(self) -> tuple[int, ...]:
        """rows that say nothing, or nothing new"""

    @property
    def cut(self) -> tuple[int, ...]:
        """rows that lose their end"""

    @property
    def problems(self) -> tuple[str, ...]:
        """what a person should know before starting"""


class Start(NamedTuple):
    """The model to train, its tokenizer, and what it was loaded from."""

    policy: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    files: ModelFiles
    dtype: torch.dtype | None


def load_start(spec: RunSpec[Any]) -> Start:
    """The language model a run starts from, ready to be trained; UserError where it cannot be."""
    quiet()
    s = spec.settings
    start = ModelFiles(spec.start.source, spec.start.adapter, s.quantize or spec.start.quantize)
    if start.adapter and not s.lora:
        raise UserError(
            "full training starts from a whole checkpoint",
            "merge the start's adapter first, or set lora=true",
        )
    # Rates as small as those of full training vanish in 16-bit weights.
    dtype = None if s.lora else torch.float32
    return Start(*load_policy(start, trainable=True, dtype=dtype), start, dtype)


class OutOfMemory(UserError):
    """A batch did not fit."""


@contextmanager
def memory_explained(s: Settings) -> Iterator[None]:
    """Turns running out of memory into one line that says what to set."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as e:
        raise OutOfMemory(
            f"out of memory with batches of {s.batch_size} rows of up to {s.max_length} tokens",
            f"set batch_size={max(1, s.batch_size // 2)} gradient_accumulation={s.gradient_accumulation * 2} "
            "checkpointing=true, or a shorter max_length",
        ) from e


def going_on_with_less(
    train: Callable[Concatenate[Spec, P], Trained],
) -> Callable[Concatenate[Spec, P], Trained]:
    """Let a run that is out of memory go on from its checkpoint with half the batch and twice the accumulation.

    A step of the optimizer still sees as many rows. At most twice; then, or where the batch cannot be halved, the
    OutOfMemory stands. What was changed is printed to the job's log and is the first of the run's notes.
    """

    @wraps(train)
    def run(spec: Spec, /, *args: P.args, **kwargs: P.kwargs) -> Trained:
        notes: list[str] = []
        while True:
            try:
                trained = train(spec, *args, **kwargs)
                break
            except OutOfMemory:
                smaller = halved(spec.settings)
                alone = (
                    processes() == 1
                )  # of several, all must begin again: whoever started them sees to that
                if smaller is None or len(notes) == RETRIES or not alone:
                    raise
            gc.collect()  # the models of the attempt, which the error's traceback had held
            torch.cuda.empty_cache()
            notes.append(f"out of memory: it goes on with batches of {smaller.batch_size} instead of "
                         f"{spec.settings.batch_size}, and {smaller.gradient_accumulation} of them a step")  # fmt: skip
            print(notes[-1], file=sys.stderr)
            spec = replace(spec, settings=smaller)
        return write_result(spec, replace(trained, notes=(*notes, *trained.notes))) if notes else trained

    return run


def halved(s: Settings) -> Settings | None:
    """The settings with half the batch (an odd one becomes 1) and as many rows a step; None where that is not possible."""
    size = s.batch_size // 2 if s.batch_size % 2 == 0 else 1
    if s.batch_size == 1:
        return None
    try:
        return replace(
            s, batch_size=size, gradient_accumulation=s.gradient_accumulation * s.batch_size // size
        )
    except UserError:  # the kind of run needs a larger batch
        return None


def begin(spec: RunSpec[Any], report: Report, rows: str, *, split_prompts: tuple[int, ...]) -> None:
    """Refuse rows no honest run can start from (UserError), then write down what the run is set by."""
    if split_prompts:
        raise UserError(
            f"{len(split_prompts)} {rows} have a prompt that both trains and is held out",
            "freeze the snapshot again, so that each prompt stands on one side",
        )
    if report.trained < FEWEST:
        reasons = "; ".join(report.problems)
        raise UserError(
            f"{report.trained} of {report.train} {rows} can train" + (f" ({reasons})" if reasons else ""),
            f"give at least {FEWEST} {rows} on prompts that are not held out",
        )
    spec.folder.mkdir(parents=True, exist_ok=True)
    if first():
        (spec.folder / "settings.json").write_text(to_json(spec.settings) + "\n", encoding="utf-8")


def save_policy(spec: RunSpec[Any], trainer: Trainer, tokenizer: PreTrainedTokenizerBase) -> Path:
    """Write the adapter (or the whole model, in its start's number type) with its tokenizer; sealed at the end."""
    folder = spec.folder / "model"
    weights = gathered_weights(trainer)
    if not first():
        return folder
    with written_aside(folder) as aside:
        if spec.settings.lora:
            # Naming the adapter leaves the frozen copy `ref` out.
            trainer.model.save_pretrained(str(aside), selected_adapters=["default"], state_dict=weights)
        else:
            save_whole(trainer.model, weights, spec.start.source, aside)
        tokenizer.save_pretrained(str(aside))
    return folder


def save_whole(
    model: PreTrainedModel, weights: Mapping[str, torch.Tensor] | None, source: str, folder: Path
) -> None:
    """Write a model, or the weights gathered of it, in the number type its start is kept in."""
    dtype = stored_dtype(source)
    if weights is None:
        model.to(dtype).save_pretrained(str(folder))
    else:
        model.save_pretrained(
            str(folder),
            state_dict={n: w.to(dtype) if w.is_floating_point() else w for n, w in weights.items()},
        )


def gathered_weights(trainer: Trainer) -> dict[str, torch.Tensor] | None:
    """The weights of all processes where each holds a part (FSDP, DeepSpeed); None where each holds them all."""
    if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return None
    found: dict[str, torch.Tensor] = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return found


def result(
    spec: RunSpec[Any], trainer: Trainer, monitor: Monitor, report: Report, folder: Path, *, is_adapter: bool
) -> Trained:
    """What a run hands back, written beside its model as result.json."""
    trained = Trained(
        model_folder=folder,
        is_adapter=is_adapter,
        reference_proof=monitor.proof,
        metrics=monitor.last,
        seconds=monitor.seconds,
        steps=trainer.state.global_step,
        counts=Counts(
            report.trained, report.evaluated, len(report.dropped), len(report.identical), len(report.cut)
        ),
        plain_template=trainer.processing_class.chat_template == PLAIN_TEMPLATE,
        notes=report.problems + warnings_for(spec.settings, report.trained) + tuple(monitor.notes),
        versions=versions(),
    )
    return write_result(spec, trained)


def write_result(spec: RunSpec[Any], trained: Trained) -> Trained:
    """What the run hands back, also as result.json in its folder."""
    if first():
        (spec.folder / "result.json").write_text(
            json.dumps(asdict(trained), default=str) + "\n", encoding="utf-8"
        )
    return trained


def read_result(spec: RunSpec[Any]) -> Trained:
    """What `write_result` wrote."""
    read = json.loads((spec.folder / "result.json").read_text(encoding="utf-8"))
    proof = read.pop("reference_proof")
    return Trained(
        model_folder=Path(read.pop("model_folder")), counts=Counts(**read.pop("counts")),
        reference_proof=ReferenceProof(**proof) if proof else None, notes=tuple(read.pop("notes")), **read,
    )  # fmt: skip


def findable(rows: Dataset, spec: RunSpec[Any], part: str) -> Dataset:
    """The rows as a file in the run's folder, where a run has several processes: one of them adds to it what the
    reference says, asked beforehand, and the others read it. In a single process they stay in memory.
    """
    if processes() == 1 or not rows.num_rows:
        return rows
    folder = spec.folder / FOLDER / part
    by_the_first(lambda: rows.save_to_disk(str(folder)))
    return load_from_disk(str(folder))


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
    if torch.cuda.device_count() > 1 and processes() == 1:
        raise UserError("more than one GPU is visible", "choose one, for example CUDA_VISIBLE_DEVICES=0")
    if s.optimizer is Optimizer.PAGED_ADAMW_8BIT and not cuda:
        raise UserError("the paged optimizer moves its state out of a full GPU, and there is no GPU here",
                        "set optimizer=adamw_8bit, or adamw_torch")  # fmt: skip
    steps = s.max_steps or -(-trained // s.effective_batch) * s.epochs
    share = shared(s.batch_size, s.gradient_accumulation)
    if share is None:
        raise UserError(f"{s.effective_batch} rows a step cannot be shared by {processes()} processes",
                        f"make batch_size times gradient_accumulation a multiple of {processes()}")  # fmt: skip
    batch, accumulation = share
    return {
        "output_dir": str(folder / "trainer"),
        "learning_rate": s.learning_rate,
        "num_train_epochs": s.epochs,
        "max_steps": s.max_steps or -1,
        "per_device_train_batch_size": batch,
        "per_device_eval_batch_size": even_batch(evaluated, s.batch_size),
        "gradient_accumulation_steps": accumulation,
        "max_length": s.max_length,
        "warmup_steps": s.warmup_ratio,
        "optim": s.optimizer.value,
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
        "ddp_find_unused_parameters": False,
        "save_strategy": "no",
        **tracker_arguments(s.report_to, folder),
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
