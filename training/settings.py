"""What a training run is asked to do: its settings, their presets and safe bands. Pure.

Field names are the field's own (beta, learning_rate, lora_r ...). Later kinds of run (sft, kto, reward)
get a dataclass of their own beside `DpoSettings`; the functions below take any of them.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from db.entities import Quantize, RunKind
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


@dataclass(frozen=True, slots=True)
class DpoSettings:
    """The settings of one DPO run.

    `max_length` counts prompt and answer together, in tokens. `sft_weight` adds so many times the mean negative
    log-likelihood of a chosen token to the loss, which keeps what the model knew. `label_smoothing` acts in the robust loss only:
    it is the share of votes taken to be wrong. `eval_every` is in steps; 0 means once an epoch. `max_steps` 0
    means as many as the epochs give. The reference is no setting: it belongs to the run.
    """

    loss: DpoLoss = DpoLoss.SIGMOID
    beta: float = 0.1
    sft_weight: float = 0.0
    label_smoothing: float = 0.0
    learning_rate: float = 5e-6
    epochs: float = 1.0
    max_steps: int = 0
    batch_size: int = 4
    gradient_accumulation: int = 4
    max_length: int = 1024
    warmup_ratio: float = 0.1
    schedule: Schedule = Schedule.COSINE
    max_grad_norm: float = 1.0
    lora: bool = True
    lora_r: int = 16
    lora_alpha: int = 32
    checkpointing: bool = False
    eval_every: int = 0
    seed: int = 42
    quantize: Quantize | None = None

    def __post_init__(self) -> None:
        for key, ok, allowed in _bounds(self):
            if not ok:
                raise UserError(f"{key}={getattr(self, key)} is out of range", f"{key} must be {allowed}")
        if self.quantize and not self.lora:
            raise UserError("a quantised model cannot be trained in full", "set lora=true, or quantize=none")

    @property
    def effective_batch(self) -> int:
        """Pairs that one step of the optimizer sees."""
        return self.batch_size * self.gradient_accumulation


def _bounds(s: DpoSettings) -> list[tuple[str, bool, str]]:
    """(key, within bounds, allowed in words): outside them a run makes no sense at all."""
    return [
        ("beta", 0 < s.beta <= 10, "above 0 and at most 10"),
        ("sft_weight", 0 <= s.sft_weight <= 100, "between 0 and 100"),
        ("label_smoothing", 0 <= s.label_smoothing < 0.5, "at least 0 and below 0.5"),
        ("learning_rate", 0 < s.learning_rate < 1, "above 0 and below 1"),
        ("epochs", 0 < s.epochs <= 100, "above 0 and at most 100"),
        ("max_steps", s.max_steps >= 0, "0 (as many as the epochs give) or more"),
        ("batch_size", s.batch_size >= 1, "1 or more"),
        ("gradient_accumulation", s.gradient_accumulation >= 1, "1 or more"),
        ("max_length", s.max_length >= 16, "16 tokens or more"),
        ("warmup_ratio", 0 <= s.warmup_ratio < 1, "at least 0 and below 1"),
        ("max_grad_norm", s.max_grad_norm > 0, "above 0"),
        ("lora_r", s.lora_r >= 1, "1 or more"),
        ("lora_alpha", s.lora_alpha >= 1, "1 or more"),
        ("eval_every", s.eval_every >= 0, "0 (once an epoch) or more"),
        ("seed", 0 <= s.seed < 2**32, "between 0 and 4294967295"),
    ]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """What a checkpoint is made of: a folder or hub id, at most one adapter over it, how its weights are held."""

    source: str
    adapter: str | None = None
    quantize: str | None = None


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run as the trainer is handed it. `rows` is the snapshot file; `reference` None means the start itself."""

    kind: RunKind
    folder: Path
    rows: Path
    start: ModelFiles
    reference: ModelFiles | None
    settings: DpoSettings


@dataclass(frozen=True, slots=True)
class Preset:
    """Settings under a name, with the reason for them in one sentence."""

    name: str
    kind: RunKind
    settings: DpoSettings
    why: str


