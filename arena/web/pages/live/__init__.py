"""The live page: a rater's own prompt, two blind answers, the rating page's own bar. It talks to the JSON routes alone."""

from pathlib import Path

import gradio as gr

from arena.web.context import Context
from arena.web.pages import rate

HERE = Path(__file__).parent
BALLOT = '<div class="tb-ballot"'


def markup() -> str:
    """The rating page's markup with the composer before the ballot; its ballots come from /api/live."""
    page = (rate.HERE / "rate.html").read_text(encoding="utf-8")
    composer = (HERE / "live.html").read_text(encoding="utf-8")
    source = page.replace('class="tb-rate"', 'class="tb-rate" data-source="live"', 1)
    return source.replace(BALLOT, f"{composer}\n  {BALLOT}", 1)


def script() -> str:
    """The rating page's script, and what is live about this one."""
    return "\n".join([rate.script(), (HERE / "live.js").read_text(encoding="utf-8")])


def page(_context: Context) -> gr.Blocks:
    """The page. It holds no state and no event: everything a rater has is in the database."""
    with gr.Blocks(title="Live - Tastebench", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(html_template=markup(), js_on_load=script(), apply_default_css=False)
    return blocks
