"""The login page: an owner's one-time token or password, and what a rater needs instead."""

from pathlib import Path

import gradio as gr

from arena.web import words
from arena.web.context import Context

HERE = Path(__file__).parent


def page(_context: Context) -> gr.Blocks:
    """The page; everybody may open it. Its script posts what was typed, so that looking at a link does not spend it."""
    with gr.Blocks(title="Log in - Tastebench", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(
            html_template=(HERE / "login.html").read_text(encoding="utf-8"),
            js_on_load=words.script() + (HERE / "login.js").read_text(encoding="utf-8"),
            apply_default_css=False,
        )
    return blocks