PRESETS: dict[str, Preset] = {
    p.name: p
    for p in (
        Preset(
            "starter",
            RunKind.DPO,
            DpoSettings(
                learning_rate=1e-3, sft_weight=4.0, epochs=4, batch_size=16, gradient_accumulation=1, max_length=256
            ),
            "Models of a few million parameters want a learning rate some hundred times that of real ones; with the "
            "usual one they do not move. At that rate they forget what they knew, so the chosen answers are also "
            "learned as they stand.",
        ),
        Preset(
            "lora",
            RunKind.DPO,
            DpoSettings(checkpointing=True),
            "An adapter over a frozen model: the rate of the trainer's own guide, one epoch, little memory.",
        ),
        Preset(
            "qlora",
            RunKind.DPO,
            DpoSettings(
                batch_size=1, gradient_accumulation=16, checkpointing=True, quantize=Quantize.FOUR_BIT
            ),
            "An adapter over a model held in 4 bits: for a model that fills most of the card.",
        ),
        Preset(
            "full",
            RunKind.DPO,
            DpoSettings(
                lora=False, learning_rate=5e-7, batch_size=2, gradient_accumulation=8, checkpointing=True
            ),
            "Every weight is trained, so the rate is a tenth of an adapter's and a frozen copy is kept beside it.",
        ),
        Preset(
            "smoke",
            RunKind.DPO,
            DpoSettings(learning_rate=1e-3, max_steps=3, batch_size=4, gradient_accumulation=1,
                        max_length=256, lora_r=4, lora_alpha=8),
            "Three steps to see that everything runs; the model it makes is of no use.",
        ),
    )
}  # fmt: skip

TINY_PARAMETERS = 20_000_000


def default_preset(parameters: int | None, quantize: str | None = None) -> str:
    """The preset that suits a model of so many parameters (None: unknown, taken as a usual size)."""
    if parameters is not None and parameters < TINY_PARAMETERS:
        return "starter"
    return "qlora" if quantize else "lora"


def preset(name: str) -> Preset:
    """The preset of that name; UserError names the others where there is none."""
    if name not in PRESETS:
        raise UserError(f"there is no preset {name!r}", f"choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def with_overrides(settings: DpoSettings, overrides: Sequence[str]) -> DpoSettings:
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


def warnings_for(settings: DpoSettings, pairs: int) -> tuple[str, ...]:
    """What lies outside the bands known to be safe, one sentence each. `pairs` is how many will train.

    The bands are those of models of a usual size; settings as fast as the starter preset's are taken to be meant.
    """
    tiny = settings.learning_rate >= PRESETS["starter"].settings.learning_rate / 5
    top = 2e-5 if settings.lora else 2e-6
    found = [
        (top < settings.learning_rate and not tiny,
         f"learning_rate {settings.learning_rate:g} is above {top:g}: most runs that made a model worse were this fast"),
        (tiny, f"learning_rate {settings.learning_rate:g} suits only models of a few million parameters"),
        (settings.epochs > 3 and not tiny, f"{settings.epochs:g} epochs: over 3 the pairs are learned by heart"),
        (not 0.01 <= settings.beta <= 0.5,
         f"beta {settings.beta:g} lies outside 0.01 to 0.5: lower drifts from the parent, higher hardly moves"),
        (pairs < 200, f"only {pairs} pairs: under 200 a gain is hard to tell from chance"),
        (0 < pairs < settings.effective_batch,
         f"a batch of {settings.effective_batch} holds all {pairs} pairs: every epoch is a single step"),
        (settings.loss is DpoLoss.ROBUST and settings.label_smoothing == 0,
         "the robust loss does nothing more than sigmoid until label_smoothing is above 0"),
        (settings.loss is not DpoLoss.ROBUST and settings.label_smoothing > 0,
         f"label_smoothing does nothing with the {settings.loss} loss"),
        (settings.lora and settings.lora_alpha > 4 * settings.lora_r, "lora_alpha is over four times lora_r"),
    ]  # fmt: skip
    return tuple(sentence for outside, sentence in found if outside)


def to_json(settings: DpoSettings) -> str:
    """The settings as one JSON object with sorted keys."""
    return json.dumps(asdict(settings), sort_keys=True)


def from_json(text: str) -> DpoSettings:
    """The settings `to_json` wrote; a key it does not know, or a value of another type, is a UserError."""
    try:
        stored = json.loads(text)
    except json.JSONDecodeError as e:
        raise UserError(f"the settings are not JSON ({e})", "write them anew from a preset") from None
    return from_mapping(stored)


def from_mapping(stored: Mapping[str, object]) -> DpoSettings:
    """The same from values already read, as a database row holds them."""
    known = {f.name for f in fields(DpoSettings)}
    if unknown := sorted(set(stored) - known):
        raise UserError(
            f"unknown settings {', '.join(unknown)}", f"the known ones are {', '.join(sorted(known))}"
        )
    return with_overrides(DpoSettings(), [f"{key}={_as_text(value)}" for key, value in stored.items()])


def _as_text(value: object) -> str:
    """A JSON value in the form an override is written in."""
    return "none" if value is None else repr(value) if isinstance(value, float) else str(value)
