"""Writing votes out: what an export would hold is looked at first, then a job writes the folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from arena import jobs
from arena.web.context import Context
from arena.web.pages.studio.acts import may_act, panel, start_job, told, typed, wanted
from arena.web.pages.studio.markup import Cell, chip, render, table
from db.connection import checked_name
from db.entities.runs import Job, JobStatus
from db.errors import UserError
from db.runs import list_jobs
from labeling.exporting import Preview, order_of, preview
from labeling.pairs import Effect
from labeling.policy import Method, policy_of
from labeling.privacy import summary
from labeling.privacy import told as words_of
from labeling.tables import MESSAGES, ExportFormat, columns, flat_chat

EVERYTHING = "(all campaigns)"
FORMATS = [
    ("trl: prompt, chosen, rejected", "trl"), ("kto: one answer and good or bad", "kto"),
    ("reward: chosen and rejected with a margin", "reward"), ("ultrafeedback: whole chats and scores", "ultrafeedback"),
    ("responses: all answers to a prompt, best and worst", "responses"), ("sft: better answers that raters wrote", "sft"),
    ("votes: one row a vote", "votes"), ("csv: one row a vote, for spreadsheets", "csv"),
]  # fmt: skip
POLICIES = [
    ("vote: every vote is a pair", "vote"), ("majority: one pair a battle, if most agree", "majority"),
    ("min-agreement: the same, if enough agree", "min-agreement"),
    ("consensus: weighs what each rater's votes tell (Dawid-Skene)", "consensus"),
]  # fmt: skip
TIES = [("leave them out", "drop"), ("two good answers", "good"), ("two bad answers", "bad")]
EFFECT_HEADS = (
    "Votes become pairs by",
    "Pairs",
    "To train on",
    "Held out",
    "Votes left out",
    "Disputed battles",
    "",
)
PLACES = 8
"""findings of personal data that are shown"""


@dataclass(frozen=True, slots=True)
class ExportForm:
    """What the form holds, in the order of its components."""

    campaign: str | None
    form: str
    policy: str
    min_agreement: float | None
    weigh: bool
    simulated: bool
    written: bool
    ties: str
    comments: bool = False
    name: str | None = None
    push: str | None = None
    allow: bool = False

    def options(self) -> dict[str, object]:
        """The policy's options as the command line has them."""
        return {
            "policy": self.policy, "min_agreement": 0.7 if self.min_agreement is None else self.min_agreement,
            "weigh_raters": self.weigh, "no_simulated": not self.simulated, "no_written": not self.written,
            "ties": self.ties,
        }  # fmt: skip


def named(campaign: str | None) -> str | None:
    """The campaign that is chosen; None for all."""
    return None if campaign in (None, "", EVERYTHING) else campaign


def arguments(context: Context, form: ExportForm) -> list[str]:
    """The verb that writes the folder; what is as by default is not said."""
    folder = context.home.exports / checked_name(
        wanted(form.name, "the folder needs a name", "write one"), "folder"
    )
    if folder.exists():
        raise UserError(f"{folder} is there already", "choose another name")
    chosen, policy = named(form.campaign), policy_of(form.options())
    words = ["export", str(folder), *(["--campaign", chosen] if chosen else []), "--format", form.form]
    words += ["--policy", policy.method.value] if policy.method is not Method.VOTE else []
    if policy.method is Method.MIN_AGREEMENT:
        words += ["--min-agreement", f"{policy.min_agreement:g}"]
    words += ["--ties", policy.ties.value] if form.form == ExportFormat.KTO and form.ties != "drop" else []
    flags = {"--weigh-raters": policy.weighted, "--no-simulated": not policy.simulated,
             "--no-written": not policy.written, "--with-comments": form.comments,
             "--allow-personal-data": form.allow, "--no-personal-data": not form.allow}  # fmt: skip
    words += [flag for flag, on in flags.items() if on]
    return words + (["--push", typed(form.push)] if typed(form.push) else [])


def start_export(context: Context, form: ExportForm) -> Job:
    """Start the export as a job."""
    return start_job(context, arguments(context, form))


def look(context: Context, form: ExportForm) -> Preview:
    """What the export would hold; nothing is written. Refused for a viewer, for reading every text costs."""
    may_act(context)
    order = order_of(named(form.campaign), form.form, policy_of(form.options()), comments=form.comments)
    return preview(context.home, order)


def shown(seen: Preview) -> str:
    """A preview as the person reads it."""
    return render(
        "export_look", seen=seen, rows=sum(seen.splits.values()), effects=effects(seen.effects),
        found=words_of(summary(seen.places)), places=[str(p) for p in seen.places[:PLACES]],
        first=[(split, _parts(ExportFormat(seen.format), row)) for split, row in seen.first],
    )  # fmt: skip


def effects(found: Sequence[Effect]) -> str:
    """What each way of making pairs would give, as a table."""
    rows: list[Sequence[Cell]] = [
        (e.policy.method.value, *((None,) * 5 if e.why_not else
         (e.pairs, e.train, e.heldout, e.left_out, e.contradictions)), e.why_not or "")
        for e in found
    ]  # fmt: skip
    return table(EFFECT_HEADS, rows, empty="", caption="What each policy would give")


