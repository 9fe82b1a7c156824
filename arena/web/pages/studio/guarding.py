"""The blinding guard of a campaign: what was found, what became of it, and the list it works from."""

from typing import Any, NamedTuple

import gradio as gr

from arena.web.context import Context
from arena.web.pages.studio.acts import act, may_act, panel, run_verb, told, typed, wanted
from arena.web.pages.studio.markup import note, render
from arena.web.pages.studio.together import Together
from db.campaigns import find_campaign
from db.entities.campaigns import FindingKind, Guard
from db.errors import UserError
from db.guarding import finding_count, findings_of
from labeling import scanning

MOST, LISTED = 40, 200
"""findings shown, and battles listed to choose from; the command line lists them all, and any number can be typed"""
RULES = {
    Guard.HOLD: "Rule of this campaign: hold. A battle with a finding is not served until you release it.",
    Guard.REDACT: "Rule of this campaign: redact. Battles are served with the words covered; empty and equal ones are held.",
    Guard.ALLOW: "Rule of this campaign: allow. Everything is served; votes on battles that give a model away are left out.",
}
COLOURS = {"held": "busy", "served, votes left out": "bad", "released": "plain"}
WHERE = {"a": "In one answer", "b": "In the other answer"}


class Shown(NamedTuple):
    """A finding as the template takes it."""

    battle: int
    state: str
    colour: str
    kind: str
    by: str
    votes: int
    prompt: str
    where: str
    before: str
    what: str
    after: str


def _shown(row: scanning.Listed) -> Shown:
    by = {"released": f"by {row.by}", "served": f"by {row.by}", "held": f"by {row.by}"}.get(row.state, "")
    return Shown(row.battle, row.state, COLOURS.get(row.state, "good"), scanning.SHOWN[FindingKind(row.kind)],
                 by if row.by else "", row.votes, row.prompt, WHERE.get(row.slot, "About the ballot"), row.before,
                 row.what, row.after)  # fmt: skip


def guard_view(context: Context, name: str | None) -> str:
    """The counts of a campaign and its findings with the words marked."""
    db = context.readers.get()
    chosen = find_campaign(db, name) if name else None
    if chosen is None:
        return note("Choose a campaign above.")
    rows = [_shown(r) for r in scanning.listed(db, chosen, MOST)]
    rule = RULES[chosen.settings.guard]
    if chosen.settings.count_leaked:
        rule += " Votes on leaks are counted here."
    return render("guard", summary=scanning.summary(db, chosen), rule=rule, rows=rows, name=chosen.name,
                  more=max(0, finding_count(db, chosen.id) - MOST), held=any(r.state == "held" for r in rows),
                  empty="Nothing was found: no answer gives its model away, and none is empty or doubled.")  # fmt: skip


def battles(context: Context, name: str | None) -> gr.Dropdown:
    """The battles with a finding, standing ones first, to choose from; any other number can be typed."""
    db = context.readers.get()
    chosen = find_campaign(db, name) if name else None
    rows = findings_of(db, chosen.id, LISTED) if chosen else []
    named = dict.fromkeys(
        f"{r.battle}: {scanning.SHOWN[r.kind]} ({scanning.state_of(chosen, r)})" for r in rows if chosen
    )
    return gr.Dropdown(choices=list(named), value=None)


def decide(context: Context, name: str | None, battle: str | None, reason: str | None, *, held: bool) -> str:
    """Release a battle, or hold it; who did it stays on record."""
    chosen = wanted(name, "no campaign is chosen", "choose one from the list above")
    number = wanted(battle, "no battle is chosen", "choose one, or type its number").partition(":")[0].strip()
    if not number.isdecimal() or len(number) > 15:
        raise UserError(
            f"{number!r} is not the number of a battle", "choose one from the list, or type a number"
        )
    who = may_act(context)
    return context.writer.call(
        lambda db: scanning.decide(db, chosen, int(number), who, held=held, reason=typed(reason))
    )


def scan(context: Context, name: str | None) -> str:
    """Look at every battle again, in a process of its own, so that votes wait for nothing."""
    chosen = wanted(name, "no campaign is chosen", "choose one from the list above")
    run_verb(context, ["campaign", "guard", chosen, "--scan"])
    return f"Every battle of {chosen} was looked at again."


def save_words(context: Context, text: str) -> str:
    """Keep the owner's list; an empty one brings back the program's own."""
    words = act(context, "changed what the guard looks for", lambda db: scanning.save_words(db, text))
    n = len(words.names) + len(words.everyday)
    return f"{n} names and {len(words.phrases)} phrases are looked for from now on. Scan campaigns that are there already again."


def build(context: Context, chosen: gr.Dropdown, changed: Together) -> None:
    """The accordion for the campaign in `chosen`, drawn anew when it is opened and when another one is chosen."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    with gr.Accordion("Blinding guard", open=False) as opened:
        view = panel()
        with gr.Row(elem_classes="tb-buttons"):
            battle = gr.Dropdown([], label="Battle", info="Choose one that was found, or type any battle's number.",
                                 allow_custom_value=True, scale=2)  # fmt: skip
            reason = gr.Textbox(label="Reason", info="Stays on record.", max_length=300, scale=2)
        with gr.Row(elem_classes="tb-buttons"):
            release = gr.Button("Release: serve and count it", min_width=160)
            hold = gr.Button("Hold: do not serve it", min_width=160)
            again = gr.Button("Scan again", min_width=120)
        with gr.Accordion("What is looked for", open=False) as listed:
            words = gr.Textbox(label="Names and phrases", info="One a line; the lines at the top say how. Emptied and saved: the program's own list.",
                               lines=12, max_lines=24)  # fmt: skip
            save = gr.Button("Save the list", min_width=140)
        said = panel()

    def refresh(name: str | None) -> tuple[str, gr.Dropdown]:
        return guard_view(context, name), battles(context, name)

    outputs = [view, battle]
    changed.in_fold(opened, refresh, chosen, outputs)
    listed.expand(lambda: scanning.words_text(context.readers.get()), outputs=words, **quiet)
    for button, held in ((release, False), (hold, True)):
        button.click(told(lambda n, b, why, h=held: note(decide(context, n, b, why, held=h), "good")),
                     [chosen, battle, reason], said, api_visibility="private",
                     ).success(refresh, chosen, outputs, **quiet)  # fmt: skip
    again.click(told(lambda n: note(scan(context, n), "good")), chosen, said,
                api_visibility="private").success(refresh, chosen, outputs, **quiet)  # fmt: skip
    save.click(told(lambda text: note(save_words(context, typed(text)), "good")), words, said,
               api_visibility="private").success(lambda: scanning.words_text(context.readers.get()), outputs=words, **quiet)  # fmt: skip
