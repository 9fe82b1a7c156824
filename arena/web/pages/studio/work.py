"""Jobs: every heavy command, whoever started it; the queue of trainings, a log, ways to stop, resume and reorder."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from arena import accelerators, jobs, registry
from arena.web.context import Context
from arena.web.pages.studio.acts import Part, act, begin_job, cancel_job, first_panel, panel, reconcile, told
from arena.web.pages.studio.markup import Cell, Chip, Code, Meter, chip, note, render, table
from db.entities.runs import Job, JobStatus
from db.errors import UserError
from db.queueing import EVERY_SLOT, move, queue
from db.runs import get_job, list_jobs

EVERY = 2.0
HEADS = ("Job", "Status", "Progress", "Command", "Says", "Started", "Ended")


def job_table(context: Context) -> str:
    """The newest jobs first."""
    rows: list[Sequence[Cell]] = [
        (str(j.id), chip(j.status.value), None if j.progress is None else Meter(j.progress, f"{j.progress:.0%}"),
         Code(jobs.shown(j.command)), j.message, _when(j.started_at), _when(j.finished_at))
        for j in list_jobs(context.readers.get(), 60)
    ]  # fmt: skip
    return table(HEADS, rows, empty="Nothing has run yet.", caption="Jobs, the newest 60")


QUEUE_HEADS = ("Place", "Job", "On", "Command", "Says")


def queue_table(context: Context) -> str:
    """The trainings at work and those that wait for a slot, the next one first; nothing where none does either."""
    db = context.readers.get()
    at_work = [j for j in list_jobs(db) if j.status is JobStatus.RUNNING and j.slot is not None]
    waiting = [get_job(db, number) for number in queue(db)]
    if not at_work and not waiting:
        return ""
    rows: list[Sequence[Cell]] = [
        (Chip("training", "busy"), str(j.id), _device(j), Code(jobs.shown(j.command)), j.message) for j in reversed(at_work)
    ]  # fmt: skip
    rows += [
        (Chip(f"{n}. in the queue"), str(j.id), None, Code(jobs.shown(j.command)),
         "waits in a terminal" if j.pid else "starts by itself when a slot is free")
        for n, j in enumerate(waiting, 1)
    ]  # fmt: skip
    n = accelerators.slots(accelerators.devices())
    at_once = "one training at a time" if n == 1 else f"{n} trainings at a time, one on each GPU"
    return table(QUEUE_HEADS, rows, empty="", caption=f"Trainings: {at_once}, the others wait")


def _device(job: Job) -> str:
    """What a training computes on."""
    found = accelerators.devices()
    if not found:
        return "processor"
    return (
        "every GPU"
        if job.slot == EVERY_SLOT
        else f"GPU {found[job.slot or 0]}"
        if (job.slot or 0) < len(found)
        else "GPU"
    )


def reorder(context: Context, job_id: str | None, *, earlier: bool) -> str:
    """Let a training that waits change places with the one before or behind it."""
    number = chosen_job(job_id)
    way = "earlier" if earlier else "later"
    act(context, f"moved job {number} {way} in the queue", lambda db: move(db, number, earlier=earlier))
    return f"Job {number} goes {way} now."


def _when(moment: str | None) -> str | None:
    return moment[:19].replace("T", " ") if moment else None


def log_of(context: Context, job_id: str | None) -> str:
    """What a job printed, its end."""
    if not job_id:
        return ""
    job = get_job(context.readers.get(), int(job_id))
    return render("log", title=f"Job {job.id}", text=jobs.read_log(context.home, job))


def chosen_job(job_id: str | None) -> int:
    """The number of the job that is chosen."""
    if not job_id:
        raise UserError("no job is chosen", "choose one from the list")
    return int(job_id)


def again(context: Context, job_id: str | None) -> str:
    """Run the command of a finished job again; a training or a sweep that was cut short goes on where it was."""
    number = chosen_job(job_id)
    what = f"ran job {number} again"
    job = begin_job(context, what, lambda db: registry.enter_again(context.home, db, number))
    return f"Job {job.id} {'waits for a slot to run' if job.turn else 'runs'} {jobs.shown(job.command)}."


def look(context: Context) -> None:
    """Mark jobs whose process is gone without a word, before anything is shown."""
    reconcile(context)


def choices(context: Context) -> list[tuple[str, str]]:
    """(words, number) of the jobs for the list."""
    found = list_jobs(context.readers.get(), 60)
    return [(f"{j.id}: {' '.join(j.command)[:60]} ({j.status})", str(j.id)) for j in found]


def build(context: Context) -> Part:
    """The tab's components and what its buttons do."""

    def refresh() -> tuple[Any, ...]:
        return *lists(), gr.Dropdown(choices=choices(context))

    def lists() -> tuple[Any, ...]:
        """The tables, and the buttons that move a job where one could be moved."""
        look(context)
        several = len(queue(context.readers.get())) > 1
        return (
            queue_table(context),
            job_table(context),
            gr.Button(visible=several),
            gr.Button(visible=several),
        )

    def tick(job_id: str | None) -> tuple[Any, ...]:
        return *lists(), log_of(context, job_id)

    waiting = panel(elem_id="queue")
    shown = first_panel(elem_id="jobs")
    with gr.Row(elem_classes="tb-buttons"):
        job = gr.Dropdown([], label="Job", elem_id="job", scale=3,
                          info="Whose log to show, to stop, to run again, or to move in the queue.")  # fmt: skip
        with gr.Row(scale=2, elem_classes="tb-buttons"):
            stop = gr.Button("Cancel", variant="stop", min_width=90)
            rerun = gr.Button("Resume or run again", min_width=160)
            up = gr.Button("Earlier", min_width=90, visible=False, elem_id="job-earlier")
            down = gr.Button("Later", min_width=90, visible=False, elem_id="job-later")
    anew = [waiting, shown, up, down]
    said = panel()
    log = panel()
    job.change(told(lambda j: log_of(context, j)), job, log, api_visibility="private")
    stop.click(told(lambda j: note(cancel_job(context, chosen_job(j)), "good")), job, said, api_visibility="private",
               ).success(refresh, outputs=[*anew, job], api_visibility="private")  # fmt: skip
    rerun.click(told(lambda j: note(again(context, j), "good")), job, said, api_visibility="private",
                ).success(refresh, outputs=[*anew, job], api_visibility="private")  # fmt: skip
    for button, earlier in ((up, True), (down, False)):
        button.click(told(lambda j, e=earlier: note(reorder(context, j, earlier=e), "good")), job, said,
                     api_visibility="private",
                     ).success(refresh, outputs=[*anew, job], api_visibility="private")  # fmt: skip
    timer = gr.Timer(EVERY, active=False)
    timer.tick(tick, job, [*anew, log], show_progress="hidden", api_visibility="private")
    return Part(refresh, [*anew, job], timer)
