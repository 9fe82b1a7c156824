"""A browser's side of a Gradio page without a browser: every event of the page, posted over HTTP as the page posts it."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
import httpx
from starlette.routing import Mount

from tests.serving import Running


@dataclass
class Answer:
    """What an event came to: the values it gave back, or the error that the person would see."""

    event: int
    name: str
    error: str | None
    data: list[Any]


@dataclass
class Visit:
    """One visit of one page: what its fields hold now, kept up by what the events answer."""

    web: Running
    client: httpx.Client
    page: str
    typed: dict[str, Any] = field(default_factory=dict)
    """what stands in the fields of these labels, whatever they held"""

    def __post_init__(self) -> None:
        mount = next(r for r in self.web.app.routes if isinstance(r, Mount) and r.path == f"/{self.page}")
        self.blocks: gr.Blocks = mount.app.get_blocks()
        self.session = secrets.token_hex(6)
        self.held: dict[int, Any] = {}
        self.choices: dict[int, list[Any]] = {}

    def events(self) -> Iterator[tuple[int, Any]]:
        """(number, event) of all that run on the server."""
        yield from ((n, fn) for n, fn in self.blocks.fns.items() if fn.fn is not None)

    def triggered(self, kind: str) -> list[int]:
        """The events that this kind of trigger raises: load, select, click, ..."""
        return [n for n, fn in self.events() if any(name == kind for _, name in fn.targets)]

    def of_button(self, words: str) -> int:
        """The event of the button with these words."""
        for n, fn in self.events():
            for block, name in fn.targets:
                if name == "click" and getattr(self.blocks.blocks.get(block), "value", None) == words:
                    return n
        raise AssertionError(f"no button says {words}")

    def value(self, component: Any) -> Any:
        """What a field holds: as typed, as last answered, the first of its choices, or something of its kind."""
        label = getattr(component, "label", None)
        if label in self.typed:
            return self.typed[label]
        if self.held.get(component._id) is not None:
            return self.held[component._id]
        choices = self.choices.get(component._id) or getattr(component, "choices", None) or []
        names = [c[1] if isinstance(c, list | tuple) else c for c in choices]
        several = isinstance(component, gr.CheckboxGroup) or getattr(component, "multiselect", False)
        if several:
            return names[:2]
        if names:
            return names[0]
        if isinstance(component, gr.Checkbox):
            return True
        if isinstance(component, gr.Number | gr.Slider):
            return 1 if component.value is None else component.value
        return "words" if isinstance(component, gr.Textbox) else None

    def post(self, event: int) -> Answer:
        """Raise one event and wait for its end."""
        fn = self.blocks.fns[event]
        body = {"data": [self.value(c) for c in fn.inputs], "event_data": None, "fn_index": event, "trigger_id": None,
                "session_hash": self.session}  # fmt: skip
        joined = self.client.post(f"/{self.page}/gradio_api/queue/join", json=body)
        name = getattr(fn.fn, "__qualname__", str(fn.fn))
        if joined.status_code != 200:
            return Answer(event, name, f"HTTP {joined.status_code}", [])
        address = f"/{self.page}/gradio_api/queue/data?session_hash={self.session}"
        with self.client.stream("GET", address, timeout=60) as stream:
            for line in stream.iter_lines():
                said = json.loads(line[5:]) if line.startswith("data:") else {}
                if said.get("msg") == "process_completed":
                    return self._completed(event, name, said)
        raise AssertionError(f"event {event} has no end")

    def _completed(self, event: int, name: str, said: dict[str, Any]) -> Answer:
        output = said["output"]
        if not said["success"]:
            return Answer(event, name, str(output.get("error")), [])
        data = output.get("data", [])
        for component, value in zip(self.blocks.fns[event].outputs, data, strict=False):
            if isinstance(value, dict) and value.get("__type__") == "update":
                if "choices" in value:
                    self.choices[component._id] = value["choices"]
                if "value" in value:
                    self.held[component._id] = value["value"]
            elif component._id is not None:
                self.held[component._id] = value
        return Answer(event, name, None, data)
