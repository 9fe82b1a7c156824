"""What a page is built from."""

from dataclasses import dataclass

import gradio as gr

from db.connection import Home, Readers, Writer

OWNERS, RATERS = "owner-session-", "rater-lineage-"
"""what stands before the number of an owner's session, or of a rater's lineage, where Gradio keeps the name of who asks"""


@dataclass(frozen=True, slots=True)
class Context:
    """The home with its reading and writing connections, and the theme every page wears."""

    home: Home
    readers: Readers
    writer: Writer
    theme: gr.themes.Base
