"""Counted votes as arrays, one entry a vote: what every figure of the report is computed from. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from db.entities.campaigns import Battle
from db.entities.votes import Outcome, Vote
from labeling.agreement import codes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Texts = NDArray[np.object_]

OUTCOMES = (Outcome.A, Outcome.B, Outcome.TIE, Outcome.BOTH_GOOD, Outcome.BOTH_BAD)
WIN_A, WIN_B, TIE, BOTH_GOOD, BOTH_BAD = range(5)
NOT_VOTED = -1
_SWAPPED = {Outcome.A: Outcome.B, Outcome.B: Outcome.A}


class TwoModels(NamedTuple):
    """A pair of models in the report's order."""

    model_a: str
    model_b: str


@dataclass(frozen=True, slots=True)
class Columns:
    """Votes in order of arrival, slots turned so that `a` comes before `b` in `models`. Arrays have one length."""

    models: tuple[str, ...]
    raters: tuple[str, ...]
    prompts: tuple[str, ...]
    vote: Ints
    a: Ints
    """place of the first model in `models`"""
    b: Ints
    outcome: Ints
    """place in OUTCOMES; NOT_VOTED for a battle nobody judged"""
    rater: Ints
    """place in `raters`"""
    prompt: Ints
    """place in `prompts`"""
    battle: Ints
    """the same for the same two responses, whatever the campaign"""
    left: Ints
    """1 where a stood left, 0 where b did, -1 where the side is not known"""
    response_a: Texts
    response_b: Texts
    weight: Floats
    """what makes up for sampling that prefers some battles; 1 for every vote under even sampling"""

    def __len__(self) -> int:
        return len(self.vote)

    @property
    def y(self) -> Floats:
        """1 where a won, 0 where b won, a half for every kind of tie; NaN where nobody voted."""
        return np.array([1.0, 0.0, 0.5, 0.5, 0.5, np.nan])[self.outcome]

    @property
    def decided(self) -> Bools:
        """Where one response won."""
        return np.isin(self.outcome, (WIN_A, WIN_B))

    def only(self, mask: Bools | Ints) -> "Columns":
        """These votes alone, or these in this order."""
        arrays = {
            f.name: getattr(self, f.name)[mask]
            for f in fields(self)
            if f.name not in ("models", "raters", "prompts")
        }
        return replace(self, **arrays)

    def pairs(self) -> Iterator[tuple[TwoModels, "Columns"]]:
        """The votes of each two models that met, in the models' order."""
        code = self.a * len(self.models) + self.b
        for pair in np.unique(code).tolist():
            first, second = divmod(pair, len(self.models))
            yield TwoModels(self.models[first], self.models[second]), self.only(code == pair)

    def values(self, of_response: Mapping[str, float]) -> tuple[Floats, Floats]:
        """A value for each vote's two responses (length, score); NaN where there is none."""
        return tuple(  # type: ignore[return-value]
            np.fromiter((of_response.get(r, np.nan) for r in side), np.float64, len(side))
            for side in (self.response_a, self.response_b)
        )


class _Row(NamedTuple):
    vote: int
    a: str
    b: str
    outcome: Outcome | None
    rater: str
    prompt: str
    left: int
    response_a: str
    response_b: str
    weight: float = 1.0


def columns(votes: Iterable[Vote], order: Sequence[str] = ()) -> Columns:
    """Votes as columns, sorted by arrival. `order`: models in the order pairs are shown; others follow by name.

    A battle between two responses of one model says nothing about models and is left out.
    """
    rows = [
        _Row(v.id, v.model_a, v.model_b, v.outcome, v.rater_name, v.prompt,
             -1 if v.left_is is None else int(v.left_is == "a"), v.response_a, v.response_b, v.weight)
        for v in votes if v.model_a != v.model_b and v.outcome is not Outcome.SKIP
    ]  # fmt: skip
    return _columns(sorted(rows, key=lambda r: r.vote), order)


def columns_of_battles(battles: Iterable[Battle], order: Sequence[str] = ()) -> Columns:
    """Battles that nobody judged yet, in the same form."""
    rows = [
        _Row(b.id, b.model_a, b.model_b, None, "", b.prompt, -1, b.response_a, b.response_b)
        for b in battles
        if b.model_a != b.model_b
    ]
    return _columns(rows, order)


def _columns(rows: Sequence[_Row], order: Sequence[str]) -> Columns:
    there = {m for r in rows for m in (r.a, r.b)}
    models = tuple(dict.fromkeys((*(m for m in order if m in there), *sorted(there))))
    place = {m: i for i, m in enumerate(models)}
    code = {o: i for i, o in enumerate(OUTCOMES)}
    turned = [_turn(r) if place[r.a] > place[r.b] else r for r in rows]
    rater, raters = codes(r.rater for r in turned)
    prompt, prompts = codes(r.prompt for r in turned)
    return Columns(
        models=models, raters=raters, prompts=prompts, vote=_ints(r.vote for r in turned), a=_ints(place[r.a] for r in turned),
        b=_ints(place[r.b] for r in turned),
        outcome=_ints(NOT_VOTED if r.outcome is None else code[r.outcome] for r in turned),
        rater=rater, prompt=prompt,
        battle=codes((min(r.response_a, r.response_b), max(r.response_a, r.response_b)) for r in turned)[0],
        left=_ints(r.left for r in turned), response_a=_texts([r.response_a for r in turned]),
        response_b=_texts([r.response_b for r in turned]), weight=np.array([r.weight for r in turned], dtype=np.float64),
    )  # fmt: skip


def _turn(r: _Row) -> _Row:
    outcome = None if r.outcome is None else _SWAPPED.get(r.outcome, r.outcome)
    left = r.left if r.left < 0 else 1 - r.left
    return _Row(r.vote, r.b, r.a, outcome, r.rater, r.prompt, left, r.response_b, r.response_a, r.weight)


def _ints(values: Iterable[int]) -> Ints:
    return np.fromiter(values, np.int64)


def _texts(values: list[str]) -> Texts:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
