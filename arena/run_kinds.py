"""The kinds of run: what each freezes, looks at beforehand, trains with, and is compared by afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlite_utils import Database

from arena.intervals import wilson
from arena.judging import Judge, reward_judge
from db.answers import snapshot_answers
from db.connection import Home
from db.entities.catalog import Split
from db.entities.runs import RunKind, Snapshot
from db.errors import UserError
from db.voices import voices, votes_of_snapshot
from labeling.policy import PairPolicy
from training.balance import balance
from training.presets import warnings_for
from training.settings import ModelFiles, RunSpec, Settings
from training.snapshots import Source, freeze, freeze_answers, measured_flips, write_rows

if TYPE_CHECKING:
    from training.answers import AnswerPreflight
    from training.metrics import Metric
    from training.preflight import Preflight
    from training.running import Trained

PAIRED = (RunKind.DPO, RunKind.REWARD)
MEASURED = "label_smoothing=measured"


def frozen(db: Database, kind: RunKind, source: Source, policy: PairPolicy) -> Snapshot:
    """The snapshot a run of this kind learns from: pairs, or answers one by one."""
    if kind is RunKind.KTO or source.data:
        return freeze_answers(db, source, policy)
    return freeze(db, source, policy)


def check_shape(db: Database, kind: RunKind, snapshot: Snapshot) -> None:
    """UserError where a snapshot of answers is given to a kind that needs pairs."""
    if kind in PAIRED and snapshot_answers(db, snapshot.id):
        raise UserError(
            f"snapshot {snapshot.id[:12]} holds answers one by one, and {kind} learns from pairs",
            "use it with sft or kto, or name a campaign",
        )


def with_measured(
    db: Database, overrides: Sequence[str], snapshot: Snapshot, policy: PairPolicy
) -> list[str]:
    """The overrides with `label_smoothing=measured` replaced by the share of votes that their overlap shows to be wrong."""
    if MEASURED not in overrides:
        return list(overrides)
    rate = measured_flips(db, snapshot, policy)
    return [f"label_smoothing={rate:.4f}" if text == MEASURED else text for text in overrides]


def train(
    spec: RunSpec[Any],
    observe: Callable[[Metric], None],
    should_stop: Callable[[], bool],
    accelerate: str | None = None,
) -> Trained:
    """Run the spec with the trainer of its kind: here, or in the processes of an accelerate config. Loads torch."""
    trained: Trained
    if accelerate:
        from training.launching import train_across

        trained = train_across(spec, accelerate, observe, should_stop)
    else:
        from training.rank import train_here

        trained = train_here(spec, observe, should_stop)
    return trained


def check_accelerate(config: str | None) -> None:
    """UserError where the processes of an accelerate config cannot be started here. Loads torch where there is one."""
    if config is not None:
        from training.launching import launch_of

        launch_of(config)


def look(
    db: Database, kind: RunKind, snapshot: Snapshot, files: ModelFiles, settings: Settings
) -> AnswerPreflight | Preflight:
    """What the trainer would see of a snapshot and whose votes it is made of, without training. Loads a tokenizer only."""
    found = _look(db, kind, snapshot, files, settings)
    spread = balance(voices(db, votes_of_snapshot(db, snapshot.id)))
    return replace(found, balance=spread, warnings=(*warnings_for(settings, found.trained), *spread.warnings))


def _look(
    db: Database, kind: RunKind, snapshot: Snapshot, files: ModelFiles, settings: Settings
) -> AnswerPreflight | Preflight:
    from training.answers import look as look_at_answers
    from training.answers import read_answers
    from training.loading import scorer_tokenizer, tokenizer_for
    from training.preflight import preflight, read_rows
    from training.scoring import preflight_scored

    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "pairs.jsonl"
        write_rows(db, snapshot.id, rows)
        if kind is RunKind.REWARD:
            return preflight_scored(read_rows(rows), scorer_tokenizer(files.source), settings)
        if kind is RunKind.DPO:
            return preflight(rows, tokenizer_for(files), settings)
        answers = read_answers(rows, good_only=kind is RunKind.SFT)
        return look_at_answers(answers, tokenizer_for(files), settings)


# -- how good a reward model is ------------------------------------------------------------------------------------


class Accuracy(NamedTuple):
    """How often a reward model scores what people chose higher, on held-out pairs; equal scores count half."""

    scorer: str
    n: int
    accuracy: float | None
    ci95: tuple[float, float] | None
    why: str | None = None


def heldout_accuracies(db: Database, home: Home, rows: Path, own: Judge) -> list[dict[str, object]]:
    """The new reward model beside the home's own or the stock one, on the held-out pairs of a snapshot file."""
    from training.preflight import read_rows

    pairs = [row for row in read_rows(rows) if row.part is Split.HELDOUT and not row.identical]
    found = []
    for judge in (own, reward_judge(db, home)):
        try:
            found.append(_accuracy(judge, pairs))
        except UserError as error:
            found.append(Accuracy(judge.name, len(pairs), None, None, str(error)))
    return [one._asdict() for one in found]


def _accuracy(judge: Judge, pairs: Sequence[Any]) -> Accuracy:
    if not pairs:
        return Accuracy(judge.name, 0, None, None, "no pair is held out")
    from arena.players.scorer import RewardScorer

    said = [
        (p.prompt, "\n\n".join(m["content"] for m in side)) for p in pairs for side in (p.chosen, p.rejected)
    ]
    scores = [s.score for s in RewardScorer(judge.source).score(said)]
    right = sum((a > b) + (a == b) / 2 for a, b in zip(scores[::2], scores[1::2], strict=True))
    band = wilson(right, len(pairs))
    return Accuracy(judge.name, len(pairs), right / len(pairs), (band.low, band.high) if band else None)
