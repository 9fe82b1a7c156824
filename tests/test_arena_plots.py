"""The plots as files: there where there is something to show, well-formed, of what the report says."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from arena.plots import drawings, pictures, training_curves
from arena.report import report
from arena.report_files import write_plots
from tests.test_arena_report import filled, scored, voted


@pytest.fixture
def made(db):
    campaign = filled(db, models=("base", "sft", "dpo"), prompts=30)
    voted(db, campaign, ["a", "b", "b", "tie", "both_bad", "both_good", "b"] * 12, raters=("r1", "r2", "r3"))
    scored(db, campaign, lambda model, i: len(model) * 0.5 + (i * 7 % 5))
    return report(db, "first")


def test_every_plot_is_written_as_png_and_svg(made, tmp_path):
    write_plots(made, tmp_path / "plots")
    names = ("outcomes", "win_rates", "mean_scores", "score_gaps", "scores", "score_differences", "ratings",
             "agreement_by_score_gap")  # fmt: skip
    assert {p.name for p in (tmp_path / "plots").iterdir() if p.suffix != ".csv"} == {
        f"{n}.{e}" for n in names for e in ("png", "svg")
    }
    for path in (tmp_path / "plots").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    for path in (tmp_path / "plots").glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_the_bars_are_the_counts(made):
    axes = dict(drawings(made))["outcomes"].axes[0]
    widths = [[round(bar.get_width()) for bar in bars] for bars in axes.containers]
    fields = ("wins_a", "ties", "both_good", "both_bad", "wins_b")
    assert widths == [[getattr(p, f) for p in made.pairs] for f in fields]


def test_bars_of_mean_scores_are_the_scores(made):
    axes = dict(drawings(made))["mean_scores"].axes[0]
    assert [bar.get_width() for bar in axes.containers[0]] == pytest.approx(
        list(made.judges[0].mean_score.values())
    )


def test_points_and_histogram_are_of_the_same_battles(made):
    shown = dict(drawings(made))
    pairs = [p for p in made.judges[0].pairs if p.points][:3]
    clouds = shown["scores"].axes[0].collections
    assert [list(map(tuple, c.get_offsets().tolist())) for c in clouds] == [list(p.points) for p in pairs]
    bars = shown["score_differences"].axes[0].containers
    assert [sum(bar.get_height() for bar in b) for b in bars] == [len(p.points) for p in pairs]


def test_the_course_of_the_runs_is_drawn_where_there_are_any(made, tmp_path):
    curves = {
        "sft-r1": {
            "loss": [(1, 0.69), (2, 0.6)],
            "eval_loss": [(2, 0.65)],
            "rewards/margins": [(1, 0.0), (2, 0.3)],
        }
    }
    write_plots(made, tmp_path, curves)
    assert (tmp_path / "training_curves.png").is_file()
    ((name, figure),) = training_curves(curves)
    assert (name, [a.get_ylabel() for a in figure.axes]) == ("training_curves", ["loss", "margin"])
    lines = [list(zip(*line.get_data(), strict=True)) for line in figure.axes[0].lines]
    assert lines == [[(1, 0.69), (2, 0.6)], [(2, 0.65)]]
    assert list(training_curves({})) == []


def test_nothing_to_show_draws_nothing(db):
    filled(db)
    assert list(drawings(report(db, "first"))) == []


def test_a_dollar_sign_in_a_name_is_no_formula(made):
    odd = replace(
        made, pairs=tuple(replace(p, model_a=r"$\frac{") for p in made.pairs), judges=(), ratings=()
    )
    assert len(list(pictures(odd))) == 4
