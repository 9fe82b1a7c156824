"""Figures as plain values, the way JSON has them. Pure."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum

from arena.intervals import Interval


def as_object(value: object) -> dict[str, object]:
    """A dataclass or named tuple as an object of plain values."""
    made = plain(value)
    assert isinstance(made, dict)
    return made


def plain(value: object) -> object:
    """Dataclasses and named tuples as objects, an Interval as [low, high], everything else as JSON has it."""
    if isinstance(value, Interval):
        return list(value)
    if isinstance(value, StrEnum):
        return value.value
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: plain(part) for name, part in zip(value._fields, value, strict=True)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    assert not isinstance(value, float) or math.isfinite(value)
    return value
