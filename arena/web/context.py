"""What a page is built from."""

from dataclasses import dataclass, field

import gradio as gr

from arena import giving_way
from arena.web.chatting import Players
from arena.web.failing import Failures
from arena.web.kept import KeptReports
from arena.web.kept_raters import KeptRaters
from db.connection import Home, Readers, Writer

OWNERS, RATERS = "owner-session-", "rater-lineage-"
"""what stands before the number of an owner's session, or of a rater's lineage, where Gradio keeps the name of who asks"""


@dataclass(frozen=True, slots=True)
class Context:
    """The home with its reading and writing connections, the theme every page wears, the models that answer now,
    those that failed raters, the reports and the raters' figures that are kept."""

    home: Home
    readers: Readers
    writer: Writer
    theme: gr.themes.Base
    players: Players = field(init=False)
    failures: Failures = field(init=False, default_factory=Failures)
    kept: KeptReports = field(init=False)
    raters: KeptRaters = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "players", Players(self.home, lambda: giving_way.reason(self.readers.get())))
        kept = KeptReports(self.home, self.readers)
        object.__setattr__(self, "kept", kept)
        object.__setattr__(self, "raters", KeptRaters(self.readers, kept.read))
