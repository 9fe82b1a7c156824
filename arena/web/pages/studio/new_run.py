"""A new run: from votes to a candidate in one press; what it learns from, how the run goes, what came of it."""

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from arena import jobs
from arena.web.context import Context
from arena.web.pages.studio import retraining as form_of
from arena.web.pages.studio import run_view
from arena.web.pages.studio.acts import Part, cancel_job, panel, reconcile, run_verb, start_job, told
from arena.web.pages.studio.markup import note, render, turns
from arena.web.pages.studio.retraining import FIELDS, Form
from db.entities import Job
from db.errors import UserError
from training.presets import PRESETS, preset

EVERY = 2.0
HELP = {
    "learning_rate": (
        "Learning rate",
        "How far each step moves the model. Too high breaks it, too low does nothing.",
    ),
    "epochs": ("Epochs", "How often it goes through all the pairs."),
    "beta": ("Beta", "How close it stays to its parent: lower lets it drift further."),
    "lora_r": ("LoRA rank", "Size of the adapter that is trained: 8 to 64."),
    "max_length": ("Longest pair", "In tokens, prompt and answer together; what is longer is cut."),
}


def read_form(*fields: Any) -> Form:  # noqa: ANN401 - what the components hold, in the order they are wired
    """The form from its components' values: parent, campaigns, simulated, policy, preset, FIELDS, more, name."""
    parent, campaigns, simulated, policy, chosen, *rest = fields
    *values, more, name = rest
    return Form(
        parent, list(campaigns or []), bool(simulated), policy, chosen, values, more or "", name or ""
    )


def preview(context: Context, form: Form) -> str:
    """What would be trained on and the exact command; a problem with the form stands in its place."""
    db = context.readers.get()
    seen, command, problem = None, "", ""
    try:
        command = jobs.shown(form_of.arguments(db, form))
        seen = form_of.look(context.home, db, form)
    except UserError as error:
        problem = str(error)
    return render("look", seen=seen, command=command, problem=problem, turns=turns)


def retrain(context: Context, form: Form) -> Job:
    """Start the whole turn of the loop as one job."""
    return start_job(context, form_of.check(context.home, context.readers.get(), form))


def rows_as_trained(context: Context, form: Form) -> str:
    """What the tokenizer makes of the pairs: lengths, cuts, problems. A child process reads them; freezes a snapshot."""
    words = form_of.check(context.home, context.readers.get(), form)
    found = json.loads(run_verb(context, [*words, "--preflight", "--json"]))
    if isinstance(found, str):
        found = json.loads(found)
    return render("rows", found=found)


def cancel(context: Context) -> str:
    """Stop the newest retrain; nothing of it is registered."""
    seen = run_view.newest(context.readers.get())
    if seen is None or not seen.active:
        raise UserError("nothing is training", "press Retrain to start")
    return cancel_job(context, seen.job.id)


def build(context: Context) -> Part:
    """The sub-tab's components and what its buttons do."""
    with gr.Row():
        with gr.Column(scale=5, min_width=320):
            inputs, buttons = _form()
            go, rows = buttons
        with gr.Column(scale=6, min_width=320):
            seen = panel(elem_id="look")
            said = panel()
    shown = panel(elem_id="run")
    with gr.Row(elem_classes="tb-buttons"):
        stop = gr.Button("Cancel the run", variant="stop", visible=False, elem_id="cancel-run")
    with gr.Accordion("More charts", open=False):
        more = panel(elem_id="more-charts")
    with gr.Accordion("What it says on fixed prompts, step by step", open=False):
        said_so_far = panel(elem_id="samples")
    with gr.Accordion("Log", open=False):
        log = panel()
    runs = panel()
    timer = gr.Timer(EVERY, active=False)
    live = [shown, log, stop, runs, more, said_so_far]
    _wire(context, inputs, seen)
    go.click(
        told(lambda *a: _started(context, read_form(*a))), inputs, [said, *live], api_visibility="private"
    )
    rows.click(
        told(lambda *a: rows_as_trained(context, read_form(*a))), inputs, said, api_visibility="private"
    )
    stop.click(told(lambda: note(cancel(context), "plain")), outputs=said, api_visibility="private",
               ).success(lambda: watch(context), outputs=live, api_visibility="private")  # fmt: skip
    timer.tick(lambda: watch(context), outputs=live, show_progress="hidden", api_visibility="private")
    outputs = [*inputs, seen, *live]
    return Part(lambda: (*_filled(context), *watch(context)), outputs, timer)


