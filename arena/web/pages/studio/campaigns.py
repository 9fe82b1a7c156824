"""Campaigns: who meets whom over which prompts, how far each is, and the links that let people in."""

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from arena import jobs, registry
from arena.web.context import Context
from arena.web.pages.studio.acts import Part, act, panel, start_job, told, typed, wanted
from arena.web.pages.studio.markup import Cell, Meter, chip, note, table
from db.campaigns import coverage, list_campaigns, list_seats, set_status
from db.catalog import list_models, prompt_sets
from db.entities import CampaignStatus, Purpose
from db.errors import UserError

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
    criteria: str | None
    draft: bool
    generate: bool


def create(context: Context, form: Form) -> str:
    """Create a campaign; as a job where its models still have to answer."""
    name = wanted(form.name, "the campaign needs a name", "write one")
    prompts = wanted(form.prompts, "no prompts are chosen", "choose a set, or all")
    if len(form.models) < 2:
        raise UserError("a campaign compares two or more models", "choose at least two")
    if form.overlap is None or form.overlap < 1:
        raise UserError("the overlap is the number of votes wanted for each battle", "give 1 or more")
    criteria = [c.strip() for c in typed(form.criteria).split(",") if c.strip()]
    if form.generate:
        arguments = ["campaign", "create", name, "--models", ",".join(form.models), "--prompts", prompts,
                     "--overlap", str(int(form.overlap)), "--purpose", form.purpose, "--generate"]  # fmt: skip
        arguments += (["--criteria", ",".join(criteria)] if criteria else []) + (
            ["--draft"] if form.draft else []
        )
        job = start_job(context, arguments)
        return f"Job {job.id} runs {jobs.shown(job.command)}; the campaign opens when its answers are there."
    made = act(context, f"created campaign {name}", lambda db: registry.create_campaign(
        context.home, db, name, form.models, prompts, overlap=int(form.overlap or 1), purpose=form.purpose,
        criteria=criteria, draft=form.draft,
    ))  # fmt: skip
    return ". ".join((f"{name}: {made.battles} battles, {made.row['status']}", *made.notes)) + "."


def change_status(context: Context, name: str | None, status: CampaignStatus) -> str:
    """Open, pause or close a campaign."""
    chosen = wanted(name, "no campaign is chosen", "choose one from the list")
    act(context, f"set campaign {chosen} to {status}", lambda db: set_status(db, chosen, status))
    return f"{chosen} is {status}."


def invite(context: Context, name: str | None, seats: float | None) -> str:
    """New personal links, one a line."""
    chosen = wanted(name, "no campaign is chosen", "choose one from the list")
    n = int(seats or 0)
    links = act(
        context, f"invited {n} raters to {chosen}", lambda db: registry.invite(db, context.home, chosen, n)
    )
    return "\n".join(link.link for link in links)


def build(context: Context) -> Part:
    """The tab's components and what its buttons do."""
    shown = panel()
    with gr.Row(elem_classes="tb-buttons"):
        chosen = gr.Dropdown(
            [], label="Campaign", info="The one that the buttons beside and the invitations are for.", scale=3
        )
        with gr.Row(scale=2, elem_classes="tb-buttons"):
            buttons = [gr.Button(word, min_width=90) for word in ("Open", "Pause", "Close")]
    with gr.Accordion("Invite raters", open=False):
        with gr.Row(elem_classes="tb-buttons"):
            seats = gr.Number(
                5, label="Seats", minimum=1, maximum=1000, precision=0, info="Each link is one person's seat."
            )
            make = gr.Button("Make links", variant="primary", min_width=140)
        links = gr.Textbox(label="Personal links, one a line", info="Shown once: copy them now and send one to each person.",
                           lines=4, max_lines=12, interactive=False, buttons=["copy"])  # fmt: skip
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
            criteria = gr.Textbox(
                label="Further questions", info="Such as: helpful, correct. Separated by commas."
            )
        with gr.Row():
            generate = gr.Checkbox(
                label="First let the models write missing answers", info="A job; may take long."
            )
            draft = gr.Checkbox(label="Leave it a draft", info="Nobody can rate until it is opened.")
        go = gr.Button("Create", variant="primary")
    said = panel()

    def lists() -> tuple[gr.Dropdown, gr.Dropdown, gr.Dropdown]:
        found, names = choices(context), [m.name for m in list_models(context.readers.get())]
        return (
            gr.Dropdown(choices=found, value=found[0] if found else None),
            gr.Dropdown(choices=names),
            gr.Dropdown(choices=prompt_choices(context)),
        )

    def refresh() -> tuple[str, gr.Dropdown, gr.Dropdown, gr.Dropdown]:
        return campaign_table(context), *lists()

    outputs = [shown, chosen, models, prompts]
    for button, status in zip(
        buttons, (CampaignStatus.OPEN, CampaignStatus.PAUSED, CampaignStatus.CLOSED), strict=True
    ):
        button.click(
            told(lambda n, s=status: note(change_status(context, n, s), "good")),
            chosen,
            said,
            api_visibility="private",
        ).success(lambda: campaign_table(context), outputs=shown, api_visibility="private")
    make.click(told(lambda n, s: invite(context, n, s)), [chosen, seats], links, api_visibility="private")
    go.click(told(lambda *a: note(create(context, Form(*a)), "good")),
             [name, models, prompts, purpose, overlap, criteria, draft, generate], said, api_visibility="private",
             ).success(refresh, outputs=outputs, api_visibility="private")  # fmt: skip
    timer = gr.Timer(EVERY, active=False)
    timer.tick(
        lambda: campaign_table(context), outputs=shown, show_progress="hidden", api_visibility="private"
    )
    return Part(refresh, outputs, timer)
