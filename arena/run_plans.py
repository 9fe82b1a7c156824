"""Workflow: a run before it starts: what it is asked to do, made concrete, and what is known of it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlite_utils import Database

from arena import beforehand, run_kinds
from arena.demo import ensure_starter
from arena.generating import files_of
from db import runs
from db.campaigns import find_campaign
from db.catalog import find_model, get_model
from db.connection import Home, checked_name
from db.entities.campaigns import Campaign
from db.entities.catalog import Model
from db.entities.runs import Run, RunKind, Snapshot
from db.errors import Conflict, UserError
from db.snapshots import get_snapshot, raters_of_snapshot
from labeling.policy import PairPolicy, policy_from, policy_of
from training.folders import count_parameters
from training.presets import default_preset, preset_of
from training.settings import Settings, from_mapping, with_overrides
from training.snapshots import Source, votes_left_out

if TYPE_CHECKING:
    from training.answers import AnswerPreflight
    from training.preflight import Preflight

RELATIVE = ("parent", "base", "champion")
"""what --against means besides a model's name"""


@dataclass(frozen=True, slots=True)
class Request:
    """What `train KIND` is asked to do."""

    parent: str
    source: Source
    kind: RunKind = RunKind.DPO
    snapshot: str | None = None
    policy: PairPolicy = field(default_factory=PairPolicy)
    preset: str | None = None
    overrides: Sequence[str] = ()
    reference: str = "parent"
    against: str = "parent"
    name: str | None = None
    rematch: bool = True
    fit: bool = False
    """change what must be changed for the run to fit into memory"""
    base: Settings | None = None
    """the settings to start from instead of the preset's"""
    like: str | None = None
    """the run that this one repeats with a change"""
    accelerate: str | None = None
    """several processes: their number, or an accelerate config file"""


def request_from(home: Home, options: Mapping[str, Any], kind: RunKind = RunKind.DPO) -> Request:
    """A request from the options of `train KIND`. A file is imported first, under its own name."""
    given = [options["campaigns"], options["pairs"], options["snapshot"], options.get("data")]
    if sum(bool(source) for source in given) != 1:
        data = ", --data" if "data" in options else ""
        raise UserError("say once what to train on", f"give one of --campaign, --pairs{data} or --snapshot")
    _check_meant(kind, options)
    pairs, answers = options["pairs"], options.get("data")
    if kind is not RunKind.SFT:
        pairs, answers = pairs or answers, None
    source = Source(
        tuple(options["campaigns"]),
        _pairs_named(home, pairs),
        _data_named(home, answers),
        options.get("replay") or 0.0,
    )
    if options["snapshot"] and (options.get("replay") or options.get("without")):
        raise UserError(
            "a frozen snapshot stays as it is", "leave --replay and --without out, or name a campaign"
        )
    return Request(
        parent=options["parent"], source=source, kind=kind, snapshot=options["snapshot"], policy=policy_of(options),
        preset=options["preset"], overrides=options["overrides"], reference=options.get("reference", "parent"),
        against=options.get("against", "parent"), name=options["name"],
        rematch=kind is not RunKind.REWARD and not options.get("no_rematch", True), fit=bool(options.get("fit")), accelerate=config_named(options.get("accelerate")),
    )  # fmt: skip


def _check_meant(kind: RunKind, options: Mapping[str, Any]) -> None:
    """UserError for an option that says nothing to this kind of run."""
    if kind is not RunKind.DPO and options.get("reference", "parent") != "parent":
        raise UserError(
            f"a {kind} run is held against nothing but the model it starts from",
            "leave --reference out, or use `train dpo`, which takes another one",
        )
    if kind is RunKind.REWARD and options.get("against", "parent") != "parent":
        raise UserError("a reward model answers nothing, so it meets no other model", "leave --against out")


def config_named(accelerate: str | None) -> str | None:
    """A number of processes as it is; a file by its whole path, so that a resumed run finds it."""
    return str(Path(accelerate).resolve()) if accelerate and not accelerate.isdigit() else accelerate


def _pairs_named(home: Home, pairs: str | None) -> str | None:
    """The pair set, imported first where a file is named."""
    if pairs is None or not Path(pairs).is_file():
        return pairs
    from labeling.importing import ImportKind, import_file

    return import_file(home, ImportKind.PAIRS, pairs).pair_set


def _data_named(home: Home, data: str | None) -> str | None:
    """The name of a file's answers once they are imported, or the name as it is."""
    if data is None or not Path(data).is_file():
        return data
    from labeling.importing import ImportKind, import_file

    made = import_file(home, ImportKind.RESPONSES, data)
    if made.prompt_set is None:
        raise UserError(f"no row of {data} could be read", f"see {made.refused_file}")
    return made.prompt_set


