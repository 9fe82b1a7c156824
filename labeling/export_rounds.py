"""The responses of each round of the loop, for the export format `responses`: by their row numbers, prompt by prompt."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlite_utils import Database

from db.entities.campaigns import Campaign
from db.exports import ListedResponse, listed_responses
from labeling.surveying import Ints, first_places, key_of, numbered, whole_groups


class _Listed(NamedTuple):
    """Responses in order of arrival."""

    numbers: Ints
    prompts: NDArray[np.uint64]
    """two for each: a hash"""


class Round(NamedTuple):
    """The responses of a round, each once, in order of arrival."""

    numbers: Ints
    prompts: Ints
    """of each: the place of the first response to the same prompt"""

    def by_prompt(self, size: int) -> Iterator[Ints]:
        """All responses to a prompt one after the other, those of whole prompts at a time, `size` or a few more."""
        return (self.numbers[places] for places in whole_groups(self.prompts, size))


class Rounds(NamedTuple):
    """Rounds that hold responses, the first one first, and the models that gave them."""

    rounds: tuple[Round, ...] = ()
    models: frozenset[str] = frozenset()


def rounds_of(db: Database, chosen: Sequence[Campaign], *, everything: bool) -> Rounds:
    """The rounds of campaigns: those of one lineage that grew out of the same run belong to one.

    everything: responses that are in none of them belong to the first.
    """
    runs: dict[int, list[int]] = {}
    for campaign in chosen:
        runs.setdefault(campaign.lineage, []).append(campaign.parent_run or 0)
    places = {lineage: sorted(set(found)) for lineage, found in runs.items()}
    models: set[str] = set()
    rounds: dict[int, list[_Listed]] = {0: []}
    for campaign in chosen:
        place = places[campaign.lineage].index(campaign.parent_run or 0)
        rounds.setdefault(place, []).append(_listed(listed_responses(db, campaign.id), models))
    if everything:
        every = _listed(listed_responses(db, None), models)
        later = [one.numbers for place, ones in rounds.items() for one in ones if place]
        left = ~np.isin(every.numbers, np.concatenate([*later, np.empty(0, np.int64)]))
        rounds[0].append(_Listed(every.numbers[left], every.prompts[left]))
    made = (_round(rounds[place]) for place in sorted(rounds) if rounds[place])
    return Rounds(tuple(r for r in made if len(r.numbers)), frozenset(models))


def _listed(responses: Iterable[ListedResponse], models: set[str]) -> _Listed:
    """Responses as numbers; their models are added to `models`."""
    numbers, keys = array("q"), bytearray()
    for response in responses:
        numbers.append(response.number)
        keys += key_of(response.prompt)
        models.add(response.model)
    return _Listed(np.array(numbers, np.int64), np.frombuffer(keys, np.uint64).reshape(-1, 2))


def _round(parts: Sequence[_Listed]) -> Round:
    numbers, prompts = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    once = np.sort(np.unique(numbers, return_index=True)[1])
    return Round(numbers[once], first_places(numbered(prompts[once])))
