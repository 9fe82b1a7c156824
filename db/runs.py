"""Runs with their metrics, and jobs: from frozen rows to a model, and who did it when."""

import json
from collections.abc import Mapping, Sequence

from sqlite_utils import Database

from db.catalog import get_model
from db.connection import checked_name, transaction
from db.entities.catalog import Model, ModelKind
from db.entities.runs import Job, JobStatus, Run, RunKind, RunStatus
from db.errors import Conflict, NotFound
from db.migrations import NOW

# -- runs ------------------------------------------------------------------------------------------------------

_RUN = """SELECT r.id, r.name, r.kind, p.name, r.snapshot, r.status, r.folder, r.settings, r.reference_proof,
  r.metrics, r.campaign, (SELECT name FROM models m WHERE m.run = r.id), r.job, r.error, r.rematch, r.started_at,
  r.finished_at, r.seconds FROM runs r JOIN models p ON p.id = r.parent"""


def _run(r: Sequence[object]) -> Run:
    return Run(
        id=int(str(r[0])), name=str(r[1]), kind=RunKind(str(r[2])), parent=str(r[3]), snapshot=str(r[4]),
        status=RunStatus(str(r[5])), folder=str(r[6]), settings=json.loads(str(r[7])),
        reference_proof=json.loads(str(r[8])) if r[8] else None, metrics=json.loads(str(r[9])) if r[9] else None,
        campaign=_int(r[10]), model=_str(r[11]), job=_int(r[12]), error=_str(r[13]), rematch=_str(r[14]),
        started_at=str(r[15]), finished_at=_str(r[16]), seconds=None if r[17] is None else float(str(r[17])),
    )  # fmt: skip


def _int(value: object) -> int | None:
    return None if value is None else int(str(value))


def _str(value: object) -> str | None:
    return None if value is None else str(value)


def add_run(
    db: Database, name: str, kind: RunKind, *, parent: str, snapshot: str, folder: str,
    settings: Mapping[str, object], campaign: int | None, job: int | None, pid: int, pid_started: float,
) -> Run:  # fmt: skip
    """Begin a run in the slot of its job; Conflict where another is running there or the name is taken."""
    with transaction(db):
        slot = _free_slot_of(db, job)
        if db.conn.execute("SELECT 1 FROM runs WHERE name = ?", (checked_name(name, "run"),)).fetchone():
            raise Conflict(f"there is already a run named {name!r}", "choose another --name")
        db.conn.execute(
            """INSERT INTO runs(name, kind, parent, snapshot, status, folder, settings, campaign, job, pid, pid_started,
            slot) VALUES (?, ?, ?, ?, 'running', ?, ?, ?, ?, ?, ?, ?)""",
            (name, kind, get_model(db, parent).id, snapshot, folder, json.dumps(settings), campaign, job, pid,
             pid_started, slot),
        )  # fmt: skip
        return get_run(db, name)


def _free_slot_of(db: Database, job: int | None) -> int:
    """The slot of a job (0 where it has none); Conflict where a run is training there."""
    row = db.conn.execute("SELECT slot FROM jobs WHERE id = ?", (job,)).fetchone()
    slot = int(row[0]) if row and row[0] is not None else 0
    other = db.conn.execute("SELECT name FROM runs WHERE status = 'running' AND slot = ?", (slot,)).fetchone()
    if other is not None:
        raise Conflict(f"run {other[0]!r} is training", "wait for it or cancel its job, then start again")
    return slot


def active_runs(db: Database) -> list[Run]:
    """The runs that are training now, at most one a slot."""
    return [_run(r) for r in db.conn.execute(f"{_RUN} WHERE r.status = 'running' ORDER BY r.id")]


def active_run_processes(db: Database) -> list[tuple[int, int, float]]:
    """(run, process id, start of that process in seconds) of the runs that are training now."""
    rows = db.conn.execute("SELECT id, pid, pid_started FROM runs WHERE status = 'running'")
    return [(int(r[0]), int(r[1]), float(r[2])) for r in rows]


def find_run(db: Database, name: str) -> Run | None:
    """A run by name, or None."""
    row = db.conn.execute(f"{_RUN} WHERE r.name = ?", (name,)).fetchone()
    return _run(row) if row else None


def get_run(db: Database, name: str) -> Run:
    """A run by name; NotFound."""
    run = find_run(db, name)
    if run is None:
        raise NotFound(f"there is no run {name!r}", "`jobs list` shows which were started")
    return run


def run_by_id(db: Database, run_id: int) -> Run:
    """A run by number, which must exist."""
    return _run(db.conn.execute(f"{_RUN} WHERE r.id = ?", (run_id,)).fetchone())


def run_versions(db: Database, run_id: int) -> dict[str, str]:
    """{package: version} a run was made with; empty before it succeeded."""
    row = db.conn.execute("SELECT versions FROM runs WHERE id = ?", (run_id,)).fetchone()
    return {str(k): str(v) for k, v in json.loads(row[0]).items()} if row and row[0] else {}


