"""Raters: who rates, by pseudonym, and whose votes count."""

from collections.abc import Sequence

import gradio as gr

from arena import registry
from arena.web.context import Context
from arena.web.pages.studio.acts import Part, act, panel, told, wanted
from arena.web.pages.studio.markup import Cell, Chip, note, table
from db.campaigns import decide_rater, list_raters

HEADS = ("Rater", "Kind", "Campaign", "Seat", "Votes", "Counted")


def rater_table(context: Context) -> str:
    """Every rater; votes leave skips out."""
    rows: list[Sequence[Cell]] = []
    for r in registry.rater_listing(context.readers.get()):
        kind, excluded = str(r["kind"]), r["excluded"]
        rows.append((
            str(r["name"]), Chip(kind, "busy") if kind == "simulated" else kind, _text(r["campaign"]), _text(r["seat"]),
            int(str(r["votes"])), Chip("yes", "good") if excluded is None else Chip(f"no: {excluded}", "bad"),
        ))  # fmt: skip
    return table(HEADS, rows, empty="No raters yet: invite some in the Campaigns tab.", caption="Raters")


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def decide(context: Context, name: str | None, reason: str | None, *, counted: bool) -> str:
    """Leave a rater's votes out of every figure, or count them again; nothing is deleted."""
    chosen = wanted(name, "no rater is chosen", "choose one from the list")
    why = wanted(reason, "a decision about a rater needs a reason", "write one; it stays on record")
    word = "included" if counted else "excluded"
    act(
        context,
        f"{word} rater {chosen}: {why}",
        lambda db: decide_rater(db, chosen, counted=counted, reason=why),
    )
    return (
        f"{chosen} is counted again."
        if counted
        else f"{chosen} is left out of every figure; nothing is deleted."
    )


def build(context: Context) -> Part:
    """The tab's components and what its buttons do."""

    def refresh() -> tuple[str, gr.Dropdown]:
        return rater_table(context), gr.Dropdown(choices=[r.name for r in list_raters(context.readers.get())])

    shown = panel()
    with gr.Row(elem_classes="tb-buttons"):
        rater = gr.Dropdown([], label="Rater", info="By pseudonym; no name or address is kept.")
        reason = gr.Textbox(
            label="Reason", info="Why the votes count or do not; it stays on record.", max_length=300
        )
    with gr.Row(elem_classes="tb-buttons"):
        out = gr.Button("Exclude", variant="stop")
        back = gr.Button("Include again")
    said = panel()
    for button, counted in ((out, False), (back, True)):
        button.click(
            told(lambda n, why, c=counted: note(decide(context, n, why, counted=c), "good")), [rater, reason], said,
            api_visibility="private",
        ).success(lambda: rater_table(context), outputs=shown, api_visibility="private")  # fmt: skip
    return Part(refresh, [shown, rater])
