"""What an export must know of every vote before its first row: read once, one by one, and kept as numbers. Pure.

A million votes take some 25 MB here when it is done, and 100 MB while it works out which of them are on one battle.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from db.entities.votes import Outcome, RaterKind, Vote
from labeling.agreement import battle_key
from labeling.pairs import LeftOut
from labeling.policy import PairPolicy
from labeling.verdicts import SWAPPED

Ints = NDArray[np.int64]
OUTCOMES = tuple(Outcome)
CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}
KEY = 16
"""bytes of a battle's hash: two battles never share one"""
AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Survey:
    """What the counted votes of an export's campaigns are, taken together."""

    ids: Ints
    taken: Ints
    """those that the policy takes"""
    refused: Mapping[str, Ints]
    """{why: those that it does not}"""
    written: Ints
    """those it takes whose raters wrote a better answer, in the order they were read"""
    battles: NDArray[np.int32]
    """of each vote in `ids`, a number: the same for two votes on the same two responses"""
    raters: Mapping[str, RaterKind]
    taken_raters: Mapping[str, RaterKind]
    """in order of their first votes"""
    models: frozenset[str]
    """that votes it takes are about"""
    every_model: frozenset[str]
    simulated: int
    """votes"""
    imported: int
    repeated: int
    """battles with two votes or more"""
    agreement: float | None
    """share of the pairs of votes on one battle that say the same; None where there is none"""
    snapshot: str


def survey(votes: Iterable[Vote], policy: PairPolicy) -> Survey:
    """Read votes once; a battle is the same in another campaign and with its slots the other way round."""
    ids, taken, written, said, outcomes, keys = (
        array("q"),
        array("q"),
        array("q"),
        array("b"),
        array("b"),
        bytearray(),
    )
    refused: dict[str, array[int]] = {}
    raters: dict[str, RaterKind] = {}
    taken_raters: dict[str, RaterKind] = {}
    models: set[str] = set()
    every_model: set[str] = set()
    seen: Counter[str] = Counter()
    for vote in votes:
        key, swapped = battle_key(vote)
        ids.append(vote.id)
        outcomes.append(CODES[vote.outcome])
        said.append(CODES[SWAPPED.get(vote.outcome, vote.outcome) if swapped else vote.outcome])
        keys += key_of(key)
        raters[vote.rater_name] = vote.rater_kind
        seen["simulated"] += vote.rater_kind is RaterKind.SIMULATED
        seen["imported"] += vote.left_is is None
        every_model |= {vote.model_a, vote.model_b}
        why = policy.refuses(vote)
        if why is not None:
            refused.setdefault(why, array("q")).append(vote.id)
            continue
        if vote.better is not None:
            written.append(vote.id)
        taken.append(vote.id)
        taken_raters.setdefault(vote.rater_name, vote.rater_kind)
        models |= {vote.model_a, vote.model_b}
    battles = numbered(np.frombuffer(keys, np.uint64).reshape(-1, 2))
    repeated, agreement = _agreement(battles, said)
    return Survey(
        _ints(ids), _ints(taken), {why: _ints(votes) for why, votes in refused.items()}, _ints(written), battles, raters,
        taken_raters, frozenset(models), frozenset(every_model), seen["simulated"], seen["imported"], repeated, agreement,
        _hash(ids, outcomes),
    )  # fmt: skip


def by_battle(seen: Survey, size: int) -> Iterator[Ints]:
    """Places in `seen.ids` of the votes on whole battles, `size` or a few more at a time.

    The battles come in the order of the first votes on them that the policy takes, those with none at the end.
    """
    return whole_groups(first_places(seen.battles, np.isin(seen.ids, seen.taken)), size)


def first_places(groups: NDArray[np.int32], counts: NDArray[np.bool_] | None = None) -> Ints:
    """Of each: the place of the first one of its group that `counts`; those of groups with none come behind all others."""
    n = len(groups)
    first = np.empty(n and int(groups.max()) + 1, np.int64)
    first[groups[::-1]] = np.arange(n - 1, -1, -1)
    if counts is not None:
        first += n
        places = np.flatnonzero(counts)[::-1]
        first[groups[places]] = places
    found: Ints = first[groups]
    return found


def whole_groups(first: Ints, size: int) -> Iterator[Ints]:
    """The places of whole groups, `size` or a few more at a time: those with the lowest `first` before the others."""
    order = np.argsort(first, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(first[order])) + 1, len(order))
    begin = 0
    while begin < len(order):
        end = int(ends[min(int(np.searchsorted(ends, begin + size)), len(ends) - 1)])
        yield order[begin:end]
        begin = end


def key_of(text: str) -> bytes:
    """A hash of a text."""
    return hashlib.blake2b(text.encode(), digest_size=KEY).digest()


def _ints(numbers: Sequence[int]) -> Ints:
    return np.array(numbers, np.int64)


def hash_of_votes(votes: Iterable[Vote]) -> str:
    """The hash of exactly these votes: the same ones, in any order, give the same."""
    ids, outcomes = array("q"), array("b")
    for vote in votes:
        ids.append(vote.id)
        outcomes.append(CODES[vote.outcome])
    return _hash(ids, outcomes)


