"""The results: who is preferred, how sure that is, what the reward model says, and every figure below."""

from dataclasses import replace
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from arena.charts import body, shown_pair
from arena.report import Report, report
from arena.web.context import RATERS, Context
from db.campaigns import coverage, last_votes, list_campaigns, shared_campaigns
from db.errors import UserError

ALL = "All campaigns together"


def page(context: Context) -> gr.Blocks:
    """The page; it reads anew whenever it is opened, a choice is made or Refresh is pressed."""
    with gr.Blocks(title="Results - Tastebench", analytics_enabled=False, fill_width=True) as blocks:
        with gr.Row(elem_id="results-bar"):
            campaign = gr.Dropdown(label="Campaign", choices=[ALL], value=ALL, interactive=True)
            pair = gr.Dropdown(label="Models", choices=[], visible=False, interactive=True)
            again = gr.Button("Refresh")
        shown = gr.HTML(apply_default_css=False)

        def opened() -> tuple[Any, Any, str]:
            names = campaigns_of(context)
            first = names[0] if names else ALL
            return gr.Dropdown(choices=names, value=first), *looked_at(context, first, None)

        def looked(name: str, models: int | None) -> tuple[Any, str]:
            return looked_at(context, name, models)

        blocks.load(opened, None, [campaign, pair, shown], api_visibility="private")
        campaign.input(lambda name: looked(name, None), campaign, [pair, shown], api_visibility="private")
        pair.input(looked, [campaign, pair], [pair, shown], api_visibility="private")
        again.click(looked, [campaign, pair], [pair, shown], api_visibility="private")
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


def looked_at(context: Context, name: str, pair: int | None) -> tuple[Any, str]:
    """The chooser of two models, where there is a choice, and the report."""
    if _lineage_of_asker() is not None and name not in campaigns_of(context):
        raise gr.Error("these results are not shared with you", title="Not found", print_exception=False)
    try:
        made = report(context.readers.get(), None if name == ALL else name)
    except UserError as error:
        raise gr.Error(str(error), title="Not found", print_exception=False) from None
    if _lineage_of_asker() is not None:  # raters see what was found, not what each of them did
        made = replace(made, raters=(), robustness=())
    return pair_chooser(made, pair), body(made, pair)


def pair_chooser(made: Report, pair: int | None) -> Any:  # noqa: ANN401 - what Gradio calls an update
    """Which two models the first screen is about; hidden where only two met."""
    choices = [(f"{p.model_a} against {p.model_b} ({p.n})", i) for i, p in enumerate(made.pairs)]
    chosen = shown_pair(made, pair)
    value = made.pairs.index(chosen) if chosen else None
    return gr.Dropdown(choices=choices, value=value, visible=len(choices) > 1)
