"""A new run: from votes to a candidate in one press; what it learns from, how the run goes, what came of it."""

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from arena import beforehand, jobs
from arena.web.context import Context
from arena.web.pages.studio import retraining as form_of
from arena.web.pages.studio import run_view, would_train
from arena.web.pages.studio.acts import (
    Part,
    cancel_job,
    first_panel,
    panel,
    reconcile,
    run_verb,
    start_job,
    told,
)
from arena.web.pages.studio.markup import note, render, turns
from arena.web.pages.studio.retraining import FIELDS, Form, From
from arena.web.pages.studio.train_fields import (
    Fields,
    form_fields,
    kind_shown,
    rows_shown,
    settings_shown,
    why,
    with_warning,
)
from db.entities.runs import Job, RunKind
from db.errors import UserError
from training.memory import OFF_BY

EVERY = 2.0


def read_form(*fields: Any) -> Form:  # noqa: ANN401 - what the components hold, in the order they are wired
    """The form from its components' values, in the order of Fields.inputs."""
    kind, parent, rows, campaigns, simulated, policy, picked, chosen, *rest = fields
    values, (reference, against, rematch, replay, more, name) = rest[: len(FIELDS)], rest[len(FIELDS) :]
    return Form(
        parent, list(campaigns or []), bool(simulated), policy, chosen, dict(zip(FIELDS, values, strict=True)), more or "",
        name or "", RunKind(kind), From(rows), picked or None, reference or form_of.PARENT, against or form_of.PARENT,
        bool(rematch), float(replay or 0.0),
    )  # fmt: skip


def preview(context: Context, form: Form) -> str:
    """What would be trained on, the memory it would take and the command; a problem with the form in its place."""
    return _preview(context, form)[0]


def _preview(context: Context, form: Form) -> tuple[str, would_train.Look | None]:
    db = context.readers.get()
    seen, command, problem = None, "", ""
    try:
        command = jobs.shown(form_of.arguments(db, form))
        seen = would_train.look(context.home, db, form)
    except UserError as error:
        problem = str(error)
    html = render("look", seen=seen, command=command, problem=problem, turns=turns, gib=beforehand.gib,
                  off_by=f"{OFF_BY:.0%}")  # fmt: skip
    return html, seen


def fitted(context: Context, form: Form) -> tuple[dict[str, form_of.Value], str]:
    """The fields the smallest change sets so that the run fits into the free memory, and what it costs, in words."""
    db = context.readers.get()
    needs = would_train.needs_of(context.home, db, form)
    if needs is None:
        raise UserError(
            "how large this model is cannot be read here", "add it from a folder, or set a smaller batch"
        )
    before = form_of.settings_of(form)
    found = beforehand.fitted(needs, before)
    takes = beforehand.gib(needs.estimate(found.settings).total)
    if not found.changes and found.fits:
        return {}, note(
            f"It fits as it is: about {takes}, {beforehand.gib(needs.room.free)} are free.", "good"
        )
    if not found.fits:
        return {}, note(f"No change of settings makes it fit: it would still take about {takes}, and "
                        f"{beforehand.gib(needs.room.free)} are free. End what else runs here, or start from a smaller model.",
                        "bad")  # fmt: skip
    keys = {text.partition("=")[0] for text in beforehand.overrides_of(found.changes)}
    said = "; ".join(beforehand.in_words(found))
    return (
        {key: form_of.shown(getattr(found.settings, key)) for key in keys},
        note(f"Changed so that it fits (about {takes}): {said}.", "good"),
    )


def retrain(context: Context, form: Form) -> Job:
    """Start the whole turn of the loop as one job."""
    return start_job(context, would_train.check(context.home, context.readers.get(), form))


def rows_as_trained(context: Context, form: Form) -> str:
    """What the tokenizer makes of the pairs: lengths, cuts, problems. A child process reads them; freezes a snapshot."""
    words = would_train.check(context.home, context.readers.get(), form)
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
            form = form_fields()
        with gr.Column(scale=6, min_width=320):
            said = panel(elem_id="said")
            fit = gr.Button("Make it fit", size="sm", visible=False, elem_id="fit")
            seen = panel(elem_id="look")
    shown = first_panel(elem_id="run")
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
    looked = [seen, fit, *form.numbers.values()]
    _wire(context, form, looked, said)
    form.go.click(
        told(lambda *a: _started(context, read_form(*a))),
        form.inputs,
        [said, *live],
        api_visibility="private",
    )
    form.look.click(
        told(lambda *a: rows_as_trained(context, read_form(*a))), form.inputs, said, api_visibility="private"
    )
    stop.click(told(lambda: note(cancel(context), "plain")), outputs=said, api_visibility="private",
               ).success(lambda: watch(context), outputs=live, api_visibility="private")  # fmt: skip
    timer.tick(lambda: watch(context), outputs=live, show_progress="hidden", api_visibility="private")
    outputs = [*form.inputs, seen, fit, *live]
    return Part(lambda: (*_filled(context), *watch(context)), outputs, timer)


