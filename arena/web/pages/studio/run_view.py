"""How a retrain is shown while it runs and after: progress, proof, charts, what came of it. From the database alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from arena import jobs
from arena.web.pages.studio.markup import Cell, Chart, Chip, chart, chip, render, table
from db.campaigns import Coverage, coverage, find_campaign
from db.connection import Database, Home
from db.entities import Job, Run, RunStatus
from db.runs import get_snapshot, list_jobs, list_runs, metrics_of, run_by_id, run_progress

Metrics = Mapping[str, Sequence[tuple[int, float]]]
NOTHING_LEARNED = 0.69
"""a loss that is still at ln 2 = 0.693: the model answers as it did before"""


@dataclass(frozen=True, slots=True)
class Proof:
    """The reference at the first step: what was measured, and whether it is what it must be."""

    margin: float
    loss: float | None


@dataclass(frozen=True, slots=True)
class Retrain:
    """The newest retrain, whoever started it."""

    job: Job
    run: Run | None
    at: int
    total: int
    train: int
    metrics: Metrics
    proof: Proof | None
    rematch: str | None
    covered: Coverage | None

    @property
    def active(self) -> bool:
        """Whether it still runs."""
        return not self.job.status.over

    @property
    def unmoved(self) -> bool:
        """Whether it ended with a loss that says nothing was learned."""
        losses = self.metrics.get("loss", ())
        return not self.active and len(losses) > 1 and losses[-1][1] >= NOTHING_LEARNED

    def charts(self) -> list[Chart]:
        """Loss, margin and accuracy over the steps, held-out pairs as dots."""
        kinds = (
            ("Loss", "falls as the model learns to tell chosen from rejected", "loss", None),
            (
                "Margin",
                "how much more it favours the chosen answer than its parent does",
                "rewards/margins",
                0.0,
            ),
            ("Accuracy", "share of pairs it has the right way round", "rewards/accuracies", 0.5),
        )
        drawn = (
            chart(title, words, self.metrics.get(key, ()), self.metrics.get(f"eval_{key}", ()), total=self.total, level=level)
            for title, words, key, level in kinds
        )  # fmt: skip
        return [c for c in drawn if c is not None]


def newest(db: Database) -> Retrain | None:
    """The newest retrain; None before the first."""
    job = next((j for j in list_jobs(db) if j.command[:1] == ("train",)), None)
    if job is None:
        return None
    run = run_by_id(db, job.run) if job.run is not None else None
    if run is None:
        return Retrain(job, None, 0, 0, 0, {}, None, None, None)
    at, total = run_progress(db, run.id)
    metrics = metrics_of(db, run.id)
    rematch = find_campaign(db, run.rematch) if run.rematch else None
    return Retrain(
        job, run, at, total, get_snapshot(db, run.snapshot).train, metrics, _proof(run, metrics),
        rematch.name if rematch else None, coverage(db, rematch) if rematch else None,
    )  # fmt: skip


def _proof(run: Run, metrics: Metrics) -> Proof | None:
    """The proof a run recorded, or what its first step measured: a step is only kept once it is proven."""
    kept = run.reference_proof
    if kept is not None:
        return Proof(float(str(kept["margin"])), float(str(kept["loss"])))
    first = {name: values[0] for name, values in metrics.items() if values}
    if first.get("rewards/margins", (0, 0.0))[0] != 1:
        return None
    step, loss = first.get("loss", (0, 0.0))
    return Proof(first["rewards/margins"][1], loss if step == 1 else None)


def shown(seen: Retrain | None) -> str:
    """The newest retrain as HTML."""
    if seen is None:
        return render("no_run")
    progress = seen.job.progress or (1.0 if seen.job.status.value == "succeeded" else 0.0)
    return render("run", seen=seen, job=seen.job, run=seen.run, status=chip(seen.job.status.value), charts=seen.charts(),
                  percent=f"{100 * progress:.0f}", command=jobs.shown(seen.job.command))  # fmt: skip


def log(home: Home, seen: Retrain | None) -> str:
    """The end of what its job printed."""
    return (
        ""
        if seen is None
        else render("log", title=f"Job {seen.job.id}", text=jobs.read_log(home, seen.job, 6000))
    )


HEADS = ("Run", "Status", "From", "Pairs", "Last loss", "Held-out accuracy", "Seconds", "Preset", "Rematch")


def history(db: Database) -> str:
    """Every run, newest first."""
    rows: list[Sequence[Cell]] = []
    for r in list_runs(db):
        found = metrics_of(db, r.id)
        last = {name: values[-1][1] for name, values in found.items() if values}
        loss: Cell = last.get("loss")
        if r.status is RunStatus.SUCCEEDED and isinstance(loss, float) and loss >= NOTHING_LEARNED:
            loss = Chip(f"{loss:.3f}: nothing learned", "bad")
        rows.append((
            r.name, chip(r.status.value), r.parent, get_snapshot(db, r.snapshot).train, loss,
            last.get("eval_rewards/accuracies"), None if r.seconds is None else round(r.seconds),
            str(r.settings.get("preset", "")), r.rematch or r.error,
        ))  # fmt: skip
    return table(HEADS, rows, empty="No run yet.", caption="Runs")
