"""Workflow: the demo that a home without models starts with, and the starter models wherever they are named."""

import random
from collections.abc import Iterable

from sqlite_utils import Database

from db.campaigns import battles_of, create_campaign, list_campaigns
from db.catalog import (
    add_model,
    add_prompts,
    add_responses,
    add_scores,
    find_model,
    get_model,
    get_response,
    list_models,
    set_setting,
)
from db.connection import PROJECT, transaction
from db.entities.campaigns import Campaign, CampaignSettings, CampaignStatus
from db.entities.catalog import Message, Model, ModelKind, Prompt, Response, Score, Split, content_id
from db.entities.votes import Outcome, RaterKind
from db.imports import ImportCounts, ImportedVote, add_imported_votes, begin_import, finish_import
from db.raters import add_rater
from labeling.scanning import scan
from training.starter import REWARD_MODEL, STARTER_MODELS, demo_prompts, demo_responses, showcase, weights_of
from training.starter.votes import honest_margin

WORLD, SHOWCASE = "starter world", "showcase"
SFT_DPO, BASE_SFT, SIMULATED = "SFT vs DPO", "base vs SFT", "SFT vs DPO simulated raters"
SIMULATED_RATERS, SIMULATED_SEED = 10, 7

NOTES = {
    "starter-base": "tiny demo model: saw a mixed text of the starter world",
    "starter-sft": "tiny demo model: starter-base, fine-tuned on mostly good answers",
    "starter-dpo": "tiny demo model: starter-sft after DPO on simulated votes",
}


def ensure_starter(db: Database, name: str) -> Model:
    """The model of this name; the starter models are registered when first named, with their stored responses."""
    if name in STARTER_MODELS and find_model(db, name) is None:
        with transaction(db):
            _add_world(db)
            _add_starter(db, name)
    return get_model(db, name)


def _add_starter(db: Database, name: str) -> None:
    parents = {"starter-sft": "starter-base", "starter-dpo": "starter-sft"}
    parent = parents.get(name)
    if parent is not None:
        ensure_starter(db, parent)
    source = weights_of(name).relative_to(PROJECT).as_posix()
    add_model(db, name, ModelKind.CHECKPOINT, source=source, parent=parent, note=NOTES[name])
    rows = [r for r in demo_responses() if r.model == name]
    responses = [
        Response.of(
            _prompt_id(r.prompt), name, r.response, finish_reason=r.finish_reason, settings=r.settings
        )
        for r in rows
    ]
    add_responses(db, responses)
    add_scores(db, [Score(a.id, REWARD_MODEL, r.score) for a, r in zip(responses, rows, strict=True)])


def _messages(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def _prompt_id(text: str) -> str:
    return Prompt.of(_messages(text)).id


def _add_world(db: Database) -> None:
    add_prompts(
        db, [Prompt.of(_messages(p.text), Split(p.split), [p.kind]) for p in demo_prompts()], prompt_set=WORLD
    )
    set_setting(db, "reward_model", REWARD_MODEL)


def seed(db: Database) -> bool:
    """Fill a home without models with the demo; False where there are models already."""
    if list_models(db):
        return False
    with transaction(db):
        for name in STARTER_MODELS:
            ensure_starter(db, name)
        first = _open(db, SFT_DPO, ("starter-sft", "starter-dpo"))
        _open(db, BASE_SFT, ("starter-base", "starter-sft"))
        _add_simulated(db, first.lineage)
        _add_showcase(db)
        for campaign in list_campaigns(db):
            scan(db, campaign.id)
    return True


def _open(db: Database, name: str, models: tuple[str, str]) -> Campaign:
    return create_campaign(db, name, models, f"{WORLD}:train", CampaignSettings(), demo="starter").campaign


def _add_showcase(db: Database) -> None:
    """Realistic prompts with two recorded answers each: what real ballots look like."""
    shown = showcase()
    for answer in shown[0].answers:
        add_model(db, answer.model, ModelKind.RECORDED, note="recorded answers, written for the demo")
    responses: list[Response] = []
    prompts: list[Prompt] = []
    for item in shown:
        messages: list[Message] = [{"role": m["role"], "content": m["content"]} for m in item.messages]
        prompt = Prompt.of(messages, Split.TRAIN, [*item.tags, "showcase"])
        prompts.append(prompt)
        responses += [Response.of(prompt.id, a.model, a.response) for a in item.answers]
    add_prompts(db, prompts, prompt_set=SHOWCASE)
    add_responses(db, responses)
    first, second = shown[0].answers
    create_campaign(db, "showcase", (first.model, second.model), SHOWCASE, CampaignSettings(rater_cap=3),
                    demo="showcase")  # fmt: skip


def _add_simulated(db: Database, lineage: int) -> None:
    """A closed campaign of votes that made-up raters gave by the starter world's rubric, labelled as such."""
    campaign = create_campaign(db, SIMULATED, ("starter-sft", "starter-dpo"), f"{WORLD}:train", CampaignSettings(),
                               status=CampaignStatus.CLOSED, lineage=lineage, demo="simulated").campaign  # fmt: skip
    rng = random.Random(SIMULATED_SEED)
    raters = [add_rater(db, f"demo-sim-{i + 1}", RaterKind.SIMULATED) for i in range(SIMULATED_RATERS)]
    import_id = begin_import(db, "votes", "the demo's simulated raters", campaign.id)
    votes = list(_simulated_votes(db, campaign, raters, rng))
    add_imported_votes(db, votes, import_id)
    finish_import(db, import_id, ImportCounts(len(votes), len(votes), 0, 0))


def _simulated_votes(
    db: Database, campaign: Campaign, raters: list[int], rng: random.Random
) -> Iterable[ImportedVote]:
    texts = {p.text for p in demo_prompts()}
    prompts = {_prompt_id(text): text for text in texts}
    for i, battle in enumerate(battles_of(db, campaign.id)):
        a, b = get_response(db, battle.response_a).text or "", get_response(db, battle.response_b).text or ""
        margin = honest_margin(prompts[battle.prompt], a, b, rng)
        outcome = Outcome.A if margin > 0 else Outcome.B if margin < 0 else Outcome.TIE
        rater = raters[i % len(raters)]
        yield ImportedVote(content_id("vote", campaign.name, rater, battle.id), campaign.id, battle.id, rater,
                           outcome, None)  # fmt: skip
