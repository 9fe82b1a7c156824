"""Compare: two to six runs side by side, their curves over each other, what differs in settings and rows."""

from collections.abc import Sequence
from typing import NamedTuple

import gradio as gr

from arena.comparing import FEWEST, MOST, Comparison, compare, result_rows, row_rows, setting_rows
from arena.web.context import Context
from arena.web.pages.studio.acts import Part, panel
from arena.web.pages.studio.markup import HEIGHT, WIDTH, Cell, note, render, table, turns
from db.errors import UserError
from db.runs import list_runs

EVERY = 4.0
LISTED = 100


class Drawn(NamedTuple):
    """A chart: its title, what it means, and the metric; its held-out form is drawn dashed."""

    title: str
    words: str
    keys: tuple[str, ...]


CHARTS = (
    Drawn("Loss", "falls as a model learns; losses of different kinds do not compare", ("loss",)),
    Drawn("Margin", "how much more it favours the chosen answer than its parent does", ("rewards/margins",)),
    Drawn("Accuracy", "share of rows it has the right way round",
          ("rewards/accuracies", "accuracy", "mean_token_accuracy")),
    Drawn("Reward of chosen", "how much likelier the chosen answers became", ("rewards/chosen",)),
    Drawn("Reward of rejected", "how much likelier the rejected answers became", ("rewards/rejected",)),
)  # fmt: skip


class Line(NamedTuple):
    """One run's curve in SVG units: `n` is its colour, dashed where it is on held-out rows."""

    n: int
    points: str
    heldout: bool


class Overlay(NamedTuple):
    """Curves over each other, with the ends of both axes in words."""

    title: str
    help: str
    lines: tuple[Line, ...]
    low: str
    high: str
    first: int
    last: int


def overlay(made: Comparison, drawn: Drawn) -> Overlay | None:
    """The curves of one chart; None where no run has any."""
    found: list[tuple[int, bool, Sequence[tuple[int, float]]]] = []
    for n, run in enumerate(made.runs, 1):
        own = (
            k for k in drawn.keys if run in made.curves.get(k, {}) or run in made.curves.get(f"eval_{k}", {})
        )
        key = next(own, drawn.keys[0])  # the first of the names that its kind uses
        both = (
            (False, made.curves.get(key, {}).get(run)),
            (True, made.curves.get(f"eval_{key}", {}).get(run)),
        )
        found += [(n, held, curve) for held, curve in both if curve]
    if not found:
        return None
    values = [v for _, _, curve in found for _, v in curve]
    steps = [s for _, _, curve in found for s, _ in curve]
    low, high, first, last = min(values), max(values), min(steps), max(steps)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5

    def points(curve: Sequence[tuple[int, float]]) -> str:
        return " ".join(
            f"{WIDTH * (s - first) / max(1, last - first):.1f},{HEIGHT * (high - v) / (high - low):.1f}"
            for s, v in (curve if len(curve) > 1 else [*curve, *curve])  # one point alone is drawn as a dot
        )

    lines = tuple(Line(n, points(curve), held) for n, held, curve in found)
    return Overlay(drawn.title, drawn.words, lines, _short(low), _short(high), first, last)


def _short(value: float) -> str:
    """An end of an axis; what rounds to nothing has no sign."""
    return f"{round(value, 2) + 0.0:,.2f}"


def shown(context: Context, names: Sequence[str]) -> str:
    """The comparison as HTML; what is missing stands in its place."""
    db = context.readers.get()
    if len(list_runs(db)) < FEWEST:
        return note("Two runs make a comparison: train a second one first.")
    try:
        made = compare(db, names)
    except UserError as error:
        return note(str(error))
    charts = [o for d in CHARTS if (o := overlay(made, d)) is not None]
    return render(
        "compare", runs=made.runs, charts=charts, same_rows=made.same_rows, rows=made.rows, turns=turns,
        results=_table(result_rows(made), made.runs, "Results"),
        settings=_table(setting_rows(made), made.runs, "Settings that differ") if made.settings else "",
        counts=_table(row_rows(made), made.runs, "Rows"),
    )  # fmt: skip


def _table(rows: Sequence[dict[str, object]], runs: Sequence[str], caption: str) -> str:
    """A table with a column a run."""
    cells: list[Sequence[Cell]] = [(str(r[""]), *(_cell(r[run]) for run in runs)) for r in rows]
    return table(("", *runs), cells, empty="", caption=caption)


def _cell(value: object) -> Cell:
    return (
        value
        if isinstance(value, int | float) and not isinstance(value, bool)
        else None
        if value is None
        else str(value)
    )


def choices(context: Context) -> list[tuple[str, str]]:
    """(words, name) of the runs, newest first."""
    found = list_runs(context.readers.get())[:LISTED]
    return [(f"{r.name} ({r.kind} from {r.parent}, {r.status})", r.name) for r in found]


def build(context: Context) -> Part:
    """The choice of runs and what is drawn of them."""
    chosen = gr.Dropdown([], label="Runs to compare", multiselect=True, max_choices=MOST, elem_id="compared",
                         info="Two to six. The newest two are chosen at first.")  # fmt: skip
    drawn = panel(elem_id="comparison")
    timer = gr.Timer(EVERY, active=False)
    quiet = {"show_progress": "hidden", "api_visibility": "private"}

    def again(names: Sequence[str] | None) -> str:
        return shown(context, names or ())

    def refresh() -> tuple[gr.Dropdown, str]:
        found = choices(context)
        names = [name for _, name in found[:2]]
        return gr.Dropdown(choices=found, value=names), shown(context, names)

    chosen.input(again, chosen, drawn, **quiet)
    timer.tick(again, chosen, drawn, **quiet)
    return Part(refresh, [chosen, drawn], timer)
