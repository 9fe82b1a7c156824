"""How a retrain is shown while it runs and after: progress, proof, alarms, charts, samples, what came of it.

From the database alone, but for the samples, which stand in the run's folder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from arena import jobs
from arena.web.pages.studio.markup import Cell, Chart, chart, chip, render, table
from db.campaigns import Coverage, coverage, find_campaign
from db.connection import Database, Home
from db.entities.runs import Job, JobStatus, Run
from db.runs import last_metrics, list_jobs, list_runs, metrics_of, run_by_id, run_progress
from db.snapshots import get_snapshot
from training.alarms import Alarm, Course, alarms
from training.samples import Sample, read_samples

Metrics = Mapping[str, Sequence[tuple[int, float]]]


class Drawn(NamedTuple):
    """A chart: its title, what it means, the metric, and a level worth a thin line."""

    title: str
    words: str
    key: str
    level: float | None = None


FIRST_CHARTS = (
    Drawn("Loss", "falls as the model learns to tell chosen from rejected", "loss"),
    Drawn(
        "Margin", "how much more it favours the chosen answer than its parent does", "rewards/margins", 0.0
    ),
    Drawn("Accuracy", "share of pairs it has the right way round", "rewards/accuracies", 0.5),
)
MORE_CHARTS = (
    Drawn("Reward of chosen", "how much likelier the chosen answers became", "rewards/chosen", 0.0),
    Drawn("Reward of rejected", "how much likelier the rejected answers became", "rewards/rejected", 0.0),
    Drawn("Chosen log-probability", "of the whole answer; far below its start is a bad sign", "logps/chosen"),
    Drawn("Rejected log-probability", "of the whole answer; it should fall", "logps/rejected"),
    Drawn("Entropy", "how open the next word is; near 0 it always says the same", "entropy"),
    Drawn("Gradient norm", "how hard a step pulls; jumps mean the rate is too high", "grad_norm"),
    Drawn("Learning rate", "how far a step moves the model", "learning_rate"),
    Drawn("Tokens a second", "read while training", "tokens_per_second"),
    Drawn("Memory", "the most held so far, in GiB", "memory_gib"),
    Drawn("Perplexity of plain text", "rises where it forgets what nobody voted on", "neutral/perplexity"),
    Drawn(
        "Distance on plain text",
        "nats a token from the start model, where nobody voted",
        "neutral/divergence",
    ),
    Drawn("Length of its answers", "mean tokens on the fixed prompts below", "samples/tokens"),
)


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

    def alarms(self) -> tuple[Alarm, ...]:
        """What its curves say is wrong by now, each with what to change."""
        if self.run is None:
            return ()
        own = self.run.settings.get("reference", self.run.parent) == self.run.parent
        return alarms(Course(self.run.kind, self.metrics, ended=not self.active, own_reference=own))

    def charts(self) -> list[Chart]:
        """Loss, margin and accuracy over the steps, held-out rows as dots."""
        return self._drawn(FIRST_CHARTS)

    def more_charts(self) -> list[Chart]:
        """What else the trainer and the looks at the model measured."""
        return self._drawn(MORE_CHARTS)

    def _drawn(self, kinds: Sequence[Drawn]) -> list[Chart]:
        drawn = (
            chart(k.title, k.words, self.metrics.get(k.key, ()), self.metrics.get(f"eval_{k.key}", ()), total=self.total, level=k.level)
            for k in kinds
        )  # fmt: skip
        return [c for c in drawn if c is not None]


def newest(db: Database) -> Retrain | None:
    """The newest retrain; None before the first."""
    trains = [j for j in list_jobs(db) if j.command[:1] == ("train",)]
    at_work = (j for j in trains if j.status is JobStatus.RUNNING and j.run is not None)
    job = next(at_work, trains[0] if trains else None)
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
                  alarms=seen.alarms(), percent=f"{100 * progress:.0f}", command=jobs.shown(seen.job.command))  # fmt: skip


def more_charts(seen: Retrain | None) -> str:
    """What else was measured, drawn."""
    return render("run_more", charts=[] if seen is None else seen.more_charts())


def samples(home: Home, seen: Retrain | None) -> str:
    """What the newest retrain's model said on the fixed prompts so far, side by side."""
    said = [] if seen is None or seen.run is None else read_samples(home.root / seen.run.folder)
    return render("samples", gallery=gallery(said))


def gallery(said: Sequence[Sample]) -> list[tuple[str, list[Sample]]]:
    """(prompt, its answers in the order of the steps), to be read side by side."""
    found: dict[str, list[Sample]] = {}
    for sample in said:
        found.setdefault(sample.prompt, []).append(sample)
    return list(found.items())


def log(home: Home, seen: Retrain | None) -> str:
    """The end of what its job printed."""
    return (
        ""
        if seen is None
        else render("log", title=f"Job {seen.job.id}", text=jobs.read_log(home, seen.job, 6000))
    )


HEADS = ("Run", "Status", "From", "Pairs", "Last loss", "Held-out accuracy", "Seconds", "Preset", "Rematch")


ACCURACY = "eval_rewards/accuracies"


def history(db: Database) -> str:
    """Every run, newest first."""
    rows: list[Sequence[Cell]] = []
    ends = last_metrics(db, "loss", ACCURACY)
    for r in list_runs(db):
        last = ends.get(r.id, {})
        rows.append((
            r.name, chip(r.status.value), r.parent, get_snapshot(db, r.snapshot).train,
            last.get("loss"), last.get(ACCURACY), None if r.seconds is None else round(r.seconds),
            str(r.settings.get("preset", "")), r.rematch or r.error,
        ))  # fmt: skip
    return table(HEADS, rows, empty="No run yet.", caption="Runs")
