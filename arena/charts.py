"""The report as HTML: pictures drawn with markup alone, each beside its table. Every name is escaped by the templates."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from arena.beside import JudgedPair, JudgeFigures
from arena.figure_tables import tables
from arena.intervals import LEVEL, Interval
from arena.report import Report
from arena.style import features_text
from arena.winrates import HeadToHead, percent

Curves = Mapping[str, Sequence[tuple[int, float]]]
"""{metric: (step, value), ...} of a run"""

HERE = Path(__file__).parent
ASSETS = HERE / "web" / "assets"
MOST_ROWS = 100
"""rows of a table on the page; the JSON has them all"""
MOST_COLUMNS = 20
MOST_DOWNLOAD = 1_000_000

_TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip


def _share(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}\u00a0%"


def _number(value: float | None, digits: int = 2) -> str:
    return (
        "–"
        if value is None
        else f"{value:,.{digits}f}".rstrip("0").rstrip(".")
        if digits
        else f"{value:,.0f}"
    )


def _range(interval: Interval | None) -> str:
    return "–" if interval is None else f"{100 * interval.low:.0f} to {100 * interval.high:.0f}\u00a0%"


def _p_value(p: float) -> str:
    return "under 0.0001" if p < 0.0001 else f"{p:.2g}"


def _kept(sentence: str) -> str:
    """A sentence in which no line begins with a percent sign."""
    return sentence.replace(" %", "\u00a0%")


JUDGES = {
    "reward": "reward model",
    "pairrm": "PairRM",
    "llm": "language model",
    "llm_single": "language model, grades 1 to 10",
    "length": "prefers the longer answer",
}


def judge_word(kind: str) -> str:
    """What kind of judge it is, in words; one that came with an import is a judge."""
    return JUDGES.get(kind, "judge")


_TEMPLATES.filters |= {
    "judge_kind": judge_word,
    "kept": _kept,
    "share": _share,
    "number": _number,
    "range": _range,
    "p_value": _p_value,
}


class Segment(NamedTuple):
    """A part of the bar of outcomes."""

    kind: str
    name: str
    n: int
    share: float


class Point(NamedTuple):
    """A rate with its interval, on an axis from 0 to 1."""

    kind: str
    name: str
    rate: float | None
    interval: Interval | None
    note: str


class Beside(NamedTuple):
    """A judge next to the people, on the two models that are looked at."""

    judge: JudgeFigures
    pair: JudgedPair
    point: Point
    agrees: bool | None
    """whether it prefers the model that people prefer"""


class Drawn(NamedTuple):
    """A plot on the page: its picture, and its files."""

    name: str
    svg: str
    png: str


class Panel(NamedTuple):
    """A question with rates on the axis from 0 to 100 %."""

    question: str
    points: tuple[Point, ...]
    low: str
    high: str
    note: str
    sides: tuple[str, str] = ("", "")
    """the colours of low and high, where they are models"""


class Download(NamedTuple):
    """A file that the page carries in itself."""

    name: str
    href: str


def body(
    made: Report, pair: int | None = None, drawn: Sequence[Drawn] = (), as_of: str | None = None,
    files: Sequence[Download] | None = None, studio: str | None = None,
) -> str:  # fmt: skip
    """The report as a fragment of a page. `pair`: which two models the first screen is about; `drawn`: plots to show.

    `as_of`: when it was made, where a newer one is in the making. `files`: its downloads, where they are made already.
    `studio`: where the studio is, for links to it; none for who may not open it.
    """
    chosen = shown_pair(made, pair)
    told = Told(chosen) if chosen else None
    values: dict[str, object] = {
        "r": made, "p": chosen, "told": told, "level": LEVEL, "most": MOST_ROWS, "most_columns": MOST_COLUMNS, "downloads": downloads(made) if files is None else files,
        "segments": segments(chosen) if chosen else (), "points": points(told) if told else (),
        "beside": beside(made, told) if told else (), "light": light(chosen) if chosen else None,
        "scale": rating_scale(made), "styled": {r.model: r for r in made.style_controlled_ratings.ratings} if made.style_controlled_ratings else {},
        "style_says": features_text(made.style_controlled_ratings) if made.style_controlled_ratings else (),
        "drawn": drawn, "as_of": as_of, "panels": panels(told) if told else (), "studio": studio,
    }  # fmt: skip
    return _TEMPLATES.get_template("results.html").render(**values)


def waiting(votes: int) -> str:
    """What stands there while the first report of many votes is made."""
    return _TEMPLATES.get_template("results_waiting.html").render(votes=votes)


def drawn_fragment(made: Report, runs: Mapping[str, Curves] = MappingProxyType({})) -> str:
    """The plots alone, as a fragment of a page."""
    return _TEMPLATES.get_template("results_drawn.html").render(drawn=plots_of(made, runs))


def whole_page(made: Report, runs: Mapping[str, Curves] = MappingProxyType({})) -> str:
    """One page that needs nothing else: the style in it, the plots in it, light and dark by the reader's setting."""
    style = "".join((ASSETS / name).read_text(encoding="utf-8") for name in ("base.css", "results.css"))
    return _TEMPLATES.get_template("results_page.html").render(
        title=made.campaign or "All campaigns", style=style, body=body(made, drawn=plots_of(made, runs))
    )


