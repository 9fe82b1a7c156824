"""Settings that are safe for a kind of run and a size of model, each with its reason, and what leaves them. Pure."""

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

from db.entities.catalog import Quantize
from db.entities.runs import RunKind
from db.errors import UserError
from training.settings import (
    DpoLoss,
    DpoSettings,
    KtoSettings,
    RewardSettings,
    S,
    Settings,
    SftSettings,
)


@dataclass(frozen=True, slots=True)
class Preset(Generic[S]):
    """Settings under a name, with the reason for them in one sentence."""

    name: str
    kind: RunKind
    settings: S
    why: str


PRESETS: dict[str, Preset[DpoSettings]] = {
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
"""the presets of DPO"""

TINY: dict[str, Any] = {"epochs": 3, "batch_size": 16, "gradient_accumulation": 1, "max_length": 256}
FOUR_BIT: dict[str, Any] = {
    "batch_size": 2,
    "gradient_accumulation": 8,
    "checkpointing": True,
    "quantize": Quantize.FOUR_BIT,
}
WHOLE: dict[str, Any] = {"lora": False, "batch_size": 2, "gradient_accumulation": 8, "checkpointing": True}
SMOKE: dict[str, Any] = {"learning_rate": 1e-3, "max_steps": 3, "batch_size": 4, "gradient_accumulation": 1, "max_length": 256,
         "lora_r": 4, "lora_alpha": 8}  # fmt: skip
NO_USE = "Three steps to see that everything runs; the model it makes is of no use."


def _five(kind: RunKind, settings: tuple[Settings, ...], why: tuple[str, ...]) -> dict[str, Preset[Any]]:
    """The presets of a kind under the five names that every kind has."""
    names = ("starter", "lora", "qlora", "full", "smoke")
    return {n: Preset(n, kind, s, w) for n, s, w in zip(names, settings, (*why, NO_USE), strict=True)}


PRESETS_OF: dict[RunKind, dict[str, Preset[Any]]] = {
    RunKind.DPO: dict(PRESETS),
    RunKind.SFT: _five(
        RunKind.SFT,
        (SftSettings(learning_rate=2e-3, **TINY), SftSettings(checkpointing=True), SftSettings(**FOUR_BIT),
         SftSettings(learning_rate=2e-5, **WHOLE), SftSettings(**SMOKE)),
        ("Models of a few million parameters want a learning rate ten times that of real ones.",
         "An adapter over a frozen model: the rate that adapters are usually taught at, one epoch.",
         "An adapter over a model held in 4 bits, at the rate of the paper that introduced it (2305.14314).",
         "Every weight is trained, so the rate is a tenth of an adapter's."),
    ),
    RunKind.KTO: _five(
        RunKind.KTO,
        (KtoSettings(learning_rate=1e-3, **TINY), KtoSettings(checkpointing=True), KtoSettings(**FOUR_BIT),
         KtoSettings(learning_rate=5e-7, **WHOLE), KtoSettings(**SMOKE)),
        ("Models of a few million parameters want a learning rate some hundred times that of real ones.",
         "An adapter over a frozen model: ten times the rate the paper (2402.01306) gives for whole models.",
         "An adapter over a model held in 4 bits; two answers at a time, because one has no neighbour to compare with.",
         "Every weight is trained at the rate of the paper (2402.01306), with a frozen copy beside it."),
    ),
    RunKind.REWARD: _five(
        RunKind.REWARD,
        (RewardSettings(learning_rate=1e-3, **TINY), RewardSettings(checkpointing=True), RewardSettings(**FOUR_BIT),
         RewardSettings(learning_rate=1e-5, **WHOLE), RewardSettings(**SMOKE)),
        ("Models of a few million parameters want a learning rate ten times that of real ones.",
         "An adapter and a new head that gives one score, at the rate of the trainer's own guide.",
         "An adapter over a model held in 4 bits: for a model that fills most of the card.",
         "Every weight is trained; one epoch, because reward models learn their pairs by heart in the second."),
    ),
}  # fmt: skip

TINY_PARAMETERS = 20_000_000
FASTEST = {
    RunKind.SFT: (5e-4, 5e-5),
    RunKind.DPO: (2e-5, 2e-6),
    RunKind.KTO: (2e-5, 2e-6),
    RunKind.REWARD: (3e-4, 3e-5),
}
"""the highest safe learning rate with an adapter and in full"""


def default_preset(parameters: int | None, quantize: str | None = None) -> str:
    """The preset that suits a model of so many parameters (None: unknown, taken as a usual size)."""
    if parameters is not None and parameters < TINY_PARAMETERS:
        return "starter"
    return "qlora" if quantize else "lora"


def preset(name: str) -> Preset[DpoSettings]:
    """The DPO preset of that name; UserError names the others where there is none."""
    return preset_of(RunKind.DPO, name)


def preset_of(kind: RunKind, name: str) -> Preset[Any]:
    """The preset of that kind and name; UserError names the others where there is none."""
    if name not in PRESETS_OF[kind]:
        raise UserError(f"there is no preset {name!r}", f"choose one of {', '.join(PRESETS_OF[kind])}")
    return PRESETS_OF[kind][name]


def kind_of(settings: Settings) -> RunKind:
    """The kind of run these settings are for."""
    return {SftSettings: RunKind.SFT, DpoSettings: RunKind.DPO, KtoSettings: RunKind.KTO,
            RewardSettings: RunKind.REWARD}[type(settings)]  # fmt: skip


class Outside(NamedTuple):
    """A setting that lies outside the band known to be safe, and in a sentence why that matters. No field: the rows."""

    field: str
    sentence: str


def warnings_for(settings: Settings, rows: int) -> tuple[str, ...]:
    """What lies outside the bands known to be safe, one sentence each. `rows` is how many will train."""
    return tuple(one.sentence for one in outside(settings, rows))


def outside(settings: Settings, rows: int) -> tuple[Outside, ...]:
    """What lies outside the bands known to be safe.

    The bands are those of models of a usual size; settings as fast as the starter preset's are taken to be meant.
    """
    kind = kind_of(settings)
    row = "answers" if kind in (RunKind.SFT, RunKind.KTO) else "pairs"
    tiny = settings.learning_rate >= PRESETS_OF[kind]["starter"].settings.learning_rate / 5
    top = FASTEST[kind][0 if settings.lora else 1]
    found = [
        (top < settings.learning_rate and not tiny, "learning_rate",
         f"learning_rate {settings.learning_rate:g} is above {top:g}: most runs that made a model worse were this fast"),
        (tiny, "learning_rate", f"learning_rate {settings.learning_rate:g} suits only models of a few million parameters"),
        (settings.epochs > 3 and not tiny, "epochs",
         f"{settings.epochs:g} epochs: over 3 the {row} are learned by heart"),
        *(_of_preferences(settings) if isinstance(settings, DpoSettings | KtoSettings) else []),
        (rows < 200, "", f"only {rows} {row}: under 200 a gain is hard to tell from chance"),
        (0 < rows < settings.effective_batch, "batch_size",
         f"a batch of {settings.effective_batch} holds all {rows} {row}: every epoch is a single step"),
        *(_of_dpo(settings) if isinstance(settings, DpoSettings) else []),
        (settings.lora and settings.lora_alpha > 4 * settings.lora_r, "lora_r", "lora_alpha is over four times lora_r"),
    ]  # fmt: skip
    return tuple(Outside(field, sentence) for is_so, field, sentence in found if is_so)


def _of_preferences(settings: DpoSettings | KtoSettings) -> list[tuple[bool, str, str]]:
    return [(not 0.01 <= settings.beta <= 0.5, "beta",
             f"beta {settings.beta:g} lies outside 0.01 to 0.5: lower drifts from the parent, higher hardly moves")]  # fmt: skip


def _of_dpo(settings: DpoSettings) -> list[tuple[bool, str, str]]:
    robust = settings.loss is DpoLoss.ROBUST
    return [
        (robust and settings.label_smoothing == 0, "label_smoothing",
         "the robust loss does nothing more than sigmoid until label_smoothing is above 0"),
        (not robust and settings.label_smoothing > 0, "label_smoothing",
         f"label_smoothing does nothing with the {settings.loss} loss"),
    ]  # fmt: skip
