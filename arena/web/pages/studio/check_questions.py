"""The check questions of a campaign: looked at, and made by spoiling stored answers."""

from collections.abc import Sequence

import gradio as gr

from arena.web.context import Context
from arena.web.pages.studio.acts import act, panel, told, wanted
from arena.web.pages.studio.markup import Cell, note, table
from arena.web.pages.studio.together import Together
from db.campaigns import find_campaign, get_campaign
from db.catalog import get_prompt
from db.checks import gold_count, gold_pairs_of
from labeling import gold


def make_checks(context: Context, name: str | None, n: float | None) -> str:
    """More check questions, made by spoiling stored answers."""
    chosen = wanted(name, "no campaign is chosen", "choose one from the list")
    made = act(context, f"made check questions for {chosen}", lambda db: gold.add_spoiled(
        db, get_campaign(db, chosen), int(n or 0), seed=gold_count(db, get_campaign(db, chosen).id)))  # fmt: skip
    return f"{made.added} check questions were made; look at them below before you open the session."


def checks_shown(context: Context, name: str | None) -> str:
    """The check questions of a campaign: prompt, the better answer, the worse one."""
    db = context.readers.get()
    found = find_campaign(db, name) if name else None
    pairs = gold_pairs_of(db, found.id) if found else []
    rows: list[Sequence[Cell]] = [
        (get_prompt(db, p.prompt).text[:300], p.good[:300], p.bad[:300]) for p in pairs[:100]
    ]
    return table(("Prompt", "Better answer", "Worse answer"), rows, caption="Check questions",
                 empty="No check questions yet. Make some here, or add a file of pairs with `campaign gold NAME --file FILE`.")  # fmt: skip


def build(context: Context, chosen: gr.Dropdown, changed: Together) -> None:
    """The accordion for the campaign in `chosen`."""
    with gr.Accordion("Check questions", open=False) as opened:
        with gr.Row(elem_classes="tb-buttons"):
            how_many = gr.Number(20, label="How many", minimum=1, maximum=200, precision=0,
                                 info="Made by spoiling stored answers; raters cannot tell them from other ballots.")  # fmt: skip
            make = gr.Button("Make check questions", min_width=160)
        made, shown = panel(), panel()

    def look(name: str | None) -> str:
        return checks_shown(context, name)

    changed.in_fold(opened, look, chosen, shown)
    make.click(told(lambda c, n: note(make_checks(context, c, n), "good")), [chosen, how_many], made,
               api_visibility="private").success(look, chosen, shown, api_visibility="private")  # fmt: skip
