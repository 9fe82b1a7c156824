"""Workflow: what memory a run would take, against what is free, and what to change where it does not fit."""

from collections.abc import Sequence
from dataclasses import dataclass

from arena.room import Room, room
from training.fitting import FILLED, Change, Fit, fit
from training.memory import OFF_BY, Estimate, Shape, estimate, shape_in
from training.settings import ModelFiles, Settings


@dataclass(frozen=True, slots=True)
class Needs:
    """Everything an estimate is made from but the settings. `tokens` are those of the longest row."""

    shape: Shape
    start: ModelFiles
    tokens: int
    second_model: bool
    room: Room

    def estimate(self, settings: Settings) -> Estimate:
        """What a run with these settings would hold."""
        return estimate(
            self.shape, settings, tokens=self.tokens, on_gpu=self.room.on_gpu, quantize=self.start.quantize,
            second_model=self.second_model, from_adapter=self.start.adapter is not None,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Memory:
    """An estimate beside what is free, and the smallest change that fits where it is too much."""

    estimate: Estimate
    room: Room
    change: Fit | None

    @property
    def fits(self) -> bool:
        """Whether the run fits as it is set."""
        return self.change is None

    def as_json(self) -> dict[str, object]:
        """Bytes by part, free bytes, and the settings to change."""
        return {
            "estimate": self.estimate.total, "off_by": OFF_BY, "free": self.room.free, "total": self.room.total,
            "of": self.room.words, "fits": self.fits,
            "parts": {part.name: part.bytes for part in self.estimate.parts},
            "to_fit": [] if self.change is None else [text for c in self.change.changes for text in c.set],
            "then_fits": self.change is None or self.change.fits,
        }  # fmt: skip


def needs_of(start: ModelFiles, reference: ModelFiles | None, tokens: int) -> Needs | None:
    """What is needed for an estimate; None where the start is no folder here (a hub id that is not loaded yet)."""
    shape = shape_in(start.source)
    return None if shape is None else Needs(shape, start, tokens, reference is not None, room())


def memory_of(needs: Needs, settings: Settings) -> Memory:
    """The estimate of a run with these settings, and what to change where it would fill too much."""
    made = needs.estimate(settings)
    fits = made.total <= FILLED * needs.room.free
    return Memory(made, needs.room, None if fits else fitted(needs, settings))


def fitted(needs: Needs, settings: Settings) -> Fit:
    """The smallest change of the settings that fits into what is free."""
    return fit(settings, lambda s: needs.estimate(s).total, needs.room.free, needs.tokens)


def in_words(change: Fit) -> list[str]:
    """What was changed and what it costs, one line each."""
    if not change.changes:
        return []
    return [f"{', '.join(c.set)}: {c.words}" for c in change.changes]


def gib(n: float) -> str:
    """Bytes for a person."""
    return f"{n / 2**30:.1f} GiB" if n >= 2**30 else f"{n / 2**20:,.0f} MiB"


def overrides_of(changes: Sequence[Change]) -> list[str]:
    """The `key=value` of every change."""
    return [text for change in changes for text in change.set]
