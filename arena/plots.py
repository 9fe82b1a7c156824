"""The report's plots as files for a paper or a slide: drawn by matplotlib without a screen. Heavy import; call late."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from arena.intervals import Interval

if TYPE_CHECKING:
    from arena.beside import JudgedPair
    from arena.report import Report

COLOUR_A, COLOUR_B, GREY, INK = "#3b6fd4", "#a85a14", "#7b8492", "#1d2127"
GREYS = {"ties": "#7b8492", "both_good": "#a5acb8", "both_bad": "#4e5663"}
MOST_BARS = 20
SQUARE = 8
"""how many bars tall a plot without bars is"""
MOST_CLOUDS = 3
"""pairs of models in one scatter or histogram"""
DPI = 160

Drawing = tuple[str, Figure]


def pictures(
    made: "Report", runs: Mapping[str, Mapping[str, "Curve"]] = MappingProxyType({})
) -> Iterator[tuple[str, bytes]]:  # fmt: skip
    """(file name, content) of each plot there is something to show in, as PNG and as SVG; `runs` has curves by run."""
    for name, figure in chain(drawings(made), training_curves(runs)):
        yield f"{name}.png", _saved(figure, "png")
        yield f"{name}.svg", _saved(figure, "svg")


def drawings(made: "Report") -> Iterator[Drawing]:
    """Each plot with its name: outcomes, win rates, mean scores, score gaps, ratings, agreement by score gap."""
    plots: tuple[tuple[str, Callable[[Report, Axes], None], int], ...] = (
        ("outcomes", _outcomes, len(made.pairs)),
        ("win_rates", _win_rates, len(made.pairs) + sum(len(j.pairs) for j in made.judges)),
        ("mean_scores", _mean_scores, sum(len(j.mean_score) for j in made.judges)),
        ("score_gaps", _score_gaps, sum(p.score_gap is not None for j in made.judges for p in j.pairs)),
        ("scores", _scores, SQUARE * any(p.points for j in made.judges for p in j.pairs)),
        (
            "score_differences",
            _score_differences,
            SQUARE * any(p.points for j in made.judges for p in j.pairs),
        ),
        ("ratings", _ratings, sum(r.rating is not None for r in made.ratings)),
        ("agreement_by_score_gap", _calibration, sum(bool(j.by_score_gap) for j in made.judges)),
    )
    for name, draw, rows in plots:
        if rows:
            figure = Figure(figsize=(8, 1.8 + 0.42 * min(rows, MOST_BARS)), dpi=DPI, layout="constrained")
            FigureCanvasAgg(figure)
            axes = figure.add_subplot()
            draw(made, axes)
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
            yield name, figure


CURVES = (("loss", "loss"), ("rewards/margins", "margin"), ("rewards/accuracies", "accuracy"))
Curve = Sequence[tuple[int, float]]


def training_curves(runs: Mapping[str, Mapping[str, Curve]]) -> Iterator[Drawing]:
    """The course of each run that made a model of the report: loss, margin, accuracy; dots are held-out rows."""
    shown = [(name, label) for name, label in CURVES if any(name in curves for curves in runs.values())]
    if not shown:
        return
    figure = Figure(figsize=(8, 2.4 * len(shown)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, label) in zip(figure.subplots(len(shown), squeeze=False)[:, 0], shown, strict=True):
        for number, (run, curves) in enumerate(runs.items()):
            for key, style in ((name, "-"), (f"eval_{name}", "o")):
                if curves.get(key):
                    told = _text(run) if key == name else f"{_text(run)}, held-out"
                    axes.plot(
                        *zip(*curves[key], strict=True), style, color=f"C{number}", markersize=4, label=told
                    )
        axes.set_ylabel(label)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.axes[-1].set_xlabel("step")
    marks = {
        label: line
        for axes in figure.axes
        for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        list(marks.values()), list(marks), loc="outside lower center", ncols=3, frameon=False, fontsize=8
    )
    yield "training_curves", figure


def _saved(figure: Figure, form: str) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format=form, metadata={"Date": None} if form == "svg" else None)
    return out.getvalue()


def _text(name: str) -> str:
    """A name as it is: no dollar sign starts a formula."""
    return name.replace("$", r"\$")


def _rows(axes: Axes, names: list[str]) -> range:
    """One row a name, the first on top."""
    axes.set_yticks(range(len(names)), [_text(n) for n in names])
    axes.invert_yaxis()
    return range(len(names))


def _half(axes: Axes, label: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.axvline(0.5, color=GREY, linestyle="--", linewidth=1)
    axes.set_xlabel(_text(label))


def _error(rate: float, interval: Interval | None) -> list[list[float]]:
    low, high = interval or (rate, rate)
    return [[max(0.0, rate - low)], [max(0.0, high - rate)]]


def _outcomes(made: "Report", axes: Axes) -> None:
    shown = made.pairs[:MOST_BARS]
    parts = (("wins_a", "first better", COLOUR_A), *((k, k.replace("_", " "), c) for k, c in GREYS.items()),
             ("wins_b", "second better", COLOUR_B))  # fmt: skip
    rows = _rows(axes, [f"{p.model_a} / {p.model_b}" for p in shown])
    start = [0] * len(shown)
    for field, label, colour in parts:
        widths = [int(getattr(p, field)) for p in shown]
        bars = axes.barh(rows, widths, left=start, color=colour, label=label, edgecolor="white", height=0.6)
        axes.bar_label(
            bars, [str(w) if w else "" for w in widths], label_type="center", color="white", fontsize=8
        )
        start = [s + w for s, w in zip(start, widths, strict=True)]
    axes.set_xlabel("votes")
    axes.legend(ncols=5, fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1))


def _win_rates(made: "Report", axes: Axes) -> None:
    rows = [
        (f"{p.model_a} / {p.model_b}: people", p.win_rate_a, p.ci95 or p.decided_ci95, INK, "o")
        for p in made.pairs
    ]
    rows += [
        (f"{p.model_a} / {p.model_b}: {j.name}", p.win_rate_a, p.win_rate_ci95, COLOUR_A, "D")
        for j in made.judges for p in j.pairs
    ]  # fmt: skip
    rows = sorted(rows[:MOST_BARS])
    for y, (_, rate, interval, colour, mark) in zip(_rows(axes, [r[0] for r in rows]), rows, strict=True):
        if rate is not None:
            axes.errorbar(rate, y, xerr=_error(rate, interval), fmt=mark, color=colour, capsize=3)
    _half(axes, "win rate of the first model, ties half, with 95 % intervals")


def _mean_scores(made: "Report", axes: Axes) -> None:
    rows = [(f"{j.name}: {m}", x) for j in made.judges for m, x in j.mean_score.items()][:MOST_BARS]
    bars = axes.barh(_rows(axes, [r[0] for r in rows]), [r[1] for r in rows], color=COLOUR_A, height=0.6)
    axes.bar_label(bars, [f" {x:.2f} " for _, x in rows], fontsize=8)
    axes.axvline(0, color=GREY, linewidth=1)
    axes.margins(x=0.12)
    axes.set_xlabel("mean score; only differences mean something")


def _score_gaps(made: "Report", axes: Axes) -> None:
    rows = [(f"{j.name}: {p.model_a} less {p.model_b}", p.score_gap) for j in made.judges for p in j.pairs
            if p.score_gap is not None][:MOST_BARS]  # fmt: skip
    bars = axes.barh(_rows(axes, [r[0] for r in rows]), [r[1] for r in rows],
                     color=[COLOUR_A if x > 0 else COLOUR_B for _, x in rows], height=0.6)  # fmt: skip
    axes.bar_label(bars, [f" {x:+.2f} " for _, x in rows], fontsize=8)
    axes.axvline(0, color=GREY, linewidth=1)
    axes.margins(x=0.12)
    axes.set_xlabel("mean score difference on the same prompts")


def _clouds(made: "Report") -> list[tuple["JudgedPair", str]]:
    """The first pairs of models that were scored, each with the judge's name."""
    return [(p, j.name) for j in made.judges for p in j.pairs if p.points][:MOST_CLOUDS]


