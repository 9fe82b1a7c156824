"""The verbs that judge, report and export."""

from pathlib import Path
from typing import Any

import click

from arena.verbs.shared import as_json, home, pairs_made, show, working, writing


@click.command()
@click.argument("campaign")
@click.option("--with", "kind", type=click.Choice(["reward", "pairrm", "llm", "length"]), default="reward",
              show_default=True, help="What judges.")  # fmt: skip
@click.option("--model", help="The judge's model: a registered name, a folder or a hub id; by default the home's own reward "
                              "model, or llm-blender/PairRM-hf.")  # fmt: skip
@click.option(
    "--single",
    is_flag=True,
    help="With llm: grade each response by itself, 1 to 10, instead of comparing two.",
)
@click.option(
    "--battle",
    type=click.IntRange(min=1),
    help="Only this battle, which a person voted on; with pairrm, llm or length.",
)
@click.option("--again", is_flag=True, help="Ask again where the judge gave nothing that could be read.")
@as_json
def judge(
    campaign: str, kind: str, model: str | None, single: bool, battle: int | None, again: bool, as_json: bool
) -> None:  # fmt: skip
    """Let a machine rater judge the battles of a campaign; can be stopped and run again."""
    from arena.judging import judge_campaign
    from db.campaigns import get_campaign

    with working() as (here, db, job):
        made = judge_campaign(db, here, get_campaign(db, campaign), kind, model, single=single, battle=battle,
                              again=again, say=job.say, should_stop=job.should_stop)  # fmt: skip
    for note in made.notes:
        click.echo(f"note: {note}", err=True)
    show(made.to_json(), as_json, made.to_lines)


@click.command()
@click.argument("campaign", required=False)
@click.option("--where", help="Only some votes, e.g. turn=1,rater=expert*,tag=code.")
@click.option("--html", type=click.Path(dir_okay=False), help="Write one self-contained page.")
@click.option("--plots", type=click.Path(file_okay=False), help="Write the plots into a folder.")
@click.option("--csv", "csv_", type=click.Path(dir_okay=False),
              help="Write the answers side by side: a row a prompt, with scores and votes; with --suite, its table.")  # fmt: skip
@click.option("--suite", "suite_", type=click.Choice(["mtbench", "alpaca_eval"]),
              help="Read the campaign as this benchmark does: by category and turn, or against the baseline.")  # fmt: skip
@as_json
def report(
    campaign: str | None, where: str | None, html: str | None, plots: str | None, csv_: str | None, suite_: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """What the votes say, and what machine raters say beside them."""
    from arena import report as reporting
    from arena import report_files as files
    from arena.side_by_side import write_csv
    from arena.wording import lines

    if suite_:
        from arena.suites import SuiteName, suite

        if html or plots:
            from db.errors import UserError

            raise UserError("--suite writes no page and no plots", "leave out --html and --plots, or --suite")
        with writing() as (_, db):
            table = suite(db, SuiteName(suite_), campaign, where)
        if csv_:
            files.write_text(Path(csv_), table.to_csv())
        show(table.to_json(), as_json, table.to_lines)
        return
    with writing() as (_, db):
        made = reporting.report(db, campaign, where)
        behind = reporting.curves_behind(db, made) if plots or html else {}
        if csv_:
            write_csv(db, made.campaigns, Path(csv_))
    if html:
        files.write_html(made, Path(html), behind)
    if plots:
        files.write_plots(made, Path(plots), behind)
    show(made.to_json(), as_json, lambda: list(lines(made)))


@click.command()
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--campaign", help="Only this campaign's votes.")
@click.option(
    "--format",
    "format_",
    default="trl",
    show_default=True,
    help="trl, kto, reward, ultrafeedback, responses, sft, votes, csv; or the files of a benchmark: mtbench, alpaca_eval.",
)
@pairs_made("vote")
@click.option("--ties", type=click.Choice(["drop", "good", "bad"]), default="drop", show_default=True,
              help="With --format kto: what a tie says of its two answers.")  # fmt: skip
@click.option(
    "--push", metavar="REPO", help="Send it to a private hub dataset repository too, made where missing."
)
@click.option(
    "--public", is_flag=True, help="With --push: the repository may be public, and is made so where missing."
)
@click.option("--allow-personal-data/--no-personal-data", "allow_personal", default=None,
              help="You have looked at texts that seem to hold mail addresses, phone numbers or keys, and they may go; or "
                   "stop where there are any. By default they are named, and only --push stops.")  # fmt: skip
@click.option("--with-comments", "comments", is_flag=True,
              help="Also what raters wrote as comments, reasons and reports: it may tell who they are.")  # fmt: skip
@click.option("--exact-times", is_flag=True, help="Times to the millisecond instead of the day.")
@click.option("--preview", "preview_", is_flag=True, help="Only show what would be written.")
@as_json
def export(folder: str, format_: str, preview_: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Write a dataset folder that datasets.load_dataset(FOLDER) loads."""
    if format_ in ("mtbench", "alpaca_eval"):
        _benchmark_files(Path(folder), format_, options, as_json, preview_)
        return
    from labeling.exporting import export as run
    from labeling.exporting import order_of, preview, preview_lines
    from labeling.policy import policy_of

    if preview_:
        seen = preview(home(), order_of(options["campaign"], format_, policy_of(options), comments=options["comments"],
                                        exact_times=options["exact_times"]))  # fmt: skip
        show(seen, as_json, lambda: preview_lines(seen))
        return
    with working(writes=False) as (here, _, _job):
        made = run(here, Path(folder), campaign=options["campaign"], format=format_, push=options["push"],
                   public=options["public"], policy=policy_of(options), allow_personal=options["allow_personal"],
                   comments=options["comments"], exact_times=options["exact_times"])  # fmt: skip
    for reason, n in made.left_out.items():
        click.echo(f"left out: {n} votes, {reason}", err=True)
    if made.personal and not options["allow_personal"]:
        found = ", ".join(f"{n} {kind}" for kind, n in made.personal.items())
        click.echo(f"look before you pass it on: the texts seem to hold personal data ({found}); --preview names the "
                   "places", err=True)  # fmt: skip
    for refused in made.refused[:20]:
        click.echo(f"refused: {refused.reason}, answers {' and '.join(refused.responses)}", err=True)
    show(made, as_json, lambda: [f"{made.folder}: " + ", ".join(f"{k} {v}" for k, v in made.splits.items())])


def _benchmark_files(folder: Path, name: str, options: dict[str, Any], as_json: bool, preview: bool) -> None:
    """The files of a benchmark in a folder; they hold prompts, answers and verdicts, and nothing of who voted."""
    from arena.suite_files import write_files
    from arena.suites import SuiteName

    if options["push"] or preview:
        from db.errors import UserError

        raise UserError(f"--format {name} writes files only", "leave out --push and --preview")
    with writing() as (_, db):
        made = write_files(db, folder, SuiteName(name), options["campaign"])
    show(
        made._asdict(),
        as_json,
        lambda: [f"{made.folder}: " + ", ".join(f"{k} {v}" for k, v in made.files.items())],
    )
