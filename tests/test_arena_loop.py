"""Where the loop stands: each stage from a home that is really in it."""

import pytest

from arena.demo import seed
from arena.loop import ENOUGH_VOTES, Go, Stage, can_train_on, where
from arena.promoting import promote, rollback
from db import runs
from db.campaigns import battles_of, create_campaign, get_campaign, set_status
from db.catalog import add_model, add_prompts, add_responses, get_model, list_models, prompts_of
from db.connection import open_writer
from db.entities.campaigns import CampaignSettings, CampaignStatus, Purpose
from db.entities.catalog import ModelKind, Prompt, Response
from db.entities.runs import JobStatus, RunKind
from db.entities.votes import Outcome, RaterKind
from db.imports import ImportCounts, ImportedVote, add_imported_votes, begin_import, finish_import
from db.raters import add_rater, decide_rater
from labeling.pairs import PairPolicy
from tests.factories import make_home
from training.snapshots import Source, freeze


def give(db, campaign, n, outcome=Outcome.A, kind=RaterKind.PERSON, rater=None, skip=0):
    """n votes of one rater on the campaign's battles."""
    here = get_campaign(db, campaign)
    who = add_rater(db, rater or f"{kind}-{campaign}".replace(" ", "-"), kind)
    import_id = begin_import(db, "votes", "test", here.id)
    battles = battles_of(db, here.id)[skip : skip + n]
    votes = [ImportedVote(f"{who}-{b.id}-{kind}", here.id, b.id, who, outcome, None) for b in battles]
    assert add_imported_votes(db, votes, import_id) == n
    finish_import(db, import_id, ImportCounts(n, n, 0, 0))


def begin(db, home, name="candidate", campaign="SFT vs DPO"):
    """A run on a campaign's votes, with the job that would have started it."""
    snapshot = freeze(db, Source((campaign,)), PairPolicy())
    job = runs.add_job(db, ["train", "dpo", "--from", "starter-sft"])
    runs.start_job(db, job.id, 1, 0.0)
    run = runs.add_run(
        db, name, RunKind.DPO, parent="starter-sft", snapshot=snapshot.id, folder=f"runs/{name}", settings={},
        campaign=get_campaign(db, campaign).id, job=job.id, pid=1, pid_started=0.0,
    )  # fmt: skip
    return run, job


def succeed(db, run):
    return runs.finish_run(
        db, run.id, model=run.name, kind=ModelKind.ADAPTER, source="training/starter/weights/sft",
        adapter=f"runs/{run.name}", quantize=None, reference_proof=None, metrics={}, versions={}, seconds=1.0,
    )  # fmt: skip


@pytest.fixture
def seeded(home):
    db = open_writer(home)
    assert seed(db)
    yield db
    db.conn.close()


def test_an_empty_home_asks_for_models_then_prompts_then_a_campaign(db):
    assert (where(db).next.stage, where(db).next.go) == (Stage.START, Go.MODELS)
    for name in ("one", "two"):
        add_model(db, name, ModelKind.RECORDED)
    assert where(db).next.go is Go.PROMPTS
    add_prompts(db, [Prompt.of([{"role": "user", "content": "Hi"}])])
    step = where(db).next
    assert (step.stage, step.go) == (Stage.RESPONSES, Go.CAMPAIGNS)


def test_recorded_models_can_be_rated_but_not_retrained(tmp_path):
    db = open_writer(make_home(tmp_path, prompts=70))
    give(db, "first", 65)
    step = where(db).next
    assert step.go is Go.RATE
    assert "no registered model has weights" in step.words
    set_status(db, "first", CampaignStatus.PAUSED)
    assert where(db).next.button == "Open a campaign"


def test_the_demo_counts_peoples_votes_and_shows_simulated_ones_apart(seeded):
    loop = where(seeded)
    assert loop.demo
    assert loop.people_votes == loop.pairs == 0
    assert loop.simulated_votes > 100
    assert loop.next.words == f"Rate: 0 of {ENOUGH_VOTES} votes to the first retrain"
    assert loop.prompts.train + loop.prompts.heldout >= 400


def test_votes_lead_to_the_retrain_and_only_those_that_count(seeded):
    give(seeded, "SFT vs DPO", ENOUGH_VOTES - 1, rater="ann")
    assert (
        where(seeded).next.words == f"Rate: {ENOUGH_VOTES - 1} of {ENOUGH_VOTES} votes to the first retrain"
    )
    give(seeded, "SFT vs DPO", 5, outcome=Outcome.SKIP, rater="bob")
    assert where(seeded).next.stage is Stage.VOTES
    give(seeded, "SFT vs DPO", 5, outcome=Outcome.TIE, rater="cleo")
    loop = where(seeded)
    assert loop.next.words == f"Retrain from {ENOUGH_VOTES + 4} votes"
    assert loop.pairs == ENOUGH_VOTES - 1
    assert (loop.next.stage, loop.next.go) == (Stage.PAIRS, Go.TRAIN)
    decide_rater(seeded, "ann", counted=False, reason="test")
    assert where(seeded).next.words == f"Rate: 5 of {ENOUGH_VOTES} votes to the first retrain"


