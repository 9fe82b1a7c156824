"""Workflow: a campaign's life after it was made: other settings, new versions, copies, check questions."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlite_utils import Database

from db import campaigns, checks
from db.campaigns import find_campaign, get_campaign
from db.connection import transaction
from db.entities import FROZEN, Campaign, CampaignSettings, CampaignStatus
from db.errors import UserError
from labeling import campaign_settings as settings_by_name
from labeling import gold

MADE_BY_ITSELF = 20
"""check questions made of the campaign's own answers where it wants some and has none"""


class Changed(NamedTuple):
    """A campaign with its new settings, and what was done to get there."""

    campaign: Campaign
    new_version: bool
    notes: tuple[str, ...]


def check_questions_made(db: Database, campaign: Campaign) -> list[str]:
    """Make check questions where a campaign wants them and has none; what to tell the owner."""
    wanted = campaign.settings
    if not (wanted.gold_rate or wanted.practice) or checks.gold_count(db, campaign.id):
        return []
    try:
        made = gold.add_spoiled(db, campaign, max(MADE_BY_ITSELF, 2 * wanted.practice))
    except UserError as error:
        return [f"no check questions could be made: {error}"]
    return [(f"{made.added} check questions were made by spoiling stored answers; "
            f"`campaign gold {campaign.name} --file FILE` adds your own")]  # fmt: skip


def change(db: Database, name: str, typed: Mapping[str, str]) -> Changed:
    """Give a campaign other settings by name.

    Once it has votes, a change of what raters are asked or shown makes a new version: a campaign of the same lineage,
    models and prompts that takes the old one's place, which is closed; seats carry over. UserError names what does
    not fit.
    """
    with transaction(db):
        old = get_campaign(db, name)
        settings = settings_by_name.changed(old.settings, typed)
        frozen = [k for k in sorted(FROZEN) if getattr(settings, k) != getattr(old.settings, k)]
        if frozen and campaigns.has_votes(db, old.id):
            made = _next_version(db, old, settings)
            because = f"{name} has votes and stays as it was, closed: {', '.join(frozen)} changed"
            return Changed(made, True, (because, *check_questions_made(db, made)))
        if settings.purpose != old.settings.purpose:
            raise UserError(
                "the purpose decides which prompts a campaign has", "clone it with another purpose"
            )
        made = campaigns.change_settings(db, old, settings)
        return Changed(made, False, tuple(check_questions_made(db, made)))


def _next_version(db: Database, old: Campaign, settings: CampaignSettings) -> Campaign:
    from arena.registry import compare

    base = old.name.removesuffix(f" v{old.version}")
    made = compare(db, f"{base} v{old.version + 1}", old.models, old.prompts, settings, status=old.status,
                   lineage=old.lineage, demo=old.demo).campaign  # fmt: skip
    checks.add_gold_pairs(db, made, checks.gold_pairs_of(db, old.id), "file")
    campaigns.set_status(db, old.name, CampaignStatus.CLOSED)
    return campaigns.mark_version(db, made, old)


def clone(
    db: Database, name: str, new: str | None = None, models: Sequence[str] = (), prompts: str | None = None,
    typed: Mapping[str, str] | None = None,
) -> Changed:  # fmt: skip
    """A draft like another campaign, with its settings, check questions, models and prompts where no others are named."""
    from arena.registry import compare

    with transaction(db):
        old = get_campaign(db, name)
        settings = dataclasses.replace(old.settings, starts_at=None, ends_at=None)
        settings = settings_by_name.changed(settings, typed or {})
        made = compare(db, new or _free_name(db, name), models or old.models, prompts or old.prompts, settings,
                       status=CampaignStatus.DRAFT, demo=old.demo).campaign  # fmt: skip
        if settings.purpose == old.settings.purpose:
            checks.add_gold_pairs(db, made, checks.gold_pairs_of(db, old.id), "file")
        return Changed(made, False, tuple(check_questions_made(db, made)))


def _free_name(db: Database, name: str) -> str:
    names = (f"{name} copy" + (f" {n}" if n > 1 else "") for n in range(1, 1000))
    return next(n for n in names if find_campaign(db, n) is None)
