"""Workflow: one turn of the loop. Votes -> frozen snapshot -> run -> candidate -> responses, scores, blind rematch."""

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlite_utils import Database

from arena import beforehand, jobs, kinds, modelcards
from arena.demo import ensure_starter
from arena.generating import files_of, generate, settings_like
from arena.judging import Judge, reward_judge, score_campaign
from arena.players import GenerationSettings
from arena.registry import NothingToCompare, compare
from db import runs
from db.campaigns import find_campaign, list_campaigns
from db.catalog import find_model, get_model, prompt_sets, prompts_of
from db.connection import Home, checked_name, transaction
from db.entities import (
    Campaign,
    CampaignSettings,
    Model,
    ModelKind,
    Purpose,
    Run,
    RunKind,
    RunStatus,
    Snapshot,
    Split,
)
from db.errors import Conflict, UserError
from labeling.policy import PairPolicy, policy_from, policy_of
from training import checkpoints
from training.folders import count_parameters
from training.presets import default_preset, preset_of, warnings_for
from training.settings import RunSpec, Settings, from_mapping, with_overrides
from training.snapshots import Source, votes_left_out, write_rows

if TYPE_CHECKING:
    from training.answers import AnswerPreflight
    from training.monitoring import Metric
    from training.preflight import Preflight
    from training.running import Trained

REMATCH_OVERLAP = 5
MOST_TRAIN, MOST_HELDOUT = 300, 200
"""prompts a candidate answers for its two campaigns"""
FEW_HELDOUT = 10
RELATIVE = ("parent", "base", "champion")
"""what --against means besides a model's name"""

Say = Callable[[float | None, str], None]


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
    source = Source(
        tuple(options["campaigns"]),
        _pairs_named(home, options["pairs"]),
        _data_named(home, options.get("data")),
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
        rematch=not options.get("no_rematch", True), fit=bool(options.get("fit")), accelerate=_config_named(options.get("accelerate")),
    )  # fmt: skip


def _config_named(accelerate: str | None) -> str | None:
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
        settings, [o for o in request.overrides if o != kinds.MEASURED]
    ).seed  # UserError before freezing
    name = checked_name(request.name or next_name(db, parent), "model")
    if request.rematch and request.against not in RELATIVE:
        ensure_starter(db, request.against)  # UserError now rather than after the training
    if find_model(db, name) is not None:
        raise Conflict(f"there is already a model named {name!r}", "choose another --name")
    snapshot = (
        runs.get_snapshot(db, request.snapshot)
        if request.snapshot
        else kinds.frozen(db, request.kind, _seeded(request.source, seed), request.policy)
    )
    kinds.check_shape(db, request.kind, snapshot)
    settings = with_overrides(settings, kinds.with_measured(db, request.overrides, snapshot, request.policy))
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
    return kinds.look(db, made.kind, made.snapshot, files_of(home, made.parent), made.settings)


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


class Outcome(NamedTuple):
    """What a turn of the loop made. `note` says what of the last part did not work."""

    run: Run
    rematch: str | None
    note: str


def retrain(db: Database, home: Home, request: Request, job: jobs.ThisJob) -> Outcome:
    """Run the whole turn. The run stays succeeded if what comes after it fails."""
    kinds.check_accelerate(request.accelerate)
    job.say(0.0, "freezing the pairs")
    made = plan(db, home, request)
    for change in made.fitted:
        job.say(None, f"to fit into memory, {change}")
    for warning in warnings_for(made.settings, made.snapshot.train):
        job.say(None, f"note: {warning}")
    against = request.against if request.rematch else None
    return _finish(db, home, made, _begin(db, home, made, against, job), against, job)


