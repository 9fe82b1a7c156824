"""What came of a sweep: a row for each of its runs, a verdict in plain words, which is best and why; also as files."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import variance

from sqlite_utils import Database

from arena.intervals import wilson
from db import runs
from db.connection import Home
from db.entities.runs import Run, RunKind, RunStatus
from db.files import written_file
from db.sweeps import Point, Sweep, list_sweeps
from labeling.tables import safe_cell
from training.alarms import Alarm, Course, Curves, alarms

ACCURACIES = ("rewards/accuracies", "accuracy", "mean_token_accuracy")
MARGINS = ("rewards/margins", "margin")
"""what the trainers call the same figure in the kinds of run"""
CSV_FILE, XLSX_FILE = "table.csv", "table.xlsx"
WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Row:
    """One run of a sweep.

    `loss` is the mean training loss of the last quarter of the steps, `loss_variance` its variance over the last half;
    `accuracy`, `margin` and `heldout_loss` are those of the last evaluation on held-out rows. `memory_gib` is the most
    the run's process held.
    """

    position: int
    run: str
    status: str
    changes: Mapping[str, str]
    loss: float | None = None
    heldout_loss: float | None = None
    accuracy: float | None = None
    margin: float | None = None
    loss_variance: float | None = None
    memory_gib: float | None = None
    seconds: float | None = None
    heldout: int = 0
    verdict: str = ""
    alarms: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A sweep's rows, the run that is best (None before any) and why."""

    name: str
    kind: RunKind
    parent: str
    snapshot: str
    keys: tuple[str, ...]
    rows: tuple[Row, ...]
    best: str | None
    why: str


def table_of(db: Database, sweep: Sweep) -> Table:
    """The table as it is now."""
    rows = tuple(row_of(db, point) for point in sweep.points)
    best = best_of(sweep.kind, rows)
    return Table(sweep.name, sweep.kind, sweep.parent, sweep.snapshot, sweep.keys, rows,
                 best.run if best else None, why_best(sweep.kind, best, rows))  # fmt: skip


def row_of(db: Database, point: Point) -> Row:
    """One run of a sweep as it is now."""
    run = runs.find_run(db, point.run)
    if run is not None:
        return measured(run, point, runs.metrics_of(db, run.id))
    job = runs.get_job(db, point.job) if point.job is not None else None
    if job is None:
        return Row(point.position, point.run, WAITING, point.changes, verdict="not begun yet")
    over = job.status.over
    return Row(point.position, point.run, job.status.value, point.changes,
               verdict=_unmade(job.status.value, job.message) if over else "under way",
               error=job.message if over else None)  # fmt: skip


