"""Workflow: where the loop stands, from prompts to promotion, and the one next step."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from sqlite_utils import Database

from arena.promoting import weigh
from db import runs
from db.campaigns import Coverage, coverage, find_campaign, list_campaigns
from db.catalog import PromptSet, count_prompts, find_model, list_models, response_counts
from db.counting import Counts, Tally, counts, tallies, trained_votes
from db.entities.campaigns import Campaign, CampaignStatus, Purpose
from db.entities.catalog import Model, ModelKind
from db.entities.runs import Job, JobStatus, Run, RunStatus
from db.entities.votes import RaterKind
from db.promotions import promotions
from db.snapshots import get_snapshot
from db.sweeps import swept_runs

ENOUGH_VOTES = 60
"""votes after which a retrain is proposed: fewer seldom move even a tiny model"""
SIMULATED = "simulated"
"""what the demo calls its closed campaign of made-up votes"""
WITH_WEIGHTS = (ModelKind.CHECKPOINT, ModelKind.ADAPTER)


class Stage(StrEnum):
    """The nodes of the loop, in order."""

    START = "start"
    RESPONSES = "responses"
    BALLOTS = "ballots"
    VOTES = "votes"
    PAIRS = "pairs"
    SNAPSHOT = "snapshot"
    RUN = "run"
    CANDIDATE = "candidate"
    REMATCH = "rematch"
    PROMOTION = "promotion"


class Go(StrEnum):
    """Where a step is taken: the rating page, or a tab of the studio."""

    RATE = "rate"
    MODELS = "models"
    PROMPTS = "prompts"
    CAMPAIGNS = "campaigns"
    TRAIN = "train"
    ROUNDS = "rounds"
    JOBS = "jobs"


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: the sentence, the words on the button, where it leads, how far it is (0 to 1) if known."""

    stage: Stage
    words: str
    button: str
    go: Go
    share: float | None = None
    beside: str = ""


class Fresh(NamedTuple):
    """Votes no run has learned from yet, in open campaigns that could train a model."""

    people: int
    simulated: int


@dataclass(frozen=True, slots=True)
class Loop:
    """The numbers on the nodes."""

    prompts: PromptSet
    models: int
    responses: int
    battles: int
    counts: Counts
    people_votes: int
    simulated_votes: int
    pairs: int
    fresh: Fresh
    snapshot_pairs: int | None
    run: Run | None
    steps: tuple[int, int]
    job: Job | None
    candidate: str | None
    rematch: Campaign | None
    rematch_coverage: Coverage | None
    champion: str | None
    demo: bool
    next: Step


def where(db: Database) -> Loop:
    """The loop as it stands now."""
    models, campaigns = list_models(db), list_campaigns(db)
    found = tallies(db)
    every = runs.list_runs(db)
    running = next((r for r in every if r.status is RunStatus.RUNNING), None)
    trials = swept_runs(db)
    last = running or next(
        (r for r in every if r.status is RunStatus.SUCCEEDED and r.name not in trials), None
    )
    rematch = find_campaign(db, last.rematch) if last and last.rematch else None
    covered = coverage(db, rematch) if rematch else None
    prompts, fresh = count_prompts(db), _fresh(db, models, campaigns, found)
    job = next((j for j in runs.list_jobs(db) if j.status is JobStatus.RUNNING), None)
    steps = runs.run_progress(db, last.id) if last else (0, 0)
    live = [c for c in campaigns if c.status is CampaignStatus.OPEN]
    step = (
        _starting(models, prompts, campaigns, live, job)
        or _working(running, steps, job)
        or _deciding(db, last)
        or _rating(rematch, covered, fresh, last, _can_train(models))
    )
    return Loop(
        prompts=prompts, models=len(models), responses=sum(response_counts(db).values()),
        battles=sum(coverage(db, c).battles for c in live), counts=counts(db),
        people_votes=sum(t.votes for t in found if t.kind is RaterKind.PERSON),
        simulated_votes=sum(t.votes for t in found if t.kind is RaterKind.SIMULATED),
        pairs=_trainable_pairs(campaigns, found), fresh=fresh,
        snapshot_pairs=get_snapshot(db, last.snapshot).train if last else None, run=last, steps=steps, job=job,
        candidate=last.model if last else None, rematch=rematch, rematch_coverage=covered,
        champion=runs.champion(db), demo=any(c.demo for c in campaigns), next=step,
    )  # fmt: skip


def _trainable_pairs(campaigns: Sequence[Campaign], found: Sequence[Tally]) -> int:
    """Votes of people that preferred one response, in campaigns whose votes train: one pair each."""
    collect = {c.id for c in campaigns if c.settings.purpose is Purpose.COLLECT}
    return sum(t.decisive for t in found if t.campaign in collect and t.kind is RaterKind.PERSON)


def can_train_on(campaign: Campaign, models: Sequence[Model]) -> bool:
    """Whether a campaign's votes may train, and one of its models has weights to train."""
    with_weights = {m.name for m in models if m.kind in WITH_WEIGHTS}
    return campaign.settings.purpose is Purpose.COLLECT and bool(with_weights & set(campaign.models))


def _can_train(models: Sequence[Model]) -> bool:
    return any(m.kind in WITH_WEIGHTS for m in models)


