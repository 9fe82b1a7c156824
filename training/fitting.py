"""The smallest change of a run's settings that lets it fit into memory. Pure.

Tried in this order, each on top of the one before until it fits, then whatever turned out not to be needed is taken back:
fewer rows at a time (as many a step), layers computed again, the reference asked beforehand, shorter rows, 4 bits.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

from db.entities.catalog import Quantize
from training.settings import DpoSettings, KtoLoss, KtoSettings, Settings

FILLED = 0.9
"""the share of the free memory that a run may be estimated to take"""
SHORTEST = 128
"""tokens below which rows are not cut to make a run fit"""


@dataclass(frozen=True, slots=True)
class Change:
    """One change: the settings it sets, and in words what it costs."""

    set: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Fit:
    """The settings that were found, what was changed, and whether they fit."""

    settings: Settings
    changes: tuple[Change, ...]
    fits: bool


Size = Callable[[Settings], int]
Step = Callable[[Settings], Iterator[Settings]]


def fit(settings: Settings, size: Size, free: int, tokens: int) -> Fit:
    """The smallest change after which `size(settings)` fills at most FILLED of `free` bytes.

    `tokens` are those of the longest row. Where nothing fits, the settings with every change that helps at all.
    """

    def fits(s: Settings) -> bool:
        return size(s) <= FILLED * free

    found = settings
    for step in _steps(tokens):
        if fits(found):
            break
        for tried in step(found):
            if size(tried) < size(found):
                found = tried
            if fits(found):
                break
    if fits(found):
        found = _without_needless(settings, found, fits)
    return Fit(found, _changes(settings, found), fits(found))


def _steps(tokens: int) -> tuple[Step, ...]:
    return _smaller_batches, _checkpointing, _asked_beforehand, lambda s: _shorter(s, tokens), _four_bit


def _smaller_batches(s: Settings) -> Iterator[Settings]:
    """Half as many rows at a time, again and again; as many a step of the optimizer."""
    fewest = 2 if isinstance(s, KtoSettings) and s.loss is KtoLoss.KTO else 1
    rows, size = s.effective_batch, s.batch_size
    while size > fewest:
        size = max(fewest, size // 2)
        yield replace(s, batch_size=size, gradient_accumulation=max(1, -(-rows // size)))


def _checkpointing(s: Settings) -> Iterator[Settings]:
    yield replace(s, checkpointing=True)


def _asked_beforehand(s: Settings) -> Iterator[Settings]:
    if isinstance(s, DpoSettings | KtoSettings):
        yield replace(s, precompute=True)


def _shorter(s: Settings, tokens: int) -> Iterator[Settings]:
    """Rows cut at three quarters and at half of the longest."""
    for share in (0.75, 0.5):
        length = int(min(tokens, s.max_length) * share) // 16 * 16
        if length >= SHORTEST:
            yield replace(s, max_length=length)


def _four_bit(s: Settings) -> Iterator[Settings]:
    if s.lora and s.quantize is None:
        yield replace(s, quantize=Quantize.FOUR_BIT)


TOGETHER = (
    ("batch_size", "gradient_accumulation"),
    ("checkpointing",),
    ("precompute",),
    ("max_length",),
    ("quantize",),
)
COSTS = {
    "batch_size": "fewer rows at a time and as many a step: a little slower, the same model but for rounding",
    "checkpointing": "layers are computed again on the way back: about a third slower, the same model",
    "precompute": "the reference is asked once before the run: no second model in memory, the same model",
    "max_length": "longer rows are cut, so their answers lose their end: the model sees less of them",
    "quantize": "the frozen weights are held in 4 bits: slower, and the model is a little worse for it",
}


def _changed(before: Settings, after: Settings) -> set[str]:
    return {f.name for f in fields(before) if getattr(before, f.name) != getattr(after, f.name)}


def _without_needless(before: Settings, found: Settings, fits: Callable[[Settings], bool]) -> Settings:
    """The settings with each change taken back that the others make needless, the dearest first."""
    for keys in reversed(TOGETHER):
        if set(keys) & _changed(before, found):
            back = replace(found, **{key: getattr(before, key) for key in keys})
            found = back if fits(back) else found
    return found


def _changes(before: Settings, after: Settings) -> tuple[Change, ...]:
    changed = _changed(before, after)
    return tuple(
        Change(tuple(f"{key}={_text(getattr(after, key))}" for key in keys if key in changed), COSTS[keys[0]])
        for keys in TOGETHER
        if set(keys) & changed
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
