"""Workflow: one record a round: snapshot, run, candidate, blind rematch, decision; and what comes next."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from sqlite_utils import Database

from arena.figure_tables import as_csv
from arena.plain import as_object, plain
from arena.promoting import Against, Detail, Standing, weigh
from db import runs
from db.campaigns import coverage, list_campaigns
from db.catalog import list_models
from db.entities.campaigns import Campaign, CampaignStatus, Purpose
from db.entities.catalog import Model
from db.entities.runs import Run, RunKind, RunStatus, Snapshot
from db.promotions import Promotion, promotions
from db.snapshots import get_snapshot
from db.sweeps import swept_runs


class State(StrEnum):
    """Where a round stands."""

    TRAINING = "training"
    FAILED = "failed"
    REMOVED = "model removed"
    NO_REMATCH = "no rematch"
    RATING = "rating"
    PROMOTE = "ready to promote"
    UNDECIDED = "undecided"
    CHAMPION = "champion"
    FOLLOWED = "was champion"
    ROLLED_BACK = "rolled back"


class Counted(NamedTuple):
    """A campaign of a candidate and how far it is."""

    name: str
    status: str
    votes: int
    wanted: int

    @property
    def short(self) -> bool:
        """Whether it is open and still wants votes."""
        return self.status == CampaignStatus.OPEN and self.votes < self.wanted


@dataclass(frozen=True, slots=True)
class Round:
    """One round. `number` counts the trained models from the first of the line to this one."""

    number: int
    run: str
    kind: RunKind
    status: RunStatus
    started_at: str
    seconds: float | None
    error: str | None
    parent: str
    reference: str | None
    snapshot: str
    source: str
    policy: Mapping[str, object]
    train: int
    heldout: int
    reference_proof: Mapping[str, object] | None
    candidate: str | None
    rematch: Counted | None
    collect: Counted | None
    standing: Standing | None
    promotion: Promotion | None
    """the last one of this candidate"""
    state: State

    @property
    def against(self) -> list[tuple[Against, Detail]]:
        """The evidence against each rival with its figures."""
        return list(zip(self.standing.rivals, self.standing.details, strict=True)) if self.standing else []

    def next(self) -> str:
        """What to do next, in a sentence or two."""
        name, rematch = self.candidate or self.run, self.rematch
        found = self.standing.words() if self.standing else ""
        match self.state:
            case State.TRAINING:
                return f"{self.run} is training; its blind rematch opens by itself."
            case State.FAILED:
                return f"The run ended without a model ({self.error}). `train resume {self.run}` goes on with it."
            case State.REMOVED:
                return f"{self.run} made its model, which was taken off the list of models since; its record stays."
            case State.NO_REMATCH:
                return f"{name} has no blind rematch. Make one: a campaign that evaluates it against its parent on held-out prompts."
            case State.RATING:
                assert rematch is not None
                return f"Rate the blind rematch: {rematch.votes} of {rematch.wanted} votes. {found}"
            case State.PROMOTE:
                return f"Promote {name}. {found}"
            case State.UNDECIDED:
                return f"The rematch has its votes and the rule does not promote {name}. {found} Collect more votes, promote it by hand with a reason, or train the next round."
            case State.CHAMPION:
                return f"{name} is the champion. The next round starts from it: train it on new votes."
            case State.ROLLED_BACK:
                return f"The promotion of {name} was rolled back; its record stays. {found}"
            case State.FOLLOWED:
                return f"{name} was the champion until another was promoted."


def rounds(db: Database, *, simulated: bool = False) -> list[Round]:
    """Every round, newest first: each run of a model that answers. Runs of a sweep are no rounds.

    simulated: weigh votes of simulated raters too.
    """
    models = {m.name: m for m in list_models(db)}
    campaigns, made = list_campaigns(db), promotions(db)
    swept, every = swept_runs(db), runs.list_runs(db)
    trained = {r.model for r in every}
    found = [r for r in every if r.kind is not RunKind.REWARD and r.name not in swept]
    return [
        _round(db, run, _depth(run, models, trained), models, campaigns, made, simulated) for run in found
    ]


def _round(
    db: Database, run: Run, number: int, models: Mapping[str, Model], campaigns: Sequence[Campaign],
    made: Sequence[Promotion], simulated: bool,
) -> Round:  # fmt: skip
    snapshot = get_snapshot(db, run.snapshot)
    own = [c for c in campaigns if c.parent_run == run.id]
    rematch = _counted(db, [c for c in own if c.settings.purpose is Purpose.EVALUATE])
    candidate = run.model if run.model in models else None
    standing = weigh(db, candidate, simulated=simulated, details=True) if candidate else None
    promotion = next((p for p in reversed(made) if p.model == run.model), None)
    return Round(
        number, run.name, run.kind, run.status, run.started_at,
        run.seconds, run.error, run.parent, _text(run.settings.get("reference")), snapshot.id, snapshot.source,
        _policy(snapshot), snapshot.train, snapshot.heldout, run.reference_proof, candidate, rematch,
        _counted(db, [c for c in own if c.settings.purpose is Purpose.COLLECT]), standing, promotion,
        _state(run, rematch, standing, promotion),
    )  # fmt: skip


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _policy(snapshot: Snapshot) -> Mapping[str, object]:
    policy: dict[str, object] = json.loads(snapshot.policy)
    return policy


def _counted(db: Database, campaigns: Sequence[Campaign]) -> Counted | None:
    """The newest of these campaigns with its counts."""
    if not campaigns:
        return None
    covered = coverage(db, campaigns[-1])
    return Counted(campaigns[-1].name, campaigns[-1].status.value, covered.votes, covered.wanted)


def _depth(run: Run, models: Mapping[str, Model], trained: set[str | None]) -> int:
    """1 for a run of a model that was not trained here, one more for each trained ancestor."""
    depth, parent = 1, models.get(run.parent)
    while parent is not None:
        depth += parent.name in trained
        parent = models.get(parent.parent or "")
    return depth


def _state(
    run: Run, rematch: Counted | None, standing: Standing | None, promotion: Promotion | None
) -> State:
    if run.status is RunStatus.RUNNING:
        return State.TRAINING
    if run.status is not RunStatus.SUCCEEDED:
        return State.FAILED
    if standing is None:
        return State.REMOVED
    if standing.leads:
        return State.CHAMPION
    if promotion is not None and promotion.stands:
        return State.FOLLOWED
    if promotion is not None:
        return State.ROLLED_BACK
    if standing.promotes:
        return State.PROMOTE
    if rematch is None:
        return State.NO_REMATCH
    return State.RATING if rematch.short else State.UNDECIDED


# -- taking them home ------------------------------------------------------------------------------------------


def to_json(found: Sequence[Round]) -> list[dict[str, object]]:
    """The rounds as `rounds --json` prints them."""
    rows = []
    for one in found:
        rivals = [{**as_object(a), "beats": a.beats, "loses": a.loses, **_figures(d)} for a, d in one.against]
        rows.append({
            **as_object(one), "standing": None if one.standing is None else {
                "champion": one.standing.champion, "promotes": one.standing.promotes,
                "simulated": one.standing.simulated, "words": one.standing.words(), "rivals": rivals,
            }, "next": one.next(),
        })  # fmt: skip
    return rows


def _figures(detail: Detail) -> dict[str, object]:
    """The win rate with its interval, ties half, and the judges beside it."""
    f = detail.figures
    return {
        "win_rate": f.win_rate_a if f else None, "ci95": plain(f.ci95) if f else None,
        "ci_method": f.ci_method if f else "none: no votes", "judges": plain(detail.judges),
    }  # fmt: skip


HEADS = (
    "round", "run", "kind", "status", "state", "parent", "reference", "snapshot", "source", "train", "heldout",
    "proof_ok", "proof_margin", "candidate", "rematch", "rematch_votes", "rematch_wanted", "rival", "role", "votes",
    "wins", "losses", "ties", "raters", "simulated", "win_rate", "ci95_low", "ci95_high", "e_value", "p", "cs95_low",
    "cs95_high", "votes_to_go", "promoted_at", "promoted_by", "way", "reason", "rolled_back_at", "rolled_back_by", "next",
)  # fmt: skip


def to_csv(found: Sequence[Round]) -> str:
    """The same as a table: a row for each rival of a round, one for a round without any."""
    rows: list[Sequence[object]] = [HEADS]
    for one in found:
        pairs: list[tuple[Against, Detail] | None] = [*one.against] or [None]
        rows += [[*_left(one), *_middle(pair), *_right(one)] for pair in pairs]
    return as_csv(rows)


def _left(r: Round) -> list[object]:
    proof, rematch = r.reference_proof or {}, r.rematch
    return [r.number, r.run, r.kind, r.status, r.state, r.parent, r.reference, r.snapshot, r.source, r.train, r.heldout,
            proof.get("ok"), proof.get("margin"), r.candidate, *((rematch.name, rematch.votes, rematch.wanted) if rematch else ("", "", ""))]  # fmt: skip


def _middle(pair: tuple[Against, Detail] | None) -> list[object]:
    if pair is None:
        return [""] * 16
    a, f = pair[0], pair[1].figures
    ci = f.ci95 if f else None
    return [a.rival, a.role, a.n, a.wins, a.losses, a.ties, a.raters, a.simulated, f.win_rate_a if f else "",
            ci.low if ci else "", ci.high if ci else "", a.e_value, a.p, a.cs95.low, a.cs95.high,
            "" if a.to_go.expected is None else a.to_go.expected]  # fmt: skip


def _right(r: Round) -> list[object]:
    p = r.promotion
    decided = (
        (p.at, p.who, p.way, p.reason, p.rolled_back_at or "", p.rolled_back_by or "") if p else ("",) * 6
    )
    return [*decided, r.next()]


def to_lines(found: Sequence[Round]) -> list[str]:
    """The same for a terminal."""
    lines: list[str] = []
    for one in reversed(found):
        lines += [
            f"round {one.number}: {one.run} ({one.kind}) from {one.parent}, {one.train} rows of snapshot {one.snapshot[:12]}",
            f"  {one.state}: {one.next()}",
        ]
    return lines or ["no round yet: `train dpo --from MODEL --campaign C` makes the first"]
