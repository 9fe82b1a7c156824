"""The verbs of the recipes: whole pipelines, each a list of the other verbs."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from arena.verbs.shared import as_json, home, show, table, working

if TYPE_CHECKING:
    from arena.recipes.reading import Recipe


@click.group()
def recipe() -> None:
    """Whole pipelines that run end to end: each a list of the other commands."""


def ways(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how a recipe is run."""
    published = click.option("--as-published", "published", is_flag=True,
                             help="The seed's own settings, with the warnings they earn.")  # fmt: skip
    smoke = click.option("--smoke", is_flag=True,
                         help="On the starter models and small data: minutes, without a GPU or a network.")  # fmt: skip
    return smoke(published(verb))


def chosen(name: str, smoke: bool, published: bool) -> "Recipe":
    """The recipe with its values filled in, its files going to the home's exports."""
    from arena.recipes.reading import Way
    from arena.recipes.reading import recipe as read

    return read(name, home().exports, Way(smoke, published))


@recipe.command("list")
@as_json
def recipe_list(as_json: bool) -> None:
    """The recipes there are."""
    from arena.recipes.reading import table as rows

    found = rows()
    show(found, as_json, lambda: table(found))


@recipe.command("show")
@click.argument("name")
@ways
@click.option(
    "--notebook", type=click.Path(dir_okay=False), metavar="FILE", help="Write it as a notebook too."
)
@as_json
def recipe_show(name: str, smoke: bool, published: bool, notebook: str | None, as_json: bool) -> None:
    """What a recipe does, command by command, and what it gets right that its seed did not."""
    made = chosen(name, smoke, published)
    if notebook is not None:
        from arena.recipes.notebooks import write

        write(made, home(), Path(notebook))
        click.echo(f"{notebook}: {len(made.steps)} commands", err=True)
    show(made, as_json, lambda: lines(made))


def lines(made: "Recipe") -> list[str]:
    """A recipe for a person."""
    from arena.jobs import shown

    told = [f"{made.name}: {made.title}", "", made.was, f"Needs: {made.needs}"]
    for head, sentences in (("What ours gets right", made.corrected), ("Not in it yet", made.missing),
                            ("Mind", made.warnings)):  # fmt: skip
        told += ["", f"{head}:", *(f"  - {s}" for s in sentences)] if sentences else []
    told += ["", "Commands:"]
    for number, step in enumerate(made.steps, 1):
        told += [f"  {number:2}. {step.say}", f"      {shown(step.command)}"]
    return [*told, "", f"Then: {made.after}"] if made.after else told


@recipe.command("run")
@click.argument("name")
@ways
@as_json
def recipe_run(name: str, smoke: bool, published: bool, as_json: bool) -> None:
    """Run a recipe, each command as a job of its own; stops at the first that fails and goes on when run again."""
    from arena.recipes.running import run

    made = chosen(name, smoke, published)
    with working() as (here, db, job):
        done = run(db, here, made, job)
        job.say(1.0, f"{name}: done")
    results = [{"what": d.say, "text": d.result} for d in done if d.result]
    document = {"recipe": made.name, "smoke": smoke, "as_published": published, "results": results,
                "steps": [{k: v for k, v in d._asdict().items() if k != "result"} for d in done]}  # fmt: skip
    show(
        document,
        as_json,
        lambda: [line for r in results for line in ("", f"== {r['what']}", *str(r["text"]).splitlines())],
    )
