"""Where raters disagree: both answers without their models, and the owner's ruling with its reason."""

from typing import Any

import gradio as gr

from arena.web.context import Context
from arena.web.pages.studio.acts import act, may_act, panel, told, wanted
from arena.web.pages.studio.exports import named
from arena.web.pages.studio.markup import note, render, turns
from db.adjudications import Disputed, Ruling, Split, add_ruling, disputed, rulings, splits
from db.campaigns import get_battle
from db.catalog import get_prompt, get_response
from db.entities.catalog import content_id
from db.entities.votes import Choice, Outcome
from db.errors import UserError
from labeling.ballot import choice_of, outcome_of

BUTTONS = [
    ("Answer 1 is better", Choice.LEFT), ("Answer 2 is better", Choice.RIGHT), ("A tie", Choice.TIE),
    ("Both good", Choice.BOTH_GOOD), ("Both bad", Choice.BOTH_BAD),
]  # fmt: skip
SAID = {choice: label for label, choice in BUTTONS}


def first_is(battle: int) -> str:
    """Which slot stands first: by the battle's number alone, so that neither model is always the first."""
    return "ab"[int(content_id("ruling", battle)[:8], 16) % 2]


def choices(context: Context, campaign: str | None) -> list[tuple[str, str]]:
    """(words, battle) of the battles people disagree on, those without a ruling first. How they voted is not said."""
    return [(_words(d), str(d.battle)) for d in disputed(context.readers.get(), named(campaign))]


def _words(one: Disputed) -> str:
    votes = one.votes_a + one.votes_b + one.others
    return f"{'ruled, ' if one.ruled else ''}{votes} votes: {' '.join(one.prompt.split())[:90]}"


def shown(context: Context, battle: str | None) -> str:
    """A disputed battle; its models and its votes only once it is ruled on."""
    if not battle:
        return ""
    db = context.readers.get()
    found = get_battle(db, int(battle))
    split = splits(db, [found.id]).get(found.id, Split())
    ruling = rulings(db, found.campaign).get(found.id)
    answers = [("a", found.response_a, found.model_a, split.votes_a),
               ("b", found.response_b, found.model_b, split.votes_b)]  # fmt: skip
    ordered = answers if first_is(found.id) == "a" else answers[::-1]
    return render(
        "ruling", turns=turns(get_prompt(db, found.prompt).messages), ruling=ruling, said=_said(ruling),
        won={SAID[Choice.LEFT]: 1, SAID[Choice.RIGHT]: 2}.get(_said(ruling), 0),
        answers=[(get_response(db, response).text or "", model, votes) for _, response, model, votes in ordered],
    )  # fmt: skip


def _said(ruling: Ruling | None) -> str:
    """What was ruled, in the words of the buttons."""
    return SAID[choice_of(ruling.outcome, first_is(ruling.battle))] if ruling else ""


def rule(context: Context, battle: str | None, choice: Choice, reason: str | None) -> Ruling:
    """Keep the owner's ruling; a later one takes its place, and both stay on record."""
    if not battle:
        raise UserError("no battle is chosen", "choose one from the list")
    why = wanted(reason, "the ruling has no reason", "write in a few words why; it stays on record")
    outcome: Outcome = outcome_of(choice, first_is(int(battle)))
    who = may_act(context)
    return act(context, f"ruled on battle {battle}: {SAID[choice].lower()}",
               lambda db: add_ruling(db, int(battle), outcome, why, who))  # fmt: skip


def build(context: Context, campaign: gr.Dropdown) -> gr.Dropdown:
    """The list and the buttons; returns the list, which is filled when the tab is looked at."""
    with gr.Accordion("Where raters disagree", open=False):
        battle = gr.Dropdown([], label="Battle", elem_id="disputed",
                             info="People chose opposite answers. Your ruling stands in exports and training by majority, "
                                  "min-agreement and consensus.")  # fmt: skip
        seen = panel()
        reason = gr.Textbox(
            label="Reason", info="Why; it stays on record.", max_length=500, elem_id="ruling-reason"
        )
        with gr.Row(elem_classes="tb-buttons"):
            buttons = [(gr.Button(label, min_width=110), choice) for label, choice in BUTTONS]
        said = panel()
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def relist(where: str | None, chosen: str | None) -> tuple[gr.Dropdown, str]:
        found = choices(context, where)
        kept = chosen if chosen in [b for _, b in found] else None
        return gr.Dropdown(choices=found, value=kept), shown(context, kept)

    battle.input(told(lambda b: shown(context, b)), battle, seen, **quiet)
    campaign.change(relist, [campaign, battle], [battle, seen], **quiet)
    for button, choice in buttons:

        def pressed(chosen: str | None, why: str | None, choice: Choice = choice) -> tuple[str, str]:
            ruling = rule(context, chosen, choice, why)
            return note(f"Ruled: {SAID[choice].lower()}. It stands from now on; rule again to change it.", "good"), "" if ruling else why or ""  # fmt: skip

        button.click(told(pressed), [battle, reason], [said, reason], **quiet).success(
            relist, [campaign, battle], [battle, seen], **quiet
        )
    return battle
