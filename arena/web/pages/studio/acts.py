"""What every tab needs to act: who asks, the audit note beside the act, jobs, light verbs, errors told to the person.

Whatever a page changes goes through `act`, `start_job` or `run_verb`; what only costs (a preview that writes a file, a
model that answers) asks `may_act` first. All four refuse a viewer.
"""

import functools
import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeVar

import gradio as gr
from gradio.context import LocalContext

from arena import jobs
from arena.environment import for_command
from arena.web.context import OWNERS, Context
from arena.web.sessions import now
from db import audit
from db.connection import PROJECT, Database
from db.entities.runs import Job
from db.errors import UserError
from db.owners import Owner, get_owner
from labeling import owners

P = ParamSpec("P")
T = TypeVar("T")

OWNER = "owner"
"""who acts where a handler is called as a plain function and no page asks"""
LONGEST_VERB = 90
"""seconds a light verb may take; cancelling waits half a minute for a job to end by itself"""


class Part(NamedTuple):
    """A tab as the page wires it: what it shows anew, where that goes, and the clock it runs on while looked at.

    `inputs` are what `refresh` is called with; `inner` are the clocks of its sub-tabs, which stop when it is left.
    """

    refresh: Callable[..., Any]
    outputs: Sequence[gr.blocks.Block]
    timer: gr.Timer | None = None
    inputs: Sequence[gr.blocks.Block] = ()
    inner: Sequence[gr.Timer] = ()


def panel(value: str = "", **options: Any) -> gr.HTML:  # noqa: ANN401 - options of the component
    """A place for HTML of our own, without a frame or styles of its own."""
    return gr.HTML(value, apply_default_css=False, padding=False, **options)


def first_panel(**options: Any) -> gr.HTML:  # noqa: ANN401 - options of the component
    """A panel that what stands beside it waits for (studio.css), so that nothing moves under somebody's hand."""
    return panel(elem_classes="tb-first", **options)


class Asker(NamedTuple):
    """Who asks: whether it is an event of a page, and the owner's session that it came with."""

    page: bool
    session: int | None

    def name(self, db: Database) -> str:
        """The name of whoever may act; Refused for a viewer and for a session that has ended."""
        return owners.actor(db, self.session, now()).name if self.page else OWNER


def asker() -> Asker:
    """Who asks, by the event that runs in this thread. An event that names no session may do nothing."""
    if LocalContext.blocks.get(None) is None:
        return Asker(False, None)
    request = LocalContext.request.get(None)
    number = str(getattr(request, "username", None) or "").partition(OWNERS)[2]
    return Asker(True, int(number) if number.isdigit() else None)


def may_act(context: Context) -> str:
    """The name of whoever asks; Refused for a viewer."""
    return asker().name(context.readers.get())


def looker(context: Context) -> Owner:
    """Whoever looks, viewers too; the first owner where no page asks."""
    asks, db = asker(), context.readers.get()
    return owners.looker(db, asks.session, now()) if asks.page else get_owner(db)


def act(context: Context, what: str, work: Callable[[Database], T]) -> T:
    """Do something in the name of whoever asks: the act and its audit note are one transaction of the writer."""
    asks = asker()

    def noted(db: Database) -> T:
        who = asks.name(db)
        done = work(db)
        audit.note(db, who, what)
        return done

    return context.writer.call(noted)


def reconcile(context: Context) -> None:
    """Mark jobs whose process is gone without a word. Where a viewer looks, that is left to the server's own rounds."""
    asks = asker()
    if not asks.page or not looker(context).viewer:
        context.writer.call(jobs.reconcile)


def start_job(context: Context, arguments: Sequence[str]) -> Job:
    """Start a verb as a job in the name of whoever asks."""
    what = f"started: {jobs.shown(arguments)}"
    return begin_job(context, what, lambda db: jobs.enter(context.home, db, arguments))


def begin_job(context: Context, what: str, enter: Callable[[Database], Job]) -> Job:
    """Write a job down in the name of whoever asks, and begin it once its row is there for its process to find."""
    return jobs.begin(context.home, context.writer.call, act(context, what, enter))


def run_verb(context: Context, arguments: Sequence[str]) -> str:
    """Run a verb beside the server, wait for it, and return what it printed; its one-line error is a UserError.

    For verbs that wait (cancelling a job, say): the server's writing thread must never wait for anything.
    """
    who = may_act(context)
    done = subprocess.run(
        jobs.command_line(context.home, arguments), capture_output=True, text=True, timeout=LONGEST_VERB,
        cwd=PROJECT, check=False, stdin=subprocess.DEVNULL, env={**for_command(arguments, os.environ), jobs.ASKED_VARIABLE: who},
    )  # fmt: skip
    context.writer.call(lambda db: audit.note(db, who, f"ran: {jobs.shown(arguments)}"))
    if done.returncode == 2:
        raise UserError(done.stderr.strip().splitlines()[-1].removeprefix("error: "))
    if done.returncode != 0:
        raise RuntimeError(f"{jobs.shown(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def cancel_job(context: Context, job_id: int) -> str:
    """Ask a job to end, kill it where it does not; what became of it."""
    return run_verb(context, ["jobs", "cancel", str(job_id)]).strip()


def told(handler: Callable[P, T]) -> Callable[P, T]:
    """A handler whose UserError is shown to the person as its one line; anything else stays loud in the log."""

    @functools.wraps(handler)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return handler(*args, **kwargs)
        except UserError as error:
            raise gr.Error(str(error), duration=12, title="Not done", print_exception=False) from None

    return wrapped


def typed(value: str | None) -> str:
    """What is in a text field, without space around it; a field nobody touched holds None."""
    return (value or "").strip()


def wanted(value: str | None, what: str, remedy: str) -> str:
    """A text field that must not be empty."""
    if not typed(value):
        raise UserError(what, remedy)
    return typed(value)
