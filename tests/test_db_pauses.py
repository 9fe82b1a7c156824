"""Pauses in long writing."""

import pytest

from db import pauses


def test_long_writing_pauses_after_so_much_work(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    slept: list[float] = []
    monkeypatch.setattr(pauses.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(pauses.time, "sleep", lambda seconds: slept.append(clock[0]))
    lots = [[line] for line in range(1, 10)]
    met = []
    for lot in pauses.with_pauses(iter(lots)):
        met.append(lot)
        clock[0] += 0.02
    assert met == lots
    assert slept == pytest.approx([0.06, 0.12, 0.18]), "after every third lot of 20 ms"