def _wire(context: Context, form: Fields, looked: Sequence[Any], said: gr.HTML) -> None:
    """Kind and parent choose the preset, the preset the numbers, and anything the preview."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    fit = looked[1]

    def look(*fields: Any) -> tuple[Any, ...]:  # noqa: ANN401
        filled = read_form(*fields)
        html, found = _preview(context, filled)
        outside = {one.field: one.sentence for one in found.fields} if found else {}
        return (
            html,
            gr.update(visible=too_much(found)),
            *(with_warning(f, outside.get(f)) for f in form.numbers),
        )

    def of_kind(kind: str, parent: str | None, rows: str) -> list[Any]:
        db, run, sort = context.readers.get(), RunKind(kind), From(rows)
        suited = form_of.preset_for(context.home, db, parent)
        sort = From.VOTES if sort is From.DATA and run is not RunKind.SFT else sort
        return [
            why(run, suited),
            *kind_shown(run, sort),
            *settings_shown(run, suited),
            *_rows(context, kind, sort.value),
        ]

    def of_parent(kind: str, parent: str | None) -> list[Any]:
        db, run = context.readers.get(), RunKind(kind)
        suited = form_of.preset_for(context.home, db, parent)
        return [form_of.ticked_for(db, parent), why(run, suited), *settings_shown(run, suited),
                gr.Textbox(placeholder=form_of.default_name(db, parent))]  # fmt: skip

    def of_preset(kind: str, chosen: str) -> list[Any]:
        return [why(RunKind(kind), chosen), *settings_shown(RunKind(kind), chosen)]

    def changed(*fields: Any) -> tuple[Any, ...]:  # noqa: ANN401
        set_, words = fitted(context, read_form(*fields))
        return words, *(set_.get(f, gr.skip()) for f in FIELDS)

    every = form.inputs
    form.kind.input(of_kind, [form.kind, form.parent, form.rows],
                    [form.preset, *form.of_kind, *form.values, *form.of_rows], **quiet,
                    ).then(look, every, looked, **quiet)  # fmt: skip
    form.rows.input(
        lambda kind, rows: _rows(context, kind, rows), [form.kind, form.rows], form.of_rows, **quiet
    ).then(look, every, looked, **quiet)
    form.parent.input(told(of_parent), [form.kind, form.parent], [form.campaigns, form.preset, *form.values, form.name],
                      **quiet).then(look, every, looked, **quiet)  # fmt: skip
    form.preset.input(of_preset, [form.kind, form.preset], [form.preset, *form.values], **quiet).then(
        look, every, looked, **quiet
    )
    gr.on([c.input for c in form.watched] + [c.blur for c in (form.more, form.name)], look, every, looked,
          trigger_mode="always_last", **quiet)  # fmt: skip
    fit.click(told(changed), every, [said, *form.values], **quiet).then(look, every, looked, **quiet)


def _rows(context: Context, kind: str, rows: str) -> list[Any]:
    """Which of the sources' fields show, and what can be picked."""
    sort = From(rows)
    return rows_shown(sort, form_of.picks(context.readers.get(), sort, RunKind(kind)))


def _filled(context: Context) -> tuple[Any, ...]:
    """The form's choices and first values, and the preview of them."""
    db = context.readers.get()
    names = form_of.parents(db)
    parent = names[0] if names else None
    suited = form_of.preset_for(context.home, db, parent)
    ticked = form_of.ticked_for(db, parent)
    html, seen = _preview(context, Form(parent, ticked, False, "majority", suited))
    rows, reference, against, rematch, more = kind_shown(RunKind.DPO, From.VOTES)
    campaigns, simulated, policy, picked, replay = rows_shown(From.VOTES, [])
    usual = form_of.PARENT
    return (
        RunKind.DPO.value, gr.update(choices=names, value=parent), rows,
        {**campaigns, "choices": [(c.name, c.name) for c in form_of.campaigns_for(db)], "value": ticked},
        {**simulated, "value": False}, {**policy, "value": "majority"}, picked, why(RunKind.DPO, suited),
        *settings_shown(RunKind.DPO, suited),
        {**reference, "choices": [(n, n) for n in (usual, *names)], "value": usual},
        {**against, "choices": [(n, n) for n in (usual, "base", "champion", *form_of.rivals(db))], "value": usual},
        {**rematch, "value": True}, {**replay, "value": 0.0}, {**more, "value": ""},
        gr.update(value="", placeholder=form_of.default_name(db, parent)),
        html, gr.update(visible=too_much(seen)),
    )  # fmt: skip


def too_much(seen: would_train.Look | None) -> bool:
    """Whether a run would take more memory than is free."""
    return seen is not None and seen.memory is not None and not seen.memory.fits


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
