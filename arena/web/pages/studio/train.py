"""Train: a new run, and whatever else there is to do with runs, each in a sub-tab and a file of its own.

Another sub-tab is one more line in SUBTABS: its name in the address, its title, and its `build(context) -> Part`.
"""

from arena.web.context import Context
from arena.web.pages.studio import compare, new_run, rounds_view, sweeping
from arena.web.pages.studio.acts import Part
from arena.web.pages.studio.subtabs import Subtab, beside_each_other

SUBTABS: tuple[Subtab, ...] = (
    Subtab("new", "New run", new_run.build),
    Subtab("rounds", "Rounds", rounds_view.build),
    Subtab("compare", "Compare", compare.build),
    Subtab("sweep", "Sweep", sweeping.build),
)


def build(context: Context) -> Part:
    """The sub-tabs' components, wired."""
    return beside_each_other(context, SUBTABS, elem_id="train-tabs")
