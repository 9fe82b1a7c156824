"""How fast one browser and one address may ask: nobody alone takes the server from the others. In memory only.

The limits are far above what a person or a script that rates needs: they cut off who floods, not who hurries.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple


class Rate(NamedTuple):
    """So many at once, and so many a second for as long as one likes."""

    burst: float
    a_second: float


BY_RATER = Rate(10_000, 200)
"""requests with one cookie"""
BY_ADDRESS = Rate(2_000, 20)
"""requests from one address that came without a session that is one"""
MOST_KNOWN = 10_000


class Pace:
    """Buckets that fill with time and are emptied by requests (a token bucket), one a key; the longest unused is forgotten."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str) -> int:
        """Whole seconds until there is room for one more of this key; 0 where there is."""
        left = self._left(key)
        return 0 if left >= 1 else math.ceil((1 - left) / self._rate.a_second)

    def take(self, key: str) -> None:
        """One more of this key."""
        self._buckets[key] = (self._left(key) - 1, self._clock())
        self._buckets.move_to_end(key)
        if len(self._buckets) > MOST_KNOWN:
            self._buckets.popitem(last=False)

    def _left(self, key: str) -> float:
        left, at = self._buckets.get(key, (self._rate.burst, self._clock()))
        return min(self._rate.burst, left + (self._clock() - at) * self._rate.a_second)
