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


def test_a_folded_part_is_drawn_once_it_is_unfolded():
    drawn = []
    with gr.Blocks() as page:
        chosen, changed = gr.Dropdown(["x", "y"], value="x"), Together()
        with gr.Accordion("More", open=False) as fold:
            view, battle = gr.HTML(), gr.Dropdown()
        folded = changed.in_fold(
            fold, lambda name: drawn.append(name) or (f"all of {name}", "one"), chosen, [view, battle]
        )
        changed.on(chosen.change)
    unfold, refold, choose = page.fns.values()
    nothing = gr.skip()
    assert choose.inputs == [folded, chosen]
    assert choose.fn(folded.value, "y") == [nothing, nothing]
    assert drawn == []
    assert unfold.outputs == refold.outputs == [folded, view, battle]
    opened, *shown = unfold.fn("y")
    assert shown == ["all of y", "one"]
    assert choose.fn(opened, "x") == ["all of x", "one"]
    again, *emptied = refold.fn()
    assert emptied == ["", nothing]
    assert choose.fn(again, "y") == [nothing, nothing]
    assert drawn == ["y", "x"]
