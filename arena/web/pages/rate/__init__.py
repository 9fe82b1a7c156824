"""The rating page: one prompt, two blind responses, one bar. It talks to the JSON routes, never to Gradio's queue."""

from pathlib import Path

import gradio as gr

from arena.web import words
from arena.web.context import Context

HERE = Path(__file__).parent
PARTS = ("base", "reading", "details", "screens", "votes", "hands")
"""the script's files in the order in which they stand on each other"""


def script() -> str:
    """The page's script: the reader's words, then its parts, as one."""
    return "\n".join([words.script(), *((HERE / f"{name}.js").read_text(encoding="utf-8") for name in PARTS)])


def page(_context: Context) -> gr.Blocks:
    """The page. It holds no state and no event: everything a rater has is in the database."""
    with gr.Blocks(title="Rate - Tastebench", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(
            html_template=(HERE / "rate.html").read_text(encoding="utf-8"),
            js_on_load=script(),
            apply_default_css=False,
        )
    return blocks
