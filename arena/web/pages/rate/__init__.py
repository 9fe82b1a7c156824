"""The rating page: one prompt, two blind responses, one bar. It talks to the JSON routes, never to Gradio's queue."""

import json
from pathlib import Path

import gradio as gr

from arena.web.context import Context
from arena.web.words import catalogues

HERE = Path(__file__).parent
PARTS = ("base", "words", "reading", "details", "screens", "votes", "hands")
"""the script's files in the order in which they stand on each other"""


def script() -> str:
    """The page's script: the catalogues, then its parts, as one."""
    known = {language: dict(words) for language, words in catalogues().items()}
    parts = [(HERE / f"{name}.js").read_text(encoding="utf-8") for name in PARTS]
    return "\n".join([f"const CATALOGUES = {json.dumps(known, ensure_ascii=False)};", *parts])


def page(_context: Context) -> gr.Blocks:
    """The page. It holds no state and no event: everything a rater has is in the database."""
    with gr.Blocks(title="Rate - Tastebench", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(
            html_template=(HERE / "rate.html").read_text(encoding="utf-8"),
            js_on_load=script(),
            apply_default_css=False,
        )
    return blocks