def resume(db: Database, home: Home, name: str, job: jobs.ThisJob, accelerate: str | None = None) -> Outcome:
    """Let a run that failed or was cancelled go on, under its name, from its newest checkpoint that verifies.

    `accelerate`: in other processes than it had, also when it is resumed again.
    """
    jobs.reconcile(db)
    run = runs.get_run(db, name)
    made, other = plan_of(db, run), _config_named(accelerate)
    made = made._replace(accelerate=other or made.accelerate)
    kinds.check_accelerate(made.accelerate)
    run = runs.restart_run(
        db, run.id, job=job.id, pid=os.getpid(), pid_started=jobs.own_start(), accelerate=other
    )
    # A model that was written but never registered belongs to no run: it is made again.
    shutil.rmtree(home.root / run.folder / "model", ignore_errors=True)
    against = run.settings.get("against")
    return _finish(db, home, made, run, None if against is None else str(against), job)


def plan_of(db: Database, run: Run) -> Plan:
    """The plan a run was begun with, as its row tells it."""
    snapshot, settings = runs.get_snapshot(db, run.snapshot), settings_of(run)
    return Plan(
        run.name, run.kind, get_model(db, run.parent), get_model(db, str(run.settings["reference"])), snapshot,
        settings, str(run.settings["preset"]), _campaign_of(db, snapshot), _like_of(run),
        str(run.settings["accelerate"]) if "accelerate" in run.settings else None,
    )  # fmt: skip


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
    snapshot = runs.get_snapshot(db, run.snapshot)
    kind, _, names = snapshot.source.partition(":")
    if kind != "votes":
        raise UserError(f"{name} did not learn from votes of a campaign ({snapshot.source})",
                        "start a new run with `train`")  # fmt: skip
    known = runs.raters_of_snapshot(db, snapshot.id)
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


def _finish(
    db: Database, home: Home, made: Plan, run: Run, against: str | None, job: jobs.ThisJob
) -> Outcome:
    """Train and register, then let the candidate meet its rival (None: no rematch)."""
    model = _train(db, home, made, run, job)
    note = ""
    if against is not None:
        try:
            open_rematch(db, home, model, made.campaign, against, job.say, job.should_stop)
        except UserError as error:
            opened = runs.run_by_id(db, run.id).rematch
            lacks = "its rematch lacks something" if opened else "it has no rematch"
            note = f"{model.name} is registered, but {lacks}: {error}"
    run = runs.run_by_id(db, run.id)
    return Outcome(run, run.rematch, note)


def _begin(db: Database, home: Home, made: Plan, against: str | None, job: jobs.ThisJob) -> Run:
    """The run's row, where no other is active and its folder is free."""
    jobs.reconcile(db)
    folder = home.runs / made.name
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty", "choose another --name")
    settings = {
        **asdict(made.settings),
        "preset": made.preset,
        "reference": made.reference.name,
        "against": against,
        **({"like": made.like} if made.like else {}),
        **({"accelerate": made.accelerate} if made.accelerate else {}),
    }
    return runs.add_run(
        db, made.name, made.kind, parent=made.parent.name, snapshot=made.snapshot.id,
        folder=home.relative(folder), settings=settings,
        campaign=made.campaign.id if made.campaign else None, job=job.id, pid=os.getpid(),
        pid_started=jobs.own_start(),
    )  # fmt: skip


def _train(db: Database, home: Home, made: Plan, run: Run, job: jobs.ThisJob) -> Model:
    """Train and register; a run that fails or is cancelled says so in the database before the error goes on."""
    job.say(0.02, "loading the model")
    folder = home.runs / made.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_rows(db, made.snapshot.id, folder / "pairs.jsonl")
        trained = kinds.train(
            spec_of(home, made, folder), _observer(db, run, job), job.should_stop, made.accelerate
        )
        model = _register(db, home, made, run, trained, _compared(db, home, made, folder))
        checkpoints.drop(folder)  # from here on the model is what the run made
        modelcards.write(db, home, model.name)
        return model
    except BaseException as error:
        status = RunStatus.CANCELLED if job.should_stop() else RunStatus.FAILED
        runs.end_run(db, run.id, status, str(error) or type(error).__name__)
        raise


