"""Data: browse and search votes, rule where raters disagree, ask a judge about a battle, write votes out as a dataset."""

from collections.abc import Sequence

import gradio as gr

from arena.web.context import Context
from arena.web.pages.studio import exports, one_battle, rulings
from arena.web.pages.studio.acts import Part, panel, typed
from arena.web.pages.studio.campaigns import choices
from arena.web.pages.studio.exports import EVERYTHING, named
from arena.web.pages.studio.markup import Cell, chip, table
from db.votes import browse_votes

EVERY = 2.0
HEADS = ("Vote", "Campaign", "Rater", "Prompt", "A", "B", "Outcome", "State", "When")


def vote_table(context: Context, campaign: str | None, words: str | None) -> str:
    """The newest hundred votes that fit."""
    rows: list[Sequence[Cell]] = [
        (str(v.vote), v.campaign, v.rater, v.prompt[:160], v.model_a, v.model_b, _said(v.outcome, v.model_a, v.model_b),
         chip(v.state), v.created_at[:16].replace("T", " "))
        for v in browse_votes(context.readers.get(), named(campaign), typed(words))
    ]  # fmt: skip
    empty = "No vote fits." if named(campaign) or typed(words) else "No votes yet."
    return table(HEADS, rows, empty=empty, caption="Votes, the newest 100")


def _said(outcome: str, model_a: str, model_b: str) -> str:
    """An outcome in words."""
    return {"a": f"{model_a} won", "b": f"{model_b} won"}.get(outcome, outcome.replace("_", " "))


def build(context: Context) -> Part:
    """The tab's components and what its buttons do."""
    with gr.Row():
        campaign = gr.Dropdown(
            [EVERYTHING],
            value=EVERYTHING,
            label="Campaign",
            info="Whose votes to show, to rule on and to export.",
            min_width=260,
            elem_id="data-campaign",
        )
        words = gr.Textbox(
            label="Search", info="Words of the prompt or of a comment.", submit_btn="Search", min_width=260
        )
    state = exports.build(context, campaign)
    battle = rulings.build(context, campaign)
    timer = gr.Timer(EVERY, active=False)
    asked = one_battle.build(context, campaign, timer)
    shown = panel()

    def watch() -> str:
        return exports.last_export(context)[0]

    def refresh() -> tuple[str, gr.Dropdown, str, gr.Dropdown, gr.Dropdown, gr.Dropdown]:
        return (vote_table(context, None, ""), gr.Dropdown(choices=[EVERYTHING, *choices(context)]), watch(),
                gr.Dropdown(choices=rulings.choices(context, None)), *one_battle.refreshed(context, None))  # fmt: skip

    gr.on([words.submit, campaign.change], lambda c, w: vote_table(context, c, w), [campaign, words], shown,
          api_visibility="private")  # fmt: skip
    timer.tick(watch, outputs=state, show_progress="hidden", api_visibility="private")
    return Part(refresh, [shown, campaign, state, battle, *asked], timer)