def _hash(ids: Sequence[int], outcomes: Sequence[int]) -> str:
    """What db.entities.catalog.content_id makes of "votes" and the sorted list of [id, outcome], without that list."""
    hashed = hashlib.sha256(b'["votes",[')
    order = np.argsort(np.array(ids, np.int64), kind="stable")
    for start in range(0, len(order), AT_ONCE):
        part = order[start : start + AT_ONCE].tolist()
        text = ",".join(f'[{ids[i]},"{OUTCOMES[outcomes[i]].value}"]' for i in part)
        hashed.update(("," * (start > 0) + text).encode())
    hashed.update(b"]]")
    return hashed.hexdigest()[:32]


def numbered(halves: NDArray[np.uint64]) -> NDArray[np.int32]:
    """A number for each key, the same for the same keys; a key is two integers."""
    order = np.lexsort((halves[:, 0], halves[:, 1]))
    ends = np.zeros(len(order), np.bool_)
    for column in (0, 1):
        ends[1:] |= np.diff(halves[order, column]) != 0
    numbers = np.empty(len(order), np.int32)
    numbers[order] = np.cumsum(ends)
    return numbers


def _agreement(battles: NDArray[np.int32], said: Sequence[int]) -> tuple[int, float | None]:
    """(battles with two votes or more, share of the pairs of votes on one battle that say the same)."""
    if not said:
        return 0, None
    n, codes = np.bincount(battles), np.array(said, np.int8)
    alike = sum(_twos(np.bincount(battles[codes == code])) for code in range(len(OUTCOMES)))
    pairs = _twos(n)
    return int((n > 1).sum()), alike / pairs if pairs else None


def _twos(n: Ints) -> int:
    """How many twos there are in groups of these sizes."""
    return int((n * (n - 1) // 2).sum())


class Numbers(Mapping[int, int]):
    """{vote: its number in an export}: numbers from 1 in an order that tells nothing, drawn from the bytes of `lot`."""

    def __init__(self, votes: Ints, lot: bytes) -> None:
        """lot: eight random bytes for each different vote."""
        self._votes = np.unique(votes)
        drawn = np.argsort(np.frombuffer(lot, np.uint64)[: len(self._votes)], kind="stable")
        self._numbers = np.empty(len(drawn), np.int64)
        self._numbers[drawn] = np.arange(1, len(drawn) + 1)

    def __getitem__(self, vote: int) -> int:
        place = int(np.searchsorted(self._votes, vote))
        if place == len(self._votes) or self._votes[place] != vote:
            raise KeyError(vote)
        return int(self._numbers[place])

    def __iter__(self) -> Iterator[int]:
        return (vote for vote, _ in self.pairs())

    def pairs(self) -> Iterator[tuple[int, int]]:
        """(vote, its number) of each: quicker than `items`."""
        for start in range(0, len(self), AT_ONCE):
            yield from self.among(self._votes[start : start + AT_ONCE]).items()

    def __len__(self) -> int:
        return len(self._votes)

    def in_order(self, votes: Ints) -> Ints:
        """These votes by their numbers."""
        found: Ints = votes[np.argsort(self._of(votes))]
        return found

    def among(self, votes: Ints) -> dict[int, int]:
        """{vote: its number} of these alone, all of which have one: quicker than one by one."""
        return dict(zip(votes.tolist(), self._of(votes).tolist(), strict=True))

    def _of(self, votes: Ints) -> Ints:
        found: Ints = self._numbers[np.searchsorted(self._votes, votes)]
        return found


class Fates:
    """Which votes of an export are in no row, and why: two bytes a vote beside its id."""

    def __init__(self, votes: Ints) -> None:
        self._votes = np.unique(votes)
        self._why = np.zeros(len(self._votes), np.uint8)
        self._kept = np.zeros(len(self._votes), np.bool_)
        self._reasons = [""]

    def leave_out(self, votes: Sequence[int] | Ints, reason: str) -> None:
        """These are in no row."""
        if reason not in self._reasons:
            self._reasons.append(reason)
        self._why[self._places(votes)] = self._reasons.index(reason)

    def take_in(self, votes: Sequence[int] | Ints) -> None:
        """Something is made of these after all."""
        self._why[self._places(votes)] = 0

    def keep(self, votes: Sequence[int] | Ints) -> None:
        """These are in a row."""
        self._kept[self._places(votes)] = True

    def kept(self, votes: Sequence[int] | Ints) -> NDArray[np.bool_]:
        """Which of these are in a row."""
        found: NDArray[np.bool_] = self._kept[self._places(votes)]
        return found

    def forget(self) -> None:
        """Say of no vote that it is left out."""
        self._why[:] = 0

    @property
    def counts(self) -> dict[str, int]:
        """{reason: votes}, in the order of the first vote of each."""
        codes, first, n = np.unique(self._why, return_index=True, return_counts=True)
        found = sorted(
            (f, self._reasons[c], many)
            for c, f, many in zip(codes.tolist(), first.tolist(), n.tolist(), strict=True)
            if c
        )
        return {reason: many for _, reason, many in found}

    @property
    def votes(self) -> Ints:
        """Those that are left out."""
        found: Ints = self._votes[self._why > 0]
        return found

    def reasons(self, votes: Ints) -> list[str]:
        """Why each of these is left out."""
        return [self._reasons[code] for code in self._why[self._places(votes)].tolist()]

    def __iter__(self) -> Iterator[LeftOut]:
        votes = self.votes
        for start in range(0, len(votes), AT_ONCE):
            part = votes[start : start + AT_ONCE]
            yield from map(LeftOut, part.tolist(), self.reasons(part))

    def _places(self, votes: Sequence[int] | Ints) -> Ints:
        return np.searchsorted(self._votes, np.asarray(votes, np.int64))
