"""The report in sentences: what to know before believing a figure, and the short form for a terminal. Pure."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from arena.winrates import LENGTH_WARNING, HeadToHead, percent
from labeling.quality import RaterFigures

if TYPE_CHECKING:
    from arena.beside import JudgeFigures
    from arena.intervals import Interval
    from arena.report import Report

FEW_PAIRS = 6
"""pairs of models up to which each gets its own warnings"""
MOST_LINES = 20


def warnings(
    pairs: Sequence[HeadToHead], raters: Sequence[RaterFigures], made_up: int, votes: int
) -> Iterable[str]:
    """What a reader must know before believing the figures."""
    if made_up:
        yield (f"{'All' if made_up == votes else f'{made_up} of'} {votes} votes were given by simulated raters, "
               "not by people.")  # fmt: skip
    if votes and len(raters) == 1:
        yield f"One rater gave every vote: the figures speak for {raters[0].rater} alone."
    for p in pairs if len(pairs) <= FEW_PAIRS else ():
        two = f"{p.model_a} and {p.model_b}"
        if p.trained_on_share:
            yield (f"{percent(p.trained_on_share)} of the prompts on which {two} met were used to train one of them: "
                   "expect it to look better here than on new prompts.")  # fmt: skip
        controlled = p.length_controlled_win_rate_a
        if (
            controlled is not None
            and p.win_rate_a is not None
            and abs(controlled - p.win_rate_a) > LENGTH_WARNING
        ):
            yield (f"Length matters between {two}: at equal length {p.model_a} would win {percent(controlled)} "
                   f"instead of {percent(p.win_rate_a)}.")  # fmt: skip
        if p.left_win_ci95 and not p.left_win_ci95.low <= 0.5 <= p.left_win_ci95.high:
            yield f"Sides matter between {two}: the left answer won {percent(p.left_win_share or 0)} of decided votes."
    flagged = [r.rater for r in raters if r.flags]
    if flagged:
        shown = ", ".join(flagged[:5]) + (f" and {len(flagged) - 5} more" if len(flagged) > 5 else "")
        yield f"Look at these raters before you rely on their votes: {shown}."


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
