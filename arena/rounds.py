"""Workflow: one turn of the loop. Votes -> frozen snapshot -> run -> candidate -> responses, scores, blind rematch."""

import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlite_utils import Database

from arena import jobs, modelcards, run_kinds
from arena.generating import files_of
from arena.judging import Judge
from arena.rematch import open_rematch
from arena.run_plans import Plan, Request, config_named, plan, plan_of
from db import runs
from db.connection import Home
from db.entities.catalog import Model, ModelKind
from db.entities.runs import Run, RunKind, RunStatus
from db.errors import UserError
from training import checkpoints
from training.presets import warnings_for
from training.settings import RunSpec
from training.snapshots import write_rows

if TYPE_CHECKING:
    from training.metrics import Metric
    from training.running import Trained


class Outcome(NamedTuple):
    """What a turn of the loop made. `note` says what of the last part did not work."""

    run: Run
    rematch: str | None
    note: str


def retrain(db: Database, home: Home, request: Request, job: jobs.ThisJob) -> Outcome:
    """Run the whole turn. The run stays succeeded if what comes after it fails."""
    run_kinds.check_accelerate(request.accelerate)
    job.say(0.0, "freezing the pairs")
    made = plan(db, home, request)
    for change in made.fitted:
        job.say(None, f"to fit into memory, {change}")
    for warning in warnings_for(made.settings, made.snapshot.train):
        job.say(None, f"note: {warning}")
    against = request.against if request.rematch else None
    return _finish(db, home, made, _begin(db, home, made, against, job), against, job)


def resume(db: Database, home: Home, name: str, job: jobs.ThisJob, accelerate: str | None = None) -> Outcome:
    """Let a run that failed or was cancelled go on, under its name, from its newest checkpoint that verifies.

    `accelerate`: in other processes than it had, also when it is resumed again.
    """
    jobs.reconcile(db)
    run = runs.get_run(db, name)
    made, other = plan_of(db, run), config_named(accelerate)
    made = made._replace(accelerate=other or made.accelerate)
    run_kinds.check_accelerate(made.accelerate)
    run = runs.restart_run(
        db, run.id, job=job.id, pid=os.getpid(), pid_started=jobs.own_start(), accelerate=other
    )
    # A model that was written but never registered belongs to no run: it is made again.
    shutil.rmtree(home.root / run.folder / "model", ignore_errors=True)
    against = run.settings.get("against")
    return _finish(db, home, made, run, None if against is None else str(against), job)


def _finish(
    db: Database, home: Home, made: Plan, run: Run, against: str | None, job: jobs.ThisJob
) -> Outcome:
    """Train and register, then let the candidate meet its rival (None: no rematch)."""
    model = _train(db, home, made, run, job)
    note = ""
    if against is not None:
        try:
            open_rematch(db, home, model, made.campaign, against, job.say, job.should_stop)
        except UserError as error:
            opened = runs.run_by_id(db, run.id).rematch
            lacks = "its rematch lacks something" if opened else "it has no rematch"
            note = f"{model.name} is registered, but {lacks}: {error}"
    run = runs.run_by_id(db, run.id)
    return Outcome(run, run.rematch, note)


def _begin(db: Database, home: Home, made: Plan, against: str | None, job: jobs.ThisJob) -> Run:
    """The run's row, where no other is active and its folder is free."""
    jobs.reconcile(db)
    folder = home.runs / made.name
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty", "choose another --name")
    settings = {
        **asdict(made.settings),
        "preset": made.preset,
        "reference": made.reference.name,
        "against": against,
        **({"like": made.like} if made.like else {}),
        **({"accelerate": made.accelerate} if made.accelerate else {}),
    }
    return runs.add_run(
        db, made.name, made.kind, parent=made.parent.name, snapshot=made.snapshot.id,
        folder=home.relative(folder), settings=settings,
        campaign=made.campaign.id if made.campaign else None, job=job.id, pid=os.getpid(),
        pid_started=jobs.own_start(),
    )  # fmt: skip


def _train(db: Database, home: Home, made: Plan, run: Run, job: jobs.ThisJob) -> Model:
    """Train and register; a run that fails or is cancelled says so in the database before the error goes on."""
    job.say(0.02, "loading the model")
    folder = home.runs / made.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_rows(db, made.snapshot.id, folder / "pairs.jsonl")
        trained = run_kinds.train(
            spec_of(home, made, folder), _observer(db, run, job), job.should_stop, made.accelerate
        )
        model = _register(db, home, made, run, trained, _compared(db, home, made, folder))
        checkpoints.drop(folder)  # from here on the model is what the run made
        modelcards.write(db, home, model.name)
        return model
    except BaseException as error:
        status = RunStatus.CANCELLED if job.should_stop() else RunStatus.FAILED
        runs.end_run(db, run.id, status, str(error) or type(error).__name__)
        raise


def _compared(db: Database, home: Home, made: Plan, folder: Path) -> dict[str, object]:
    """What a reward model is worth beside the home's own, on held-out pairs; nothing for the other kinds."""
    if made.kind is not RunKind.REWARD:
        return {}
    own = Judge(made.name, str(folder / "model"))
    return {"heldout": run_kinds.heldout_accuracies(db, home, folder / "pairs.jsonl", own)}


def _register(
    db: Database, home: Home, made: Plan, run: Run, trained: "Trained", compared: Mapping[str, object]
) -> Model:
    """The run succeeded and its candidate is there, in one transaction."""
    files = home.relative(trained.model_folder)
    kind, source, adapter = (
        (ModelKind.ADAPTER, made.parent.source or "", files) if trained.is_adapter
        else (ModelKind.CHECKPOINT, files, None)
    )  # fmt: skip
    return runs.finish_run(
        db, run.id, model=made.name, kind=kind, source=source, adapter=adapter,
        quantize=(made.settings.quantize or made.parent.quantize) if trained.is_adapter else None,
        reference_proof=asdict(trained.reference_proof) if trained.reference_proof else None,
        metrics={**_results(trained), **compared},
        versions=trained.versions, seconds=trained.seconds,
    )  # fmt: skip


def _results(trained: "Trained") -> dict[str, object]:
    """The figures of a run; one that is not a number (a mean over nothing) is null."""
    finite = {k: v if math.isfinite(v) else None for k, v in trained.metrics.items()}
    return {**finite, "counts": asdict(trained.counts), "steps": trained.steps, "notes": list(trained.notes),
            "plain_template": trained.plain_template}  # fmt: skip


def spec_of(home: Home, made: Plan, folder: Path) -> RunSpec[Any]:
    """What the trainer is handed."""
    reference = None if made.reference.name == made.parent.name else files_of(home, made.reference)
    return RunSpec(
        made.kind, folder, folder / "pairs.jsonl", files_of(home, made.parent), reference, made.settings
    )


def _observer(db: Database, run: Run, job: jobs.ThisJob) -> "Callable[[Metric], None]":
    """Writes each log of the trainer into the database; training is the first 70 % of the job."""

    def observe(metric: "Metric") -> None:
        values = {k: v for k, v in metric.values.items() if math.isfinite(v)}
        runs.add_metrics(db, run.id, metric.step, metric.total_steps, values)
        share = metric.step / max(1, metric.total_steps)
        loss = values.get("loss")
        shown = f", loss {loss:.3f}" if loss is not None else ""
        job.say(0.05 + 0.65 * share, f"step {metric.step} of {metric.total_steps}{shown}")

    return observe
