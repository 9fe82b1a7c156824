"""The verbs that train, merge and freeze snapshots."""

import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from arena.verbs.shared import Number, as_json, pairs_made, show, table, told, working, writing

if TYPE_CHECKING:
    from db.entities.runs import Run
    from training.answers import AnswerPreflight
    from training.preflight import Preflight, RenderedToken


@click.group()
def train() -> None:
    """Freeze a snapshot of votes, train, register the candidate, open its blind rematch."""


def run_options(kind: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of `train KIND`."""
    options: list[Callable[..., Any]] = [
        click.option("--from", "parent", required=True, help="Model to start from."),
        click.option("--campaign", "campaigns", multiple=True, help="Campaign whose votes train; may be given again."),
        click.option("--pairs", help="A named pair set, or a file of pairs."),
        click.option("--snapshot", help="A snapshot frozen before, by its hash."),
        click.option("--preset",
                     help="starter, lora, qlora, full or smoke; the one that suits the model by default."),
        click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
                     help="Change a setting; may be given again."),
        click.option("--sweep", "sweeps", multiple=True, metavar="KEY=A,B ...",
                     help="Try each value of a setting; of several settings, every combination. A table at the end."),
        click.argument("more_sweeps", nargs=-1, metavar=""),
        click.option("--no-wait", is_flag=True, help="Where another training runs: end at once instead of waiting."),
        pairs_made("majority"),
        click.option("--replay", type=Number(0.0, 1.0), default=0.0, metavar="SHARE",
                     help="Mix in this share (0 to 1) of the older votes of the same lineage, drawn by the seed."),
        click.option("--preflight", "preflight_", is_flag=True, help="Only show what would be trained on."),
        click.option("--fit", is_flag=True, help="Change what must be changed for the run to fit into the free memory."),
        click.option("--dry-run", is_flag=True, help="Only show what the run would be: rows, settings, steps, warnings."),
        click.option("--name", help="The candidate's name; PARENT-r1, -r2, ... by default."),
        click.option("--accelerate", metavar="CONFIG",
                     help="Train in several processes: their number, or an accelerate config file."),
    ]  # fmt: skip
    options += [
        click.option("--data", help="Answers to learn: a file of questions and answers (qa, alpaca, sharegpt, lima), or the "
                     "name such a file was imported under." if kind == "sft" else "The same as --pairs."),
        click.option("--reference", default="parent", show_default=True,
                     help="parent, or a model." if kind == "dpo" else f"parent: {kind} takes no other."),
        click.option("--against", default="parent", show_default=True,
                     help="Nobody: a reward model meets no other." if kind == "reward"
                     else "parent, base, champion or a model."),
        click.option("--no-rematch", is_flag=True,
                     help="As it is: a reward model has no rematch." if kind == "reward" else "Only train and register."),
    ]  # fmt: skip

    def add(verb: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            verb = option(verb)
        return as_json(verb)

    return add


def train_kind(kind: str, as_json: bool, preflight_: bool, options: dict[str, Any]) -> None:
    """What every `train KIND` does."""
    from arena.rounds import retrain
    from arena.run_plans import dry_run, preflight, request_from
    from db.entities.runs import RunKind

    sweeps, more, wait = options.pop("sweeps"), options.pop("more_sweeps"), not options.pop("no_wait")
    if more and not sweeps:
        raise click.UsageError(
            f"unexpected: {' '.join(more)}; settings go after --set, values to try after --sweep"
        )
    sweeps += more
    if sweeps and not preflight_:
        sweep_kind(kind, sweeps, options, wait=wait, as_json=as_json)
        return
    if options.pop("dry_run"):
        with writing() as (here, db), contextlib.redirect_stdout(sys.stderr):
            would = dry_run(db, here, request_from(here, options, RunKind(kind)))._asdict()
        show(would, as_json, lambda: dry_run_lines(would))
        return
    if preflight_:
        with writing() as (here, db), contextlib.redirect_stdout(sys.stderr):
            shown = preflight(db, here, request_from(here, options, RunKind(kind)))
        show(asdict(shown) | {"problems": shown.problems}, as_json, lambda: preflight_lines(shown))
        return
    with working(wait=wait) as (here, db, job):
        made = retrain(db, here, request_from(here, options, RunKind(kind)), job)
    if made.note:
        click.echo(made.note, err=True)
    result = run_row(made.run)
    show(result, as_json, lambda: told(result))


@train.command("sft")
@run_options("sft")
def train_sft(as_json: bool, preflight_: bool, **options: Any) -> None:  # noqa: ANN401
    """Learn answers as they stand: a file's, the chosen sides of pairs, and what raters wrote."""
    train_kind("sft", as_json, preflight_, options)


@train.command("dpo")
@run_options("dpo")
def train_dpo(as_json: bool, preflight_: bool, **options: Any) -> None:  # noqa: ANN401
    """Direct preference optimisation on the votes of a campaign, a pair set or a snapshot."""
    train_kind("dpo", as_json, preflight_, options)


@train.command("kto")
@run_options("kto")
def train_kto(as_json: bool, preflight_: bool, **options: Any) -> None:  # noqa: ANN401
    """Learn from answers judged one by one: good or bad, with or without a partner."""
    train_kind("kto", as_json, preflight_, options)


@train.command("reward")
@run_options("reward")
def train_reward(as_json: bool, preflight_: bool, **options: Any) -> None:  # noqa: ANN401
    """A reward model of your own, for `judge --with reward --model`; compared with the one in use on held-out pairs."""
    train_kind("reward", as_json, preflight_, options)


@train.command("resume")
@click.argument("run")
@click.option("--no-wait", is_flag=True, help="Where another training runs: end at once instead of waiting.")
@click.option("--accelerate", metavar="CONFIG",
              help="In several processes; as it began where left out.")  # fmt: skip
@as_json
def train_resume(run: str, no_wait: bool, accelerate: str | None, as_json: bool) -> None:
    """Let a run that failed, was cancelled or killed go on from its newest checkpoint that verifies."""
    from arena.rounds import resume

    with working(wait=not no_wait) as (here, db, job):
        made = resume(db, here, run, job, accelerate)
    if made.note:
        click.echo(made.note, err=True)
    result = run_row(made.run)
    show(result, as_json, lambda: told(result))


def sweep_kind(
    kind: str, sweeps: Sequence[str], options: dict[str, Any], *, wait: bool, as_json: bool
) -> None:
    """What `train KIND --sweep` does; with --dry-run, only what it would be."""
    from arena.run_plans import request_from
    from arena.sweeps import dry_run, run_sweep
    from db.entities.runs import RunKind

    if options.pop("dry_run"):
        with writing() as (here, db), contextlib.redirect_stdout(sys.stderr):
            would = dry_run(db, here, request_from(here, options, RunKind(kind)), sweeps)._asdict()
        show(would, as_json, lambda: told(would))
        return
    with working(wait=wait) as (here, db, job):
        made = run_sweep(db, here, request_from(here, options, RunKind(kind)), sweeps, job)
    sweep_shown(made.name, as_json)


def sweep_shown(name: str, as_json: bool) -> None:
    """A sweep's table and the files it is in."""
    from arena.sweep_table import files_of, lines, table_of
    from db.sweeps import get_sweep

    with writing() as (here, db):
        made = table_of(db, get_sweep(db, name))
        files = [str(path) for path in files_of(here, made) if path.is_file()]
    show(asdict(made) | {"files": files}, as_json, lambda: [*table(lines(made)), made.why, *files])


@train.command("compare")
@click.argument("runs", nargs=-1, required=True)
@as_json
def train_compare(runs: Sequence[str], as_json: bool) -> None:
    """Two to six runs side by side: results, the settings and the rows that differ; --json has the curves too."""
    from arena.comparing import compare, result_rows, row_rows, setting_rows

    with writing() as (_, db):
        made = compare(db, runs)

    def lines() -> list[str]:
        settings = table(setting_rows(made)) if made.settings else ["the same settings"]
        rows = ["the same rows"] if made.same_rows else table(row_rows(made))
        return [*table(result_rows(made)), "", "settings that differ", *settings, "", "rows", *rows]

    show(made, as_json, lines)


@train.group("sweep")
def train_sweep() -> None:
    """Runs over a grid of settings on the same rows: `train KIND ... --sweep KEY=A,B` makes one."""


@train_sweep.command("list")
@as_json
def sweep_list(as_json: bool) -> None:
    """Every sweep, newest first."""
    from arena.sweep_table import listing

    with writing() as (_, db):
        rows = listing(db)
    show(rows, as_json, lambda: table(rows))


@train_sweep.command("show")
@click.argument("sweep")
@as_json
def sweep_show(sweep: str, as_json: bool) -> None:
    """What came of each run, which is best and why."""
    sweep_shown(sweep, as_json)


@train_sweep.command("resume")
@click.argument("sweep")
@click.option("--no-wait", is_flag=True, help="Where another training runs: end at once instead of waiting.")
@as_json
def sweep_resume(sweep: str, no_wait: bool, as_json: bool) -> None:
    """Go on with a sweep that was cut short: what is done stays, the rest is made."""
    from arena.sweeps import resume

    with working(wait=not no_wait) as (here, db, job):
        made = resume(db, here, sweep, job)
    sweep_shown(made.name, as_json)


@train.command("again")
@click.argument("run")
@click.option(
    "--without", multiple=True, metavar="RATER", help="Leave out the votes of this rater; may be given again."
)
@click.option("--name", help="The candidate's name; RUN-without-RATER by default.")
@click.option(
    "--against", help="Whom it meets blind: a model, the first run's candidate say; as in the run by default."
)
@click.option("--no-rematch", is_flag=True, help="Only train and register.")
@click.option("--no-wait", is_flag=True, help="Where another training runs: end at once instead of waiting.")
@as_json
def train_again(
    run: str, without: Sequence[str], name: str | None, against: str | None, no_rematch: bool, no_wait: bool, as_json: bool
) -> None:  # fmt: skip
    """Repeat a run with its settings, votes and policy, but without some raters; with none left out, exactly as it was."""
    from arena.rounds import retrain
    from arena.run_plans import again

    with working(wait=not no_wait) as (here, db, job):
        made = retrain(
            db, here, again(db, run, without, new=name, against=against, rematch=not no_rematch), job
        )
    if made.note:
        click.echo(made.note, err=True)
    result = run_row(made.run) | {"like": run, "without": list(without)}
    show(result, as_json, lambda: told(result))


def dry_run_lines(would: dict[str, Any]) -> list[str]:
    """What a run would be, for a person."""
    from arena.beforehand import gib

    memory = would["memory"]
    lines = told({k: v for k, v in would.items() if k not in ("memory", "fitted")})
    lines += [f"changed to fit: {change}" for change in would["fitted"]]
    if memory is None:
        return [*lines, "memory: not known before the model is loaded"]
    parts = ", ".join(f"{name} {gib(n)}" for name, n in sorted(memory["parts"].items(), key=lambda p: -p[1]))
    lines.append(f"memory: about {gib(memory['estimate'])} (an estimate, up to {memory['off_by']:.0%} off), "
                 f"{gib(memory['free'])} of {memory['of']} are free: {parts}")  # fmt: skip
    if not memory["fits"]:
        changes = " ".join(f"--set {text}" for text in memory["to_fit"])
        lines.append(f"too much for this machine; to make it fit, --fit would set: {changes}" if memory["then_fits"]
                     else "too much for this machine, and no change of settings makes it fit")  # fmt: skip
    return lines


def preflight_lines(shown: "AnswerPreflight | Preflight") -> list[str]:
    """What a trainer would see, for a person."""
    from training.answers import AnswerPreflight

    def text(tokens: "Sequence[RenderedToken]") -> str:
        return repr("".join(token.text for token in tokens))

    rows = "answers" if isinstance(shown, AnswerPreflight) else "pairs"
    lines = [
        f"{shown.trained} of {shown.train} {rows} would train, {shown.evaluated} of {shown.heldout} are held out"
    ]
    lines += [*shown.problems, *shown.warnings]
    lines += [f"{len(votes)} votes make no row: {reason}" for reason, votes in shown.left_out.items()]
    if isinstance(shown, AnswerPreflight):
        for one in shown.rendered:
            lines += [
                f"row {one.row}: {one.prompt!r}",
                f"  {'good' if one.good else 'bad '}      {text(one.answer)}",
            ]
        return lines
    for row in shown.rendered:
        lines += [f"pair {row.pair}: {row.prompt!r}", f"  chosen    {text(row.chosen)}",
                  f"  rejected  {text(row.rejected)}"]  # fmt: skip
    return lines


def run_row(run: "Run") -> dict[str, object]:
    """A run as `train --json` prints it."""
    return {
        "run": run.name, "kind": run.kind, "model": run.model, "parent": run.parent, "snapshot": run.snapshot,
        "reference_proof": run.reference_proof, "metrics": run.metrics, "seconds": run.seconds,
        "rematch": run.rematch, "status": run.status,
    }  # fmt: skip


@click.command()
@click.argument("model")
@click.option("--as", "name", required=True, help="Name of the merged model.")
@click.option("--mode", type=click.Choice(["base16", "nf4"]), default="base16", show_default=True,
              help="The base to add to: as it is kept, or rounded to 4 bits as QLoRA taught on it.")  # fmt: skip
@as_json
def merge(model: str, name: str, mode: str, as_json: bool) -> None:
    """Make a standalone checkpoint of an adapter model, checked against the adapter's own outputs."""
    from arena.registry import merge as run

    with working() as (here, db, job):
        job.say(0.0, f"merging {model}")
        made = run(here, db, model, name, mode)
    text = (f"{name}: largest logit difference {made.max_difference:.2g} (allowed {made.tolerance:.2g}), "
            f"{made.same_texts} of {made.prompts} answers the same")  # fmt: skip
    show(made, as_json, lambda: [text])


@click.group()
def snapshot() -> None:
    """Frozen pairs."""


@snapshot.command("freeze")
@click.option(
    "--campaign", "campaigns", multiple=True, help="Campaign whose votes to freeze; all by default."
)
@click.option("--pairs", help="A named pair set instead.")
@pairs_made("majority")
@as_json
def snapshot_freeze(campaigns: Sequence[str], pairs: str | None, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Freeze the pairs that votes make now."""
    from labeling.policy import policy_of
    from training.snapshots import Source, freeze

    with writing() as (_, db):
        made = freeze(db, Source(tuple(campaigns), pairs), policy_of(options))
        show(made, as_json, lambda: [f"{made.id}: {made.train} pairs to train on, {made.heldout} held out"])


@snapshot.command("show")
@click.argument("snapshot_id", required=False)
@as_json
def snapshot_show(snapshot_id: str | None, as_json: bool) -> None:
    """Every snapshot, or the pairs of one."""
    from db.snapshots import get_snapshot, list_snapshots, snapshot_rows

    with writing() as (_, db):
        if snapshot_id is None:
            rows = [asdict(s) for s in list_snapshots(db)]
            show([{"name": row["id"], **row} for row in rows], as_json, lambda: table(rows))
        else:
            pairs = [r._asdict() for r in snapshot_rows(db, get_snapshot(db, snapshot_id).id)]
            show(
                pairs,
                as_json,
                lambda: [f"{p['part']:8} {p['chosen'][:60]!r} over {p['rejected'][:60]!r}" for p in pairs],
            )
