"""Several parts of a tab drawn anew by one event: each event of its own costs the browser a request and a redraw.

What stands in a folded accordion is drawn when it is unfolded, and with the others while it is open.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gradio as gr
from gradio.components import Component


class _Look(NamedTuple):
    draw: Callable[..., Any]
    inputs: Sequence[Component]
    outputs: Sequence[Component]
    one: bool
    """whether it gives one value instead of one for each output"""


class Together:
    """Stands where an event would (`chosen.change`) and gathers what is to happen; `on` makes one event of it."""

    def __init__(self) -> None:
        self._looks: list[_Look] = []

    def __call__(
        self, draw: Callable[..., Any], inputs: Component | Sequence[Component], outputs: Component | Sequence[Component],
        **_how: object,
    ) -> None:  # fmt: skip
        """One more part; how its own event would be shown plays no part."""
        one = isinstance(outputs, Component)
        self._looks.append(_Look(draw, _listed(inputs), _listed(outputs), one))

    def in_fold(
        self, fold: gr.Accordion, draw: Callable[..., Any], inputs: Component | Sequence[Component],
        outputs: Component | Sequence[Component], *, show_progress: str = "hidden",
    ) -> gr.State:  # fmt: skip
        """One more part, in an accordion that begins folded; what it holds of text is gone once it is folded again.

        Returns whether it is folded.
        """
        folded, given, places = gr.State(True), _listed(inputs), _listed(outputs)
        one = isinstance(outputs, Component)

        def drawn(unseen: bool, *values: object) -> list[object]:
            if unseen:
                return [gr.skip() for _ in places]
            made = draw(*values)
            return [made] if one else list(made)

        how: dict[str, Any] = {"api_visibility": "private", "trigger_mode": "always_last"}
        fold.expand(lambda *values: [False, *drawn(False, *values)], given, [folded, *places], show_progress=show_progress, **how)  # fmt: skip
        emptied = ["" if isinstance(place, gr.HTML) else gr.skip() for place in places]
        fold.collapse(lambda: [True, *emptied], None, [folded, *places], show_progress="hidden", **how)
        self(drawn, [folded, *given], places)
        return folded

    def on(self, event: Callable[..., object]) -> None:
        """Draw all parts, in the order in which they came, whenever the event happens."""
        inputs = list({i._id: i for look in self._looks for i in look.inputs}.values())
        outputs = [o for look in self._looks for o in look.outputs]

        def every(*values: object) -> list[object]:
            given = {i._id: value for i, value in zip(inputs, values, strict=True)}
            drawn: list[object] = []
            for look in self._looks:
                made = look.draw(*(given[i._id] for i in look.inputs))
                drawn += [made] if look.one else made
            return drawn

        event(
            every,
            inputs,
            outputs,
            show_progress="hidden",
            api_visibility="private",
            trigger_mode="always_last",
        )


def _listed(components: Component | Sequence[Component]) -> Sequence[Component]:
    return [components] if isinstance(components, Component) else components
