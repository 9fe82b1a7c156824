"""Workflow: a candidate meets its rivals blind: its responses, its two campaigns, their scores."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, count

from sqlite_utils import Database

from arena.demo import ensure_starter
from arena.generating import generate, settings_like
from arena.judging import reward_judge, score_campaign
from arena.players import GenerationSettings
from arena.progress import Say, part
from arena.registry import NothingToCompare, compare
from db import runs
from db.campaigns import list_campaigns
from db.catalog import find_model, get_model, prompt_sets, prompts_of
from db.connection import Home, transaction
from db.entities.campaigns import Campaign, CampaignSettings, Purpose
from db.entities.catalog import Model, ModelKind, Split
from db.errors import UserError

REMATCH_OVERLAP = 5
MOST_TRAIN, MOST_HELDOUT = 300, 200
"""prompts a candidate answers for its two campaigns"""
FEW_HELDOUT = 10


def open_rematch(
    db: Database, home: Home, model: Model, campaign: Campaign | None, against: str, say: Say,
    should_stop: Callable[[], bool] = lambda: False,
) -> str:  # fmt: skip
    """Generate the candidate's responses, open its two campaigns, score them; the name of the blind rematch.

    UserError where one of the two has nothing to compare (the other is open all the same), or where the scores
    could not be had (both are open all the same).
    """
    names = [model.name, *_rivals(db, model, against)]
    base = _prompt_choice(db, campaign)
    heldout, train = f"{base}:{Split.HELDOUT}", f"{base}:{Split.TRAIN}"
    n = len(prompts_of(db, heldout))
    if 0 < n < FEW_HELDOUT:
        say(None, f"only {n} held-out prompts: the rematch will say little; import more prompts")
    _answer(db, home, model, names, heldout, MOST_HELDOUT, part(say, 0.7, 0.1), should_stop)
    _answer(db, home, model, names, train, MOST_TRAIN, part(say, 0.8, 0.1), should_stop)
    with transaction(db):
        rematch = _open(db, model, names, heldout, Purpose.EVALUATE, REMATCH_OVERLAP, campaign)
        collect = _open(db, model, names[:2], train, Purpose.COLLECT, 1, campaign)
        if rematch is not None:
            runs.note_rematch(db, model.run or 0, rematch.name)
    for opened, start in ((rematch, 0.9), (collect, 0.95)):
        if opened is not None:
            score_campaign(db, opened, reward_judge(db, home), part(say, start, 0.05), should_stop)
    if rematch is None or collect is None:
        which = "held-out" if rematch is None else "train"
        raise UserError(f"on the {which} prompts of {base!r} there are no two different responses to compare",
                        "import more prompts, or train for longer")  # fmt: skip
    return rematch.name


def _answer(
    db: Database, home: Home, model: Model, names: Sequence[str], choice: str, limit: int, say: Say,
    should_stop: Callable[[], bool],
) -> None:  # fmt: skip
    """Let those who can answer the first prompts of a choice, drawn the way the candidate's parent answered."""
    settings = settings_like(db, model.parent or model.name, GenerationSettings())
    able = [name for name in names if get_model(db, name).kind is not ModelKind.RECORDED]
    if able:
        generate(home, db, able, choice, settings, limit=limit, say=say, should_stop=should_stop)


def _rivals(db: Database, model: Model, against: str) -> list[str]:
    """Whom the candidate meets: its parent (or who is asked for), and the champion where that is another model."""
    parent = model.parent or ""
    champion = runs.champion(db)
    named = {"parent": parent, "base": _first_ancestor(db, model), "champion": champion or parent}
    rivals = [named.get(against, against)]
    if champion is not None and champion not in (model.name, *rivals):
        rivals.append(champion)
    for rival in rivals:
        ensure_starter(db, rival)
    return rivals


def _first_ancestor(db: Database, model: Model) -> str:
    """The model a line of parents began with."""
    seen = model
    while seen.parent is not None and (up := find_model(db, seen.parent)) is not None:
        seen = up
    return seen.name


def _prompt_choice(db: Database, campaign: Campaign | None) -> str:
    """The prompts a campaign drew on, without the half it was limited to."""
    name = campaign.prompts.partition(":")[0] if campaign else "all"
    return name if name in {s.name for s in prompt_sets(db)} else "all"


def _open(
    db: Database, model: Model, names: Sequence[str], choice: str, purpose: Purpose, overlap: int,
    campaign: Campaign | None,
) -> Campaign | None:  # fmt: skip
    """Open a campaign of the candidate in the lineage of the votes it learned from; None where nothing differs."""
    settings = CampaignSettings(purpose=purpose, overlap=overlap)
    lineage = demo = None
    if campaign is not None:
        settings = replace(campaign.settings, purpose=purpose, overlap=overlap, target=None, rater_cap=None)
        lineage, demo = campaign.lineage, "starter" if campaign.demo == "simulated" else campaign.demo
    word = "rematch" if purpose is Purpose.EVALUATE else "collect"
    name = _free_name(db, f"{model.name[:60]} {word}")
    try:
        return compare(
            db, name, names, choice, settings, parent_run=model.run, lineage=lineage, demo=demo
        ).campaign
    except NothingToCompare:
        return None


def _free_name(db: Database, name: str) -> str:
    """The name, or the first of NAME 2, NAME 3, ... that no campaign has."""
    taken = {c.name for c in list_campaigns(db)}
    return next(n for n in chain((name,), (f"{name} {i}" for i in count(2))) if n not in taken)
