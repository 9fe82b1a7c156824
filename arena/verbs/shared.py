"""What the verbs share: the home they work on, the job they are, and how they print.

Only the standard library and click are imported at the top of these files; a verb imports its workflow when it runs.
"""

import contextlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sqlite_utils import Database

    from arena.jobs import ThisJob
    from db.connection import Home


# -- shared by the verbs ---------------------------------------------------------------------------------------


def home() -> "Home":
    """The home this command works on."""
    from db.connection import home_at
    from db.errors import UserError

    folder = click.get_current_context().find_root().params["home"]
    if not folder:
        raise UserError("--home names no folder", "give one such as --home ./workspace, or leave it out")
    return home_at(Path(folder))


@contextlib.contextmanager
def writing() -> Iterator[tuple["Home", "Database"]]:
    """The home and a writing connection to it."""
    from db.connection import open_writer

    here = home()
    db = open_writer(here)
    try:
        yield here, db
    finally:
        db.conn.close()


@contextlib.contextmanager
def working(*, wait: bool = True, writes: bool = True) -> Iterator[tuple["Home", "Database", "ThisJob"]]:
    """The same for a heavy verb: it is a job, its progress goes to stderr, libraries that print too.

    A training waits until a slot is free (`wait` False: Conflict instead), and starts the next one when it ends. Before
    a verb that `writes` to the database a copy of it is made.
    """
    from arena.jobs import start_waiting, this_job, threads
    from arena.turns import waited
    from arena.upkeep import copied_before

    def say(line: str) -> None:
        click.echo(line, err=True)

    os.environ.setdefault("OMP_NUM_THREADS", threads())  # before torch is imported, which reads it once
    with writing() as (here, db):
        number = waited(here, db, typed(), say, wait=wait)
        try:
            with this_job(db, typed(), say, number) as job, contextlib.redirect_stdout(sys.stderr):
                if writes:
                    copied_before(here, db, say)
                yield here, db, job
        finally:
            start_waiting(here, db)


def asked_by() -> str:
    """Who asks: the owner in the studio who pressed a button, else whoever typed."""
    from arena.jobs import ASKED_VARIABLE
    from labeling.owners import TERMINAL

    return os.environ.get(ASKED_VARIABLE, TERMINAL)


def typed() -> list[str]:
    """What was typed from the verb on."""
    words: list[str] = click.get_current_context().find_root().obj or []
    for i, word in enumerate(words):
        if not word.startswith("-") and (i == 0 or words[i - 1] != "--home"):
            return words[i:]
    return words


def show(value: object, as_json: bool, lines: Callable[[], Sequence[str]]) -> None:
    """Print a result: one JSON document, or lines for a person."""
    if as_json:
        click.echo(json.dumps(value, default=_plain, ensure_ascii=False, indent=1))
    else:
        for line in lines():
            click.echo(line)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def table(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Rows in aligned columns under their names."""
    if not rows:
        return ["(none)"]
    heads = list(rows[0])
    cells = [heads] + [[_cell(row[head]) for head in heads] for row in rows]
    widths = [max(len(c[i]) for c in cells) for i in range(len(heads))]
    return ["  ".join(x.ljust(w) for x, w in zip(c, widths, strict=True)).rstrip() for c in cells]


def told(record: Mapping[str, object]) -> list[str]:
    """A record for a person: a line a field, empty ones left out."""
    return [f"{name}: {_words(value)}" for name, value in record.items() if value not in (None, (), [], {})]


def _words(value: object) -> str:
    """A value as a person reads it; what is nested in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(one)}" for name, one in value.items() if one is not None)
    if isinstance(value, list | tuple):
        return "; ".join(map(_words, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def shortened(text: object, most: int = 60) -> str:
    """A text that fits into a column."""
    line = " ".join(str(text or "").split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def _cell(value: object) -> str:
    return (
        "" if value is None else ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    )


def names_of(text: str) -> list[str]:
    """A,B,C as a list."""
    return [part.strip() for part in text.split(",") if part.strip()]


class Number(click.FloatRange):
    """A number within a range. Click's own lets NaN through, which is neither below nor above anything."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401
        """The number; a usage error."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is no number", param, ctx)
        return number


as_json = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document on stdout.")
models_named = click.option("--models", "models_", required=True, help="Models, comma-separated.")
prompts_chosen = click.option("--prompts", required=True,
                              help="A set's name, all, train, heldout, or SET:train / SET:heldout.")  # fmt: skip
temperature = click.option(
    "--temperature", default=0.8, show_default=True, help="0 takes the likeliest token."
)
max_new_tokens = click.option("--max-new-tokens", default=256, show_default=True, help="Longest answer.")
system_prompt = click.option("--system", default="", help="System prompt; none by default.")


def pairs_made(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that say how votes become pairs."""
    options = (
        click.option("--policy", type=click.Choice(["majority", "vote", "consensus", "min-agreement"]), default=default,
                     show_default=True, help="How votes become pairs."),
        click.option("--min-agreement", type=Number(0.5, 1.0), default=0.7, show_default=True,
                     help="With --policy min-agreement: the share of a battle's votes that must agree."),
        click.option("--weigh-raters", is_flag=True, help="Count each rater by what their votes tell (needs overlap)."),
        click.option("--no-simulated", is_flag=True, help="Leave votes of simulated raters out."),
        click.option("--no-written", is_flag=True, help="Leave better answers that raters wrote out."),
        click.option("--without", multiple=True, metavar="RATER",
                     help="Leave out the votes of this rater, by pseudonym; may be given again."),
    )  # fmt: skip

    def add(verb: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            verb = option(verb)
        return verb

    return add
