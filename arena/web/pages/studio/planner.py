"""Planning a session, in the Campaigns tab: votes, people, minutes and cost, reckoned while one types."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from arena import plans
from arena.planning import Ground, Plan, Wish, as_ratio, plan
from arena.web.context import Context
from arena.web.kept import LARGE
from arena.web.pages.studio.acts import panel
from arena.web.pages.studio.markup import Cell, note, render, table
from arena.web.pages.studio.together import Together
from db.campaigns import find_campaign
from db.errors import UserError
from db.figures import votes_in
from db.live import newest_vote

SHOWN = (0.05, 0.1, 0.15, 0.2)
"""differences in the table beside the wanted one"""
HEADS = ("Preference", "Votes in all", "Ballots each", "Minutes each", "Cost")


class Grounds:
    """What is known of the campaign looked at last: read anew only where a vote came in or a setting changed."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kept: tuple[object, Ground] | None = None

    def of(self, name: str) -> Ground | None:
        """The ground of a plan; None where there is no such campaign."""
        db = self._context.readers.get()
        found = find_campaign(db, name)
        if found is None:
            return None
        key = (found, newest_vote(db, found.id))
        kept = self._kept
        if kept is None or kept[0] != key:
            large = votes_in(db, name) >= LARGE
            ground = (
                self._context.kept.read(plans.ground, found).result() if large else plans.ground(db, found)
            )
            kept = self._kept = (key, ground)
        return kept[1]


def wish_of(percent: float | None, people: float | None, pay: float | None, fee: float | None, currency: str | None,
            seconds: float | None) -> Wish:  # fmt: skip
    """The fields as a wish; an empty field is as if nobody had touched it."""
    return Wish(difference=round((percent or 60) / 100 - 0.5, 4), people=int(people or 0), pay=pay or 0.0,
                fee=(fee or 0.0) / 100, currency=(currency or "").strip(), seconds=seconds or None)  # fmt: skip


def plan_view(grounds: Grounds, name: str | None, wish: Wish) -> str:
    """The plan in a sentence, what else to know, and the same for other differences."""
    ground = grounds.of(name) if name else None
    if ground is None:
        return note("Choose a campaign above.")
    try:
        made = plan(wish, ground)
        rows = [_row(plan(replace(wish, difference=d), ground)) for d in _beside(wish.difference)]
    except UserError as error:
        return note(str(error), "bad")
    others = table(HEADS, rows, empty="", caption=f"With {wish.people:,} people")
    return render("plan", plan=made, others=others)


def _beside(wanted: float) -> list[float]:
    return sorted({*SHOWN, wanted})


def _row(made: Plan) -> Sequence[Cell]:
    cost = None if made.cost is None or not made.cost else f"{made.cost:,.2f} {made.currency}".strip()
    return (as_ratio(made.difference), f"no number is enough: {made.why}" if made.votes is None else made.votes, made.ballots_each,
            None if made.minutes_each is None else round(made.minutes_each), cost)  # fmt: skip


def build(context: Context, chosen: gr.Dropdown, changed: Together) -> None:
    """The accordion for the campaign in `chosen`; every field reckons anew, so none refuses what is half typed."""
    grounds = Grounds(context)
    with gr.Accordion("Plan: how many votes, people, minutes and how much money", open=False) as opened:
        with gr.Row():
            percent = gr.Slider(52, 80, 60, step=1, label="Preference you want to see, in %",
                                info="60 means that 60 of 100 votes go to the better model, ties counted half.")  # fmt: skip
            people = gr.Number(
                10, label="People", precision=0, info="More people tell more than more votes each."
            )
            seconds = gr.Number(
                0,
                label="Seconds a vote",
                info="0: as the votes so far say, or the length of the texts.",
            )
        with gr.Row():
            pay = gr.Number(0, label="Pay an hour", info="0: nobody is paid.")
            fee = gr.Number(0, label="Platform's fee, in % of the pay", info="Look it up at the platform.")
            currency = gr.Textbox("EUR", label="Currency", max_length=8, info="Only for the words.")
        view = panel()
    fields = [percent, people, pay, fee, currency, seconds]

    def draw(name: str | None, *values: Any) -> str:  # noqa: ANN401 - as the fields hold them
        return plan_view(grounds, name, wish_of(*values))

    folded = changed.in_fold(opened, draw, [chosen, *fields], view, show_progress="minimal")
    for field in fields:
        field.change(lambda unseen, *values: gr.skip() if unseen else draw(*values), [folded, chosen, *fields], view,
                     show_progress="hidden", api_visibility="private", trigger_mode="always_last")  # fmt: skip
