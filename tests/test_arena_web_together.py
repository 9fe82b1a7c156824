"""Several parts drawn by one event."""

import gradio as gr

from arena.web.pages.studio.together import Together


def test_one_event_draws_every_part_with_its_own_fields():
    with gr.Blocks() as page:
        chosen, people = gr.Dropdown(["x", "y"], value="x"), gr.Number(3)
        one, two, three = gr.Textbox(), gr.Textbox(), gr.Textbox()
        changed = Together()
        changed(lambda name: f"card of {name}", chosen, one, show_progress="full")
        changed(lambda name, n: (f"{n} for {name}", "plan"), [chosen, people], [two, three])
        changed.on(chosen.change)
    (event,) = page.fns.values()
    assert event.inputs == [chosen, people]
    assert event.outputs == [one, two, three]
    assert event.fn("y", 5) == ["card of y", "5 for y", "plan"]
