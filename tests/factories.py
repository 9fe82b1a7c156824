"""Small homes for tests: recorded models, prompts with their answers, an open campaign, a rater's seat."""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from db.campaigns import create_campaign
from db.catalog import add_model, add_prompts, add_responses
from db.connection import Home, Writer, home_at, open_writer
from db.entities.campaigns import Campaign, CampaignSettings
from db.entities.catalog import Message, ModelKind, Prompt, Response, Split
from db.guarding import mark_scanned
from labeling.joining import invite

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@functools.cache
def _empty() -> Path:
    """The database of a home just made: what every migration leaves behind, walked once."""
    folder = Path(tempfile.mkdtemp(prefix="tastebench-empty-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    open_writer(home_at(folder)).conn.close()
    return folder / "arena.db"


def new_home(folder: Path) -> Home:
    """The home in this folder, with an empty database of today's schema where it has none yet."""
    home = home_at(folder)
    if not home.database.exists():
        shutil.copyfile(_empty(), home.database)
    return home


def make_home(
    folder: Path,
    *,
    models: Sequence[str] = ("model-one", "model-two"),
    prompts: int = 6,
    campaign: str = "first",
    settings: CampaignSettings | None = None,
    split: Split = Split.TRAIN,
    messages: Callable[[int], list[Message]] = lambda i: [{"role": "user", "content": f"Question {i}?"}],
    answer: Callable[[str, int], str] = lambda model, i: (
        f"Answer {i} in the manner of {len(model)} {model[-1]}."
    ),
    scanned: bool = True,
) -> Home:
    """A home with recorded models that answered every prompt, and one open campaign over them, as one with no finding."""
    home = new_home(folder)
    db = open_writer(home)
    asked = [Prompt.of(messages(i), split) for i in range(prompts)]
    add_prompts(db, asked, prompt_set=f"set of {campaign}")
    for model in models:
        add_model(db, model, ModelKind.RECORDED)
        add_responses(db, [Response.of(p.id, model, answer(model, i)) for i, p in enumerate(asked)])
    if prompts:
        made = create_campaign(db, campaign, models, f"set of {campaign}", settings or CampaignSettings())
        if scanned:
            mark_scanned(db, made.campaign.id)
    db.conn.close()
    return home


def seat(writer: Writer, campaign: str = "first") -> str:
    """The token of a new rater's link."""
    return writer.call(lambda db: invite(db, campaign, 1)[0].token)


def campaign_of(writer: Writer, name: str = "first") -> Campaign:
    """The campaign as it stands."""
    from db.campaigns import get_campaign

    return writer.call(lambda db: get_campaign(db, name))
