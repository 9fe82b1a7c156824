"""Rounds: one record a round, what people say of its candidate, who decided what and why, and the next step."""

import base64
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import gradio as gr

from arena import jobs
from arena.intervals import ENOUGH
from arena.lineage import Round, State, rounds, to_csv, to_json
from arena.promoting import RULE, Against, Detail, promote, rollback
from arena.promoting import shown as e_shown
from arena.web.context import Context
from arena.web.pages.studio.acts import Part, act, first_panel, may_act, panel, start_job, told, typed, wanted
from arena.web.pages.studio.markup import Cell, Chip, note, render, table
from arena.winrates import percent
from db.promotions import standing_promotion
from db.snapshots import raters_of_snapshot

EVERY = 8.0
HEADS = (
    "Round",
    "Candidate",
    "State",
    "From",
    "Rows",
    "Reference",
    "Rematch",
    "Wins, ties half",
    "Evidence",
    "Decided",
)
KINDS = {
    State.TRAINING: "busy", State.RATING: "busy", State.PROMOTE: "good", State.CHAMPION: "good", State.FAILED: "bad",
    State.UNDECIDED: "plain", State.FOLLOWED: "plain", State.ROLLED_BACK: "plain", State.NO_REMATCH: "plain",
    State.REMOVED: "plain",
}  # fmt: skip


class File(NamedTuple):
    """A file to take home, inside the page."""

    name: str
    href: str


def files(found: Sequence[Round]) -> list[File]:
    """The rounds as CSV and JSON."""
    made = {"rounds.csv": ("text/csv", to_csv(found)),
            "rounds.json": ("application/json", json.dumps(to_json(found), ensure_ascii=False, indent=1))}  # fmt: skip
    return [
        File(name, f"data:{kind};base64,{base64.b64encode(text.encode()).decode()}")
        for name, (kind, text) in made.items()
    ]


def summary(context: Context, found: Sequence[Round]) -> str:
    """The champion, the next step, the rule, and every round in a table."""
    last = standing_promotion(context.readers.get())
    return render("rounds", last=last, next=found[0].next() if found else "", rule=RULE, rounds=_table(found),
                  files=files(found) if found else [])  # fmt: skip


def _table(found: Sequence[Round]) -> str:
    rows: list[Sequence[Cell]] = [
        (str(r.number), r.candidate or r.run, Chip(r.state.value, KINDS[r.state]), r.parent, r.train, _proof(r),
         f"{r.rematch.votes} of {r.rematch.wanted} votes" if r.rematch else None, _each(r, _rate), _each(r, _evidence),
         f"{r.promotion.way} by {r.promotion.who}" + ("" if r.promotion.stands else ", rolled back") if r.promotion else None)
        for r in found
    ]  # fmt: skip
    return table(
        HEADS, rows, empty="No round yet. A retrain makes the first.", caption="Rounds, the newest first"
    )


def _proof(r: Round) -> Cell:
    if r.reference_proof is None:
        return None
    return Chip("proven", "good") if r.reference_proof.get("ok") else Chip("not proven", "bad")


def _each(r: Round, cell: Any) -> str | None:  # noqa: ANN401 - one of the two below
    said = [cell(a, d) for a, d in r.against]
    return "; ".join(said) if said else None


def _rate(one: Against, detail: Detail) -> str:
    f = detail.figures
    if f is None or f.win_rate_a is None:
        return "no votes"
    ends = f" ({percent(f.ci95.low)} to {percent(f.ci95.high)})" if f.ci95 else ""
    return f"{percent(f.win_rate_a)}{ends} over {one.rival}"


def _evidence(one: Against, _detail: Detail) -> str:
    return f"{e_shown(one.e_value)} of {ENOUGH:.0f}" if one.n else "none"


def detail(found: Sequence[Round], run: str | None) -> str:
    """One round from snapshot to decision."""
    chosen = _of(found, run)
    if chosen is None:
        return ""
    return render("round", r=chosen, kind=KINDS[chosen.state], percent=percent, e=e_shown, enough=ENOUGH,
                  source=_source(chosen), newest=chosen is found[0])  # fmt: skip


def _of(found: Sequence[Round], run: str | None) -> Round | None:
    return next((r for r in found if r.run == run), found[0] if found else None)


def _source(r: Round) -> str:
    """Where the rows come from and what was done to them, in words."""
    kind, _, names = r.source.partition(":")
    said = {
        "votes": f"votes of {names.replace(',', ', ')}",
        "pairs": f"pair set {names}",
        "answers": f"answers {names}",
    }
    parts = [said.get(kind, r.source), str(r.policy.get("method", ""))]
    without = r.policy.get("without")
    if isinstance(without, list) and without:
        parts.append("without " + ", ".join(map(str, without)))
    replay = r.policy.get("replay")
    if isinstance(replay, dict):
        parts.append(f"with {replay['battles']} of {replay['of_battles']} older battles")
    if not r.policy.get("simulated", True):
        parts.append("people only")
    return "; ".join(part for part in parts if part)


# -- what the buttons do ---------------------------------------------------------------------------------------