def _form() -> tuple[list[Any], tuple[gr.Button, gr.Button]]:
    """The form's components in the order of read_form, and its two buttons."""
    parent = gr.Dropdown(
        [],
        label="Start from",
        info="The parent: the candidate learns on top of it and must beat it.",
        elem_id="parent",
    )
    campaigns = gr.CheckboxGroup(
        [], label="Votes of", info="Held-out prompts and evaluations never train.", elem_id="campaigns"
    )
    simulated = gr.Checkbox(False, label="Also simulated votes", elem_id="simulated",
                            info="Made-up raters, not people: the demo's stored ones and any other.")  # fmt: skip
    policy = gr.Radio([("majority: one pair a battle, if most agree", "majority"), ("vote: every vote is a pair", "vote"),
                       ("majority, raters weighed by what their votes tell", form_of.WEIGHED),
                       ("min-agreement: the same as majority, if 70 % agree", "min-agreement"),
                       ("consensus: the likeliest winner, by what each rater's votes tell", "consensus")],
                      value="majority", label="How votes become pairs", info="Ties and 'both' give no pair in any.")  # fmt: skip
    chosen = gr.Dropdown(
        list(PRESETS),
        value="lora",
        label="Preset",
        info="Safe settings for the size of the model.",
        elem_id="preset",
    )
    go = gr.Button("Retrain", variant="primary", size="lg", elem_id="retrain")
    with gr.Accordion("Settings", open=False):
        numbers = [gr.Number(label=HELP[f][0], info=HELP[f][1], elem_id=f"set-{f}") for f in FIELDS]
        more = gr.Textbox(
            label="Other settings", info="key=value, one a line, such as batch_size=8 or seed=7.", lines=2
        )
        name = gr.Textbox(
            label="Name of the candidate", info="Empty: the parent's name with -r1, -r2, ...", max_length=80
        )
        rows = gr.Button("Look at the rows as the trainer sees them")
    return [parent, campaigns, simulated, policy, chosen, *numbers, more, name], (go, rows)


def _wire(context: Context, inputs: Sequence[Any], seen: gr.HTML) -> None:
    """The parent chooses campaigns and preset, the preset the numbers, and anything the preview."""
    parent, campaigns, _, _, chosen, *rest = inputs
    numbers, name = rest[: len(FIELDS)], rest[-1]

    def of_parent(value: str | None) -> tuple[Any, ...]:
        db = context.readers.get()
        suited = form_of.preset_for(context.home, db, value)
        return (form_of.ticked_for(db, value), suited, *form_of.values_of(suited),
                gr.Textbox(placeholder=form_of.default_name(db, value)))  # fmt: skip

    def look(*fields: Any) -> str:  # noqa: ANN401
        return preview(context, read_form(*fields))

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    parent.input(told(of_parent), parent, [campaigns, chosen, *numbers, name], **quiet).then(
        look, list(inputs), seen, **quiet
    )
    chosen.input(form_of.values_of, chosen, numbers, **quiet).then(look, list(inputs), seen, **quiet)
    gr.on([c.input for c in inputs[1:4]] + [c.input for c in numbers] + [c.blur for c in rest[len(FIELDS) :]],
          look, list(inputs), seen, trigger_mode="always_last", **quiet)  # fmt: skip


def _filled(context: Context) -> tuple[Any, ...]:
    """The form's choices and first values, and the preview of them."""
    db = context.readers.get()
    names = form_of.parents(db)
    parent = names[0] if names else None
    suited = form_of.preset_for(context.home, db, parent)
    ticked, values = form_of.ticked_for(db, parent), form_of.values_of(suited)
    form = Form(parent, ticked, False, "majority", suited, values, "", "")
    return (
        gr.Dropdown(choices=names, value=parent),
        gr.CheckboxGroup(choices=[c.name for c in form_of.campaigns_for(db)], value=ticked),
        False, "majority",
        gr.Dropdown(value=suited, info=preset(suited).why),
        *values, "", gr.Textbox(value="", placeholder=form_of.default_name(db, parent)),
        preview(context, form),
    )  # fmt: skip


def watch(context: Context) -> tuple[str, str, gr.Button, str, str, str]:
    """The newest retrain, its log, whether it can be cancelled, the history, more charts and what its model says."""
    reconcile(context)
    db = context.readers.get()
    seen = run_view.newest(db)
    active = seen is not None and seen.active
    return (
        run_view.shown(seen),
        run_view.log(context.home, seen),
        gr.Button(visible=active),
        run_view.history(db),
        run_view.more_charts(seen),
        run_view.samples(context.home, seen),
    )


def _started(context: Context, form: Form) -> tuple[Any, ...]:
    job = retrain(context, form)
    said = (f"Job {job.id} waits its turn: another training holds the slot. The Jobs tab has the queue." if job.turn
            else f"Job {job.id} has started. It goes on when this page is closed.")  # fmt: skip
    return note(said, "good"), *watch(context)
