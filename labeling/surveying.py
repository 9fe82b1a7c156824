"""What an export must know of every vote before its first row: read once, one by one, and kept as numbers. Pure.

A million votes take some 40 MB here: their ids, what they say, and which battle each is on.
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
    refused: tuple[LeftOut, ...]
    """those that it does not"""
    raters: Mapping[str, RaterKind]
    taken_raters: Mapping[str, RaterKind]
    """in order of their first votes"""
    models: frozenset[str]
    """that votes it takes are about"""
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
    ids, taken, said, outcomes, keys = array("q"), array("q"), array("b"), array("b"), bytearray()
    refused: list[LeftOut] = []
    raters: dict[str, RaterKind] = {}
    taken_raters: dict[str, RaterKind] = {}
    models: set[str] = set()
    seen: Counter[str] = Counter()
    for vote in votes:
        key, swapped = battle_key(vote)
        ids.append(vote.id)
        outcomes.append(CODES[vote.outcome])
        said.append(CODES[SWAPPED.get(vote.outcome, vote.outcome) if swapped else vote.outcome])
        keys += hashlib.blake2b(key.encode(), digest_size=KEY).digest()
        raters[vote.rater_name] = vote.rater_kind
        seen["simulated"] += vote.rater_kind is RaterKind.SIMULATED
        seen["imported"] += vote.left_is is None
        why = policy.refuses(vote)
        if why is not None:
            refused.append(LeftOut(vote.id, why))
            continue
        taken.append(vote.id)
        taken_raters.setdefault(vote.rater_name, vote.rater_kind)
        models |= {vote.model_a, vote.model_b}
    repeated, agreement = _agreement(bytes(keys), said)
    return Survey(
        np.array(ids, np.int64), np.array(taken, np.int64), tuple(refused), raters, taken_raters, frozenset(models),
        seen["simulated"], seen["imported"], repeated, agreement, _hash(ids, outcomes),
    )  # fmt: skip


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


def _agreement(keys: bytes, said: Sequence[int]) -> tuple[int, float | None]:
    """(battles with two votes or more, share of the pairs of votes on one battle that say the same)."""
    if not said:
        return 0, None
    halves = np.frombuffer(keys, np.uint64).reshape(-1, 2)
    order = np.lexsort((halves[:, 0], halves[:, 1]))
    ends = (np.diff(halves[order], axis=0) != 0).any(axis=1)
    battle = np.concatenate([[0], np.cumsum(ends)])
    n = np.bincount(battle)
    alike = sum(
        _twos(np.bincount(battle[np.array(said, np.int8)[order] == code])) for code in range(len(OUTCOMES))
    )
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
        return (
            vote
            for start in range(0, len(self), AT_ONCE)
            for vote in self._votes[start : start + AT_ONCE].tolist()
        )

    def __len__(self) -> int:
        return len(self._votes)

    def in_order(self, votes: Ints) -> Ints:
        """These votes by their numbers."""
        found: Ints = votes[np.argsort(self._numbers[np.searchsorted(self._votes, votes)])]
        return found
