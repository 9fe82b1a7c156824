"""Tastebench from the command line. The verbs are in arena/verbs, each a short function that calls one workflow.

    python launch.py [--home DIR] VERB ...        (no verb: serve)

Exit 0: done. Exit 2: the user can mend it, one line `error: what is wrong; what to do`. Anything else is a bug.
Only the standard library and click are imported here and at the top of the verbs; a verb imports its workflow
when it runs.
"""

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from arena.verbs import (
    campaigns,
    data,
    figures,
    jobs,
    promotion,
    ranking,
    raters,
    recipes,
    training,
    upkeep,
    web,
)
from arena.verbs.shared import typed, writing

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


@click.group(context_settings=CONTEXT, invoke_without_command=True)
@click.option("--home", default="workspace", envvar="TASTEBENCH_HOME", show_default=True, show_envvar=True,
              help="Folder with arena.db, runs/, exports/, backups/.")  # fmt: skip
@click.pass_context
def cli(context: click.Context, home: str) -> None:  # noqa: ARG001 - read through the context
    """Blind taste tests for language models, and the training loop behind them. Without a verb: serve."""
    if context.invoked_subcommand is None:
        with web.serve.make_context("serve", [], parent=context) as alone:  # unlike invoke, it reads PORT
            web.serve.invoke(alone)


ACTS = {"campaign", "raters", "owner", "models", "jobs", "notices", "promote", "rollback", "combine"}
TELLS_ITSELF = ["raters", "forget"]
"""an act that writes itself down: what was typed holds what is to be forgotten"""
ALONE = {"rollback"}
"""acts that need no further word"""
LOOKS = {"list", "show", "preview", "logs", "live", "links", "plan", "settings", "retained"}


@cli.result_callback()
def noted(_result: object, **_options: object) -> None:
    """Write an act that was typed in a terminal into the audit log; the studio writes down its own."""
    words = typed()
    if not _is_act(words):
        return
    from arena.jobs import ASKED_VARIABLE, shown
    from db.audit import note
    from labeling.owners import TERMINAL

    if ASKED_VARIABLE in os.environ:
        return
    with writing() as (_, db):  # the address of a webhook can hold a secret
        note(db, TERMINAL, f"ran: {shown(words[:2] if words[0] == 'notices' else words)}")


def _is_act(words: Sequence[str]) -> bool:
    """Whether what was typed changes something that owners should find in the log."""
    if words[:1] == ["prune"]:
        return "--yes" in words
    if words[:2] == TELLS_ITSELF:
        return False
    if len(words) < 2:
        return bool(words) and words[0] in ALONE
    return words[0] in ACTS and words[1] not in LOOKS


for verb in (
    web.serve,
    web.owner,
    web.notices,
    data.models,
    data.import_,
    data.generate,
    campaigns.campaign,
    raters.raters,
    figures.judge,
    ranking.rank,
    figures.report,
    figures.export,
    training.train,
    training.merge,
    training.snapshot,
    promotion.promote,
    promotion.rollback,
    promotion.rounds,
    recipes.recipe,
    jobs.jobs_,
    raters.simulate,
    data.chat,
    upkeep.backup,
    upkeep.restore,
    upkeep.check,
    upkeep.prune,
    upkeep.combine,
):
    cli.add_command(verb)


RIGHTS, ROOM = "look at who may read and write it", "free some disk space"
BARRED = {
    errno.EACCES: RIGHTS, errno.EPERM: RIGHTS, errno.EROFS: "name a place that can be written to",
    errno.ENOSPC: ROOM, errno.EDQUOT: ROOM, errno.ENAMETOOLONG: "give a shorter name",
}  # fmt: skip
"""what the system may have against a path, whichever verb it was given to, and what to do"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command; errors the user can mend are one line and exit code 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if sys.platform == "win32":  # file locks, process groups and priorities are those of Unix
        _refuse("Tastebench does not run on Windows itself; use WSL 2 or Docker, as docs/deploy.md says", [])
    from db.errors import UserError

    try:
        cli.main(words, prog_name="launch.py", obj=words, standalone_mode=False)
        _ended_well(words)
    except UserError as error:
        _refuse(str(error), words)
    except click.ClickException as error:
        _refuse(f"{_usage(error)}; see `{_verb_of(error)} --help`", words)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in BARRED:
            raise
        _refuse(f"cannot use {error.filename or 'a file'}: {error.strerror}; {BARRED[error.errno]}", words)
    sys.exit(0)


def _ended_well(words: Sequence[str]) -> None:
    """A verb that is no job by itself, but was started as one, has done its work."""
    if "TASTEBENCH_JOB" in os.environ and words[:1] == ["--home"]:
        from arena.jobs import ended_well
        from db.connection import home_at

        ended_well(home_at(Path(words[1])))


def _usage(error: click.ClickException) -> str:
    """What was typed wrong."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return f"{_verb_of(error)} needs a verb"
    return error.format_message().strip().rstrip(".")


def _verb_of(error: click.ClickException) -> str:
    """The verb that was misused, as it is typed."""
    return error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "launch.py"


def _refuse(reason: str, words: Sequence[str]) -> NoReturn:
    """One line on stderr, exit code 2; a supervised job that could not even begin keeps the reason."""
    line = " ".join(reason.split())
    click.echo(f"error: {line}", err=True)
    if "TASTEBENCH_JOB" in os.environ and words[:1] == ["--home"]:
        from arena.jobs import never_began
        from db.connection import home_at

        never_began(home_at(Path(words[1])), line)
    sys.exit(2)


if __name__ == "__main__":
    main()
