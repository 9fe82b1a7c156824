"""The head-to-head on parts of the votes: by tag, language, turn, length of the answers, kind of rater, time. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import numpy as np

from arena.columns import Columns
from arena.winrates import HeadToHead, head_to_head
from db.entities.votes import Vote

MOST_SLICES, FEWEST_IN_SLICE = 12, 10
LENGTH_SLICES = ("short", "middle", "long")


@dataclass(frozen=True, slots=True)
class Slice:
    """The head-to-head on a part of the votes."""

    by: str
    value: str
    pairs: tuple[HeadToHead, ...]


def slices(
    given: Sequence[Vote], votes: Columns, tags: Mapping[str, frozenset[str]], lengths: Mapping[str, float],
    languages: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Slice, ...]:  # fmt: skip
    """The head-to-head by tag, language, turn, length of the answers, kind of rater and time, where votes differ in them.

    `tags` and `languages` by prompt id, `lengths` (characters) by response id.
    """
    by_id = {v.id: v for v in given}
    kept = [by_id[i] for i in votes.vote.tolist()]
    parts = _length_parts(votes, lengths)
    cuts: list[tuple[str, list[frozenset[str]]]] = [
        ("tag", [tags.get(v.prompt, frozenset()) for v in kept]),
        ("language", [frozenset((languages[v.prompt],) if v.prompt in languages else ()) for v in kept]),
        ("turn", [frozenset(() if v.turn is None else (str(v.turn),)) for v in kept]),
        ("length", [frozenset(() if p is None else (p,)) for p in parts]),
        ("rater group", [frozenset((v.rater_kind.value,)) for v in kept]),
        ("time", [frozenset((t,)) for t in _times([v.created_at for v in kept])]),
    ]
    return tuple(s for by, values in cuts for s in _cut(by, values, votes, lengths))


def _cut(
    by: str, values: Sequence[frozenset[str]], votes: Columns, lengths: Mapping[str, float]
) -> list[Slice]:
    sizes = Counter(v for found in values for v in found)
    common = [v for v, n in sorted(sizes.items(), key=lambda s: (-s[1], s[0])) if n >= FEWEST_IN_SLICE]
    if all(sizes[v] == len(votes) for v in common):
        return []  # everything is alike in this
    made = []
    if by not in ("tag", "language"):
        common.sort(key=lambda v: LENGTH_SLICES.index(v) if by == "length" else v)
    for value in common[:MOST_SLICES]:
        part = votes.only(np.array([value in found for found in values], np.bool_))
        pairs = tuple(head_to_head(p, v, lengths) for p, v in part.pairs() if len(v) >= FEWEST_IN_SLICE)
        if pairs:
            made.append(Slice(by, value, pairs))
    return made


def _times(created: Sequence[str]) -> list[str]:
    """Each vote's day (UTC); its week, month or year where there are more than MOST_SLICES of the finer."""
    days = [moment[:10] for moment in created]
    weeks = {d: "{}-W{:02}".format(*date.fromisoformat(d).isocalendar()) for d in set(days)}
    for found in (days, [weeks[d] for d in days], [d[:7] for d in days]):
        if len(set(found)) <= MOST_SLICES:
            return found
    return [d[:4] for d in days]


def _length_parts(votes: Columns, lengths: Mapping[str, float]) -> list[str | None]:
    """Thirds by the characters of both answers; None where a text is not known."""
    of_a, of_b = votes.values(lengths)
    both = of_a + of_b
    known = both[~np.isnan(both)]
    if not len(known):
        return [None] * len(votes)
    third = np.searchsorted(np.quantile(known, (1 / 3, 2 / 3)), both, side="right")
    return [
        None if math.isnan(x) else LENGTH_SLICES[t]
        for x, t in zip(both.tolist(), third.tolist(), strict=True)
    ]
