"""The chosen campaign's settings: changed, or taken over into a draft."""

from collections.abc import Sequence
from typing import NamedTuple

import gradio as gr
from gradio.events import Dependency

from arena import campaigning
from arena.web.context import Context
from arena.web.pages.studio import campaign_form
from arena.web.pages.studio.acts import act, panel, told, typed, wanted
from arena.web.pages.studio.markup import note
from arena.web.pages.studio.together import Together
from db.campaigns import find_campaign, get_campaign
from db.entities.campaigns import CampaignSettings
from db.errors import UserError


def save_settings(context: Context, name: str | None, fields: Sequence[object]) -> campaigning.Changed:
    """Give the chosen campaign the settings in the fields; those that are as before change nothing."""
    chosen = wanted(name, "no campaign is chosen", "choose one from the list")
    before = get_campaign(context.readers.get(), chosen).settings
    asked = dict(zip(campaign_form.NAMES, map(_typed, campaign_form.values_of(before)), strict=True))
    typed_now = {k: v for k, v in campaign_form.typed_in(fields).items() if v != asked[k]}
    if not typed_now:
        raise UserError("nothing was changed", "change a field first")
    ahead = campaigning.read_for_change(context.readers.get(), chosen, typed_now)
    return act(context, f"changed campaign {chosen}: {', '.join(typed_now)}",
               lambda db: campaigning.change(db, chosen, typed_now, ahead=ahead))  # fmt: skip


def _typed(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def said_of(made: campaigning.Changed) -> str:
    """What became of a change, in a sentence or two."""
    word = "is the new version" if made.new_version else f"is {made.campaign.status}"
    return ". ".join((f"{made.campaign.name} {word}", *made.notes)) + "."


def clone(context: Context, name: str | None, new: str | None) -> campaigning.Changed:
    """A draft like the chosen campaign."""
    chosen = wanted(name, "no campaign is chosen", "choose one from the list")
    ahead = campaigning.read_for_clone(context.readers.get(), chosen)
    return act(context, f"cloned campaign {chosen}",
               lambda db: campaigning.clone(db, chosen, typed(new) or None, ahead=ahead))  # fmt: skip


class Changes(NamedTuple):
    """What the page wires: the name of the campaign made or changed, and the events that have done it."""

    name: gr.State
    saved: Dependency
    cloned: Dependency


def build(context: Context, chosen: gr.Dropdown, changed: Together) -> Changes:
    """The settings, folded, and the two buttons under them."""
    with gr.Accordion("Settings of this campaign", open=False):
        panel(note("Once there are votes, what raters are asked, read and are checked by stays as it is: a change then "
                   "makes a new version of the campaign, and the old one is closed. Times, targets, codes and addresses "
                   "may change at any time."))  # fmt: skip
        fields = campaign_form.build(CampaignSettings())
        with gr.Row(elem_classes="tb-buttons"):
            save = gr.Button("Save settings", variant="primary", min_width=140)
            new_name = gr.Textbox(label="Name of the copy", info="Left empty: NAME copy.", max_length=80)
            copy = gr.Button("Clone as a draft", min_width=140)
        said, name = panel(), gr.State()

    def look(chosen: str | None) -> list[object]:
        found = find_campaign(context.readers.get(), chosen) if chosen else None
        return campaign_form.values_of(found.settings if found else CampaignSettings())

    def told_of(made: campaigning.Changed) -> tuple[str, str]:
        return note(said_of(made), "good"), made.campaign.name

    changed(look, chosen, fields)
    return Changes(
        name,
        save.click(told(lambda n, *values: told_of(save_settings(context, n, values))),
                   [chosen, *fields], [said, name], api_visibility="private"),
        copy.click(told(lambda n, new: told_of(clone(context, n, new))),
                   [chosen, new_name], [said, name], api_visibility="private"),
    )  # fmt: skip
