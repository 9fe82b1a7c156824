"""What is trained: snapshots, runs, and the jobs they run in."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class RunKind(StrEnum):
    """The kinds of training."""

    SFT = "sft"
    DPO = "dpo"
    KTO = "kto"
    REWARD = "reward"


class RunStatus(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The exact pairs a run trains on, hashed before it starts."""

    id: str
    source: str
    policy: str
    train: int
    heldout: int
    created_at: str


@dataclass(frozen=True, slots=True)
class Run:
    """One training."""

    id: int
    name: str
    kind: RunKind
    parent: str
    snapshot: str
    status: RunStatus
    folder: str
    settings: Mapping[str, object]
    reference_proof: Mapping[str, object] | None
    metrics: Mapping[str, object] | None
    campaign: int | None
    model: str | None
    job: int | None
    error: str | None
    rematch: str | None
    started_at: str
    finished_at: str | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Job:
    """A launch.py command in a child process, whoever started it."""

    id: int
    command: tuple[str, ...]
    status: JobStatus
    progress: float | None
    message: str
    log: str | None
    pid: int | None
    exit_code: int | None
    run: int | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    turn: int | None = None
    """its place in the queue, among those that wait; None: it does not wait"""
    slot: int | None = None
    """the accelerator it holds or held; None: it needs none"""