def list_runs(db: Database) -> list[Run]:
    """Every run, newest first."""
    return [_run(r) for r in db.conn.execute(f"{_RUN} ORDER BY r.id DESC")]


def add_metrics(db: Database, run_id: int, step: int, total: int, values: Mapping[str, float]) -> None:
    """Store what a run measured at a step."""
    with transaction(db):
        db.conn.executemany(
            "INSERT OR REPLACE INTO run_metrics VALUES (?, ?, ?, ?, ?)",
            [(run_id, step, total, name, float(value)) for name, value in values.items()],
        )


def metrics_of(db: Database, run_id: int) -> dict[str, list[tuple[int, float]]]:
    """{name: [(step, value), ...]} of a run, steps rising."""
    found: dict[str, list[tuple[int, float]]] = {}
    rows = db.conn.execute(
        "SELECT name, step, value FROM run_metrics WHERE run = ? ORDER BY name, step", (run_id,)
    )
    for name, step, value in rows:
        found.setdefault(name, []).append((step, value))
    return found


def last_metrics(db: Database, *names: str) -> dict[int, dict[str, float]]:
    """{run: {name: its value at the last step that has one}} of every run, without reading its curves."""
    rows = db.conn.execute(
        """SELECT * FROM (SELECT r.id, n.value, (SELECT m.value FROM run_metrics m
             WHERE m.run = r.id AND m.name = n.value ORDER BY m.step DESC LIMIT 1) AS last
           FROM runs r, json_each(?) n) WHERE last IS NOT NULL""",
        (json.dumps(names),),
    )
    found: dict[int, dict[str, float]] = {}
    for run, name, value in rows:
        found.setdefault(run, {})[name] = value
    return found


def run_progress(db: Database, run_id: int) -> tuple[int, int]:
    """(last step, steps in all) of a run; (0, 0) before the first."""
    row = db.conn.execute("SELECT max(step), max(total) FROM run_metrics WHERE run = ?", (run_id,)).fetchone()
    return int(row[0] or 0), int(row[1] or 0)