class Plan(NamedTuple):
    """A request made concrete: nothing is written yet but the snapshot."""

    name: str
    kind: RunKind
    parent: Model
    reference: Model
    snapshot: Snapshot
    settings: Settings
    preset: str
    campaign: Campaign | None
    like: str | None = None
    accelerate: str | None = None
    fitted: tuple[str, ...] = ()
    """what was changed so that the run fits into memory"""


def plan(db: Database, home: Home, request: Request) -> Plan:
    """Check a request and freeze its snapshot; UserError says what is missing."""
    parent = ensure_starter(db, request.parent)
    files = files_of(home, parent)  # UserError: a model without weights cannot be trained
    reference = parent if request.reference == "parent" else ensure_starter(db, request.reference)
    chosen = request.preset or default_preset(count_parameters(files.source), parent.quantize)
    settings = request.base or preset_of(request.kind, chosen).settings
    seed = with_overrides(
        settings, [o for o in request.overrides if o != run_kinds.MEASURED]
    ).seed  # UserError before freezing
    name = checked_name(request.name or next_name(db, parent), "model")
    if request.rematch and request.against not in RELATIVE:
        ensure_starter(db, request.against)  # UserError now rather than after the training
    if find_model(db, name) is not None:
        raise Conflict(f"there is already a model named {name!r}", "choose another --name")
    snapshot = (
        get_snapshot(db, request.snapshot)
        if request.snapshot
        else run_kinds.frozen(db, request.kind, _seeded(request.source, seed), request.policy)
    )
    run_kinds.check_shape(db, request.kind, snapshot)
    settings = with_overrides(
        settings, run_kinds.with_measured(db, request.overrides, snapshot, request.policy)
    )
    made = Plan(
        name, request.kind, parent, reference, snapshot, settings, chosen, _campaign_of(db, snapshot), request.like,
        request.accelerate,
    )  # fmt: skip
    return _fitting(db, home, made) if request.fit else made


def _fitting(db: Database, home: Home, made: Plan) -> Plan:
    """The plan with the smallest change that fits into the memory that is free."""
    needs = _needs(home, made, _look(db, home, made))
    if needs is None:
        raise UserError(f"how large {made.parent.name} is cannot be read before it is loaded",
                        "leave --fit out, or add the model from a folder")  # fmt: skip
    found = beforehand.fitted(needs, made.settings)
    if not found.fits:
        raise UserError(
            f"no change makes the run fit: it would take about {beforehand.gib(needs.estimate(found.settings).total)} and "
            f"{beforehand.gib(needs.room.free)} of {needs.room.words} are free",
            "end what else runs here, or start from a smaller model",
        )
    return made._replace(settings=found.settings, fitted=tuple(beforehand.in_words(found)))


def _look(db: Database, home: Home, made: Plan) -> "AnswerPreflight | Preflight":
    return run_kinds.look(db, made.kind, made.snapshot, files_of(home, made.parent), made.settings)


def _needs(home: Home, made: Plan, seen: "AnswerPreflight | Preflight") -> beforehand.Needs | None:
    """What the memory of a plan is estimated from; None where its size is not known here."""
    other = None if made.reference.name == made.parent.name else files_of(home, made.reference)
    return beforehand.needs_of(
        files_of(home, made.parent), other, seen.lengths.get("max", made.settings.max_length)
    )


def _seeded(source: Source, seed: int) -> Source:
    """The source, its older votes drawn by the run's seed; a run that is repeated draws them as it did."""
    return source if source.until or not source.replay else source._replace(seed=seed)


def _campaign_of(db: Database, snapshot: Snapshot) -> Campaign | None:
    """The (first) campaign a snapshot's votes come from."""
    kind, _, names = snapshot.source.partition(":")
    return find_campaign(db, names.split(",")[0]) if kind == "votes" else None


def next_name(db: Database, parent: Model) -> str:
    """A free name for a candidate of this parent: NAME-r1, NAME-r2, ..."""
    stem, _, tail = parent.name.rpartition("-r")
    stem, n = (stem, int(tail)) if stem and tail.isdigit() else (parent.name, 0)
    taken = {r.name for r in runs.list_runs(db)}
    while True:
        n += 1
        if find_model(db, f"{stem}-r{n}") is None and f"{stem}-r{n}" not in taken:
            return f"{stem}-r{n}"


