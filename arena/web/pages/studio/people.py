"""Settings, part two: who may open the studio, their one-time links, one's own password and logging out."""

from collections.abc import Callable, Sequence

import gradio as gr

from arena.web.context import Context
from arena.web.pages.studio.acts import (
    Part,
    act,
    asker,
    first_panel,
    looker,
    may_act,
    panel,
    told,
    typed,
    wanted,
)
from arena.web.pages.studio.markup import Cell, Chip, note, table
from arena.web.sessions import now
from db import owners
from db.errors import Refused, UserError
from labeling import owners as way_in

HEADS = ("Name", "May", "Password", "Logged in", "Since")
OWNER, VIEWER = "act: change anything, train, invite", "only look: see everything, change nothing"
# the browser knows the address it came by; the server may not
LINK = "(path) => path ? window.location.origin + window.location.pathname.replace(/studio\\/?$/, '') + path : ''"
LOG_OUT = """async () => {
  const answer = await fetch(new URL("../api/logout", location.href), {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ everywhere: __ALL__ }),
  });
  location.assign((await answer.json()).next);
}"""


def people_table(context: Context) -> str:
    """Everybody who may open the studio."""
    rows: list[Sequence[Cell]] = [
        (o.name, Chip("look") if o.viewer else Chip("act", "good"), "set" if o.has_password else None,
         f"in {o.browsers} browser{'' if o.browsers == 1 else 's'}" if o.browsers else None, o.created_at[:10])
        for o in owners.list_owners(context.readers.get())
    ]  # fmt: skip
    return table(HEADS, rows, empty="", caption="Owners and viewers")


def add(context: Context, name: str | None, may: str) -> str:
    """A new owner or viewer; the path of the one-time link that lets them in."""
    called = wanted(name, "they need a name", "write the one they will log in with")
    viewer = may == VIEWER
    token = act(
        context,
        f"added {'viewer' if viewer else 'owner'} {called}",
        lambda db: way_in.add(db, called, viewer=viewer, now=now()),
    )
    return f"login/?token={token}"


def link(context: Context, name: str | None) -> str:
    """A new one-time link for someone, as a path."""
    called = wanted(name, "nobody is chosen", "choose a name from the list")
    token = act(
        context,
        f"made a link to the studio for {called}",
        lambda db: way_in.owner_link_token(db, now(), called),
    )
    return f"login/?token={token}"


def remove(context: Context, name: str | None) -> str:
    """Take someone's way in."""
    called = wanted(name, "nobody is chosen", "choose a name from the list")
    act(context, f"removed {called}", lambda db: owners.remove_owner(db, called))
    return f"{called} is out: no link, password or browser of theirs opens the studio any more."


def keep_password(context: Context, present: str | None, new: str | None) -> str:
    """Set the password of whoever asks; every other browser of theirs is logged out."""
    may_act(context)
    owner, session = looker(context), asker().session
    stored = owners.password_hash(context.readers.get(), owner.name)
    if stored is not None and not way_in.checked(stored, present or "").right:
        raise Refused(
            "the present password is wrong", "`owner password` in the terminal sets a new one without it"
        )
    if not new:
        raise UserError("the new password is missing", f"write one of {way_in.SHORTEST} characters or more")
    hashed = way_in.hash_of(new, owner.name)
    act(context, "set a new password", lambda db: way_in.set_password(db, owner.name, hashed, but=session))
    return f"Kept. Log in with the name {owner.name} and this password; your other browsers are logged out."


def build(context: Context) -> Part:
    """The components and what the buttons do."""

    def refresh() -> tuple[str, gr.Dropdown]:
        return people_table(context), gr.Dropdown(
            choices=[o.name for o in owners.list_owners(context.readers.get())], value=None
        )

    with gr.Accordion("Who may open the studio", open=True):
        shown = first_panel()
        with gr.Row(elem_classes="tb-buttons"):
            name = gr.Textbox(label="New person", info="The name they log in with.", max_length=80)
            may = gr.Radio([OWNER, VIEWER], value=VIEWER, label="May", info="A viewer's buttons do nothing.")
            new = gr.Button("Add person", min_width=130, elem_id="add-person")
        with gr.Row(elem_classes="tb-buttons"):
            person = gr.Dropdown([], label="Person", info="Whose link to make, or who leaves.")
            again = gr.Button("New one-time link", min_width=150)
            out = gr.Button("Remove", variant="stop", min_width=110)
        path = gr.Textbox(visible="hidden")
        made = gr.Textbox(label="One-time link", info=f"Opens the studio once, within {way_in.OWNER_LINK_HOURS} hours. Shown once: send it to them now.",
                          interactive=False, buttons=["copy"], elem_id="person-link")  # fmt: skip
        said = panel()
    outputs = [shown, person]
    _press(new, lambda n, m: add(context, n, m), [name, may], path, made, refresh, outputs)
    _press(again, lambda n: link(context, n), [person], path, made, refresh, outputs)
    out.click(
        told(lambda n: note(remove(context, n), "good")), person, said, api_visibility="private"
    ).success(refresh, outputs=outputs, api_visibility="private")
    _own(context)
    return Part(refresh, outputs)


def _press(
    button: gr.Button, make: Callable[..., str], inputs: Sequence[gr.blocks.Block], path: gr.Textbox, made: gr.Textbox,
    refresh: Callable[[], object], outputs: Sequence[gr.blocks.Block],
) -> None:  # fmt: skip
    """A button that makes a link: its path is made here, its address by the browser."""
    button.click(told(make), list(inputs), path, api_visibility="private").success(
        None, path, made, js=LINK
    ).then(refresh, outputs=list(outputs), api_visibility="private")


def _own(context: Context) -> None:
    """One's own password and the ways out."""
    with gr.Accordion("My password and my browsers", open=False):
        with gr.Row(elem_classes="tb-buttons"):
            present = gr.Textbox(label="Present password", info="Empty if you have none yet.", type="password",
                                 max_length=way_in.LONGEST)  # fmt: skip
            new = gr.Textbox(label="New password", info=f"{way_in.SHORTEST} characters or more; a few words are easy to keep.",
                             type="password", max_length=way_in.LONGEST)  # fmt: skip
            keep = gr.Button("Set password", min_width=130)
        said = panel()
        with gr.Row(elem_classes="tb-buttons"):
            here = gr.Button("Log out here")
            everywhere = gr.Button("Log out everywhere")

    def keeping(old: str | None, fresh: str | None) -> tuple[str, str, str]:
        return note(keep_password(context, old, fresh), "good"), "", ""

    keep.click(told(keeping), [present, new], [said, present, new], api_visibility="private")
    here.click(None, js=LOG_OUT.replace("__ALL__", "false"))
    everywhere.click(None, js=LOG_OUT.replace("__ALL__", "true"))


def viewer_strip(context: Context) -> str:
    """Who looks, for the strip on top: a viewer is told that they are one."""
    owner = looker(context)
    return (
        note(
            f"You are here as the viewer {typed(owner.name)}: you see everything, and no button changes anything.",
            "busy",
        )
        if owner.viewer
        else ""
    )