def _parts(shape: ExportFormat, row: dict[str, object]) -> list[tuple[str, str, bool]]:
    """(column, what it holds, whether it is a text people read) of a row; empty ones left out."""
    kinds = columns(shape)
    parts = []
    for column in kinds:
        value = row[column]
        if value is None or value in ("", []):
            continue
        if kinds[column] == MESSAGES and isinstance(value, list):
            parts.append((column, flat_chat(value), True))
        elif isinstance(value, list):
            whole = all(isinstance(v, str) for v in value)
            parts.append((column, ", ".join(value) if whole else json.dumps(value), False))
        elif isinstance(value, bool):
            parts.append((column, "yes" if value else "no", False))
        elif isinstance(value, float):
            parts.append((column, f"{value:.3g}", False))
        else:
            parts.append((column, str(value), column in ("prompt", "response_a", "response_b")))
    return parts


def last_export(context: Context) -> tuple[str, bool]:
    """What became of the newest export, and whether it still runs."""
    job = next((j for j in list_jobs(context.readers.get()) if j.command[:1] == ("export",)), None)
    if job is None:
        return "", False
    said = jobs.read_log(context.home, job, 2000).strip() if job.status.over else job.message
    html = render(
        "export", job=job, status=chip(job.status.value), command=jobs.shown(job.command), said=said
    )
    return html, job.status in (JobStatus.RUNNING, JobStatus.QUEUED)


def build(context: Context, campaign: gr.Dropdown) -> gr.HTML:
    """The form below the campaign's choice, and what its buttons do; where the newest export is told of."""
    with gr.Accordion("Export as a dataset folder", open=False):
        with gr.Row():
            form = gr.Dropdown(
                FORMATS, value="trl", label="Format", info="What each row holds.", elem_id="export-format"
            )
            policy = gr.Dropdown(POLICIES, value="vote", label="Votes become pairs by", elem_id="export-policy",
                                 info="Ties and 'both' give no pair in any.")  # fmt: skip
            least = gr.Number(0.7, label="Share that must agree", minimum=0.5, maximum=1, step=0.05, visible=False,
                              info="Of a battle's votes, 0.5 to 1.")  # fmt: skip
            ties = gr.Dropdown(
                TIES, value="drop", label="Ties", info="What a tie says of its two answers.", visible=False
            )
        with gr.Row():
            weigh = gr.Checkbox(
                False, label="Weigh raters", info="By what their votes tell; needs overlap.", visible=False
            )
            simulated = gr.Checkbox(True, label="Also simulated votes", info="Rows say which they are.")
            written = gr.Checkbox(
                True, label="Also written answers", info="Better answers of raters, chosen over both."
            )
            comments = gr.Checkbox(
                False, label="Also comments and reasons", info="They may tell who wrote them."
            )
        see = gr.Button("Look at it first", elem_id="export-look")
        seen = panel()
        with gr.Row():
            name = gr.Textbox(label="Folder name", info=f"Made in {context.home.exports}.", max_length=80)
            push = gr.Textbox(label="Also send to a hub (optional)",
                              info="A dataset repository, owner/name; private where it is new. Needs HF_TOKEN.")  # fmt: skip
        allow = gr.Checkbox(False, label="I have looked at the personal data above and may let it out", visible=False,
                            elem_id="export-allow")  # fmt: skip
        go = gr.Button("Export", variant="primary", interactive=False, elem_id="export-go")
        state = panel()
    fields: list[Any] = [campaign, form, policy, least, weigh, simulated, written, ties, comments]
    _wire(context, fields, [name, push, allow], see, seen, go, state)
    return state


def _wire(
    context: Context, fields: Sequence[Any], more: Sequence[Any], see: gr.Button, seen: gr.HTML, go: gr.Button,
    state: gr.HTML,
) -> None:  # fmt: skip
    """Looking lets export; another choice asks for another look."""
    _, form, policy, least, weigh, _, _, ties, _ = fields

    def after(shape: str, method: str) -> tuple[Any, ...]:
        return (gr.Number(visible=method == "min-agreement"), gr.Checkbox(visible=method in ("majority", "min-agreement")),
                gr.Dropdown(visible=shape == "kto"))  # fmt: skip

    def looked(*values: Any) -> tuple[Any, ...]:  # noqa: ANN401
        found = look(context, ExportForm(*values))
        return shown(found), gr.Button(interactive=True), gr.Checkbox(value=False, visible=bool(found.places))

    def export(*values: Any) -> str:  # noqa: ANN401
        start_export(context, ExportForm(*values))
        return last_export(context)[0]

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    gr.on([form.input, policy.input], after, [form, policy], [least, weigh, ties], **quiet)
    gr.on([f.change for f in fields], lambda: ("", gr.Button(interactive=False), gr.Checkbox(value=False, visible=False)),
          None, [seen, go, more[-1]], **quiet)  # fmt: skip
    see.click(told(looked), list(fields), [seen, go, more[-1]], api_visibility="private")
    go.click(told(export), [*fields, *more], state, api_visibility="private")
