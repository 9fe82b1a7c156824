"""Sweep: try every combination of a few settings on the same rows, and see which is best and why."""

import base64
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import gradio as gr

from arena import jobs
from arena.sweep_table import Table, files_of, records, table_of
from arena.sweeps import axes_of, estimate, grid, next_sweep
from arena.web.context import Context
from arena.web.pages.studio import retraining as form_of
from arena.web.pages.studio.acts import Part, cancel_job, panel, start_job, told, typed, wanted
from arena.web.pages.studio.markup import Cell, Chip, note, render, table
from arena.web.pages.studio.retraining import From
from arena.web.pages.studio.train_fields import rows_shown, sources
from arena.web.pages.studio.would_train import rows_of
from db.connection import Database, Home
from db.entities.runs import JobStatus, RunKind, RunStatus
from db.errors import UserError
from db.runs import get_job
from db.sweeps import Sweep, get_sweep, list_sweeps
from training.presets import PRESETS_OF, preset_of
from training.settings import SETTINGS_OF, Settings, with_overrides

EVERY = 2.0
AXES = 3
"""settings that the form can vary at once; the command line takes any number"""
KINDS = [("dpo: which of two answers is better", "dpo"), ("sft: the chosen answers as they stand", "sft"),
         ("kto: answers judged one by one", "kto"), ("reward: a model that scores", "reward")]  # fmt: skip
NONE = "nothing more"


class Form(NamedTuple):
    """What the form holds: `axes` are (setting, its values as typed), empty ones left out."""

    parent: str | None
    kind: str
    rows: From
    campaigns: Sequence[str]
    simulated: bool
    picked: str | None
    """the pair set, the answers or the snapshot, where the rows come from one"""
    preset: str
    axes: Sequence[tuple[str, str]]
    more: str
    name: str


def read_form(*fields: Any) -> Form:  # noqa: ANN401 - what the components hold, in the order they are wired
    """The form from its components' values."""
    parent, kind, rows, campaigns, simulated, picked, preset, *rest = fields
    swept, (more, name) = rest[: 2 * AXES], rest[2 * AXES :]
    axes = [
        (key, typed(values))
        for key, values in zip(swept[::2], swept[1::2], strict=True)
        if key and key != NONE
    ]
    return Form(parent, kind, From(rows), list(campaigns or []), bool(simulated), picked or None, preset, axes,
                typed(more), typed(name))  # fmt: skip


def sweep_texts(form: Form) -> list[str]:
    """What --sweep takes. UserError where nothing is varied."""
    if not form.axes:
        raise UserError("no setting is varied", "choose one and write its values, separated by commas")
    return [f"{key}={values.replace(' ', '')}" for key, values in form.axes]


def as_one_run(form: Form) -> form_of.Form:
    """The same rows as the form of a single run has them."""
    return form_of.Form(form.parent, form.campaigns, form.simulated, "majority", form.preset, more=form.more,
                        kind=RunKind(form.kind), rows=form.rows, picked=form.picked)  # fmt: skip


def overrides(form: Form) -> list[str]:
    """`key=value` of what is changed in every run."""
    return [line.strip() for line in form.more.replace(",", "\n").splitlines() if line.strip()]


def settings_of(form: Form) -> list[Settings]:
    """The settings of each run, in order; UserError names what is out of range."""
    base = with_overrides(preset_of(RunKind(form.kind), form.preset).settings, overrides(form))
    return [
        with_overrides(base, [f"{k}={v}" for k, v in point.items()])
        for point in grid(axes_of(sweep_texts(form)))
    ]


def arguments(db: Database, form: Form) -> list[str]:
    """The verb that does it; UserError says what is missing."""
    parent = wanted(
        form.parent, "no model to start from is chosen", "add a checkpoint or an adapter in the Models tab"
    )
    source = form_of.source_of(db, as_one_run(form))
    words = ["train", form.kind, "--from", parent]
    for name in source.campaigns:
        words += ["--campaign", name]
    words += [] if source.campaigns else [form_of.FLAG_OF[form.rows], str(form.picked)]
    words += ["--preset", form.preset]
    for change in overrides(form):
        words += ["--set", change]
    settings_of(form)  # every combination must be possible
    for text in sweep_texts(form):
        words += ["--sweep", text]
    words += ["--no-simulated"] if source.campaigns and not form.simulated else []
    return words + (["--name", form.name] if form.name else [])