def measured(run: Run, point: Point, curves: Curves) -> Row:
    """A run that has begun, from its curves."""
    own = run.settings.get("reference", run.parent) == run.parent
    course = Course(run.kind, curves, ended=run.status is RunStatus.SUCCEEDED, own_reference=own)
    found = alarms(course)
    losses = course.values("loss")
    half = losses[len(losses) // 2 :]
    counts = (run.metrics or {}).get("counts")
    return Row(
        point.position, run.name, run.status.value, point.changes,
        loss=course.late("loss"), heldout_loss=_last(course, "eval_loss"),
        accuracy=_first_known(course, ACCURACIES), margin=_first_known(course, MARGINS),
        loss_variance=variance(half) if len(half) > 1 else None,
        memory_gib=max(course.values("memory_gib"), default=None), seconds=run.seconds,
        heldout=int(counts["evaluated"]) if isinstance(counts, Mapping) else 0,
        verdict=verdict(run, found), alarms=tuple(a.kind.value for a in found), error=run.error,
    )  # fmt: skip


def _last(course: Course, name: str) -> float | None:
    values = course.values(name)
    return values[-1] if values else None


def _first_known(course: Course, names: Sequence[str]) -> float | None:
    """The last held-out value of the first of these figures that the run has."""
    return next((v for n in names if (v := _last(course, f"eval_{n}")) is not None), None)


def verdict(run: Run, found: Sequence[Alarm]) -> str:
    """What to say of a run in a few words: its alarms by name, the gravest first."""
    if run.status is RunStatus.RUNNING:
        return "under way"
    if run.status is not RunStatus.SUCCEEDED:
        return _unmade(run.status.value, run.error or "")
    return ", ".join(a.kind.value for a in found) or "learned, no alarm"


def _unmade(status: str, why: str) -> str:
    return f"{status}: {why}" if why and why != status else status


# -- which is best -------------------------------------------------------------------------------------------------


def best_of(kind: RunKind, rows: Sequence[Row]) -> Row | None:
    """The best run that has its model: without an alarm first, then by what its kind is for on held-out rows.

    Preferences: accuracy, then margin, then the lower held-out loss. Answers (sft): the lower held-out loss. Without
    held-out rows: the lower loss on the rows it trained on.
    """
    done = [r for r in rows if r.status == RunStatus.SUCCEEDED]
    return min(done, key=lambda r: (bool(r.alarms), *_worth(kind, r)), default=None)


def _worth(kind: RunKind, row: Row) -> tuple[float, ...]:
    """Smaller is better."""
    loss = next((x for x in (row.heldout_loss, row.loss) if x is not None), float("inf"))
    if kind is RunKind.SFT or row.accuracy is None:
        return (loss,)
    return (-row.accuracy, -(row.margin or 0.0), loss)


def why_best(kind: RunKind, best: Row | None, rows: Sequence[Row]) -> str:
    """Why the best is the best, and how far that can be trusted, in a sentence or two."""
    if best is None:
        return "no run has its model yet"
    done = [r for r in rows if r.status == RunStatus.SUCCEEDED]
    set_by = " ".join(f"{k}={v}" for k, v in best.changes.items())
    alarm = f" But every run here gives an alarm, this one: {', '.join(best.alarms)}." if best.alarms else ""
    if len(done) == 1:
        return f"{set_by} is the only run with a model.{alarm}"
    if best.heldout == 0:
        return (f"{set_by} has the lowest loss ({best.loss or 0:.3f}) on the rows it trained on; none is held out, so "
                f"this may be rows learned by heart.{alarm}")  # fmt: skip
    if kind is RunKind.SFT or best.accuracy is None:
        return f"{set_by} has the lowest loss on held-out rows ({best.heldout_loss or 0:.3f}).{alarm}"
    band = wilson(best.accuracy * best.heldout, best.heldout)
    close = [r for r in done if r is not best and band and r.accuracy is not None and r.accuracy >= band.low]
    doubt = f" {len(close)} other {'run is' if len(close) == 1 else 'runs are'} within what chance alone allows." if close else ""  # fmt: skip
    tied = any(r is not best and r.accuracy == best.accuracy for r in done)
    more = f" and, of those as often right, the widest margin ({best.margin or 0:.3f})" if tied else ""
    limits = f" (95 % interval {band.low:.0%} to {band.high:.0%})" if band else ""
    return (f"{set_by} has {best.accuracy:.0%} of {best.heldout} held-out rows the right way round{limits}, the most"
            f"{more}.{doubt}{alarm}")  # fmt: skip


# -- as text and files ---------------------------------------------------------------------------------------------

COLUMNS = ("loss", "heldout_loss", "accuracy", "margin", "loss_variance", "memory_gib", "seconds", "verdict")


def records(table: Table, *, text_cells: bool = False) -> list[dict[str, object]]:
    """The rows flat, one column a setting. `text_cells`: texts are made safe to open in a spreadsheet."""
    made: list[dict[str, object]] = []
    for row in table.rows:
        sets = {key: _number(row.changes[key]) for key in table.keys}
        values = {c: getattr(row, c) for c in COLUMNS}
        flat = {
            "run": row.run,
            **sets,
            **values,
            "status": row.status,
            "best": "best" if row.run == table.best else "",
        }
        made.append({k: safe_cell(v) if text_cells and isinstance(v, str) else v for k, v in flat.items()})
    return made


def _number(text: str) -> object:
    """A value as the number it is, so that a spreadsheet can sort it; else as it is written."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def lines(table: Table) -> list[dict[str, object]]:
    """The rows for a terminal: figures to three digits."""
    return [
        {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in record.items()} for record in records(table)
    ]


def listing(db: Database) -> list[dict[str, object]]:
    """Every sweep in a line, newest first."""
    tables = [(s, table_of(db, s)) for s in list_sweeps(db)]
    return [
        {"name": t.name, "kind": t.kind.value, "from": t.parent, "settings": ", ".join(t.keys), "runs": len(t.rows),
         "done": sum(r.status == RunStatus.SUCCEEDED for r in t.rows), "best": t.best, "created_at": s.created_at}
        for s, t in tables
    ]  # fmt: skip


def files_of(home: Home, table: Table) -> tuple[Path, Path]:
    """Where the table is kept as CSV and as XLSX."""
    folder = home.runs / table.name
    return folder / CSV_FILE, folder / XLSX_FILE


def write_files(home: Home, table: Table) -> tuple[Path, Path]:
    """The table as CSV and as XLSX in the sweep's folder."""
    from openpyxl import Workbook

    text, sheets = files_of(home, table)
    text.parent.mkdir(parents=True, exist_ok=True)
    rows = records(table, text_cells=True)
    with written_file(text) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    book = Workbook(write_only=True)
    sheet = book.create_sheet("runs")
    sheet.append(list(rows[0]))
    for row in rows:
        sheet.append(list(row.values()))
    about = book.create_sheet("about")
    for line in (("sweep", table.name), ("kind", table.kind.value), ("from", table.parent),
                 ("snapshot", table.snapshot), ("best", table.best or ""), ("why", table.why)):  # fmt: skip
        about.append([line[0], safe_cell(line[1])])
    with written_file(sheets) as aside:
        book.save(aside)
    return text, sheets