def preflight(db: Database, home: Home, request: Request) -> "AnswerPreflight | Preflight":
    """What the trainer would see of a request, without training."""
    made = plan(db, home, request)
    seen = _look(db, home, made)
    if request.snapshot or request.source.data or request.source.pair_set:
        return seen
    return replace(seen, left_out=votes_left_out(db, request.source, request.policy))


class DryRun(NamedTuple):
    """What a request would do: nothing is trained, registered or opened, only its rows are frozen."""

    kind: RunKind
    name: str
    parent: str
    reference: str
    snapshot: str
    preset: str
    why: str
    settings: dict[str, object]
    trained: int
    evaluated: int
    steps: int
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    memory: dict[str, object] | None
    """the estimate by parts, in bytes, against what is free; None where the model's size is not known here"""
    fitted: tuple[str, ...]


def dry_run(db: Database, home: Home, request: Request) -> DryRun:
    """Everything that is known of a run before it starts; UserError where it could not start."""
    made = plan(db, home, request)
    seen = _look(db, home, made)
    needs = _needs(home, made, seen)
    s = made.settings
    steps = s.max_steps or math.ceil(-(-seen.trained // s.effective_batch) * s.epochs)
    return DryRun(
        made.kind, made.name, made.parent.name, made.reference.name, made.snapshot.id, made.preset,
        preset_of(made.kind, made.preset).why, asdict(s), seen.trained, seen.evaluated, steps, seen.problems,
        seen.warnings, beforehand.memory_of(needs, s).as_json() if needs else None, made.fitted,
    )  # fmt: skip


def plan_of(db: Database, run: Run) -> Plan:
    """The plan a run was begun with, as its row tells it."""
    snapshot, settings = get_snapshot(db, run.snapshot), settings_of(run)
    return Plan(
        run.name, run.kind, get_model(db, run.parent), get_model(db, str(run.settings["reference"])), snapshot,
        settings, str(run.settings["preset"]), _campaign_of(db, snapshot), _like_of(run),
        str(run.settings["accelerate"]) if "accelerate" in run.settings else None,
    )  # fmt: skip


def settings_of(run: Run) -> Settings:
    """The trainer's settings as a run recorded them."""
    extra = ("preset", "reference", "against", "like", "accelerate")
    return from_mapping({k: v for k, v in run.settings.items() if k not in extra}, run.kind)


def _like_of(run: Run) -> str | None:
    like = run.settings.get("like")
    return None if like is None else str(like)


def again(
    db: Database, name: str, without: Sequence[str], *, new: str | None = None, against: str | None = None,
    rematch: bool = True,
) -> Request:  # fmt: skip
    """What a run was asked to do, once more, but without the votes of these raters; with none, the same run again.

    Parent, settings, preset, reference, policy, replayed votes and seed are the run's; votes given since are not read,
    votes taken back since stay out. UserError where it did not learn from votes, or from none of such a rater.
    """
    run = runs.get_run(db, name)
    snapshot = get_snapshot(db, run.snapshot)
    kind, _, names = snapshot.source.partition(":")
    if kind != "votes":
        raise UserError(f"{name} did not learn from votes of a campaign ({snapshot.source})",
                        "start a new run with `train`")  # fmt: skip
    known = raters_of_snapshot(db, snapshot.id)
    for rater in without:
        if rater not in known:
            shown = ", ".join(sorted(known)[:12])
            raise UserError(
                f"no row {name} learned from rests on a vote of {rater!r}", f"choose one of: {shown}"
            )
    stored = json.loads(snapshot.policy)
    policy = policy_from(stored)
    old: Mapping[str, Any] = stored.get("replay") or {}
    source = Source(
        () if names == "all" else tuple(names.split(",")), replay=float(old.get("share", 0.0)),
        seed=int(old.get("seed", 0)), until=snapshot.created_at,
    )  # fmt: skip
    reference = str(run.settings["reference"])
    return Request(
        parent=run.parent, source=source, kind=run.kind,
        policy=replace(policy, without=tuple(dict.fromkeys((*policy.without, *without)))),
        preset=str(run.settings["preset"]), reference="parent" if reference == run.parent else reference,
        against=against or str(run.settings.get("against") or "parent"), name=new or _free_run(db, name, without),
        rematch=rematch and run.kind is not RunKind.REWARD, base=settings_of(run), like=name,
    )  # fmt: skip


def _free_run(db: Database, name: str, without: Sequence[str]) -> str:
    """A free name that says what is different."""
    stem = f"{name}-without-{'-'.join(without)}" if without else f"{name}-again"
    taken = {r.name for r in runs.list_runs(db)}
    names = chain((stem[:70],), (f"{stem[:70]}-{n}" for n in count(2)))
    return next(n for n in names if n not in taken and find_model(db, n) is None)
