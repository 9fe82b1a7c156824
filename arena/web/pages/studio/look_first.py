"""The first ballots of a campaign as a rater would read them."""

import gradio as gr

from arena.web.context import Context
from arena.web.pages.studio.acts import panel
from arena.web.pages.studio.markup import render, turns
from arena.web.pages.studio.together import Together
from db.campaigns import battles_of, find_campaign
from db.catalog import get_prompt, get_response

SHOWN = 3


def preview(context: Context, name: str | None) -> str:
    """The first ballots of a campaign as a rater would read them."""
    db = context.readers.get()
    found = find_campaign(db, name) if name else None
    battles = battles_of(db, found.id, SHOWN) if found else []
    ballots = [
        {"prompt": turns(get_prompt(db, b.prompt).messages),
         "left": get_response(db, b.response_a).text or "",
         "right": get_response(db, b.response_b).text or ""}
        for b in battles
    ]  # fmt: skip
    guidelines = found.settings.guidelines if found else ""
    return render("ballots", ballots=ballots, guidelines=guidelines)


def build(context: Context, chosen: gr.Dropdown, changed: Together) -> None:
    """The accordion for the campaign in `chosen`."""
    with gr.Accordion("Preview: ballots as raters read them", open=False) as opened:
        shown = panel()
    changed.in_fold(opened, lambda name: preview(context, name), chosen, shown)
