"""Campaigns: who meets whom over which prompts, how far each is, and the links that let people in."""

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from arena import campaigning, jobs
from arena.web.context import Context
from arena.web.pages.studio import (
    campaign_form,
    check_questions,
    guarding,
    judging,
    links,
    live,
    look_first,
    planner,
)
from arena.web.pages.studio.acts import (
    Part,
    act,
    first_panel,
    panel,
    run_verb,
    start_job,
    told,
    typed,
    wanted,
)
from arena.web.pages.studio.markup import Cell, Meter, chip, note, table
from arena.web.pages.studio.together import Together
from db.campaigns import coverage, find_campaign, get_campaign, list_campaigns
from db.catalog import list_models, prompt_sets
from db.entities.campaigns import CampaignSettings, CampaignStatus, Purpose
from db.errors import UserError
from db.guarding import is_scanned
from db.seats import list_seats
from labeling.campaign_settings import changed
from labeling.scanning import read_ahead, set_status

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


@dataclass(frozen=True, slots=True)
class Form:
    """What the create form holds."""

    name: str | None
    models: Sequence[str]
    prompts: str | None
    purpose: str
    overlap: float | None
    draft: bool
    generate: bool
    fields: Sequence[object]
    """the settings' fields, in the order of campaign_form.NAMES"""


def create(context: Context, form: Form) -> str:
    """Create a campaign; as a job where its models still have to answer."""
    name = wanted(form.name, "the campaign needs a name", "write one")
    prompts = wanted(form.prompts, "no prompts are chosen", "choose a set, or all")
    if len(form.models) < 2:
        raise UserError("a campaign compares two or more models", "choose at least two")
    if form.overlap is None or form.overlap < 1:
        raise UserError("the overlap is the number of votes wanted for each battle", "give 1 or more")
    asked = campaign_form.typed_in(form.fields) | {"purpose": form.purpose, "overlap": str(int(form.overlap))}
    settings = changed(CampaignSettings(), asked)
    if form.generate:
        arguments = [
            "campaign",
            "create",
            name,
            "--models",
            ",".join(form.models),
            "--prompts",
            prompts,
            "--generate",
        ]
        for key in asked:
            if getattr(settings, key) != getattr(CampaignSettings(), key):
                # a second @ says that no file is meant
                arguments += ["--set", f"{key}={'@' * asked[key].startswith('@')}{asked[key]}"]
        job = start_job(context, arguments + (["--draft"] if form.draft else []))
        return f"Job {job.id} runs {jobs.shown(job.command)}; the campaign opens when its answers are there."
    ahead = read_ahead(
        context.readers.get(), form.models, prompts, settings.purpose
    )  # votes do not wait for it
    made = act(context, f"created campaign {name}", lambda db: campaigning.create_campaign(
        context.home, db, name, form.models, prompts, settings, draft=form.draft, ahead=ahead,
    ))  # fmt: skip
    return ". ".join((f"{name}: {made.battles} battles, {made.row['status']}", *made.notes)) + "."


def save_settings(context: Context, name: str | None, fields: Sequence[object]) -> campaigning.Changed:
    """Give the chosen campaign the settings in the fields; those that are as before change nothing."""
    chosen = wanted(name, "no campaign is chosen", "choose one from the list")
    before = get_campaign(context.readers.get(), chosen).settings
    asked = dict(zip(campaign_form.NAMES, map(_typed, campaign_form.values_of(before)), strict=True))
    typed_now = {k: v for k, v in campaign_form.typed_in(fields).items() if v != asked[k]}
    if not typed_now:
        raise UserError("nothing was changed", "change a field first")
    ahead = campaigning.read_for_change(context.readers.get(), chosen, typed_now)
    return act(context, f"changed campaign {chosen}: {', '.join(typed_now)}",
               lambda db: campaigning.change(db, chosen, typed_now, ahead=ahead))  # fmt: skip


