"""What should make the owner look at once. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

LATEST = 50
"""votes that are held beside those before them"""
FEWEST_BEFORE = 50
DROP = 0.1
"""a smaller fall of the counted share is no alarm, however sure"""
STRICT = 0.001


class CountedShare(NamedTuple):
    """The counted share of the latest votes, and of those before, with the sentence that says so."""

    latest: float
    before: float
    words: str


def counted_share_alarm(counted: Sequence[bool]) -> CountedShare | None:
    """An alarm where the latest votes count less often than those before; None where they do not.

    `counted`: whether each stored vote counts, in order of arrival, those left out by design (check questions, skips,
    undone ones) left away. The latest LATEST are held beside all before by Fisher's exact test, one-sided. It is looked
    at again and again, so it asks for one chance in a thousand and a fall of ten points: with nothing wrong and 5 % of
    votes left out, 2,000 votes looked at after each raise it in under 1 of 100 sessions (tests/test_labeling_alarms.py).
    """
    latest, before = counted[-LATEST:], counted[:-LATEST]
    if len(before) < FEWEST_BEFORE:
        return None
    now, then = sum(latest) / len(latest), sum(before) / len(before)
    if now > then - DROP:
        return None
    from scipy.stats import hypergeom

    left_out = len(counted) - sum(counted)
    if float(hypergeom.sf(len(latest) - sum(latest) - 1, len(counted), left_out, len(latest))) >= STRICT:
        return None
    words = (f"Only {100 * now:.0f} % of the last {len(latest)} votes count; before it was {100 * then:.0f} %. "
             "See why they are left out, and pause the session if something is wrong.")  # fmt: skip
    return CountedShare(now, then, words)
