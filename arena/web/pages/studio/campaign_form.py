"""The fields of a campaign's settings: the same ones where a campaign is created and where it is changed."""

from collections.abc import Sequence
from typing import NamedTuple

import gradio as gr

from db.entities.campaigns import CampaignSettings, Guard, Matchmaking, Recruit, Sampling
from labeling.campaign_settings import MEANING, Reveal, shown


class Field(NamedTuple):
    """A setting as the form shows it. `choices`: (words, value); `lines` above 1 makes a larger box."""

    name: str
    label: str
    choices: Sequence[tuple[str, str]] = ()
    lines: int = 1


class Group(NamedTuple):
    """Fields that belong together, in rows."""

    title: str
    rows: Sequence[Sequence[Field]]


GROUPS = (
    Group("What raters are asked", (
        (Field("ask_strength", "How clear is it?"), Field("ask_acceptable", "Is each answer good enough?"),
         Field("ask_comment", "Free comment"), Field("ask_better", "Write a better answer")),
        (Field("criteria", "Further questions"), Field("reason_tags", "Reasons to tick"),
         Field("follow_turns", "Go on with the conversation")),
    )),
    Group("What raters read", (
        (Field("guidelines", "Guidelines", lines=5), Field("consent_text", "Consent text", lines=5)),
        (Field("consent_version", "Version of the consent text"), Field("quiz", "Comprehension check", lines=3)),
    )),
    Group("The session", (
        (Field("starts_at", "Starts (UTC)"), Field("ends_at", "Ends (UTC)"), Field("target", "Votes wanted in all"),
         Field("rater_cap", "Most ballots for one rater")),
        (Field("reveal", "Models are revealed", (("never", Reveal.NEVER), ("after each vote", Reveal.EACH),
                                                 ("at the end", Reveal.END))),
         Field("undo_seconds", "Seconds to undo"), Field("lease_seconds", "Seconds a ballot is kept")),
    )),
    Group("Prompts that raters write", (
        (Field("live", "Raters may write their own"), Field("live_limit", "Most for one rater")),
    )),
    Group("Check questions and limits", (
        (Field("gold_rate", "Share with a known answer"), Field("repeat_rate", "Share shown twice"),
         Field("practice", "Practice ballots")),
        (Field("warn_below", "Warn below"), Field("block_below", "Send away below"),
         Field("time_floor", "Fewest seconds")),
    )),
    Group("Which battles, and the blinding guard", (
        (Field("sampling", "Next battle", (("least covered", Sampling.LEAST_COVERED), ("uniform", Sampling.UNIFORM),
                                           ("most uncertain", Sampling.MOST_UNCERTAIN),
                                           ("judges disagree", Sampling.JUDGE_DISAGREEMENT))),
         Field("random_share", "Share drawn evenly"),
         Field("matchmaking", "Which models meet, of three or more",
               (("each two alike", Matchmaking.UNIFORM), ("least played", Matchmaking.LEAST_PLAYED),
                ("most informative", Matchmaking.MOST_INFORMATIVE)))),
        (Field("guard", "Battles that give a model away", (("hold back", Guard.HOLD), ("cover the words", Guard.REDACT),
                                                           ("serve", Guard.ALLOW))),
         Field("count_leaked", "Count votes on them")),
    )),
    Group("Where raters come from, and what becomes of the data", (
        (Field("recruit", "Raters come by", (("link", Recruit.LINK), ("Prolific", Recruit.PROLIFIC),
                                             ("Mechanical Turk", Recruit.MTURK))),
         Field("completion_code", "Completion code"), Field("screenout_code", "Screen-out code")),
        (Field("completion_url", "Completion address"), Field("screenout_url", "Screen-out address")),
        (Field("share_results", "Raters may see the results"), Field("recruited", "How raters were found and paid"),
         Field("license", "Licence of the votes")),
    )),
)  # fmt: skip
NAMES = tuple(field.name for group in GROUPS for row in group.rows for field in row)


def build(first: CampaignSettings) -> list[gr.components.Component]:
    """The fields with a campaign's settings in them, in the order of NAMES."""
    made = []
    for group in GROUPS:
        with gr.Accordion(group.title, open=False):
            for row in group.rows:
                with gr.Row():
                    made += [_component(field, first) for field in row]
    return made


def _component(field: Field, first: CampaignSettings) -> gr.components.Component:
    value = getattr(first, field.name)
    info = MEANING[field.name][:1].upper() + MEANING[field.name][1:] + "."
    if isinstance(value, bool):
        return gr.Checkbox(value, label=field.label, info=info, min_width=220)
    if field.choices:
        return gr.Dropdown(
            [(words, str(v)) for words, v in field.choices], value=str(value), label=field.label, info=info
        )
    return gr.Textbox(shown(first, field.name), label=field.label, info=info, lines=field.lines, max_lines=14)


def values_of(settings: CampaignSettings) -> list[object]:
    """What the fields show of a campaign's settings, in the order of NAMES."""
    values = (getattr(settings, name) for name in NAMES)
    return [v if isinstance(v, bool) else shown(settings, n) for n, v in zip(NAMES, values, strict=True)]


def typed_in(values: Sequence[object]) -> dict[str, str]:
    """What stands in the fields, by name, as typed text."""
    return {n: {True: "yes", False: "no"}.get(v, "") if isinstance(v, bool) else str(v or "")
            for n, v in zip(NAMES, values, strict=True)}  # fmt: skip
