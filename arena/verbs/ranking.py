"""The verb that turns a machine judge's ranking into pairs."""

from dataclasses import asdict
from typing import Any

import click

from arena.verbs.shared import as_json, max_new_tokens, show, system_prompt, temperature, working


@click.command()
@click.argument("prompts")
@click.option("--model", required=True, help="Who answers.")
@click.option("--n", default=4, show_default=True, help="Responses a prompt; those that are there count.")
@click.option("--with", "kind", type=click.Choice(["reward", "pairrm", "llm", "length"]), default="reward",
              show_default=True, help="What ranks them.")  # fmt: skip
@click.option(
    "--single",
    is_flag=True,
    help="With llm: grade each response by itself, 1 to 10, instead of comparing two.",
)
@click.option("--judge-model", help="The judge's model: a registered name, a folder or a hub id.")
@click.option("--pairs", "which", type=click.Choice(["best-worst", "all"]), default="best-worst", show_default=True,
              help="The best against the worst of a prompt, or every two that differ in rank.")  # fmt: skip
@click.option(
    "--as", "name", required=True, help="Name of the pair set; train on it with `train dpo --pairs NAME`."
)
@click.option("--again", is_flag=True, help="Ask again where the judge gave nothing that could be read.")
@temperature
@max_new_tokens
@click.option("--seed", default=0, show_default=True, help="Fixes the draw.")
@system_prompt
@as_json
def rank(prompts: str, model: str, n: int, kind: str, single: bool, judge_model: str | None, which: str, name: str,
         again: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401  # fmt: skip
    """N responses of a model to each of PROMPTS, ranked by a machine judge, into a named set of pairs.

    PROMPTS is a set's name, all, train, heldout, or SET:train / SET:heldout. Can be stopped and run again.
    """
    from arena.judging import judge_of
    from arena.players import GenerationSettings
    from arena.ranking import Order, Which
    from arena.ranking import rank as run

    order = Order(prompts, model, n, name, Which(which), GenerationSettings(**options), again)
    with working() as (here, db, job):
        judge = judge_of(db, here, kind, judge_model, [model], single=single)
        made = run(db, here, order, judge, job.say, job.should_stop)
    for note in made.notes:
        click.echo(f"note: {note}", err=True)
    show(asdict(made), as_json, lambda: [
        f"{made.pair_set}: {made.pairs} pairs ({made.train} to train on, {made.heldout} held out), by {made.judge}",
        *([f"{made.tied} prompts whose responses it ranks the same give none"] if made.tied else []),
        *([f"{made.alike} prompts where all responses say the same give none"] if made.alike else []),
        *([f"{made.errors} answers of the judge could not be read"] if made.errors else []),
    ])  # fmt: skip
