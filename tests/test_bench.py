"""The one entry of bench/: every benchmark is in it, rows come out as they went in, a failure is a row."""

from pathlib import Path

import pytest

from bench.__main__ import BENCHES, NO_BENCHES, ROOT, Bench, Result, run, table, wanted
from bench.rows import GATHERED, Row, better, report, rows_in


def test_every_benchmark_is_reachable() -> None:
    files = {p.stem for p in (ROOT / "bench").glob("*.py")}
    assert {b.name for b in BENCHES} == files - NO_BENCHES


def test_rows_come_back_as_they_were(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(GATHERED, "1")
    rows = [Row("a", "1 s", "2 s", 2.0, "1 s"), Row("ü", "3")]
    report(*rows)
    said = capsys.readouterr().out
    assert rows_in(said) == rows
    assert "a: 1 s  beside 2 s  2.0 times  (goal: 1 s)" in said
    monkeypatch.delenv(GATHERED)
    report(*rows)
    assert rows_in(capsys.readouterr().out) == []


def test_better_is_how_many_times() -> None:
    assert better(1000, 40) == 25
    assert better(2, 5, less=True) == 2.5
    assert better(0, 5) is None


def test_one_that_fails_is_a_row_that_says_so(tmp_path: Path) -> None:
    result = run(Bench("guard", (str(tmp_path / "no-such-file"),)), quick=False, longest=60)
    assert [r["what"] for r in result.rows] == ["guard"]
    assert str(result.rows[0]["ours"]).startswith("failed with exit 1: ")
    said = table({"guard": result, "votes": Result("now", 1, True, "a machine", 0.1, [], "what it printed")})
    assert "| guard | failed with exit 1: " in said
    assert "## votes\n\n```\nwhat it printed\n```" in said


def test_quick_leaves_out_what_trains_for_long() -> None:
    names = [b.name for b in wanted([], quick=True)]
    assert "votes" in names
    assert "loop" not in names
    assert [b.name for b in wanted(["loop"], quick=True)] == ["loop"]
