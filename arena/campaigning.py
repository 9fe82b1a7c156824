"""Workflow: a campaign's life: made, given other settings, in new versions, copied, with check questions."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlite_utils import Database

from arena.demo import ensure_starter
from arena.generating import generate, settings_like
from arena.jobs import ThisJob
from arena.players import GenerationSettings
from arena.registry import campaign_row, compare
from db import campaigns, checks
from db.campaigns import find_campaign, get_campaign
from db.connection import Home, checked_name, transaction
from db.entities.campaigns import FROZEN, Campaign, CampaignSettings, CampaignStatus, Purpose
from db.errors import Conflict, UserError
from labeling import campaign_settings as settings_by_name
from labeling import gold
from labeling.scanning import Ahead, read_ahead
from labeling.scanning import notes as scanning_notes

MADE_BY_ITSELF = 20
"""check questions made of the campaign's own answers where it wants some and has none"""


class Made(NamedTuple):
    """A new campaign, as it is printed."""

    row: dict[str, object]
    battles: int
    notes: tuple[str, ...]


class Changed(NamedTuple):
    """A campaign with its new settings, and what was done to get there."""

    campaign: Campaign
    new_version: bool
    notes: tuple[str, ...]


def create_campaign(
    home: Home, db: Database, name: str, models: Sequence[str], prompts: str, settings: CampaignSettings, *,
    draft: bool = False, job: ThisJob | None = None, ahead: Ahead | None = None,
) -> Made:  # fmt: skip
    """Create a campaign; with a job, first write the responses that are missing.

    Its battles are looked at before the transaction that makes it; who calls this in one hands over what was read `ahead`.
    """
    if find_campaign(db, checked_name(name, "campaign")) is not None:
        raise Conflict(f"there is already a campaign named {name!r}", "choose another name")
    for model in models:
        ensure_starter(db, model)
    if job is not None:
        generate(home, db, models, prompts, _shared_settings(db, models), say=job.say,
                 should_stop=job.should_stop)  # fmt: skip
    status = CampaignStatus.DRAFT if draft else CampaignStatus.OPEN
    demo = "starter" if all(m.startswith("starter-") for m in models) else None
    ahead = ahead or read_ahead(db, models, prompts, settings.purpose)
    with transaction(db):
        made = compare(db, name, models, prompts, settings, status=status, demo=demo, ahead=ahead)
        notes = [*_notes(made), *scanning_notes(db, made.campaign.id)]
        notes += check_questions_made(db, made.campaign)
    return Made(campaign_row(db, made.campaign), made.battles, tuple(notes))


def _shared_settings(db: Database, models: Sequence[str]) -> GenerationSettings:
    """How the models' stored responses were generated, so that new ones are drawn the same way."""
    settings = GenerationSettings()
    for model in reversed(models):
        settings = settings_like(db, model, settings)
    return settings


def _notes(made: campaigns.Created) -> list[str]:
    notes = []
    if made.missing:
        notes.append(
            f"{made.missing} pairs have no response of both models and are left out; `generate` writes them"
        )
    if made.identical:
        notes.append(
            f"{made.identical} pairs are empty or identical and are left out: there is nothing to compare"
        )
    if made.campaign.settings.purpose is Purpose.EVALUATE and made.battles < 10:
        notes.append(f"only {made.battles} held-out battles: the result will be wide; import more prompts")
    return notes


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


def read_for_change(db: Database, name: str, typed: Mapping[str, str]) -> Ahead | None:
    """What `change` needs ahead of its transaction; None where it will make no new version."""
    old = get_campaign(db, name)
    settings = settings_by_name.changed(old.settings, typed)
    if not (_frozen(old, settings) and campaigns.has_votes(db, old.id)):
        return None
    return read_ahead(db, old.models, old.prompts, settings.purpose)


def _frozen(old: Campaign, settings: CampaignSettings) -> list[str]:
    """The names of what these settings change and votes freeze."""
    return [k for k in sorted(FROZEN) if getattr(settings, k) != getattr(old.settings, k)]


def change(
    db: Database, name: str, typed: Mapping[str, str], *, ahead: Ahead | None = None
) -> Changed:  # fmt: skip
    """Give a campaign other settings by name.

    Once it has votes, a change of what raters are asked or shown makes a new version: a campaign of the same lineage,
    models and prompts that takes the old one's place, which is closed; seats carry over. UserError names what does
    not fit.
    """
    ahead = ahead or read_for_change(db, name, typed)
    with transaction(db):
        old = get_campaign(db, name)
        settings = settings_by_name.changed(old.settings, typed)
        frozen = _frozen(old, settings)
        if frozen and campaigns.has_votes(db, old.id):
            made = _next_version(db, old, settings, ahead)
            because = f"{name} has votes and stays as it was, closed: {', '.join(frozen)} changed"
            return Changed(made, True, (because, *check_questions_made(db, made)))
        if settings.purpose != old.settings.purpose:
            raise UserError(
                "the purpose decides which prompts a campaign has", "clone it with another purpose"
            )
        made = campaigns.change_settings(db, old, settings)
        return Changed(made, False, tuple(check_questions_made(db, made)))


def _next_version(db: Database, old: Campaign, settings: CampaignSettings, ahead: Ahead | None) -> Campaign:
    base = old.name.removesuffix(f" v{old.version}")
    made = compare(db, f"{base} v{old.version + 1}", old.models, old.prompts, settings, status=old.status,
                   lineage=old.lineage, demo=old.demo, ahead=ahead).campaign  # fmt: skip
    checks.add_gold_pairs(db, made, checks.gold_pairs_of(db, old.id), "file")
    campaigns.set_status(db, old.name, CampaignStatus.CLOSED)
    return campaigns.mark_version(db, made, old)


def read_for_clone(
    db: Database, name: str, models: Sequence[str] = (), prompts: str | None = None,
    typed: Mapping[str, str] | None = None,
) -> Ahead:  # fmt: skip
    """What `clone` needs ahead of its transaction."""
    old = get_campaign(db, name)
    return read_ahead(db, models or old.models, prompts or old.prompts, _copied(old, typed).purpose)


def _copied(old: Campaign, typed: Mapping[str, str] | None) -> CampaignSettings:
    """The settings of a copy: the old ones but for its times and what is typed."""
    settings = dataclasses.replace(old.settings, starts_at=None, ends_at=None)
    return settings_by_name.changed(settings, typed or {})


def clone(
    db: Database, name: str, new: str | None = None, models: Sequence[str] = (), prompts: str | None = None,
    typed: Mapping[str, str] | None = None, *, ahead: Ahead | None = None,
) -> Changed:  # fmt: skip
    """A draft like another campaign, with its settings, check questions, models and prompts where no others are named."""
    ahead = ahead or read_for_clone(db, name, models, prompts, typed)
    with transaction(db):
        old = get_campaign(db, name)
        settings = _copied(old, typed)
        made = compare(db, new or _free_name(db, name), models or old.models, prompts or old.prompts, settings,
                       status=CampaignStatus.DRAFT, demo=old.demo, ahead=ahead).campaign  # fmt: skip
        if settings.purpose == old.settings.purpose:
            checks.add_gold_pairs(db, made, checks.gold_pairs_of(db, old.id), "file")
        return Changed(made, False, tuple(check_questions_made(db, made)))


def _free_name(db: Database, name: str) -> str:
    names = (f"{name} copy" + (f" {n}" if n > 1 else "") for n in range(1, 1000))
    return next(n for n in names if find_campaign(db, n) is None)