def shown_pair(made: Report, pair: int | None = None) -> HeadToHead | None:
    """The two models of the first screen: those asked for, else those with the most votes."""
    if pair is not None and 0 <= pair < len(made.pairs):
        return made.pairs[pair]
    return max(made.pairs, key=lambda p: p.n, default=None)


def segments(p: HeadToHead) -> tuple[Segment, ...]:
    """The outcomes in the order they stand in the bar; a kind without a vote has no segment."""
    parts = (("a", f"{p.model_a} better", p.wins_a), ("tie", "tie", p.ties), ("good", "both good", p.both_good),
             ("bad", "both bad", p.both_bad), ("b", f"{p.model_b} better", p.wins_b))  # fmt: skip
    return tuple(Segment(kind, name, n, n / p.n) for kind, name, n in parts)


@dataclass(frozen=True)
class Told:
    """Two models as the first sentence tells of them: every rate beside it is of the one it calls ahead."""

    pair: HeadToHead

    @property
    def ahead_a(self) -> bool:
        """Whether the sentence is about model_a; model_b where there is no rate."""
        return self.pair.win_rate_a is not None and self.pair.win_rate_a >= 0.5

    @property
    def ahead(self) -> str:
        """The model that the rates are of."""
        return self.pair.model_a if self.ahead_a else self.pair.model_b

    @property
    def behind(self) -> str:
        """The other one."""
        return self.pair.model_b if self.ahead_a else self.pair.model_a

    @property
    def sides(self) -> tuple[str, str]:
        """Whose colours the two have: "a" or "b" of the one behind, of the one ahead."""
        return ("b", "a") if self.ahead_a else ("a", "b")

    def both(self, of_a: float, of_b: float) -> tuple[float, float]:
        """A figure of either model: that of the one ahead, that of the one behind."""
        return (of_a, of_b) if self.ahead_a else (of_b, of_a)

    def rate(self, of_a: float | None) -> float | None:
        """A rate of model_a as one of the model ahead."""
        return of_a if self.ahead_a or of_a is None else 1 - of_a

    def interval(self, of_a: Interval | None) -> Interval | None:
        """The interval of such a rate."""
        return of_a if self.ahead_a or of_a is None else Interval(1 - of_a.high, 1 - of_a.low)

    def gap(self, of_a: float) -> float:
        """What model_a has more than model_b, as what the one ahead has more."""
        return of_a if self.ahead_a else -of_a

    def gap_interval(self, of_a: Interval) -> Interval:
        """The interval of such a gap."""
        return of_a if self.ahead_a else Interval(-of_a.high, -of_a.low)


def points(told: Told) -> tuple[Point, ...]:
    """The votes' rates on one axis."""
    p = told.pair
    return (
        Point("people", "All votes, a tie counts half", told.rate(p.win_rate_a), told.interval(p.ci95), f"{p.n} votes"),
        Point("people", "Decided votes only", told.rate(p.decided_win_rate_a), told.interval(p.decided_ci95),
              f"{p.decided} votes"),
    )  # fmt: skip


