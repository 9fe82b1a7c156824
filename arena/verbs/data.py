"""The verbs that bring models, prompts, responses and votes in, let models answer, and talk to one."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from arena.verbs.shared import (
    as_json,
    max_new_tokens,
    models_named,
    names_of,
    prompts_chosen,
    show,
    system_prompt,
    table,
    temperature,
    told,
    working,
    writing,
)


@click.group()
def models() -> None:
    """The registry of models."""


@models.command("add")
@click.argument("name")
@click.option("--source", help="Checkpoint folder or hub id.")
@click.option("--adapter", help="Adapter folder over the source.")
@click.option("--quantize", type=click.Choice(["4bit", "8bit"]), help="Hold the weights in fewer bits.")
@click.option("--endpoint", help="Address of an OpenAI-compatible server, /v1 included.")
@click.option("--remote-name", help="The model's name on that server.")
@click.option("--recorded", is_flag=True, help="Its responses are imported.")
@as_json
def models_add(name: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Register a model under NAME."""
    from arena.registry import add

    with writing() as (_, db):
        model = add(db, name, **options)
        show(model, as_json, lambda: [f"{model.name}: {model.kind}"])


@models.command("list")
@as_json
def models_list(as_json: bool) -> None:
    """Every registered model."""
    from arena.registry import listing

    with writing() as (_, db):
        rows = listing(db)
        show(rows, as_json, lambda: table(rows))


@models.command("show")
@click.argument("name")
@as_json
def models_show(name: str, as_json: bool) -> None:
    """One model."""
    from arena.demo import ensure_starter
    from db.runs import list_runs

    with writing() as (_, db):
        model = ensure_starter(db, name)
        made_by = next((run.name for run in list_runs(db) if run.id == model.run), None)
    row = asdict(model) | {"run": made_by}
    show(row, as_json, lambda: told(row))


@models.command("remove")
@click.argument("name")
@as_json
def models_remove(name: str, as_json: bool) -> None:
    """Take a model off the lists; its responses and votes stay."""
    from db.catalog import remove_model

    with writing() as (_, db):
        remove_model(db, name)
    text = f"{name} is off the lists; its responses and votes stay"
    show({"name": name, "removed": True}, as_json, lambda: [text])


@models.command("retained")
@click.argument("start")
@click.argument("others", nargs=-1, required=True, metavar="MODEL...")
@click.option("--data", "sets", multiple=True,
              help="Also the loss on answers to held-out prompts: a model's or a set's, by name; may be given again.")  # fmt: skip
@as_json
def models_retained(start: str, others: Sequence[str], sets: Sequence[str], as_json: bool) -> None:
    """What MODELs still know of what START knew: how well they read plain text, and answers none of them was taught."""
    from arena.retaining import retained

    with working(writes=False) as (here, db, job):
        rows = retained(db, here, [start, *others], sets, job)
    show(rows, as_json, lambda: table(rows))


@click.command("import")
@click.argument("kind", type=click.Choice(["prompts", "responses", "votes", "verdicts", "pairs", "scores"]))
@click.argument("file")
@click.option(
    "--format", "format_", help="Name of the file's format; guessed from its columns where left out."
)
@click.option("--map", "mapping", multiple=True, metavar="THEIRS=OURS", help="Which column is which.")
@click.option("--campaign", help="Campaign to fill; else one named after the file.")
@click.option("--split", type=click.Choice(["train", "heldout"]), help="Put all prompts into this half.")
@click.option("--limit", type=int, help="Only the first so many rows.")
@as_json
def import_(kind: str, file: str, format_: str | None, mapping: Sequence[str], campaign: str | None,
            split: str | None, limit: int | None, as_json: bool) -> None:  # fmt: skip
    """Bring in prompts, responses, votes, verdicts, pairs or scores."""
    from db.entities.catalog import Split
    from db.errors import UserError
    from labeling.importing import ImportKind, import_file

    for pair in mapping:
        if "=" not in pair:
            raise UserError(f"--map {pair} names no column of ours", "write --map theirs=ours")
    columns = dict(pair.split("=", 1) for pair in mapping)
    with working() as (here, _, _job):
        report = import_file(here, ImportKind(kind), file, format=format_, mapping=columns, campaign=campaign,
                             split=Split(split) if split else None, limit=limit)  # fmt: skip
    for refusal in report.refusals:
        click.echo(f"line {refusal.line}: {refusal.reason}", err=True)
    fields = ("read", "added", "already_there", "refused", "refused_file")
    for note in report.notes:
        click.echo(note, err=True)
    result = {f: getattr(report, f) for f in fields}
    show(result, as_json, lambda: told(result))


@click.command()
@models_named
@prompts_chosen
@click.option("--n", "samples", default=1, show_default=True, help="Responses a prompt.")
@temperature
@max_new_tokens
@click.option("--seed", default=0, show_default=True, help="Fixes the draw.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many prompts.")
@system_prompt
@as_json
def generate(
    models_: str, prompts: str, samples: int, limit: int | None, as_json: bool, **options: Any  # noqa: ANN401
) -> None:  # fmt: skip
    """Write the responses that are missing; can be stopped and run again."""
    from arena.demo import ensure_starter
    from arena.generating import generate as run
    from arena.players import GenerationSettings

    with working() as (here, db, job):
        for name in names_of(models_):
            ensure_starter(db, name)
        written = run(here, db, names_of(models_), prompts, GenerationSettings(**options), samples=samples, limit=limit,
                      say=job.say, should_stop=job.should_stop)  # fmt: skip
    rows = [w._asdict() for w in written]
    show(rows, as_json, lambda: table(rows))


@click.command()
@click.argument("model")
@temperature
@max_new_tokens
@system_prompt
def chat(model: str, **options: Any) -> None:  # noqa: ANN401
    """Talk to a model in the terminal; an empty line ends it."""
    from arena.demo import ensure_starter
    from arena.generating import player_of
    from arena.players import GenerationSettings
    from db.entities.catalog import Message

    with writing() as (here, db):
        player = player_of(here, ensure_starter(db, model))
    turns: list[Message] = []
    while text := _asked():
        turns.append({"role": "user", "content": text})
        click.echo(f"{model}: ", nl=False)
        answer = ""
        for piece in player.stream(turns, GenerationSettings(**options)):
            answer += piece
            click.echo(piece, nl=False)
        click.echo()
        turns.append({"role": "assistant", "content": answer})


def _asked() -> str:
    """What the person types next; nothing at the end of input."""
    try:
        return str(click.prompt("you", default="", show_default=False))
    except click.Abort:
        return ""
