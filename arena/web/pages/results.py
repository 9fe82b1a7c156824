"""The results: who is preferred, how sure that is, what the reward model says, and every figure below."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from arena.charts import body, drawn_fragment, shown_pair, waiting
from arena.report import Report, curves_behind
from arena.web.context import RATERS, Context
from arena.web.kept import Look
from db.campaigns import coverage, last_votes, list_campaigns, shared_campaigns
from db.errors import UserError

ALL = "All campaigns together"
SHARED = '<i class="tr-shared" hidden></i>'
"""in what a rater is shown: the bar then offers no page of the owners (results.css)"""

Shown = tuple[Any, str]


def page(context: Context) -> gr.Blocks:
    """The page; it reads anew whenever it is opened, a choice is made or Refresh is pressed."""
    with gr.Blocks(title="Results - Tastebench", analytics_enabled=False, fill_width=True) as blocks:
        with gr.Row(elem_id="results-bar"):
            campaign = gr.Dropdown(label="Campaign", choices=[ALL], value=ALL, interactive=True)
            pair = gr.Dropdown(label="Models", choices=[], visible=False, interactive=True)
            again = gr.Button("Refresh")
            draw = gr.Button("Draw the charts")
        shown = gr.HTML(apply_default_css=False)
        charts = gr.HTML(apply_default_css=False)

        def opened() -> Iterator[tuple[Any, Any, str]]:
            names = campaigns_of(context)
            first = names[0] if names else ALL
            for chooser, html in looked_at(context, first, None):
                yield gr.Dropdown(choices=names, value=first), chooser, html

        def looked(name: str, models: int | None) -> Iterator[Shown]:
            yield from looked_at(context, name, models)

        def changed(name: str) -> Iterator[tuple[Any, str, str]]:
            for chooser, html in looked_at(context, name, None):
                yield chooser, html, ""

        blocks.load(opened, None, [campaign, pair, shown], api_visibility="private", show_progress="hidden")
        campaign.input(changed, campaign, [pair, shown, charts], api_visibility="private")
        pair.input(looked, [campaign, pair], [pair, shown], api_visibility="private")
        again.click(looked, [campaign, pair], [pair, shown], api_visibility="private")
        draw.click(lambda name: charts_of(context, name), campaign, charts, api_visibility="private")
    return blocks


def campaigns_of(context: Context) -> list[str]:
    """The campaigns: voted on last first, then those with imported votes only, then the rest, then all together.

    A rater sees those of their lineage that are closed and shared, and nothing else.
    """
    db = context.readers.get()
    lineage = _lineage_of_asker()
    if lineage is not None:
        return shared_campaigns(db, lineage)
    last = last_votes(db)
    found = [(last.get(c.id, 0), coverage(db, c).votes > 0, c.id, c.name) for c in list_campaigns(db)]
    return [name for *_, name in sorted(found, reverse=True)] + [ALL]


def _lineage_of_asker() -> int | None:
    """The lineage of the rater who asks; None where it is an owner, or no page asks."""
    name = str(getattr(LocalContext.request.get(None), "username", None) or "")
    number = name.partition(RATERS)[2]
    return int(number) if number.isdigit() else None


def looked_at(context: Context, name: str, pair: int | None) -> Iterator[Shown]:
    """The chooser of two models, where there is a choice, and the report; again where a newer one was in the making."""
    of_rater = _lineage_of_asker() is not None
    mark = SHARED if of_rater else ""
    try:
        for look in _looks(context, name):
            if look.kept is None:
                before = context.kept.before(None if name == ALL else name)
                yield gr.Dropdown(visible=False), mark + (before or waiting(look.votes))
                continue
            made = look.kept.report
            if of_rater:  # raters see what was found, not what each of them did
                made = replace(made, raters=(), robustness=())
            as_of = f"{look.kept.at:%H:%M:%S} UTC" if look.newer else None
            yield (
                pair_chooser(made, pair),
                mark
                + body(
                    made,
                    pair,
                    as_of=as_of,
                    files=None if of_rater else look.kept.files,
                    studio=None if of_rater else "../studio/",
                ),
            )
    except UserError as error:
        raise gr.Error(str(error), title="Not found", print_exception=False) from None


def _looks(context: Context, name: str) -> Iterator[Look]:
    """What can be shown to who asks."""
    if _lineage_of_asker() is not None and name not in campaigns_of(context):
        raise gr.Error("these results are not shared with you", title="Not found", print_exception=False)
    return context.kept.looks(None if name == ALL else name)


def charts_of(context: Context, name: str) -> str:
    """The plots with their files, drawn when asked for: it takes seconds."""
    try:
        *_, look = _looks(context, name)
    except UserError as error:
        raise gr.Error(str(error), title="Not found", print_exception=False) from None
    assert look.kept is not None
    of_rater = _lineage_of_asker() is not None
    runs = {} if of_rater else curves_behind(context.readers.get(), look.kept.report)
    return drawn_fragment(look.kept.report, runs)


def pair_chooser(made: Report, pair: int | None) -> Any:  # noqa: ANN401 - what Gradio calls an update
    """Which two models the first screen is about; hidden where only two met."""
    choices = [(f"{p.model_a} against {p.model_b} ({p.n})", i) for i, p in enumerate(made.pairs)]
    chosen = shown_pair(made, pair)
    value = made.pairs.index(chosen) if chosen else None
    return gr.Dropdown(choices=choices, value=value, visible=len(choices) > 1)
