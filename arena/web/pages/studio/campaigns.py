"""Campaigns: who meets whom over which prompts, how far each is, and the links that let people in."""

from collections.abc import Sequence

import gradio as gr

from arena.web.context import Context
from arena.web.pages.studio import (
    changing,
    check_questions,
    creating,
    guarding,
    judging,
    links,
    live,
    look_first,
    planner,
)
from arena.web.pages.studio.acts import Part, act, first_panel, panel, run_verb, told, wanted
from arena.web.pages.studio.markup import Cell, Meter, chip, note, table
from arena.web.pages.studio.together import Together
from db.campaigns import coverage, get_campaign, list_campaigns
from db.catalog import list_models, prompt_sets
from db.entities.campaigns import CampaignStatus
from db.guarding import is_scanned
from db.seats import list_seats
from labeling.scanning import set_status

EVERY = 5.0
HEADS = ("Name", "Status", "Purpose", "Models", "Prompts", "Overlap", "Votes", "Seats taken")


def campaign_table(context: Context) -> str:
    """Every campaign, the newest first, with how far it is."""
    db = context.readers.get()
    taken: dict[str, list[int]] = {}
    for seat in list_seats(db):
        if not seat.revoked:
            counted = taken.setdefault(seat.campaign, [0, 0])
            counted[0] += seat.taken
            counted[1] += 1
    rows: list[Sequence[Cell]] = []
    for c in reversed(list_campaigns(db)):
        covered = coverage(db, c)
        share = covered.votes / covered.wanted if covered.wanted else 0.0
        seats = taken.get(c.name, [0, 0])
        rows.append((
            f"{c.name} (demo)" if c.demo else c.name, chip(c.status.value), c.settings.purpose.value, " vs ".join(c.models), c.prompts, c.settings.overlap,
            Meter(share, f"{covered.votes:,} of {covered.wanted:,}"), f"{seats[0]} of {seats[1]}",
        ))  # fmt: skip
    return table(HEADS, rows, empty="No campaigns yet: create one below.", caption="Campaigns")


def choices(context: Context) -> list[str]:
    """Names for the lists, newest first."""
    return [c.name for c in reversed(list_campaigns(context.readers.get()))]


def prompt_choices(context: Context) -> list[str]:
    """What a campaign may draw on: everything, a half, a set, half a set."""
    names = [s.name for s in prompt_sets(context.readers.get())]
    return ["all", "train", "heldout", *(f"{n}{half}" for n in names for half in ("", ":train", ":heldout"))]


def change_status(context: Context, name: str | None, status: CampaignStatus) -> str:
    """Open, pause or close a campaign."""
    chosen = wanted(name, "no campaign is chosen", "choose one from the list")
    db = context.readers.get()
    if status is CampaignStatus.OPEN and not is_scanned(db, get_campaign(db, chosen).id):
        run_verb(context, ["campaign", "guard", chosen, "--scan"])  # or it is done where votes wait for it
    act(context, f"set campaign {chosen} to {status}", lambda db: set_status(db, chosen, status))
    return f"{chosen} is {status}."


def build(context: Context) -> Part:
    """The tab's components and what its buttons do."""
    shown = first_panel()
    with gr.Row(elem_classes="tb-buttons"):
        chosen = gr.Dropdown(
            [], label="Campaign", info="The one that the buttons beside and the invitations are for.", scale=3
        )
        with gr.Row(scale=2, elem_classes="tb-buttons"):
            buttons = [gr.Button(word, min_width=90) for word in ("Open", "Pause", "Close")]
    acted = panel()
    timer = gr.Timer(EVERY, active=False)
    changed = Together()
    live.build(context, chosen, timer, changed)
    links.build(context, chosen, changed)
    planner.build(context, chosen, changed)
    look_first.build(context, chosen, changed)
    judging.build(context, chosen, changed)
    settings = changing.build(context, chosen, changed)
    check_questions.build(context, chosen, changed)
    guarding.build(context, chosen, changed)
    creation = creating.build(context)
    outputs = [shown, chosen, creation.models, creation.prompts]

    def refresh(keep: str | None = None) -> tuple[str, gr.Dropdown, gr.Dropdown, gr.Dropdown]:
        found = choices(context)
        first = keep if keep in found else found[0] if found else None
        lists = (
            gr.Dropdown(choices=[m.name for m in list_models(context.readers.get())]),
            gr.Dropdown(choices=prompt_choices(context)),
        )
        return campaign_table(context), gr.Dropdown(choices=found, value=first), *lists

    for button, status in zip(
        buttons, (CampaignStatus.OPEN, CampaignStatus.PAUSED, CampaignStatus.CLOSED), strict=True
    ):
        button.click(
            told(lambda n, s=status: note(change_status(context, n, s), "good")),
            chosen,
            acted,
            api_visibility="private",
        ).success(lambda: campaign_table(context), outputs=shown, api_visibility="private")
    for made in (settings.saved, settings.cloned):
        made.success(refresh, settings.name, outputs, api_visibility="private")
    creation.created.success(refresh, creation.name, outputs, api_visibility="private")
    changed.on(chosen.change)
    timer.tick(
        lambda: campaign_table(context), outputs=shown, show_progress="hidden", api_visibility="private"
    )
    return Part(refresh, outputs, timer)
