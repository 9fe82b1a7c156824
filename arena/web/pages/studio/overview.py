"""Overview: the loop as a picture with its live numbers, where it stands, and the one next step."""

from typing import Any, NamedTuple

import gradio as gr

from arena.loop import Go, Loop, Stage, where
from arena.raters import counted_alarms
from arena.web.context import Context
from arena.web.pages.studio.acts import Part, act, first_panel, panel, told
from arena.web.pages.studio.markup import render
from arena.web.pages.studio.telling import all_notices, bell
from db.entities.runs import RunStatus
from labeling.joining import owner_invitation

EVERY = 5.0
"""seconds between two looks while the tab is open"""
# paths below the studio's own; the page knows what stands before them (a proxy's prefix, say)
GO_THERE = """(where) => {
  if (where.startsWith('#')) return void setTimeout(() => document.querySelector(where)?.click(), 300)
  if (where) window.location.assign(window.location.pathname.replace(/studio\\/?$/, '') + where)
}"""
WORDS = {
    "skipped": "skipped",
    "rater excluded": "left out: you excluded their rater",
    "withdrawn": "left out: their rater withdrew",
    "identity leak": "left out: an answer named its model",
    "known answer": "on known answers, which check raters",
    "repeat": "on repeats, which check raters",
    "practice": "practice",
}
"""why a stored vote is not counted"""
UNKNOWN = {"import unfinished": "unknown yet: their import has not finished"}
"""states of votes of which is not settled yet whether they count"""
ROUNDS = "#train-tabs-rounds-button"
"""the sub-tab's button"""
TABS_OF = {
    Go.MODELS: "models",
    Go.PROMPTS: "prompts",
    Go.CAMPAIGNS: "campaigns",
    Go.TRAIN: "train",
    Go.ROUNDS: "train",
    Go.JOBS: "jobs",
}


class Node(NamedTuple):
    """A station of the loop as it is drawn."""

    stage: Stage
    title: str
    number: str
    caption: str
    now: bool


def nodes(loop: Loop) -> list[Node]:
    """The ten stations, in order, with what each holds now."""
    drawn = (
        (Stage.START, "Prompts and models", f"{_n(loop.prompts.train + loop.prompts.heldout)}",
         f"prompts, {_n(loop.prompts.heldout)} held out; {loop.models} model{'' if loop.models == 1 else 's'}"),
        (Stage.RESPONSES, "Responses", _n(loop.responses), "stored, one a model and prompt"),
        (Stage.BALLOTS, "Blind ballots", _n(loop.battles), f"open to vote on; {_n(loop.counts.shown)} shown"),
        (Stage.VOTES, "Votes", _n(loop.people_votes), f"by people; {_n(loop.simulated_votes)} simulated"),
        (Stage.PAIRS, "Preference pairs", _n(loop.pairs), f"chosen over rejected; {_n(loop.fresh.people)} new vote{'' if loop.fresh.people == 1 else 's'}"),
        (Stage.SNAPSHOT, "Frozen snapshot", _n(loop.snapshot_pairs), "pairs of the last run, hashed"),
        (Stage.RUN, "Training run", *_run(loop)),
        (Stage.CANDIDATE, "Candidate", loop.candidate or "-", "registered when its run succeeds"),
        (Stage.REMATCH, "Blind rematch", *_rematch(loop)),
        (Stage.PROMOTION, "Promotion", loop.champion or "-", "the champion" if loop.champion else "no champion yet"),
    )  # fmt: skip
    return [Node(*words, words[0] is loop.next.stage) for words in drawn]


def _n(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _run(loop: Loop) -> tuple[str, str]:
    run, (at, total) = loop.run, loop.steps
    if run is None:
        return "-", "DPO from the parent model"
    if run.status is RunStatus.RUNNING:
        return (f"{at}/{total}" if total else "..."), f"steps of {run.name}"
    return (f"{total} steps" if total else "done"), f"{run.name}, from {run.parent}"


def _rematch(loop: Loop) -> tuple[str, str]:
    covered = loop.rematch_coverage
    if loop.rematch is None or covered is None:
        return "-", "candidate against its parent"
    return f"{covered.votes:,}/{covered.wanted:,}", f"votes in {loop.rematch.name}"


class Look(NamedTuple):
    """The tab as it is shown: the next step, the picture, the words on the button, whether rating is offered beside."""

    step: str
    picture: str
    button: str
    rate_beside: bool


def look(context: Context) -> Look:
    """The loop as it stands."""
    db = context.readers.get()
    loop = where(db)
    share = None if loop.next.share is None else f"{100 * min(1.0, loop.next.share):.0f}"
    return Look(
        render("step", step=loop.next, share=share), render("overview", loop=loop, nodes=nodes(loop), alarms=counted_alarms(db), words=WORDS, unknown=UNKNOWN),
        loop.next.button, bool(loop.battles) and loop.next.go is not Go.RATE,
    )  # fmt: skip


class Taken(NamedTuple):
    """Where the next step leads: a tab of the studio, or a path beside it."""

    tab: str | None
    path: str


def take_step(context: Context) -> Taken:
    """Where the button leads now; for rating, a new link to the owner's own seat."""
    go = where(context.readers.get()).next.go
    if go is Go.RATE:
        return Taken(None, rate_path(context))
    return Taken(TABS_OF[go], ROUNDS if go is Go.ROUNDS else "")


def rate_path(context: Context) -> str:
    """A new link to the owner's own rating seat, as a path."""
    return f"join/{act(context, 'made a link to the own rating seat', owner_invitation).token}"


def build(context: Context, tabs: gr.Tabs) -> Part:
    """The tab's components and what its buttons do."""

    def step() -> tuple[gr.Tabs, str]:
        taken = take_step(context)
        return (gr.Tabs(selected=taken.tab) if taken.tab else gr.Tabs()), taken.path

    with gr.Row(elem_classes="tb-step"):
        words = first_panel(elem_id="step", scale=1, min_width=280)
        with gr.Column(scale=0, min_width=210):
            button = gr.Button("Next step", variant="primary", elem_id="next-step")
            rate = gr.Button("Rate", elem_id="rate-now", visible=False)
    told_of = bell(context)  # below the button: a notice that comes must not move it
    shown = panel(elem_id="loop")
    listed = all_notices(context)
    path = gr.Textbox(visible="hidden", elem_id="go-path")
    button.click(told(step), outputs=[tabs, path], api_visibility="private").then(None, path, js=GO_THERE)
    rate.click(told(lambda: rate_path(context)), outputs=path, api_visibility="private").then(
        None, path, js=GO_THERE
    )

    def refresh() -> tuple[Any, ...]:
        seen = look(context)
        return (seen.step, seen.picture, gr.Button(value=seen.button), gr.Button(visible=seen.rate_beside),
                *told_of.refresh(), listed.refresh())  # fmt: skip

    outputs = [words, shown, button, rate, *told_of.outputs, *listed.outputs]
    return Part(refresh, outputs, gr.Timer(EVERY, active=False))
