"""The report's tables as CSV: one beside each plot, and on the page as downloads. Pure."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from arena.intervals import Interval
from labeling.tables import safe_cell

if TYPE_CHECKING:
    from arena.report import Report

PAIRS = ("model_a", "model_b", "n", "wins_a", "wins_b", "ties", "both_good", "both_bad", "win_rate_a", "se", "ci95",
         "ci_method", "decided_win_rate_a", "decided_ci95", "wins_of_all_a", "wins_of_all_ci95", "sign_test_p",
         "length_controlled_win_rate_a", "left_win_share", "left_win_ci95", "verdict")  # fmt: skip
RATINGS = ("model", "rating", "se", "ci95", "n", "preliminary", "unbounded", "component")
JUDGED = ("model_a", "model_b", "n", "wins_a", "wins_b", "draws", "win_rate_a", "win_rate_ci95", "score_a", "score_b",
          "score_gap", "score_gap_ci95")  # fmt: skip
JUDGES = ("name", "kind", "scored", "errors", "truncated_share", "agreement_decided", "agreement_ci95", "agreement_n",
          "agreement_with_ties", "cohen_kappa", "auc", "spearman", "longer_wins_baseline")  # fmt: skip
BINS = ("low", "high", "n", "agreement")


def tables(made: "Report") -> Iterator[tuple[str, str]]:
    """(file name, text) of each table that has a row; intervals as two columns."""
    styled = made.style_controlled_ratings
    bins = [
        (j.name, gap, b)
        for j in made.judges
        for gap, found in (("score", j.by_score_gap), ("length", j.by_length_gap))
        for b in found
    ]
    found: tuple[tuple[str, Sequence[str], Sequence[Sequence[object]]], ...] = (
        ("pairs.csv", *_of(PAIRS, made.pairs)),
        ("ratings.csv", *_of(RATINGS, made.ratings)),
        ("style_controlled_ratings.csv", *_of(RATINGS, styled.ratings if styled else ())),
        ("judges.csv", *_of(JUDGES, made.judges)),
        ("judged_pairs.csv", *_of(JUDGED, [p for j in made.judges for p in j.pairs],
                                  ("judge", [j.name for j in made.judges for _ in j.pairs]))),
        ("agreement_by_gap.csv", ("judge", "gap", *BINS), [(n, g, *(getattr(b, f) for f in BINS)) for n, g, b in bins]),
        ("win_matrix.csv", ("wins of", *made.win_matrix.models),
         [(m, *row) for m, row in zip(made.win_matrix.models, made.win_matrix.wins, strict=True)]),
    )  # fmt: skip
    for name, head, rows in found:
        if rows:
            yield name, as_csv([head, *rows])


def _of(
    names: Sequence[str], things: Iterable[object], first: tuple[str, Sequence[str]] | None = None
) -> tuple[list[str], list[list[object]]]:
    """The head and a row for each thing; an interval, wherever one stands in a column, makes two columns of it."""
    rows = [[getattr(t, n) for n in names] for t in things]
    wide = {n for i, n in enumerate(names) if any(isinstance(row[i], Interval) for row in rows)}
    head = [h for n in names for h in ((f"{n}_low", f"{n}_high") if n in wide else (n,))]
    flat = [
        [x for n, v in zip(names, row, strict=True) for x in ((v or (None, None)) if n in wide else (v,))]
        for row in rows
    ]
    if first is not None:
        return [first[0], *head], [[label, *row] for label, row in zip(first[1], flat, strict=True)]
    return head, flat


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV; a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        writer.writerow([safe_cell(v) if isinstance(v, str) else v for v in row])
    return out.getvalue()