def _compared(db: Database, home: Home, made: Plan, folder: Path) -> dict[str, object]:
    """What a reward model is worth beside the home's own, on held-out pairs; nothing for the other kinds."""
    if made.kind is not RunKind.REWARD:
        return {}
    own = Judge(made.name, str(folder / "model"))
    return {"heldout": kinds.heldout_accuracies(db, home, folder / "pairs.jsonl", own)}


def _register(
    db: Database, home: Home, made: Plan, run: Run, trained: "Trained", compared: Mapping[str, object]
) -> Model:
    """The run succeeded and its candidate is there, in one transaction."""
    files = home.relative(trained.model_folder)
    kind, source, adapter = (
        (ModelKind.ADAPTER, made.parent.source or "", files) if trained.is_adapter
        else (ModelKind.CHECKPOINT, files, None)
    )  # fmt: skip
    return runs.finish_run(
        db, run.id, model=made.name, kind=kind, source=source, adapter=adapter,
        quantize=(made.settings.quantize or made.parent.quantize) if trained.is_adapter else None,
        reference_proof=asdict(trained.reference_proof) if trained.reference_proof else None,
        metrics={**_results(trained), **compared},
        versions=trained.versions, seconds=trained.seconds,
    )  # fmt: skip


def _results(trained: "Trained") -> dict[str, object]:
    """The figures of a run; one that is not a number (a mean over nothing) is null."""
    finite = {k: v if math.isfinite(v) else None for k, v in trained.metrics.items()}
    return {**finite, "counts": asdict(trained.counts), "steps": trained.steps, "notes": list(trained.notes),
            "plain_template": trained.plain_template}  # fmt: skip


def spec_of(home: Home, made: Plan, folder: Path) -> RunSpec[Any]:
    """What the trainer is handed."""
    reference = None if made.reference.name == made.parent.name else files_of(home, made.reference)
    return RunSpec(
        made.kind, folder, folder / "pairs.jsonl", files_of(home, made.parent), reference, made.settings
    )


def _observer(db: Database, run: Run, job: jobs.ThisJob) -> "Callable[[Metric], None]":
    """Writes each log of the trainer into the database; training is the first 70 % of the job."""

    def observe(metric: "Metric") -> None:
        values = {k: v for k, v in metric.values.items() if math.isfinite(v)}
        runs.add_metrics(db, run.id, metric.step, metric.total_steps, values)
        share = metric.step / max(1, metric.total_steps)
        loss = values.get("loss")
        shown = f", loss {loss:.3f}" if loss is not None else ""
        job.say(0.05 + 0.65 * share, f"step {metric.step} of {metric.total_steps}{shown}")

    return observe


# -- the rematch -----------------------------------------------------------------------------------------------


def open_rematch(
    db: Database, home: Home, model: Model, campaign: Campaign | None, against: str, say: Say,
    should_stop: Callable[[], bool] = lambda: False,
) -> str:  # fmt: skip
    """Generate the candidate's responses, open its two campaigns, score them; the name of the blind rematch.

    UserError where one of the two has nothing to compare (the other is open all the same), or where the scores
    could not be had (both are open all the same).
    """
    names = [model.name, *_rivals(db, model, against)]
    base = _prompt_choice(db, campaign)
    heldout, train = f"{base}:{Split.HELDOUT}", f"{base}:{Split.TRAIN}"
    n = len(prompts_of(db, heldout))
    if 0 < n < FEW_HELDOUT:
        say(None, f"only {n} held-out prompts: the rematch will say little; import more prompts")
    _answer(db, home, model, names, heldout, MOST_HELDOUT, _part(say, 0.7, 0.1), should_stop)
    _answer(db, home, model, names, train, MOST_TRAIN, _part(say, 0.8, 0.1), should_stop)
    with transaction(db):
        rematch = _open(db, model, names, heldout, Purpose.EVALUATE, REMATCH_OVERLAP, campaign)
        collect = _open(db, model, names[:2], train, Purpose.COLLECT, 1, campaign)
        if rematch is not None:
            runs.note_rematch(db, model.run or 0, rematch.name)
    for opened, start in ((rematch, 0.9), (collect, 0.95)):
        if opened is not None:
            score_campaign(db, opened, reward_judge(db, home), _part(say, start, 0.05), should_stop)
    if rematch is None or collect is None:
        which = "held-out" if rematch is None else "train"
        raise UserError(f"on the {which} prompts of {base!r} there are no two different responses to compare",
                        "import more prompts, or train for longer")  # fmt: skip
    return rematch.name


