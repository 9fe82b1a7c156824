"""Several parts in sub-tabs of one tab: the one that is looked at is drawn anew and its clock runs, the others rest."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gradio as gr

from arena.web.context import Context
from arena.web.pages.studio.acts import Part


class Subtab(NamedTuple):
    """A part under a name, with the title on its sub-tab."""

    name: str
    title: str
    build: Callable[[Context], Part]


def beside_each_other(context: Context, subtabs: Sequence[Subtab], elem_id: str) -> Part:
    """The parts in sub-tabs, as one part of the page. Which of them is open is known to the page that is looked at."""
    opened = gr.State(subtabs[0].name)
    parts: dict[str, Part] = {}
    shown: dict[str, gr.Tab] = {}
    with gr.Tabs(elem_id=elem_id):
        for one in subtabs:
            with gr.Tab(one.title, id=one.name, elem_id=f"{elem_id}-{one.name}") as shown[one.name]:
                parts[one.name] = one.build(context)
    clocks = {name: part.timer for name, part in parts.items() if part.timer is not None}
    outputs = [o for part in parts.values() for o in part.outputs]

    def anew(name: str) -> list[Any]:
        """What the sub-tab `name` shows, nothing new for the others, and which clock runs."""
        drawn = [
            v for other, part in parts.items() for v in (_values(part) if other == name else _same(part))
        ]
        return [*drawn, *(gr.Timer(active=other == name) for other in clocks)]

    for name, tab in shown.items():
        tab.select(lambda name=name: [name, *anew(name)], outputs=[opened, *outputs, *clocks.values()],
                   show_progress="hidden", api_visibility="private")  # fmt: skip
    return Part(anew, [*outputs, *clocks.values()], inputs=[opened], inner=tuple(clocks.values()))


def _values(part: Part) -> list[Any]:
    """What a part shows, one value an output."""
    found = part.refresh()
    return list(found) if len(part.outputs) != 1 or isinstance(found, tuple) else [found]


def _same(part: Part) -> list[Any]:
    return [gr.skip() for _ in part.outputs]