def finish_run(
    db: Database, run_id: int, *, model: str, kind: ModelKind, source: str, adapter: str | None,
    quantize: str | None, reference_proof: Mapping[str, object] | None, metrics: Mapping[str, object],
    versions: Mapping[str, object], seconds: float,
) -> Model:  # fmt: skip
    """The run succeeded and its model is registered, in one transaction: never one without the other."""
    with transaction(db):
        run = run_by_id(db, run_id)
        db.conn.execute(
            """INSERT INTO models(name, kind, source, adapter, quantize, parent, run)
            VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (
                checked_name(model, "model"),
                kind,
                source,
                adapter,
                quantize,
                get_model(db, run.parent).id,
                run_id,
            ),
        )
        db.conn.execute(
            f"""UPDATE runs SET status = 'succeeded', finished_at = {NOW}, reference_proof = ?, metrics = ?,
            versions = ?, seconds = ? WHERE id = ?""",
            (json.dumps(reference_proof) if reference_proof else None, json.dumps(metrics), json.dumps(versions),
             seconds, run_id),
        )  # fmt: skip
        return get_model(db, model)


def end_run(db: Database, run_id: int, status: RunStatus, error: str) -> None:
    """The run ended without a model."""
    with transaction(db):
        db.conn.execute(
            f"UPDATE runs SET status = ?, error = ?, finished_at = {NOW} WHERE id = ? AND status = 'running'",
            (status, error, run_id),
        )


def restart_run(
    db: Database, run_id: int, *, job: int, pid: int, pid_started: float, accelerate: str | None = None
) -> Run:
    """A run that ended without a model goes on under its name; Conflict where it has one, or another run is active.

    `accelerate`: the processes it has from now on, where they are others than it had.
    """
    with transaction(db):
        run = run_by_id(db, run_id)
        if run.status is RunStatus.SUCCEEDED:
            raise Conflict(f"run {run.name!r} has its model already", "start a new run with `train`")
        slot = _free_slot_of(db, job)
        db.conn.execute("INSERT OR IGNORE INTO run_jobs SELECT id, job FROM runs WHERE id = ? AND job IS NOT NULL",
                        (run_id,))  # fmt: skip
        db.conn.execute(
            """UPDATE runs SET status = 'running', finished_at = NULL, error = NULL, job = ?, pid = ?, pid_started = ?,
            slot = ?, settings = CASE WHEN ?6 IS NULL THEN settings ELSE json_set(settings, '$.accelerate', ?6) END
            WHERE id = ?5""",
            (job, pid, pid_started, slot, run_id, accelerate),
        )
        return run_by_id(db, run_id)


def note_rematch(db: Database, run_id: int, rematch: str) -> None:
    """Remember the campaign in which a run's model meets its parent."""
    with transaction(db):
        db.conn.execute("UPDATE runs SET rematch = ? WHERE id = ?", (rematch, run_id))


def champion(db: Database) -> str | None:
    """The model promoted last, of the promotions that were not rolled back; None before the first."""
    row = db.conn.execute(
        "SELECT m.name FROM standing_promotions p JOIN models m ON m.id = p.model ORDER BY p.id DESC LIMIT 1"
    ).fetchone()
    return str(row[0]) if row else None


# -- jobs ------------------------------------------------------------------------------------------------------

_JOB = """SELECT j.id, j.command, j.status, j.progress, j.message, j.log, j.pid, j.exit_code,
  coalesce((SELECT r.id FROM runs r WHERE r.job = j.id), (SELECT e.run FROM run_jobs e WHERE e.job = j.id)), j.created_at, j.started_at, j.finished_at,
  j.turn, j.slot FROM jobs j"""


def _job(r: Sequence[object]) -> Job:
    return Job(
        id=int(str(r[0])), command=tuple(json.loads(str(r[1]))), status=JobStatus(str(r[2])),
        progress=None if r[3] is None else float(str(r[3])), message=str(r[4]), log=_str(r[5]), pid=_int(r[6]),
        exit_code=_int(r[7]), run=_int(r[8]), created_at=str(r[9]), started_at=_str(r[10]), finished_at=_str(r[11]),
        turn=_int(r[12]), slot=_int(r[13]),
    )  # fmt: skip


def add_job(db: Database, command: Sequence[str], log: str | None = None) -> Job:
    """Write down a command that is about to run."""
    with transaction(db):
        cursor = db.conn.execute(
            "INSERT INTO jobs(command, status, log) VALUES (?, 'queued', ?)", (json.dumps(list(command)), log)
        )
        return get_job(db, int(cursor.lastrowid or 0))


def set_job_log(db: Database, job_id: int, log: str) -> None:
    """Where the job writes what it prints, relative to the home."""
    with transaction(db):
        db.conn.execute("UPDATE jobs SET log = ? WHERE id = ?", (log, job_id))


def start_job(db: Database, job_id: int, pid: int, pid_started: float) -> bool:
    """The job's process runs; False where it was cancelled before."""
    with transaction(db):
        cursor = db.conn.execute(
            f"""UPDATE jobs SET status = 'running', pid = ?, pid_started = ?, started_at = coalesce(started_at, {NOW})
            WHERE id = ? AND status IN ('queued', 'running')""",
            (pid, pid_started, job_id),
        )
        return int(cursor.rowcount) == 1


def job_progress(db: Database, job_id: int, progress: float | None, message: str) -> None:
    """How far the job is (0 to 1) and what it does."""
    with transaction(db):
        db.conn.execute("UPDATE jobs SET progress = ?, message = ? WHERE id = ?", (progress, message, job_id))


def end_job(db: Database, job_id: int, status: JobStatus, exit_code: int | None, message: str) -> None:
    """The job is over; the first end stays."""
    with transaction(db):
        db.conn.execute(
            f"""UPDATE jobs SET status = ?, exit_code = ?, message = ?, finished_at = {NOW}, turn = NULL,
            progress = CASE WHEN ? = 'succeeded' THEN 1 ELSE progress END
            WHERE id = ? AND status IN ('queued', 'running')""",
            (status, exit_code, message, status, job_id),
        )


def get_job(db: Database, job_id: int) -> Job:
    """A job by number; NotFound."""
    row = db.conn.execute(f"{_JOB} WHERE j.id = ?", (job_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no job {job_id}", "`jobs list` shows them")
    return _job(row)


def job_of_command(db: Database, command: Sequence[str]) -> Job | None:
    """The newest job of this very command that is over, one that succeeded before one that did not; or None."""
    row = db.conn.execute(
        f"""{_JOB} WHERE j.command = ? AND j.status NOT IN ('queued', 'running')
        ORDER BY j.status = 'succeeded' DESC, j.id DESC LIMIT 1""",
        (json.dumps(list(command)),),
    ).fetchone()
    return _job(row) if row else None


def list_jobs(db: Database, limit: int = 200) -> list[Job]:
    """The newest jobs first."""
    return [_job(r) for r in db.conn.execute(f"{_JOB} ORDER BY j.id DESC LIMIT ?", (limit,))]


def job_processes(db: Database) -> list[tuple[int, int | None, float | None]]:
    """(job, process id, start of that process) of the jobs that should be running, and of those that wait to.

    One that was to start a minute ago, has no turn to wait for and still no process is among them, without an id.
    """
    rows = db.conn.execute(
        """SELECT id, pid, pid_started FROM jobs
        WHERE status = 'running' OR (status = 'queued' AND (pid IS NOT NULL OR (turn IS NULL
          AND coalesce(started_at, created_at) < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-60 seconds'))))"""
    )
    return [(int(r[0]), r[1], r[2]) for r in rows]
