"""Raters: who rates, by pseudonym, how well, what to look at, and whose votes count."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from arena import raters
from arena.web.context import Context
from arena.web.pages.studio.acts import Part, act, first_panel, panel, told, wanted
from arena.web.pages.studio.links import forget
from arena.web.pages.studio.markup import Cell, Chip, note, render, table
from db.campaigns import list_campaigns
from db.entities.campaigns import CampaignSettings, CampaignStatus
from db.raters import RaterVote, decide_rater, list_raters

BALLOT_HEADS = ("When (UTC)", "Campaign", "Prompt", "Ballot", "Answered", "Seconds", "Counts", "Comment")
EVERY = 3.0
"""seconds between two looks for newer figures"""
WAITING = {
    False: "they are worked out beside the server now and appear here by themselves.",
    True: "these are a little older; newer ones are worked out beside the server and appear here by themselves.",
}
KINDS = {
    "battle": "battle", "gold": "known answer", "repeat": "repeat", "practice": "practice", "import": "imported",
}  # fmt: skip


def rater_table(context: Context, *, begin: bool = True) -> str:
    """Every rater with their figures, and what the campaigns demand; votes leave skips and check questions out.

    `begin`: where there are many votes, let newer figures be worked out.
    """
    db = context.readers.get()
    wanted_by = [
        f"{c.name}: {_demands(c.settings)}"
        for c in list_campaigns(db)
        if c.status is not CampaignStatus.CLOSED and _demands(c.settings)
    ]
    look = context.raters.look(begin=begin)
    waiting = (
        note(f"Figures of {look.votes:,} votes take a while: {WAITING[bool(look.stamp)]}")
        if look.newer
        else ""
    )
    return waiting + render("raters", rows=look.rows, limits=wanted_by)


def _demands(s: CampaignSettings) -> str:
    """What a campaign checks and demands of raters; empty where it does neither."""
    parts = [
        f"{100 * s.gold_rate:.0f} % known answers" if s.gold_rate else "",
        f"{100 * s.repeat_rate:.0f} % repeats" if s.repeat_rate else "",
        f"a warning below {100 * s.warn_below:.0f} % known answers found"
        if s.gold_rate and s.warn_below
        else "",
        f"no more ballots below {100 * s.block_below:.0f} %" if s.gold_rate and s.block_below else "",
        f"a mark where most votes take under {s.time_floor:g} seconds" if s.time_floor else "",
    ]
    return "; ".join(filter(None, parts))


def ballots(context: Context, name: str | None) -> str:
    """One rater's newest votes with check questions marked, and the decisions about them."""
    if not name:
        return ""
    found = raters.ballots_of(context.readers.get(), name)
    decided = "".join(
        note(f"{d.at[:16].replace('T', ' ')}: {'counted again' if d.counted else 'left out'}, {d.reason}")
        for d in found.decisions
    )
    rows: list[Sequence[Cell]] = [
        (v.created_at[:16].replace("T", " "), v.campaign, v.prompt, _kind(v), _pressed(v),
         None if v.seconds is None else round(v.seconds, 1), Chip(v.state, "good" if v.state == "counted" else "plain"), v.comment)
        for v in found.votes
    ]  # fmt: skip
    shown = f"The newest {raters.MOST_VOTES} votes" if len(rows) == raters.MOST_VOTES else "Every vote"
    return decided + table(
        BALLOT_HEADS, rows, empty=f"{name} has not voted yet.", caption=f"{shown} of {name}, newest first"
    )


def _kind(vote: RaterVote) -> Cell:
    """What the ballot was for; for a check question, whether it was answered as expected."""
    expected = vote.better if vote.kind == "gold" else vote.before
    if vote.kind not in ("gold", "repeat") or expected is None or vote.state in ("retracted", "skipped"):
        return KINDS[vote.kind]
    same = vote.outcome == expected
    words = ("found", "missed") if vote.kind == "gold" else ("answered alike", "answered otherwise")
    return Chip(f"{KINDS[vote.kind]}: {words[0] if same else words[1]}", "good" if same else "bad")


def _pressed(vote: RaterVote) -> str:
    """The answer in terms of the screen, where the side is on record."""
    if vote.outcome in ("a", "b") and vote.left_is is not None:
        return "left" if vote.outcome == vote.left_is else "right"
    return {"a": "the first model's", "b": "the second model's"}.get(
        vote.outcome, vote.outcome.replace("_", " ")
    )


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

    def names() -> list[str]:
        return [r.name for r in list_raters(context.readers.get())]

    def refresh() -> tuple[str, gr.Dropdown, str]:
        return rater_table(context), gr.Dropdown(choices=names()), context.raters.stamp

    def tick(drawn: str) -> tuple[Any, Any]:
        """The table anew where there are newer figures than it shows."""
        stamp = context.raters.stamp
        return (gr.skip(), gr.skip()) if stamp == drawn else (rater_table(context, begin=False), stamp)

    drawn = gr.State("")
    timer = gr.Timer(EVERY, active=False)
    shown = first_panel()
    with gr.Row(elem_classes="tb-buttons"):
        rater = gr.Dropdown([], label="Rater", info="By pseudonym; no name or address is kept.")
        reason = gr.Textbox(
            label="Reason", info="Why the votes count or do not; it stays on record.", max_length=300
        )
    with gr.Row(elem_classes="tb-buttons"):
        out = gr.Button("Exclude", variant="stop")
        back = gr.Button("Include again")
    with gr.Accordion("Forget a rater who asks for it", open=False), gr.Row(elem_classes="tb-buttons"):
        again = gr.Textbox(label="Type the rater's pseudonym", max_length=80, scale=2,
                           info="Their name, platform ids, links and texts go for good; their votes leave every figure.")  # fmt: skip
        gone = gr.Button("Forget", variant="stop", min_width=120)
    said = panel()
    own = panel()
    rater.change(told(lambda n: ballots(context, n)), rater, own, api_visibility="private")
    for button, counted in ((out, False), (back, True)):
        button.click(
            told(lambda n, why, c=counted: note(decide(context, n, why, counted=c), "good")), [rater, reason], said,
            api_visibility="private",
        ).success(lambda n: (rater_table(context), ballots(context, n)), rater, [shown, own], api_visibility="private")  # fmt: skip
    gone.click(told(lambda n, typed: note(forget(context, n, typed), "good")), [rater, again], said, api_visibility="private",
               ).success(lambda: (rater_table(context), gr.Dropdown(choices=names(), value=None), ""),
                         outputs=[shown, rater, again], api_visibility="private")  # fmt: skip
    timer.tick(tick, drawn, [shown, drawn], show_progress="hidden", api_visibility="private")
    return Part(refresh, [shown, rater, drawn], timer)