def _fresh(
    db: Database, models: Sequence[Model], campaigns: Sequence[Campaign], found: Sequence[Tally]
) -> Fresh:
    usable = {
        c.id for c in campaigns
        if c.demo != SIMULATED and can_train_on(c, models)
        and (c.status is not CampaignStatus.CLOSED or c.parent_run is not None)  # promotion closed it: its votes train on
    }  # fmt: skip
    used = trained_votes(db)
    left: dict[RaterKind, int] = {}
    for t in found:
        if t.campaign in usable:
            left[t.kind] = left.get(t.kind, 0) + max(0, t.votes - used.get((t.campaign, t.kind), 0))
    return Fresh(left.get(RaterKind.PERSON, 0), left.get(RaterKind.SIMULATED, 0))


def _starting(
    models: Sequence[Model], prompts: PromptSet, campaigns: Sequence[Campaign], live: Sequence[Campaign],
    job: Job | None,
) -> Step | None:  # fmt: skip
    """The steps of a home that cannot be rated in yet."""
    if live or job is not None:
        return None
    if len(models) < 2:
        return Step(Stage.START, f"{len(models)} of 2 models to compare", "Add a model", Go.MODELS)
    if not prompts.train + prompts.heldout:
        return Step(Stage.START, "No prompts yet", "Bring prompts in", Go.PROMPTS)
    if not campaigns:
        return Step(
            Stage.RESPONSES, "Models and prompts are here, no campaign yet", "Create a campaign", Go.CAMPAIGNS
        )
    return Step(Stage.BALLOTS, "No campaign is open, so nobody can rate", "Open a campaign", Go.CAMPAIGNS)


def _working(running: Run | None, steps: tuple[int, int], job: Job | None) -> Step | None:
    """What is being done right now."""
    at, total = steps
    if running is not None:
        if not total:
            return Step(Stage.SNAPSHOT, f"{running.name}: loading the model", "Watch the run", Go.TRAIN, 0.0)
        return Step(
            Stage.RUN, f"Training {running.name}: step {at} of {total}", "Watch the run", Go.TRAIN, at / total
        )
    if job is None:
        return None
    words = job.message or "starting"
    if job.command[:1] == ("train",):
        stage = Stage.CANDIDATE if job.run is not None else Stage.SNAPSHOT
        return Step(stage, f"Retraining: {words}", "Watch the run", Go.TRAIN, job.progress)
    return Step(
        Stage.RESPONSES,
        f"Job {job.id} ({' '.join(job.command[:2])}): {words}",
        "Watch the job",
        Go.JOBS,
        job.progress,
    )


def _deciding(db: Database, last: Run | None) -> Step | None:
    """Promote, where the rule says so of the newest candidate."""
    if last is None or last.model is None or find_model(db, last.model) is None:
        return None
    if any(p.model == last.model and not p.stands for p in promotions(db)):
        return None  # it was the champion and was rolled back: that is for people to say again
    standing = weigh(db, last.model)
    if not standing.promotes:
        return None
    rivals = " and ".join(r.rival for r in standing.rivals)
    return Step(Stage.PROMOTION, f"Promote {last.model}: people prefer it to {rivals}", f"Promote {last.model}"[:40],
                Go.ROUNDS, 1.0)  # fmt: skip


def _rating(
    rematch: Campaign | None, covered: Coverage | None, fresh: Fresh, last: Run | None, trainable: bool
) -> Step:
    """Rate, retrain or read: what people do."""
    if rematch is not None and covered is not None and rematch.status is CampaignStatus.OPEN:
        if covered.votes < covered.wanted:
            return Step(Stage.REMATCH, f"Rate the blind rematch: {covered.votes} of {covered.wanted}",
                        "Rate the rematch", Go.RATE, covered.votes / covered.wanted, _beside(fresh))  # fmt: skip
        if fresh.people < ENOUGH_VOTES:
            return Step(Stage.PROMOTION, f"The blind rematch is complete: {covered.votes} votes, and no clear winner",
                        "Decide", Go.ROUNDS, 1.0, _beside(fresh))  # fmt: skip
    which = "next" if last is not None else "first"
    if fresh.people >= ENOUGH_VOTES and trainable:
        return Step(Stage.PAIRS, f"Retrain from {fresh.people} votes", "Retrain", Go.TRAIN, 1.0)
    if not trainable:
        return Step(
            Stage.VOTES, "Rate: no registered model has weights that could be retrained", "Rate", Go.RATE
        )
    return Step(Stage.VOTES, f"Rate: {fresh.people} of {ENOUGH_VOTES} votes to the {which} retrain", "Rate", Go.RATE,
                fresh.people / ENOUGH_VOTES, _simulated(fresh))  # fmt: skip


def _beside(fresh: Fresh) -> str:
    """What could be done instead."""
    if fresh.people >= ENOUGH_VOTES:
        return f"Or retrain already: {fresh.people} votes no run has learned from."
    return f"The next retrain has {fresh.people} of {ENOUGH_VOTES} votes." if fresh.people else ""


def _simulated(fresh: Fresh) -> str:
    return (
        f"{fresh.simulated} votes of simulated raters can be ticked in the Train form."
        if fresh.simulated
        else ""
    )