def beside(made: Report, told: Told) -> tuple[Beside, ...]:
    """The judges that looked at these two models."""
    p = told.pair
    found = []
    for judge in made.judges:
        for pair in judge.pairs:
            if (pair.model_a, pair.model_b) != (p.model_a, p.model_b):
                continue
            note = f"{pair.n} battles, {percent(pair.draws)} draws"
            point = Point(
                "judge", judge.name, told.rate(pair.win_rate_a), told.interval(pair.win_rate_ci95), note
            )
            agrees = _same_side(p.win_rate_a, pair.win_rate_a)
            found.append(Beside(judge, pair, point, agrees))
    return tuple(found)


def panels(told: Told) -> tuple[Panel, ...]:
    """What the side and the length of an answer do to the votes on it."""
    p = told.pair
    sides = Point(
        "people", "Left answer wins", p.left_win_share, p.left_win_ci95, f"{p.decided} decided votes"
    )
    length = Point(
        "people", f"{told.ahead} at equal length", told.rate(p.length_controlled_win_rate_a), None, ""
    )
    raw = Point("people", f"{told.ahead}, all votes", told.rate(p.win_rate_a), told.interval(p.ci95), "")
    return (
        Panel("Does the side matter?", (sides,), "right wins more", "left wins more",
              p.why.get("left_win_share", "At 50 % it does not: each ballot draws its sides anew.")),
        Panel("Does the length matter?", (raw, length), f"{told.behind} better", f"{told.ahead} better",
              p.why.get("length_controlled_win_rate_a", "Where the two lie apart, part of the lead is length."), told.sides),
    )  # fmt: skip


def plots_of(made: Report, runs: Mapping[str, Curves] = MappingProxyType({})) -> tuple[Drawn, ...]:
    """Every plot as files in the page itself; takes seconds."""
    from arena.plots import pictures

    files = {name: base64.b64encode(content).decode() for name, content in pictures(made, runs)}
    names = [name.removesuffix(".svg") for name in files if name.endswith(".svg")]
    return tuple(
        Drawn(n, f"data:image/svg+xml;base64,{files[f'{n}.svg']}", f"data:image/png;base64,{files[f'{n}.png']}")
        for n in names
    )  # fmt: skip


def _same_side(people: float | None, judge: float) -> bool | None:
    """Whether both rates lie on the same side of a half; None where one is on it."""
    if people is None or people == 0.5 or judge == 0.5:
        return None
    return (people > 0.5) == (judge > 0.5)


class Light(NamedTuple):
    """Whether there is enough evidence: its colour's kind, its word, and the sentence beside it."""

    kind: str
    word: str
    sentence: str


def light(p: HeadToHead) -> Light:
    """The light is driven by the anytime test, so looking often does not turn it on by chance."""
    seen = f"p {_p_value(p.anytime.p)} by a test that holds however often you look"
    if p.settled:
        return Light("good", "Enough evidence", f"{seen}.")
    if p.anytime.p <= LEVEL:
        return Light(
            "busy",
            "Not sure yet",
            f"{seen}; but votes of one rater or on one prompt hang together, and with that the interval holds 50 %.",
        )
    return Light("busy", "Not enough evidence yet", f"{seen}; below {LEVEL} it is enough.")


class Scale(NamedTuple):
    """The ends of the axis of ratings."""

    low: float
    high: float

    def at(self, rating: float) -> float:
        """Where a rating lies on the axis, in percent."""
        return min(100.0, max(0.0, 100 * (rating - self.low) / (self.high - self.low)))


def rating_scale(made: Report) -> Scale | None:
    """An axis that holds every rating and, where they are not far out, the intervals."""
    known = [r.rating for r in made.ratings if r.rating is not None]
    if len(known) < 2:
        return None
    ends = [e for r in made.ratings if r.ci95 for e in r.ci95]
    spread = max(100.0, max(known) - min(known))
    low, high = max(min(known + ends), min(known) - spread), min(max(known + ends), max(known) + spread)
    return Scale(low - spread / 20, high + spread / 20)


# -- files in the page -----------------------------------------------------------------------------------------


def downloads(made: Report) -> tuple[Download, ...]:
    """The document and every table as links that hold their file; none that would be too large."""
    document = json.dumps(made.to_json(), ensure_ascii=False, indent=1)
    files = (
        ("report.json", "application/json", document),
        *((name, "text/csv", text) for name, text in tables(made)),
    )
    return tuple(
        Download(name, f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}")
        for name, kind, text in files
        if len(text) <= MOST_DOWNLOAD
    )