def preview(context: Context, form: Form) -> str:
    """How many runs there would be, how long they may take, and the exact command; else what is wrong with the form."""
    db = context.readers.get()
    try:
        command, settings = jobs.shown(arguments(db, form)), settings_of(form)
        rows = rows_of(db, as_one_run(form)).train
    except UserError as error:
        return note(str(error))
    took = estimate(db, RunKind(form.kind), form.parent or "", rows, settings)
    sizes = " x ".join(str(len(a.values)) for a in axes_of(sweep_texts(form)))
    return render(
        "sweep_look", runs=len(settings), sizes=sizes, rows=rows, took=in_words(took), command=command
    )


def in_words(seconds: float | None) -> str:
    """A time estimate; empty where there is none."""
    if seconds is None:
        return ""
    minutes = seconds / 60
    return f"about {max(10, math.ceil(seconds / 10) * 10)} seconds" if seconds < 120 else (
        f"about {minutes:.0f} minutes" if minutes < 120 else f"about {minutes / 60:.1f} hours")  # fmt: skip


def start(context: Context, form: Form) -> str:
    """Start the sweep as one job; what became of it."""
    job = start_job(context, arguments(context.readers.get(), form))
    if job.turn:
        return f"Job {job.id} waits its turn: another training holds the slot. The Jobs tab has the queue."
    return f"Job {job.id} has started. It goes on when this page is closed."


# -- what came of it -----------------------------------------------------------------------------------------------


def chosen_sweep(db: Database, name: str | None) -> Sweep:
    """The sweep that is looked at."""
    return get_sweep(db, wanted(name, "no sweep is chosen", "choose one from the list"))


def shown(context: Context, name: str | None) -> str:
    """The table of a sweep, which run is best and why, and its files."""
    if not name:
        return render("sweep", table="", best=None, why="", files=[], progress="")
    db = context.readers.get()
    made = table_of(db, get_sweep(db, name))
    return render("sweep", table=_table(made), best=made.best, why=made.why, files=files(context.home, made),
                  progress=progress(db, get_sweep(db, name)))  # fmt: skip


HEADS = {"loss": "Final loss", "heldout_loss": "Held-out loss", "accuracy": "Held-out accuracy", "margin": "Margin",
         "loss_variance": "Loss variance", "memory_gib": "Peak memory, GiB", "seconds": "Seconds"}  # fmt: skip


def _table(made: Table) -> str:
    rows: list[Sequence[Cell]] = []
    for row, record in zip(made.rows, records(made), strict=True):
        good = row.status == RunStatus.SUCCEEDED and not row.alarms
        kind = "good" if good else "busy" if row.verdict in ("under way", "not begun yet") else "bad"
        best: Cell = "best" if row.run == made.best else None
        figures = [None if record[key] is None else float(f"{record[key]:.4g}") for key in HEADS]
        rows.append(
            (row.run, best, *(str(row.changes[k]) for k in made.keys), Chip(row.verdict, kind), *figures)
        )
    caption = f"{made.name}: {made.kind} from {made.parent}, snapshot {made.snapshot[:12]}"
    return table(("Run", "", *made.keys, "Verdict", *HEADS.values()), rows, empty="", caption=caption)


class File(NamedTuple):
    """A file to save, as an address that holds it."""

    name: str
    address: str


