"""What a run logs: a line of metrics.jsonl a step. Light at import: the web process reads it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from db.files import written_file


@dataclass(frozen=True, slots=True)
class Metric:
    """What the trainer logged after `step` of `total_steps` optimizer steps, under the trainer's own keys."""

    step: int
    total_steps: int
    values: dict[str, float]


def read_metrics(path: Path) -> list[Metric]:
    """The metrics written so far; a last line still being written is left for the next reading."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [Metric(**json.loads(line)) for line in lines]


def cut_after(path: Path, step: int | None) -> None:
    """Forget the metrics after a step (None: all of them): the run takes those steps again."""
    kept = [m for m in read_metrics(path) if step is not None and m.step <= step]
    with written_file(path) as aside:
        aside.write_text("".join(json.dumps(asdict(m)) + "\n" for m in kept), encoding="utf-8")