def _scores(made: "Report", axes: Axes) -> None:
    """A point a battle: above the diagonal the second model's answer scores higher."""
    for pair, judge in _clouds(made):
        of_a, of_b = ([point[side] for point in pair.points] for side in (0, 1))
        axes.scatter(of_a, of_b, s=14, alpha=0.6, label=_text(f"{judge}: {pair.model_b} over {pair.model_a}"))
    every = [x for pair, _ in _clouds(made) for point in pair.points for x in point]
    ends = (min(every), max(every))
    axes.plot(ends, ends, color=GREY, linestyle="--", linewidth=1)
    axes.set_xlabel("score of the first model's answer")
    axes.set_ylabel("score of the second model's")
    axes.legend(frameon=False, fontsize=8)


def _score_differences(made: "Report", axes: Axes) -> None:
    """How often the second model's answer scores how much higher."""
    shown = _clouds(made)
    differences = [[b - a for a, b in pair.points] for pair, _ in shown]
    axes.hist(
        differences, bins=15, label=[_text(f"{judge}: {p.model_b} less {p.model_a}") for p, judge in shown]
    )
    axes.axvline(0, color=GREY, linestyle="--", linewidth=1)
    axes.set_xlabel("score difference on the same prompt")
    axes.set_ylabel("prompts")
    axes.legend(frameon=False, fontsize=8)


def _ratings(made: "Report", axes: Axes) -> None:
    rows = [(r.model, r.rating, r.ci95) for r in made.ratings if r.rating is not None][:MOST_BARS]
    for y, (_, rating, interval) in zip(_rows(axes, [r[0] for r in rows]), rows, strict=True):
        axes.errorbar(rating, y, xerr=_error(rating, interval), fmt="o", color=INK, capsize=3)
    axes.set_xlabel("rating (Bradley-Terry, 400 points are odds of ten to one), with 95 % intervals")


def _calibration(made: "Report", axes: Axes) -> None:
    for judge in made.judges:
        if judge.by_score_gap:
            middles = [(b.low + b.high) / 2 for b in judge.by_score_gap]
            axes.plot(middles, [b.agreement for b in judge.by_score_gap], marker="o", label=_text(judge.name))
    axes.axhline(0.5, color=GREY, linestyle="--", linewidth=1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("score gap between the two answers")
    axes.set_ylabel("agrees with people")
    axes.legend(frameon=False, fontsize=8)
