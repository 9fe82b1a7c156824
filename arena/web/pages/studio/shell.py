"""The studio: nine tabs, each in a file of its own, and what happens when one is looked at."""

import json
from collections.abc import Sequence

import gradio as gr

from arena.web.context import Context
from arena.web.pages.studio import campaigns, data, models, overview, prompts, raters, settings, train, work
from arena.web.pages.studio.acts import Part, panel
from arena.web.pages.studio.people import viewer_strip

TABS = ("overview", "models", "prompts", "campaigns", "raters", "data", "train", "jobs", "settings")
# the tab that is open stands in the address after the #, so that a reload opens it again
OPENED = "() => window.location.hash.slice(1)"
REMEMBER = "(tab) => { window.history.replaceState(null, '', '#' + tab) }"


def page(context: Context) -> gr.Blocks:
    """The page; its app lets the owner in and nobody else."""
    with gr.Blocks(title="Studio - Tastebench", analytics_enabled=False, fill_width=True) as blocks:
        opened = gr.Textbox(visible="hidden", elem_id="opened-tab")
        who = panel(elem_id="who-looks")
        with gr.Tabs(elem_id="studio-tabs") as tabs:
            parts: dict[str, Part] = {}
            shown: dict[str, gr.Tab] = {}
            for name in TABS:
                with gr.Tab(name.title(), id=name) as tab:
                    parts[name] = _build(name, context, tabs)
                shown[name] = tab
        timers = {name: part.timer for name, part in parts.items() if part.timer is not None}
        overview_part = parts["overview"]
        timers["overview"].tick(overview_part.refresh, outputs=overview_part.outputs, show_progress="hidden",
                                api_visibility="private")  # fmt: skip
        inner = {name: part.inner for name, part in parts.items()}
        for name, tab in shown.items():
            _on_look(name, tab, parts[name], timers, [t for n, ts in inner.items() if n != name for t in ts])
        blocks.load(
            lambda tab: _open(tab), opened, tabs, js=OPENED, show_progress="hidden", api_visibility="private"
        )
        blocks.load(
            lambda: viewer_strip(context), outputs=who, show_progress="hidden", api_visibility="private"
        )
        blocks.load(
            overview_part.refresh,
            outputs=overview_part.outputs,
            show_progress="hidden",
            api_visibility="private",
        )
    return blocks


def _build(name: str, context: Context, tabs: gr.Tabs) -> Part:
    if name == "overview":
        return overview.build(context, tabs)
    files = {"models": models, "prompts": prompts, "campaigns": campaigns, "raters": raters, "data": data,
             "train": train, "jobs": work, "settings": settings}  # fmt: skip
    part: Part = files[name].build(context)
    return part


def _open(tab: str) -> gr.Tabs:
    """The tab the address names, else the first."""
    return gr.Tabs(selected=tab if tab in TABS else TABS[0])


def _on_look(
    name: str, tab: gr.Tab, part: Part, timers: dict[str, gr.Timer], others: Sequence[gr.Timer]
) -> None:
    """A tab that is opened is drawn anew and its clock runs; the others' clocks, `others` in sub-tabs, stand still.

    The clocks are set in the browser, in the order in which tabs are opened: as replies of the server they could come
    late, and the first tab's would stop the clock of the one that a reload opens.
    """
    tab.select(
        part.refresh, list(part.inputs), list(part.outputs), show_progress="hidden", api_visibility="private"
    )
    run = [{"__type__": "update", "active": o == name} for o in timers]
    rest = [{"__type__": "update", "active": False} for _ in others]
    tab.select(None, js=f"() => {json.dumps([*run, *rest])}", outputs=[*timers.values(), *others])
    tab.select(None, js=f"() => ({REMEMBER})('{name}')", outputs=None)
