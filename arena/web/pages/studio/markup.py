"""HTML for the studio: templates that escape every value by themselves, tables, and small line charts as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from db.entities.catalog import Message
from labeling.blinding import render_markdown

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
# the one filter whose result is not escaped again: it lets nothing through that runs, loads or covers the page
_TEMPLATES.filters["model_text"] = render_markdown

LONG = 28
"""characters of a cell that should not be squeezed into a narrow column"""
WIDTH, HEIGHT = 300.0, 96.0
"""the drawing area of a chart, in SVG units"""


def render(template: str, **values: object) -> str:
    """A template of this package filled in; names and texts are escaped."""
    return _TEMPLATES.get_template(f"{template}.html").render(**values)


class Chip(NamedTuple):
    """A word with a colour of its own: good, busy, bad or plain."""

    text: str
    kind: str = "plain"


class Meter(NamedTuple):
    """A bar that is filled to a share (0 to 1), with words beside it."""

    share: float
    text: str


class Code(NamedTuple):
    """Text to copy, as it is typed."""

    text: str


Cell = str | int | float | Chip | Meter | Code | None

STATUS_KINDS = {
    "open": "good", "succeeded": "good", "running": "busy", "queued": "busy", "paused": "busy", "draft": "plain",
    "failed": "bad", "cancelled": "plain", "closed": "plain", "counted": "good",
}  # fmt: skip


def chip(status: str) -> Chip:
    """A status in its colour."""
    return Chip(status, STATUS_KINDS.get(status, "plain"))


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, empty: str, caption: str = "") -> str:
    """A table that scrolls sideways where the page is narrow; a sentence where it has no rows."""
    return render(
        "table", heads=heads, rows=[[_cell(c) for c in row] for row in rows], empty=empty, caption=caption
    )


class _Shown(NamedTuple):
    """A cell as the template takes it."""

    kind: str
    text: str
    extra: str = ""


def _cell(cell: Cell) -> _Shown:
    match cell:
        case None:
            return _Shown("none", "")
        case Chip():
            return _Shown("chip", cell.text, cell.kind)
        case Meter():
            return _Shown("meter", cell.text, f"{100 * min(1.0, max(0.0, cell.share)):.0f}")
        case Code():
            return _Shown("code", cell.text)
        case str():
            return _Shown("long" if len(cell) > LONG else "text", cell)
        case _:
            return _Shown("number", f"{cell:,}" if isinstance(cell, int) else f"{cell:.3g}")


def note(text: str, kind: str = "plain") -> str:
    """A sentence in a box: plain, good, busy or bad."""
    return render("note", text=text, kind=kind)


def turns(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """(role, text) of each turn, for templates."""
    return [(m["role"], m["content"]) for m in messages]


@dataclass(frozen=True, slots=True)
class Chart:
    """A line over steps: `points` in SVG units, the last value, and the ends of both axes in words."""

    title: str
    help: str
    points: str
    dots: tuple[tuple[float, float], ...]
    last: str
    low: str
    high: str
    first_step: int
    last_step: int
    level: float | None


def chart(
    title: str, help_: str, line: Sequence[tuple[int, float]], dots: Sequence[tuple[int, float]] = (),
    *, total: int = 0, level: float | None = None,
) -> Chart | None:  # fmt: skip
    """A chart of (step, value): a line, and dots for the held-out pairs. `level` is drawn as a thin line across.

    None before the first value.
    """
    if not line:
        return None
    values = [v for _, v in (*line, *dots)] + ([level] if level is not None else [])
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    first, last = (
        line[0][0],
        max(total, line[-1][0], *(s for s, _ in dots)) if dots else max(total, line[-1][0]),
    )

    def place(step: int, value: float) -> tuple[float, float]:
        x = WIDTH * (step - first) / max(1, last - first)
        return round(x, 1), round(HEIGHT * (high - value) / (high - low), 1)

    return Chart(
        title, help_, " ".join(f"{x},{y}" for x, y in (place(s, v) for s, v in line)),
        tuple(place(s, v) for s, v in dots), _short(line[-1][1], 3), _short(low, 2), _short(high, 2), first, last,
        None if level is None else place(first, level)[1],
    )  # fmt: skip


def _short(value: float, digits: int) -> str:
    """A figure of a chart: so many decimals, or in powers of ten where they would show nothing but zeros."""
    return f"{value:.1e}" if 0 < abs(value) < 10.0**-digits else f"{value:,.{digits}f}"
