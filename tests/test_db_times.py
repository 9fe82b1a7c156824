"""Counts of many keys beside a plain counter."""

import contextlib
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from db.entities.catalog import content_id
from db.times import Times


@given(st.lists(st.integers(0, 9)))
def test_the_nth_time_is_what_a_counter_says(things: list[int]) -> None:
    plain: Counter[int] = Counter()
    with contextlib.closing(Times()) as times:
        for thing in things:
            plain[thing] += 1
            assert times.nth(content_id(thing)) == plain[thing]
