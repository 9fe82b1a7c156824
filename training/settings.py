"""What a training run is asked to do: one dataclass of settings for each kind of run. Pure.

Field names are the field's own (beta, learning_rate, lora_r ...).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from db.entities.catalog import Quantize
from db.entities.runs import RunKind
from db.errors import UserError


class DpoLoss(StrEnum):
    """The losses offered, by the trainer's own names."""

    SIGMOID = "sigmoid"
    SIGMOID_NORM = "sigmoid_norm"
    ROBUST = "robust"
    IPO = "ipo"
    HINGE = "hinge"
    APO_ZERO = "apo_zero"


class Schedule(StrEnum):
    """How the learning rate moves after the warm-up."""

    COSINE = "cosine"
    LINEAR = "linear"
    CONSTANT = "constant_with_warmup"


class KtoLoss(StrEnum):
    """The losses offered for answers judged one by one, by the trainer's own names."""

    KTO = "kto"
    APO_ZERO = "apo_zero_unpaired"


class Optimizer(StrEnum):
    """How the optimizer's two moments are kept: in 32 bits, in 8, or in 8 and moved out of a full GPU."""

    ADAMW = "adamw_torch"
    ADAMW_8BIT = "adamw_8bit"
    PAGED_ADAMW_8BIT = "paged_adamw_8bit"


class ReportTo(StrEnum):
    """The trackers a run can be written to as well, by the names of their packages."""

    NONE = "none"
    TENSORBOARD = "tensorboard"
    TRACKIO = "trackio"
    WANDB = "wandb"


Bound = tuple[str, bool, str]
"""key, within bounds, allowed in words"""


@dataclass(frozen=True, slots=True)
class Settings:
    """What every kind of run is set by.

    `max_length` counts prompt and answer together, in tokens. `eval_every` is in steps; 0 means once an epoch.
    `max_steps` 0 means as many as the epochs give. The reference is no setting: it belongs to the run. `patience`:
    after so many evaluations without a better held-out margin (loss, where there is none) the run stops, and its
    model is the one that was best; 0 trains to the end and keeps the last. `report_to` writes to a tracker too.
    """

    learning_rate: float = 5e-6
    epochs: float = 1.0
    max_steps: int = 0
    batch_size: int = 4
    gradient_accumulation: int = 4
    max_length: int = 1024
    warmup_ratio: float = 0.1
    schedule: Schedule = Schedule.COSINE
    optimizer: Optimizer = Optimizer.ADAMW
    max_grad_norm: float = 1.0
    lora: bool = True
    lora_r: int = 16
    lora_alpha: int = 32
    checkpointing: bool = False
    eval_every: int = 0
    patience: int = 0
    seed: int = 42
    quantize: Quantize | None = None
    report_to: ReportTo = ReportTo.NONE

    def __post_init__(self) -> None:
        for key, ok, allowed in self.bounds():
            if not ok:
                raise UserError(f"{key}={getattr(self, key)} is out of range", f"{key} must be {allowed}")
        if self.quantize and not self.lora:
            raise UserError("a quantised model cannot be trained in full", "set lora=true, or quantize=none")

    @property
    def effective_batch(self) -> int:
        """Rows that one step of the optimizer sees."""
        return self.batch_size * self.gradient_accumulation

    def bounds(self) -> list[Bound]:
        """What the keys may be: outside it a run makes no sense at all."""
        return [
            ("learning_rate", 0 < self.learning_rate < 1, "above 0 and below 1"),
            ("epochs", 0 < self.epochs <= 100, "above 0 and at most 100"),
            ("max_steps", self.max_steps >= 0, "0 (as many as the epochs give) or more"),
            ("batch_size", self.batch_size >= 1, "1 or more"),
            ("gradient_accumulation", self.gradient_accumulation >= 1, "1 or more"),
            ("max_length", self.max_length >= 16, "16 tokens or more"),
            ("warmup_ratio", 0 <= self.warmup_ratio < 1, "at least 0 and below 1"),
            ("max_grad_norm", self.max_grad_norm > 0, "above 0"),
            ("lora_r", self.lora_r >= 1, "1 or more"),
            ("lora_alpha", self.lora_alpha >= 1, "1 or more"),
            ("eval_every", self.eval_every >= 0, "0 (once an epoch) or more"),
            ("patience", self.patience >= 0, "0 (train to the end) or more"),
            ("seed", 0 <= self.seed < 2**32, "between 0 and 4294967295"),
        ]


@dataclass(frozen=True, slots=True)
class SftSettings(Settings):
    """The settings of a run that learns answers as they stand."""

    learning_rate: float = 2e-4


@dataclass(frozen=True, slots=True)
class DpoSettings(Settings):
    """The settings of one DPO run.

    `sft_weight` adds so many times the mean negative log-likelihood of a chosen token to the loss, which keeps what
    the model knew. `label_smoothing` acts in the robust loss only: it is the share of votes taken to be wrong.
    `precompute` asks the reference once, before the first step, instead of at every step: a second model is then let
    go before training, and an epoch costs a third less.
    """

    loss: DpoLoss = DpoLoss.SIGMOID
    beta: float = 0.1
    sft_weight: float = 0.0
    label_smoothing: float = 0.0
    precompute: bool = False

    def bounds(self) -> list[Bound]:
        """What the keys may be."""
        return [
            *Settings.bounds(self),
            ("beta", 0 < self.beta <= 10, "above 0 and at most 10"),
            ("sft_weight", 0 <= self.sft_weight <= 100, "between 0 and 100"),
            ("label_smoothing", 0 <= self.label_smoothing < 0.5, "at least 0 and below 0.5"),
        ]