def _answer(
    db: Database, home: Home, model: Model, names: Sequence[str], choice: str, limit: int, say: Say,
    should_stop: Callable[[], bool],
) -> None:  # fmt: skip
    """Let those who can answer the first prompts of a choice, drawn the way the candidate's parent answered."""
    settings = settings_like(db, model.parent or model.name, GenerationSettings())
    able = [name for name in names if get_model(db, name).kind is not ModelKind.RECORDED]
    if able:
        generate(home, db, able, choice, settings, limit=limit, say=say, should_stop=should_stop)


def _part(say: Say, start: float, share: float) -> Say:
    """Progress of a part of the job, in terms of the whole."""
    return lambda progress, message: say(start + share * (progress or 0.0), message)


def _rivals(db: Database, model: Model, against: str) -> list[str]:
    """Whom the candidate meets: its parent (or who is asked for), and the champion where that is another model."""
    parent = model.parent or ""
    champion = runs.champion(db)
    named = {"parent": parent, "base": _first_ancestor(db, model), "champion": champion or parent}
    rivals = [named.get(against, against)]
    if champion is not None and champion not in (model.name, *rivals):
        rivals.append(champion)
    for rival in rivals:
        ensure_starter(db, rival)
    return rivals


def _first_ancestor(db: Database, model: Model) -> str:
    """The model a line of parents began with."""
    seen = model
    while seen.parent is not None and (up := find_model(db, seen.parent)) is not None:
        seen = up
    return seen.name


def _prompt_choice(db: Database, campaign: Campaign | None) -> str:
    """The prompts a campaign drew on, without the half it was limited to."""
    name = campaign.prompts.partition(":")[0] if campaign else "all"
    return name if name in {s.name for s in prompt_sets(db)} else "all"


def _open(
    db: Database, model: Model, names: Sequence[str], choice: str, purpose: Purpose, overlap: int,
    campaign: Campaign | None,
) -> Campaign | None:  # fmt: skip
    """Open a campaign of the candidate in the lineage of the votes it learned from; None where nothing differs."""
    settings = CampaignSettings(purpose=purpose, overlap=overlap)
    lineage = demo = None
    if campaign is not None:
        settings = replace(campaign.settings, purpose=purpose, overlap=overlap, target=None, rater_cap=None)
        lineage, demo = campaign.lineage, "starter" if campaign.demo == "simulated" else campaign.demo
    word = "rematch" if purpose is Purpose.EVALUATE else "collect"
    name = _free_name(db, f"{model.name[:60]} {word}")
    try:
        return compare(
            db, name, names, choice, settings, parent_run=model.run, lineage=lineage, demo=demo
        ).campaign
    except NothingToCompare:
        return None


def _free_name(db: Database, name: str) -> str:
    """The name, or the first of NAME 2, NAME 3, ... that no campaign has."""
    taken = {c.name for c in list_campaigns(db)}
    return next(n for n in chain((name,), (f"{name} {i}" for i in count(2))) if n not in taken)


def settings_of(run: Run) -> Settings:
    """The trainer's settings as a run recorded them."""
    extra = ("preset", "reference", "against", "like", "accelerate")
    return from_mapping({k: v for k, v in run.settings.items() if k not in extra}, run.kind)
