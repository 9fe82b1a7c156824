"""Models that did not answer raters of a live session: who, why and how often, for the owner alone.

Held in memory: a notice tells of it in the home, this says how it stands now.
"""

import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

QUIET = timedelta(minutes=10)
"""a model that fails again after so long is told of anew"""


@dataclass(frozen=True, slots=True)
class Failing:
    """A model that fails now: its last reason, how many answers it has owed since it last gave one, since when (UTC)."""

    model: str
    reason: str
    times: int
    since: datetime
    last: datetime


class Failures:
    """The models that fail now, by campaign."""

    def __init__(self) -> None:
        self._now: dict[tuple[int, str], Failing] = {}
        self._told: dict[tuple[int, str], datetime] = {}
        self._lock = threading.Lock()

    def failed(self, campaign: int, model: str, reason: str, at: datetime) -> bool:
        """A model failed at every try; whether the owner should be told (it did not just fail before)."""
        key = (campaign, model)
        with self._lock:
            before = self._now.get(key) or Failing(model, reason, 0, at, at)
            self._now[key] = replace(before, reason=reason, times=before.times + 1, last=at)
            told = self._told.get(key)
            self._told[key] = at
            return told is None or at - told >= QUIET

    def answered(self, campaign: int, model: str) -> None:
        """A model answered: it does not fail now."""
        with self._lock:
            self._now.pop((campaign, model), None)

    def of(self, campaign: int) -> list[Failing]:
        """The models that fail now in a campaign, the one that failed last first."""
        with self._lock:
            found = [f for (where, _), f in self._now.items() if where == campaign]
        return sorted(found, key=lambda f: f.last, reverse=True)