def _typed(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def said_of(made: campaigning.Changed) -> str:
    """What became of a change, in a sentence or two."""
    word = "is the new version" if made.new_version else f"is {made.campaign.status}"
    return ". ".join((f"{made.campaign.name} {word}", *made.notes)) + "."


def clone(context: Context, name: str | None, new: str | None) -> campaigning.Changed:
    """A draft like the chosen campaign."""
    chosen = wanted(name, "no campaign is chosen", "choose one from the list")
    ahead = campaigning.read_for_clone(context.readers.get(), chosen)
    return act(context, f"cloned campaign {chosen}",
               lambda db: campaigning.clone(db, chosen, typed(new) or None, ahead=ahead))  # fmt: skip


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
    with gr.Accordion("Settings of this campaign", open=False):
        panel(note("Once there are votes, what raters are asked, read and are checked by stays as it is: a change then "
                   "makes a new version of the campaign, and the old one is closed. Times, targets, codes and addresses "
                   "may change at any time."))  # fmt: skip
        fields = campaign_form.build(CampaignSettings())
        with gr.Row(elem_classes="tb-buttons"):
            save = gr.Button("Save settings", variant="primary", min_width=140)
            new_name = gr.Textbox(label="Name of the copy", info="Left empty: NAME copy.", max_length=80)
            copy = gr.Button("Clone as a draft", min_width=140)
        kept = panel()
    check_questions.build(context, chosen, changed)
    guarding.build(context, chosen, changed)
    with gr.Accordion("Create a campaign", open=False):
        with gr.Row():
            name = gr.Textbox(label="Name", info="Raters do not see it.", max_length=80)
            models = gr.Dropdown(
                [], multiselect=True, label="Models", info="Two or more; each two meet over each prompt."
            )
            prompts = gr.Dropdown([], label="Prompts", info="A set, or one half of it.")
        with gr.Row():
            purpose = gr.Radio([("collect: its votes train", Purpose.COLLECT.value),
                                ("evaluate: held-out prompts, never trains", Purpose.EVALUATE.value)],
                               value=Purpose.COLLECT.value, label="Purpose", info="What the votes are for.")  # fmt: skip
            overlap = gr.Number(
                1, label="Overlap", minimum=1, precision=0, info="Votes wanted for each battle."
            )
        with gr.Accordion("More settings", open=False):
            created = campaign_form.build(CampaignSettings())
        with gr.Row():
            generate = gr.Checkbox(
                label="First let the models write missing answers", info="A job; may take long."
            )
            draft = gr.Checkbox(label="Leave it a draft", info="Nobody can rate until it is opened.")
        go = gr.Button("Create", variant="primary")
    said = panel()

    def lists(keep: str | None = None) -> tuple[gr.Dropdown, gr.Dropdown, gr.Dropdown]:
        found, names = choices(context), [m.name for m in list_models(context.readers.get())]
        first = keep if keep in found else found[0] if found else None
        return (
            gr.Dropdown(choices=found, value=first),
            gr.Dropdown(choices=names),
            gr.Dropdown(choices=prompt_choices(context)),
        )

    def refresh(keep: str | None = None) -> tuple[str, gr.Dropdown, gr.Dropdown, gr.Dropdown]:
        return campaign_table(context), *lists(keep)

    def look(chosen: str | None) -> list[object]:
        found = find_campaign(context.readers.get(), chosen) if chosen else None
        return campaign_form.values_of(found.settings if found else CampaignSettings())

    outputs = [shown, chosen, models, prompts]
    for button, status in zip(
        buttons, (CampaignStatus.OPEN, CampaignStatus.PAUSED, CampaignStatus.CLOSED), strict=True
    ):
        button.click(
            told(lambda n, s=status: note(change_status(context, n, s), "good")),
            chosen,
            acted,
            api_visibility="private",
        ).success(lambda: campaign_table(context), outputs=shown, api_visibility="private")
    go.click(told(lambda n, m, p, w, o, d, g, *f: note(create(context, Form(n, m, p, w, o, d, g, f)), "good")),
             [name, models, prompts, purpose, overlap, draft, generate, *created], said, api_visibility="private",
             ).success(lambda n: refresh(n), name, outputs, api_visibility="private")  # fmt: skip

    def saved(name: str | None, *values: object) -> tuple[str, str, gr.Dropdown, gr.Dropdown, gr.Dropdown]:
        made = save_settings(context, name, values)
        return note(said_of(made), "good"), *refresh(made.campaign.name)

    def cloned(name: str | None, new: str | None) -> tuple[str, str, gr.Dropdown, gr.Dropdown, gr.Dropdown]:
        made = clone(context, name, new)
        return note(said_of(made), "good"), *refresh(made.campaign.name)

    save.click(told(saved), [chosen, *fields], [kept, *outputs], api_visibility="private")
    copy.click(told(cloned), [chosen, new_name], [kept, *outputs], api_visibility="private")
    changed(look, chosen, fields)
    changed.on(chosen.change)
    timer.tick(
        lambda: campaign_table(context), outputs=shown, show_progress="hidden", api_visibility="private"
    )
    return Part(refresh, outputs, timer)