def files(home: Home, made: Table) -> list[File]:
    """The table as CSV and XLSX, once the first run has ended."""
    kinds = ("text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
    return [
        File(
            f"{made.name}{path.suffix}", f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
        )
        for path, kind in zip(files_of(home, made), kinds, strict=True)
        if path.is_file()
    ]


def progress(db: Database, sweep: Sweep) -> str:
    """What its job says while it runs or waits; empty once it is over."""
    job = get_job(db, sweep.job) if sweep.job is not None else None
    if job is None or job.status.over:
        return ""
    return (
        "waits its turn"
        if job.status is JobStatus.QUEUED
        else f"{job.progress or 0:.0%}: {job.message or 'starting'}"
    )


def unfinished(db: Database, sweep: Sweep) -> bool:
    """Whether a run of the sweep has no model yet."""
    return any(row.status != RunStatus.SUCCEEDED for row in table_of(db, sweep).rows)


def cancel(context: Context, name: str | None) -> str:
    """Stop a sweep; the run under way keeps a checkpoint."""
    sweep = chosen_sweep(context.readers.get(), name)
    if sweep.job is None or get_job(context.readers.get(), sweep.job).status.over:
        raise UserError(f"{sweep.name} does not run", "press Go on with it to make what is missing")
    return cancel_job(context, sweep.job)


def go_on(context: Context, name: str | None) -> str:
    """Make what a sweep has no model of yet."""
    sweep = chosen_sweep(context.readers.get(), name)
    if progress(context.readers.get(), sweep):
        raise UserError(f"{sweep.name} is at work already", "wait for it, or cancel it")
    job = start_job(context, ["train", "sweep", "resume", sweep.name])
    return f"Job {job.id} goes on with {sweep.name}."


# -- the page ------------------------------------------------------------------------------------------------------


def keys_for(kind: str) -> list[str]:
    """The settings of a kind that can be varied, the usual ones first."""
    first = ["learning_rate", "batch_size", "epochs", "beta", "lora_r"]
    known = list(SETTINGS_OF[RunKind(kind)].__dataclass_fields__)
    return [k for k in first if k in known] + sorted(k for k in known if k not in first)


def first_axes(kind: str, preset: str) -> list[tuple[str, str]]:
    """What is varied at first: the learning rate around the preset's, and the batch."""
    settings = preset_of(RunKind(kind), preset).settings
    rate, batch = settings.learning_rate, settings.batch_size
    return [("learning_rate", f"{rate / 3:.1g}, {rate:.1g}, {rate * 3:.1g}"),
            ("batch_size", ", ".join(map(str, sorted({max(1, batch // 2), batch})))), (NONE, "")]  # fmt: skip


def build(context: Context) -> Part:
    """The form, the sweeps so far, and what the buttons do."""
    with gr.Row():
        with gr.Column(scale=6, min_width=320):
            inputs = _form()
        with gr.Column(scale=5, min_width=320):
            look = panel(elem_id="sweep-look")
            go = gr.Button("Start the sweep", variant="primary", size="lg", elem_id="sweep-start")
            said = panel(elem_id="sweep-said")
    sweep = gr.Dropdown(
        [], label="Sweep", info="Its runs, one row each; the table fills while it runs.", elem_id="sweep-name"
    )
    table_ = panel(elem_id="sweep-table")
    with gr.Row(elem_classes="tb-buttons"):
        stop = gr.Button(
            "Cancel the sweep", variant="stop", min_width=120, visible=False, elem_id="sweep-cancel"
        )
        on = gr.Button("Go on with it", min_width=90, visible=False, elem_id="sweep-on")
    timer = gr.Timer(EVERY, active=False)
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def seen(*fields: Any) -> str:  # noqa: ANN401
        return preview(context, read_form(*fields))

    def drawn(name: str | None) -> tuple[Any, ...]:
        """A sweep's table, and the buttons that make sense of it."""
        db = context.readers.get()
        found = get_sweep(db, name) if name else None
        busy = found is not None and bool(progress(db, found))
        lacks = found is not None and not busy and unfinished(db, found)
        return shown(context, name), gr.Button(visible=busy), gr.Button(visible=lacks)

    def tick(name: str | None, newest: str | None) -> tuple[Any, ...]:
        """The same; a sweep that has begun since the last look is shown without being asked for."""
        names = [one.name for one in list_sweeps(context.readers.get())]
        if not names or names[0] == newest:
            return (gr.skip(), gr.skip(), *drawn(name))
        return gr.Dropdown(choices=names, value=names[0]), names[0], *drawn(names[0])

    _wire(context, inputs, look, seen)
    go.click(
        told(lambda *a: note(start(context, read_form(*a)), "good")), inputs, said, api_visibility="private"
    )
    stop.click(told(lambda n: note(cancel(context, n), "plain")), sweep, said, api_visibility="private")
    on.click(told(lambda n: note(go_on(context, n), "good")), sweep, said, api_visibility="private")
    newest, below = gr.State(None), [table_, stop, on]
    sweep.input(drawn, sweep, below, **quiet)
    timer.tick(tick, [sweep, newest], [sweep, newest, *below], **quiet)
    return Part(
        lambda: (*_filled(context), *tick(None, None)), [*inputs, look, sweep, newest, *below], timer
    )  # fmt: skip


def _form() -> list[Any]:
    """The form's components in the order of read_form."""
    parent = gr.Dropdown(
        [], label="Start from", info="Every run learns on top of this model.", elem_id="sweep-parent"
    )
    kind = gr.Radio(KINDS, value="dpo", label="What to learn", elem_id="sweep-kind")
    rows = gr.Radio(sources(RunKind.DPO), value=From.VOTES.value, label="Where the rows come from", elem_id="sweep-rows",
                    info="Frozen once: every run learns the same ones.")  # fmt: skip
    campaigns = gr.CheckboxGroup([], label="Votes of", info="Held-out prompts and evaluations never train.")
    simulated = gr.Checkbox(False, label="Also simulated votes", elem_id="sweep-simulated",
                            info="Made-up raters, not people.")  # fmt: skip
    picked = gr.Dropdown([], label="Learn from", visible=False, elem_id="sweep-picked")
    preset = gr.Dropdown([], label="Preset", info="Where every run starts from.", elem_id="sweep-preset")
    swept: list[Any] = []
    for n in range(AXES):
        with gr.Row():
            swept.append(
                gr.Dropdown([], label="Vary" if n == 0 else "and", elem_id=f"sweep-key-{n}", min_width=220)
            )
            swept.append(
                gr.Textbox(label="Values, separated by commas", elem_id=f"sweep-values-{n}", min_width=220)
            )
    with gr.Accordion("More", open=False):
        more = gr.Textbox(label="Other settings", lines=2,
                          info="key=value, one a line, the same in every run, such as max_steps=50.",
                          elem_id="sweep-more")  # fmt: skip
        name = gr.Textbox(label="Name of the sweep", max_length=70, elem_id="sweep-new-name",
                          info="Its runs are NAME-1, NAME-2, ...; empty: the parent's name with -s1, -s2, ...")  # fmt: skip
    return [parent, kind, rows, campaigns, simulated, picked, preset, *swept, more, name]


def _wire(context: Context, inputs: Sequence[Any], look: gr.HTML, seen: Any) -> None:  # noqa: ANN401
    """The parent chooses campaigns and preset; kind and preset what is varied; the source its fields; anything the preview."""
    parent, kind, rows, campaigns, simulated, picked, preset, *rest = inputs
    swept, name = rest[: 2 * AXES], rest[-1]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def of_parent(value: str | None, chosen: str) -> tuple[Any, ...]:
        db = context.readers.get()
        suited = form_of.preset_for(context.home, db, value)
        placeholder = gr.Textbox(placeholder=next_sweep(db, value)) if value else gr.skip()
        return (form_of.ticked_for(db, value), suited, *_axes(chosen, suited), placeholder)

    parent.input(told(of_parent), [parent, kind], [campaigns, preset, *swept, name], **quiet).then(
        seen, list(inputs), look, **quiet
    )

    def of_rows(chosen: str, sort: str) -> list[Any]:
        return _rows(context, chosen, sort)

    for event in (kind.input, rows.input):
        event(of_rows, [kind, rows], [rows, campaigns, simulated, picked], **quiet).then(
            seen, list(inputs), look, **quiet
        )
    gr.on([kind.input, preset.input], _axes, [kind, preset], list(swept), **quiet).then(
        seen, list(inputs), look, **quiet
    )
    gr.on([campaigns.input, simulated.input, picked.input, *(s.input for s in swept), *(r.blur for r in (*swept[1::2], *rest[2 * AXES :]))],
          seen, list(inputs), look, trigger_mode="always_last", **quiet)  # fmt: skip


def _rows(context: Context, kind: str, rows: str) -> list[Any]:
    """The sources a kind of run has, and the fields of the chosen one with what can be picked."""
    sort = From.VOTES if rows == From.DATA and kind != RunKind.SFT else From(rows)
    run = RunKind(kind)
    campaigns, simulated, _, picked, _ = rows_shown(sort, form_of.picks(context.readers.get(), sort, run))
    return [gr.update(choices=sources(run), value=sort.value), campaigns, simulated, picked]


def _axes(kind: str, preset: str) -> tuple[Any, ...]:
    """The settings that can be varied and the values they start with."""
    made: list[Any] = []
    for key, values in first_axes(kind, preset):
        made += [gr.Dropdown(choices=[NONE, *keys_for(kind)], value=key), values]
    return tuple(made)


def _filled(context: Context) -> tuple[Any, ...]:
    """The form's choices and first values, and the preview of them."""
    db = context.readers.get()
    names = form_of.parents(db)
    before = next((one.parent for one in list_sweeps(db) if one.parent in names), None)
    parent = before or (names[0] if names else None)
    suited = form_of.preset_for(context.home, db, parent)
    ticked = form_of.ticked_for(db, parent)
    axes = [a for a in first_axes("dpo", suited) if a[0] != NONE]
    form = Form(parent, "dpo", From.VOTES, ticked, False, None, suited, axes, "", "")
    rows, campaigns, simulated, picked = _rows(context, "dpo", From.VOTES)
    return (
        gr.Dropdown(choices=names, value=parent), "dpo", rows,
        {**campaigns, "choices": [(c.name, c.name) for c in form_of.campaigns_for(db)], "value": ticked},
        {**simulated, "value": False}, picked,
        gr.Dropdown(choices=list(PRESETS_OF[RunKind.DPO]), value=suited), *_axes("dpo", suited), "",
        gr.Textbox(value="", placeholder=next_sweep(db, parent) if parent else ""), preview(context, form),
    )  # fmt: skip
