"""What a reader must know before believing a report's figures, in sentences. Pure."""

from collections.abc import Iterable, Sequence

from arena.winrates import LENGTH_WARNING, HeadToHead, percent
from labeling.quality import RaterFigures

FEW_PAIRS = 6
"""pairs of models up to which each gets its own warnings"""


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