def decide(
    context: Context, run: str | None, simulated: bool, reason: str | None = None, force: bool = False
) -> str:
    """Promote a round's candidate: by the rule, or by hand where a reason is given."""
    wanted_run = wanted(run, "no round is chosen", "choose one from the list")
    chosen = next((r for r in rounds(context.readers.get()) if r.run == wanted_run), None)
    if chosen is None or chosen.candidate is None:
        return note("This round has no candidate to promote.")
    name, who = chosen.candidate, may_act(context)
    made = act(context, f"promoted {name}", lambda db: promote(
        db, name, who, reason=typed(reason) or None, force=force, simulated=simulated
    ))  # fmt: skip
    closed = f" Closed: {', '.join(made.closed)}." if made.closed else ""
    return note(f"{name} is the champion ({made.promotion.way}).{closed}", "good")


def take_back(context: Context, reason: str | None) -> str:
    """Make the champion before this one the champion again."""
    who = may_act(context)
    made = act(context, "rolled back the last promotion", lambda db: rollback(db, who, reason=typed(reason)))
    now = f"{made.champion} is the champion again." if made.champion else "There is no champion now."
    return note(f"The promotion of {made.promotion.model} is rolled back. {now}", "good")


def again_without(context: Context, run: str | None, rater: str | None) -> str:
    """Start the round's run once more without a rater."""
    name = wanted(run, "no round is chosen", "choose one from the list")
    job = start_job(
        context, ["train", "again", name, "--without", wanted(rater, "no rater is chosen", "choose one")]
    )
    return note(
        f"Job {job.id} runs {jobs.shown(job.command)}. Lay both beside each other under Compare.", "good"
    )


def raters(context: Context, r: Round | None) -> list[tuple[str, str]]:
    """(words, pseudonym) of the raters whose votes a round learned from."""
    found = raters_of_snapshot(context.readers.get(), r.snapshot) if r else {}
    return [(f"{name} ({n} votes)", name) for name, n in found.items()]


# -- the page --------------------------------------------------------------------------------------------------


def build(context: Context) -> Part:
    """The sub-tab's components and what its buttons do."""
    top = first_panel(elem_id="rounds")
    with gr.Row():
        with gr.Column(scale=3, min_width=260):
            chosen = gr.Dropdown([], label="Round", info="The newest at first.", elem_id="round")
        with gr.Column(scale=2, min_width=260):
            simulated = gr.Checkbox(False, label="Also count simulated votes", elem_id="count-simulated",
                                    info="Made-up raters. A promotion on them says so in its record.")  # fmt: skip
    said = panel(elem_id="round-said")
    shown = panel(elem_id="round-shown")
    go = gr.Button("Promote", variant="primary", visible=False, elem_id="promote")
    with gr.Accordion("Promote by hand", open=False, elem_id="by-hand"):
        reason = gr.Textbox(
            label="Reason", info="Kept in the record for good.", max_length=500, elem_id="hand-reason"
        )
        force = gr.Checkbox(False, label="Also where votes found a rival better", elem_id="hand-force")
        hand = gr.Button("Promote by hand", elem_id="promote-hand")
    with gr.Accordion("Roll back", open=False, elem_id="roll-back"):
        why = gr.Textbox(label="Why", info="The champion before becomes the champion again; nothing is deleted.",
                         max_length=500, elem_id="rollback-reason")  # fmt: skip
        back = gr.Button("Roll back the last promotion", variant="stop", elem_id="rollback")
    with gr.Accordion("Train this round again without a rater", open=False, elem_id="again"), gr.Row():
        rater = gr.Dropdown([], label="Rater", info="The same run, but none of their votes.", scale=3)
        anew = gr.Button("Train again", min_width=140, elem_id="train-again")
    timer = gr.Timer(EVERY, active=False)
    drawn = [top, shown, go, rater]
    asked = [chosen, simulated]

    def look(run: str | None, made_up: bool) -> tuple[Any, ...]:
        found = rounds(context.readers.get(), simulated=bool(made_up))
        r = _of(found, run)
        ready = r is not None and r.state is State.PROMOTE
        return (summary(context, found), detail(found, run),
                gr.Button(visible=ready, value=f"Promote {r.candidate}" if r and ready else "Promote"),
                gr.Dropdown(choices=raters(context, r)))  # fmt: skip

    def refresh() -> tuple[Any, ...]:
        found = rounds(context.readers.get())
        names = [(f"Round {r.number}: {r.candidate or r.run}", r.run) for r in found]
        first = names[0][1] if names else None
        return (gr.Dropdown(choices=names, value=first), False, *look(first, False))

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    for event in (chosen.input, simulated.input, timer.tick):
        event(look, asked, drawn, **quiet)

    def wired(button: gr.Button, work: Any, inputs: Sequence[Any]) -> None:  # noqa: ANN401 - a handler
        button.click(told(work), list(inputs), said, api_visibility="private").success(
            look, asked, drawn, **quiet
        )

    wired(go, lambda run, made_up: decide(context, run, bool(made_up)), asked)
    wired(hand, lambda run, made_up, r, f: decide(context, run, bool(made_up), wanted(r, "promoting by hand needs a reason", "write why"), bool(f)),
          [*asked, reason, force])  # fmt: skip
    wired(back, lambda text: take_back(context, text), [why])
    wired(anew, lambda run, name: again_without(context, run, name), [chosen, rater])
    return Part(refresh, [chosen, simulated, *drawn], timer)
