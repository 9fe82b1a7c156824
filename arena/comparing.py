"""Workflow: two to six runs side by side: their curves, results, and what differs in their settings and their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlite_utils import Database

from arena.sweep_table import Row, measured
from db import runs
from db.answers import snapshot_answers
from db.catalog import get_prompt, get_response
from db.entities.catalog import Message
from db.entities.runs import Run
from db.errors import UserError
from db.snapshots import get_snapshot, snapshot_pairs
from db.sweeps import Point
from training.alarms import Curves

FEWEST, MOST = 2, 6
EXAMPLES = 3
CURVES = (
    "loss", "eval_loss", "rewards/margins", "eval_rewards/margins", "rewards/accuracies", "eval_rewards/accuracies",
    "accuracy", "eval_accuracy", "mean_token_accuracy", "eval_mean_token_accuracy", "rewards/chosen",
    "eval_rewards/chosen", "rewards/rejected", "eval_rewards/rejected",
)  # fmt: skip
"""what is laid over each other, by the trainers' names; eval_ is on held-out rows"""


class Example(NamedTuple):
    """A row that one run learned from: a prompt with a better and a worse answer, or with one that is good or bad."""

    prompt: Sequence[Message]
    better: str
    worse: str


@dataclass(frozen=True, slots=True)
class Rows:
    """What a run learned from and was tested on. `only`: rows that none of the others has."""

    snapshot: str
    source: str
    train: int
    heldout: int
    shared: int
    only: int
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side, in the order they were named. `settings` has only what is not the same in all."""

    runs: tuple[str, ...]
    results: Mapping[str, Row]
    settings: Mapping[str, Mapping[str, object]]
    rows: Mapping[str, Rows]
    same_rows: bool
    curves: Mapping[str, Curves]
    """{metric: {run: its curve}}"""


def compare(db: Database, names: Sequence[str]) -> Comparison:
    """Lay runs side by side; UserError where they are too few or too many, NotFound where one is not there."""
    chosen = tuple(dict.fromkeys(names))
    if not FEWEST <= len(chosen) <= MOST:
        raise UserError(f"{len(chosen)} runs are named", f"name {FEWEST} to {MOST} different runs")
    found = [runs.get_run(db, name) for name in chosen]
    drawn = {run.name: runs.metrics_of(db, run.id) for run in found}
    return Comparison(
        chosen,
        {r.name: measured(r, Point(n, r.name, {}, None), drawn[r.name]) for n, r in enumerate(found, 1)},
        settings_that_differ(found), _rows(db, found), len({r.snapshot for r in found}) == 1,
        {key: lines for key in CURVES if (lines := {n: c[key] for n, c in drawn.items() if c.get(key)})},
    )  # fmt: skip


def settings_that_differ(found: Sequence[Run]) -> dict[str, dict[str, object]]:
    """{setting: {run: its value}} of what is not the same in all; None where a run has no such setting."""
    flat = [{"kind": r.kind.value, "parent": r.parent, **r.settings} for r in found]
    keys = list(dict.fromkeys(key for one in flat for key in one))
    table = {key: {r.name: one.get(key) for r, one in zip(found, flat, strict=True)} for key in keys}
    return {key: values for key, values in table.items() if len({repr(v) for v in values.values()}) > 1}


Key = tuple[str, str, str]
"""prompt, better and worse response of a row; for answers one by one, what is bad stands as worse alone"""


def _keys(db: Database, snapshot: str) -> list[Key]:
    """The rows of a snapshot as what they say, whether they train or are held out."""
    pairs = [(p.prompt, p.chosen, p.rejected) for p in snapshot_pairs(db, snapshot)]
    return pairs + [
        (a.prompt, a.response if a.good else "", "" if a.good else a.response)
        for a in snapshot_answers(db, snapshot)
    ]


def _rows(db: Database, found: Sequence[Run]) -> dict[str, Rows]:
    keys = {s: _keys(db, s) for s in {r.snapshot for r in found}}
    common = set.intersection(*(set(k) for k in keys.values()))
    made = {}
    for run in found:
        others = set().union(*(keys[s] for s in keys if s != run.snapshot))
        only = [k for k in keys[run.snapshot] if k not in others] if len(keys) > 1 else []
        held = get_snapshot(db, run.snapshot)
        made[run.name] = Rows(held.id, held.source, held.train, held.heldout, len(common), len(only),
                              tuple(_example(db, k) for k in only[:EXAMPLES]))  # fmt: skip
    return made


def _example(db: Database, key: Key) -> Example:
    texts = [(get_response(db, one).text or "") if one else "" for one in key[1:]]
    return Example(get_prompt(db, key[0]).messages, texts[0], texts[1])


RESULTS = {
    "status": "status", "loss": "loss, last quarter", "heldout_loss": "held-out loss",
    "accuracy": "held-out accuracy", "margin": "held-out margin", "loss_variance": "loss variance",
    "memory_gib": "peak memory, GiB", "seconds": "seconds", "verdict": "verdict",
}  # fmt: skip


def result_rows(made: Comparison) -> list[dict[str, object]]:
    """The results as a table, a column a run."""
    return [
        {"": words, **{run: getattr(made.results[run], key) for run in made.runs}}
        for key, words in RESULTS.items()
    ]


def setting_rows(made: Comparison) -> list[dict[str, object]]:
    """The settings that differ as a table, a column a run."""
    return [{"": key, **values} for key, values in made.settings.items()]


def row_rows(made: Comparison) -> list[dict[str, object]]:
    """What the runs learned from as a table, a column a run."""
    words = {"source": "rows from", "train": "rows that train", "heldout": "held out", "shared": "in every run",
             "only": "in this run alone"}  # fmt: skip
    return [
        {"": said, **{run: getattr(made.rows[run], key) for run in made.runs}} for key, said in words.items()
    ]