@dataclass(frozen=True, slots=True)
class KtoSettings(Settings):
    """The settings of a run on answers judged one by one. The weights balance unequal numbers of good and bad ones.

    `precompute` asks the reference once, before the first step, as in DPO.
    """

    loss: KtoLoss = KtoLoss.KTO
    beta: float = 0.1
    good_weight: float = 1.0
    bad_weight: float = 1.0
    precompute: bool = False

    def bounds(self) -> list[Bound]:
        """What the keys may be. One row in memory at a time has no neighbour to estimate the drift from."""
        alone = self.loss is KtoLoss.KTO and self.batch_size < 2
        return [
            *Settings.bounds(self),
            ("batch_size", not alone, "2 or more with the kto loss"),
            ("beta", 0 < self.beta <= 10, "above 0 and at most 10"),
            ("good_weight", 0 < self.good_weight <= 100, "above 0 and at most 100"),
            ("bad_weight", 0 < self.bad_weight <= 100, "above 0 and at most 100"),
        ]


@dataclass(frozen=True, slots=True)
class RewardSettings(Settings):
    """The settings of a reward model's run.

    `margin` asks for that much more score between the answers of a pair that was voted "clearly" better, and half
    of it for "slightly"; votes that say neither ask for none. `center` pulls the mean score to 0 (2312.09244, eq. 2).
    """

    learning_rate: float = 1e-4
    margin: float = 1.0
    center: float = 0.01

    def bounds(self) -> list[Bound]:
        """What the keys may be."""
        return [
            *Settings.bounds(self),
            ("margin", 0 <= self.margin <= 10, "between 0 and 10"),
            ("center", 0 <= self.center <= 1, "between 0 and 1"),
        ]


SETTINGS_OF: dict[RunKind, type[Settings]] = {
    RunKind.SFT: SftSettings,
    RunKind.DPO: DpoSettings,
    RunKind.KTO: KtoSettings,
    RunKind.REWARD: RewardSettings,
}

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What a checkpoint is made of: a folder or hub id, at most one adapter over it, how its weights are held."""

    source: str
    adapter: str | None = None
    quantize: str | None = None


@dataclass(frozen=True, slots=True)
class RunSpec(Generic[S]):
    """One run as the trainer is handed it. `rows` is the snapshot file; `reference` None means the start itself."""

    kind: RunKind
    folder: Path
    rows: Path
    start: ModelFiles
    reference: ModelFiles | None
    settings: S


DpoSpec = RunSpec[DpoSettings]


def with_overrides(settings: S, overrides: Sequence[str]) -> S:
    """The settings with each `key=value` set, read by the field's type."""
    hints = get_type_hints(type(settings))
    changes: dict[str, Any] = {}
    for text in overrides:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or key not in hints:
            raise UserError(
                f"{text!r} sets nothing that is known", f"write key=value with one of {', '.join(hints)}"
            )
        changes[key] = _read(key, value.strip(), hints[key])
    return replace(settings, **changes)


def _read(key: str, text: str, kind: Any) -> Any:  # noqa: ANN401 - a value of any field's type
    """The value in `text` as the field's type; UserError names the key and what it takes."""
    if get_origin(kind) is UnionType:
        if text.lower() in ("none", ""):
            return None
        kind = next(k for k in get_args(kind) if k is not type(None))
    try:
        if kind is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                text.lower()
            ]
        value = kind(text)
    except (ValueError, KeyError):
        raise UserError(f"{key}={text} is not possible", f"{key} takes {_allowed(kind)}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{key}={text} is not possible", f"{key} takes {_allowed(kind)}")
    return value


def _allowed(kind: type) -> str:
    """What a field of this type takes, in words."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return "one of " + ", ".join(kind)
    return {bool: "true or false", int: "a whole number", float: "a number"}[kind]


def to_json(settings: Settings) -> str:
    """The settings as one JSON object with sorted keys."""
    return json.dumps(asdict(settings), sort_keys=True)


def from_mapping(stored: Mapping[str, object], kind: RunKind = RunKind.DPO) -> Settings:
    """The settings of values that were stored; a key it does not know, or a value of another type, is a UserError."""
    empty = SETTINGS_OF[kind]()
    known = {f.name for f in fields(empty)}
    if unknown := sorted(set(stored) - known):
        raise UserError(
            f"unknown settings {', '.join(unknown)}", f"the known ones are {', '.join(sorted(known))}"
        )
    return with_overrides(empty, [f"{key}={_as_text(value)}" for key, value in stored.items()])


def _as_text(value: object) -> str:
    """A JSON value in the form an override is written in."""
    return "none" if value is None else repr(value) if isinstance(value, float) else str(value)