def test_simulated_votes_are_offered_not_counted(seeded):
    give(seeded, "SFT vs DPO", 80, kind=RaterKind.SIMULATED)
    step = where(seeded).next
    assert step.words.startswith("Rate: 0 of")
    assert step.beside.startswith("80 votes of simulated raters")


def test_a_run_its_rematch_and_the_next_round(seeded, home):
    give(seeded, "SFT vs DPO", 61)
    run, job = begin(seeded, home)
    assert where(seeded).next.stage is Stage.SNAPSHOT
    runs.add_metrics(seeded, run.id, 20, 50, {"loss": 0.5})
    assert where(seeded).next.words == "Training candidate: step 20 of 50"
    assert where(seeded).next.share == 0.4
    succeed(seeded, run)
    assert where(seeded).next.stage is Stage.CANDIDATE
    runs.end_job(seeded, job.id, JobStatus.SUCCEEDED, 0, "")
    rematch = create_campaign(seeded, "candidate rematch", ("starter-sft", "starter-dpo"), "starter world:heldout",
                              CampaignSettings(purpose=Purpose.EVALUATE, target=50), parent_run=run.id)  # fmt: skip
    runs.note_rematch(seeded, run.id, rematch.campaign.name)
    loop = where(seeded)
    assert loop.next.words == "Rate the blind rematch: 0 of 50"
    assert (loop.candidate, loop.snapshot_pairs) == ("candidate", 61)
    assert loop.fresh.people == 0, "the run has learned from every vote there was"
    give(seeded, "candidate rematch", 50)
    step = where(seeded).next
    assert (step.stage, step.go, step.words) == (
        Stage.PROMOTION, Go.ROUNDS, "The blind rematch is complete: 50 votes, and no clear winner",
    )  # fmt: skip
    assert where(seeded).pairs == 61, "votes of an evaluation make no pairs"
    give(seeded, "SFT vs DPO", 61, rater="new", skip=61)
    assert where(seeded).next.words == "Retrain from 61 votes"


def test_a_winner_is_promoted_and_its_closed_campaigns_votes_go_on(seeded, home):
    give(seeded, "SFT vs DPO", 61)
    run, job = begin(seeded, home)
    succeed(seeded, run)
    runs.end_job(seeded, job.id, JobStatus.SUCCEEDED, 0, "")
    for split, purpose in (("heldout", Purpose.EVALUATE), ("train", Purpose.COLLECT)):
        asked = prompts_of(seeded, f"starter world:{split}")
        add_responses(seeded, [Response.of(p.id, "candidate", f"said to {p.id}") for p in asked])
        create_campaign(seeded, f"candidate {split}", ("candidate", "starter-sft"), f"starter world:{split}",
                        CampaignSettings(purpose=purpose), parent_run=run.id)  # fmt: skip
    runs.note_rematch(seeded, run.id, "candidate heldout")
    give(seeded, "candidate train", 30)
    give(seeded, "candidate heldout", 12)
    step = where(seeded).next
    assert (step.stage, step.go, step.words) == (
        Stage.PROMOTION, Go.ROUNDS, "Promote candidate: people prefer it to starter-sft",
    )  # fmt: skip
    promote(seeded, "candidate", "me")
    loop = where(seeded)
    assert (loop.champion, loop.next.words) == ("candidate", "Rate: 30 of 60 votes to the next retrain")
    rollback(seeded, "me")
    assert where(seeded).next.stage is not Stage.PROMOTION, "what people took back is not proposed again"


def test_a_failed_run_leaves_the_votes_fresh(seeded, home):
    give(seeded, "SFT vs DPO", 61)
    run, job = begin(seeded, home)
    runs.end_run(seeded, run.id, runs.RunStatus.FAILED, "out of memory")
    runs.end_job(seeded, job.id, JobStatus.FAILED, 1, "out of memory")
    assert where(seeded).next.words == "Retrain from 61 votes"


def test_a_campaign_trains_only_where_votes_may_and_weights_are(seeded):
    models = list_models(seeded)
    assert can_train_on(get_campaign(seeded, "SFT vs DPO"), models)
    assert not can_train_on(get_campaign(seeded, "showcase"), models)
    evaluation = create_campaign(seeded, "eval", ("starter-sft", "starter-dpo"), "starter world:heldout",
                                 CampaignSettings(purpose=Purpose.EVALUATE)).campaign  # fmt: skip
    assert not can_train_on(evaluation, models)
    assert get_model(seeded, "starter-sft").kind is ModelKind.CHECKPOINT
