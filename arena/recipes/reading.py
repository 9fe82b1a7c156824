"""Recipes as they lie in `seeds/`: one TOML file a seed system, a list of launch.py commands with their values filled in.

A file has what the seed was, what ours gets right, what still waits, the values of the commands ([values], changed by
[smoke] and by [published]) and [[steps]]: `say` in a sentence, `run` as it is typed after `launch.py`. A step with `smoke`
or `published` belongs to that way of running alone (or, where false, to the other one); the output of a `result` is shown
at the end, and such a step runs each time.
"""

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from db.connection import PROJECT
from db.errors import NotFound

SEEDS = Path(__file__).parent / "seeds"
SMOKE_DATA = (Path(__file__).parent / "smoke").relative_to(PROJECT).as_posix()


class Way(NamedTuple):
    """How a recipe is run: on the starter models and small data, and with the seed's own settings."""

    smoke: bool = False
    published: bool = False

    @property
    def words(self) -> list[str]:
        """As it is typed."""
        return [f"--{name}" for name, on in (("smoke", self.smoke), ("as-published", self.published)) if on]


@dataclass(frozen=True, slots=True)
class Step:
    """One command: what it is for, what is typed after `launch.py`, and whether its output is a result."""

    say: str
    command: tuple[str, ...]
    result: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe with its values filled in. `corrected`: what the seed got wrong and how it is right here; `missing`: what
    of the seed is not in it yet; `warnings`: what to know of this way of running it; `after`: what to
    do then."""

    name: str
    title: str
    was: str
    needs: str
    corrected: tuple[str, ...]
    missing: tuple[str, ...]
    warnings: tuple[str, ...]
    after: str
    way: Way
    steps: tuple[Step, ...]


def names() -> list[str]:
    """The recipes there are."""
    return [path.stem for path in sorted(SEEDS.glob("*.toml"), key=lambda p: _read(p)["place"])]


def recipe(name: str, out: Path, way: Way = Way()) -> Recipe:  # noqa: B008 - a named tuple
    """The recipe of this name, its files going to the folder `out`; NotFound names the others."""
    path = SEEDS / f"{name}.toml"
    if name not in names():
        raise NotFound(f"there is no recipe {name!r}", f"use one of: {', '.join(names())}")
    raw = _read(path)
    values = _values(raw, name, out, way)
    steps = [
        Step(step["say"], tuple(shlex.split(step["run"].format_map(values))), step.get("result", False))
        for step in raw["steps"]
        if step.get("smoke", way.smoke) is way.smoke and step.get("published", way.published) is way.published
    ]
    warnings = [*raw["about"].get("as_published", ())] if way.published else []
    warnings += [raw["about"]["smoke"]] if way.smoke else []
    about = raw["about"]
    return Recipe(
        name, about["title"], about["was"], about["needs"], tuple(about["corrected"]), tuple(about["missing"]),
        tuple(warnings), about["after"].format_map(values), way, tuple(steps),
    )  # fmt: skip


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return tomllib.load(file)


def _values(raw: Mapping[str, Any], name: str, out: Path, way: Way) -> dict[str, str]:
    """{placeholder: text}: the file's own values as this way changes them, and those every recipe has.

    `tag` begins the names of what is made, so that one home can hold the recipe run in several ways.
    """
    values: dict[str, str] = dict(raw["values"])
    values |= raw.get("smoke", {}) if way.smoke else {}
    values |= raw.get("published", {}) if way.published else {}
    tag = "-".join(
        [values["tag"], *(["published"] if way.published else []), *(["smoke"] if way.smoke else [])]
    )
    folder = "-".join([name, *(word.removeprefix("--") for word in way.words)])
    values |= {"tag": tag, "data": SMOKE_DATA, "out": shlex.quote(str(out / folder))}
    while any("{" in text for text in values.values()):  # a value may name others
        values = {key: text.format_map(values) for key, text in values.items()}
    return values


def table() -> list[dict[str, object]]:
    """Every recipe as `recipe list` shows it."""
    found = [recipe(name, Path()) for name in names()]
    return [{"name": r.name, "steps": len(r.steps), "what": r.title, "needs": r.needs} for r in found]
