"""The rating page: one prompt, two blind responses, one bar. It talks to the JSON routes, never to Gradio's queue."""

from pathlib import Path

import gradio as gr

from arena.web.context import Context

HERE = Path(__file__).parent


def page(_context: Context) -> gr.Blocks:
    """The page. It holds no state and no event: everything a rater has is in the database."""
    with gr.Blocks(title="Rate - Tastebench", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(
            html_template=(HERE / "rate.html").read_text(encoding="utf-8"),
            js_on_load=(HERE / "rate.js").read_text(encoding="utf-8"),
            apply_default_css=False,
        )
    return blocks
