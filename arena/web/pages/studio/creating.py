"""A new campaign: its models, prompts, purpose and settings; as a job where its models still have to answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import gradio as gr
from gradio.events import Dependency

from arena import campaigning, jobs
from arena.web.context import Context
from arena.web.pages.studio import campaign_form
from arena.web.pages.studio.acts import act, panel, start_job, told, wanted
from arena.web.pages.studio.markup import note
from db.entities.campaigns import CampaignSettings, Purpose
from db.errors import UserError
from labeling.campaign_settings import changed
from labeling.scanning import read_ahead


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


class Creation(NamedTuple):
    """What the page wires: the name typed, the two lists, and the event that has created."""

    name: gr.Textbox
    models: gr.Dropdown
    prompts: gr.Dropdown
    created: Dependency


def build(context: Context) -> Creation:
    """The form, folded, and its button."""
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
            fields = campaign_form.build(CampaignSettings())
        with gr.Row():
            generate = gr.Checkbox(
                label="First let the models write missing answers", info="A job; may take long."
            )
            draft = gr.Checkbox(label="Leave it a draft", info="Nobody can rate until it is opened.")
        go = gr.Button("Create", variant="primary")
    said = panel()
    created = go.click(
        told(lambda n, m, p, w, o, d, g, *f: note(create(context, Form(n, m, p, w, o, d, g, f)), "good")),
        [name, models, prompts, purpose, overlap, draft, generate, *fields], said, api_visibility="private",
    )  # fmt: skip
    return Creation(name, models, prompts, created)
