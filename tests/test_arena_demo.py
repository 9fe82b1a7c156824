"""What an empty home starts with: real starter models, two open campaigns, and what is simulated says so."""

from collections import Counter
from pathlib import Path

import pytest

from arena.demo import BASE_SFT, SFT_DPO, SIMULATED, ensure_starter, seed
from arena.upkeep import check
from db import runs
from db.campaigns import battles_of, coverage, get_campaign, list_campaigns
from db.catalog import get_setting, list_models, prompt_sets, prompts_of, responses_of, scores_of_campaign
from db.connection import PROJECT
from db.entities.campaigns import CampaignStatus, Purpose
from db.entities.catalog import ModelKind, Split
from db.entities.votes import RaterKind
from db.errors import NotFound
from db.raters import list_raters
from db.votes import counted_votes
from labeling.pairs import PairPolicy
from tests.workshop import run
from training.snapshots import Source, freeze
from training.starter import STARTER_MODELS, WEIGHTS

pytestmark = pytest.mark.skipif(not WEIGHTS.is_dir(), reason="the starter weights are not here: make starter")


@pytest.fixture
def seeded(db):
    assert seed(db) is True
    return db


def test_three_models_with_weights_and_two_recorded(seeded):
    models = {m.name: m for m in list_models(seeded)}
    assert list(models)[:3] == list(STARTER_MODELS)
    assert [models[m].parent for m in STARTER_MODELS] == [None, "starter-base", "starter-sft"]
    for name in STARTER_MODELS:
        assert models[name].kind is ModelKind.CHECKPOINT
        assert not Path(models[name].source).is_absolute(), "a home must work from wherever the project lies"
        assert (PROJECT / models[name].source / "config.json").is_file()
        assert "tiny" in models[name].note
    assert {m.kind for n, m in models.items() if n not in STARTER_MODELS} == {ModelKind.RECORDED}


def test_400_prompts_with_an_answer_of_each_model_and_its_score(seeded):
    world = next(s for s in prompt_sets(seeded) if s.name == "starter world")
    assert (world.train, world.heldout) == (300, 100)
    for name in STARTER_MODELS:
        assert Counter(r.prompt for r in responses_of(seeded, name)) == Counter(
            p.id for p in prompts_of(seeded, "starter world")
        )
    assert get_setting(seeded, "reward_model") == "starter-reward"
    first = get_campaign(seeded, SFT_DPO)
    scored = scores_of_campaign(seeded, first.id)["starter-reward"]
    assert len(scored) == 2 * len(battles_of(seeded, first.id))


def test_two_campaigns_are_open_on_train_prompts(seeded):
    for name, models in (
        (SFT_DPO, ("starter-sft", "starter-dpo")),
        (BASE_SFT, ("starter-base", "starter-sft")),
    ):
        campaign = get_campaign(seeded, name)
        assert (campaign.models, campaign.status) == (models, CampaignStatus.OPEN)
        assert (campaign.settings.purpose, campaign.settings.overlap) == (Purpose.COLLECT, 1)
        assert campaign.demo == "starter"
        assert coverage(seeded, campaign).votes == 0
        assert coverage(seeded, campaign).battles >= 200
    splits = {p.id: p.split for p in prompts_of(seeded, "all")}
    assert {splits[b.prompt] for c in list_campaigns(seeded) for b in battles_of(seeded, c.id)} == {
        Split.TRAIN
    }


def test_real_ballots_to_look_at(seeded):
    showcase = get_campaign(seeded, "showcase")
    assert showcase.demo == "showcase"
    assert coverage(seeded, showcase).battles >= 45
    tags = Counter(tag for p in prompts_of(seeded, "showcase") for tag in p.tags)
    assert {"code", "table"} <= set(tags)
    assert any(len(p.messages) > 1 for p in prompts_of(seeded, "showcase"))


def test_simulated_votes_are_closed_labelled_and_left_out_on_demand(seeded):
    simulated = get_campaign(seeded, SIMULATED)
    assert (simulated.status, simulated.demo) == (CampaignStatus.CLOSED, "simulated")
    assert simulated.lineage == get_campaign(seeded, SFT_DPO).lineage
    votes = list(counted_votes(seeded, simulated.id))
    assert len(votes) == len(battles_of(seeded, simulated.id))
    assert {v.rater_kind for v in votes} == {RaterKind.SIMULATED}
    assert {r.kind for r in list_raters(seeded)} == {RaterKind.SIMULATED}
    assert freeze(seeded, Source((SIMULATED,)), PairPolicy()).train > 150
    with pytest.raises(Exception, match=r"0 pairs to train on .*simulated rater"):
        freeze(seeded, Source((SIMULATED,)), PairPolicy(simulated=False))


def test_the_rubric_prefers_the_trained_models(seeded):
    wins = Counter(v.outcome for v in counted_votes(seeded, get_campaign(seeded, SIMULATED).id))
    assert wins["b"] > 1.5 * wins["a"], "starter-dpo stands in slot b"


def test_seeding_happens_once_and_not_beside_other_models(seeded, tmp_path):
    assert seed(seeded) is False
    home = tmp_path / "other"
    run(home, "models", "add", "mine", "--recorded")
    from db.connection import home_at, open_writer

    db = open_writer(home_at(home))
    assert seed(db) is False
    assert [m.name for m in list_models(db)] == ["mine"]
    db.conn.close()


def test_every_home_is_seeded_alike(seeded, tmp_path):
    from db.connection import home_at, open_writer

    other = open_writer(home_at(tmp_path / "other"))
    seed(other)
    votes = [
        [(v.battle, v.outcome) for v in counted_votes(d, get_campaign(d, SIMULATED).id)]
        for d in (seeded, other)
    ]
    assert votes[0] == votes[1]
    other.conn.close()


def test_a_seeded_home_is_sound(home, seeded):
    assert check(home) == []
    assert runs.list_jobs(seeded) == []


def test_starter_models_come_when_they_are_named(home, db):
    assert ensure_starter(db, "starter-dpo").parent == "starter-sft"
    assert [m.name for m in list_models(db)] == ["starter-base", "starter-sft", "starter-dpo"]
    assert len(list(responses_of(db, "starter-dpo"))) == 400
    assert list_campaigns(db) == []
    assert ensure_starter(db, "starter-dpo").name == "starter-dpo"
    with pytest.raises(NotFound):
        ensure_starter(db, "starter-kto")
    assert run(home, "models", "show", "starter-base", "--json").json["kind"] == "checkpoint"


def test_chat_with_a_starter_model(home):
    import io
    import sys

    before, sys.stdin = sys.stdin, io.StringIO("List three colors.\n\n")
    try:
        ran = run(home, "chat", "starter-dpo", "--temperature", 0, "--max-new-tokens", 24)
    finally:
        sys.stdin = before
    assert ran.code == 0, ran.err
    assert "starter-dpo: " in ran.out
    assert len(ran.out.split("starter-dpo: ")[1].split()) > 2
