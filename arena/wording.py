"""The report in sentences, in short, for a terminal. Pure."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from arena.winrates import percent

if TYPE_CHECKING:
    from arena.beside import JudgeFigures
    from arena.intervals import Interval
    from arena.report import Report

MOST_LINES = 20


def judge_lines(j: "JudgeFigures") -> Iterable[str]:
    """What a machine rater says of each two models, and how far it agrees with people."""
    told = f"agrees with {percent(j.agreement_decided)} of {j.agreement_n} decided votes" if j.agreement_decided is not None else "no votes to compare with"  # fmt: skip
    cut = (
        f", {percent(j.truncated_share)} of what it read was cut to fit"
        if j.truncated_share is not None
        else ""
    )
    unread = f", {j.errors} more on which it said nothing that can be read" if j.errors else ""
    yield f"judge {j.name}: {j.scored} battles{unread}{cut}; {told}"
    for p in j.pairs[:MOST_LINES]:
        yield (f"  {p.model_a} {p.wins_a} wins, {p.model_b} {p.wins_b}, draws {p.n - p.wins_a - p.wins_b}; {p.model_a} wins "
               f"{percent(p.win_rate_a)}, draws half{_shares(p.win_rate_ci95)}")  # fmt: skip
        if p.score_a is not None and p.score_b is not None and p.score_gap is not None:
            band = (
                f", 95 % interval {p.score_gap_ci95.low:+.2f} to {p.score_gap_ci95.high:+.2f}"
                if p.score_gap_ci95
                else ""
            )
            yield f"  mean score: {p.model_a} {p.score_a:.2f}, {p.model_b} {p.score_b:.2f}; difference {p.score_gap:+.2f}{band}"
    if j.kind == "reward" and any(p.score_gap is not None for p in j.pairs):
        yield "  such scores have no scale of their own: only differences mean something"


def _shares(interval: "Interval | None") -> str:
    return f", 95 % interval {percent(interval.low)} to {percent(interval.high)}" if interval else ""


def lines(r: "Report") -> Iterable[str]:
    """The report in short, for a terminal."""
    c = r.counts
    yield f"{r.campaign or 'all campaigns'}: {c.counted} votes counted ({c.shown} ballots shown, {c.retracted} undone)"
    for reason, n in c.excluded.items():
        yield f"  left out: {n} {reason}"
    for warning in r.warnings:
        yield f"  note: {warning}"
    for p in r.pairs[:MOST_LINES]:
        yield p.verdict
        yield (f"  {p.model_a} {p.wins_a} wins, {p.model_b} {p.wins_b}, ties {p.ties}, both good {p.both_good}, "
               f"both bad {p.both_bad}; anytime p {p.anytime.p:.3g}")  # fmt: skip
    if len(r.pairs) > MOST_LINES:
        yield f"and {len(r.pairs) - MOST_LINES} more pairs of models: see --json"
    for j in r.judges:
        if j.scored or j.errors:
            yield from judge_lines(j)
    if len(r.ratings) > 2:
        for rating in r.ratings:
            place = f"{rating.rating:.0f}" if rating.rating is not None else f"unbounded {rating.unbounded}"
            yield f"  {rating.model}: {place} ({rating.n} votes)"
    a = r.agreement
    if a.percent is not None:
        yield f"raters agree on {percent(a.percent)} of {a.percent_n} pairs of votes on one battle"
