"""Let the n-th change of a scene go wrong, for every n, and hold what is there then against what may be there.

    LD_PRELOAD=shim.so python -m tests.faults.drive SCENE FAULT [plain]

Each try is a process of its own, forked from this one, on a fresh copy of the scene's folder. `plain`: without the
exchange of two folders in one step. Prints one JSON line of counts.
"""

import json
import os
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from db.errors import UserError
from tests.faults.shim import FAULTS, Fault, Switch

Tell = Callable[..., None]


class Scene(Protocol):
    """Something the program does to a folder."""

    def build(self, place: Path) -> None:
        """The folder as it is before."""

    def prepare(self, place: Path) -> object:
        """What the act needs at hand; nothing goes wrong yet."""

    def act(self, prepared: object, tell: Tell) -> None:
        """Do it, telling each promise as it is made. UserError: it said that it could not."""

    def again(self, prepared: object, tell: Tell) -> None:
        """In the same process, once changes go well again."""

    def hold(self, place: Path, told: Sequence[Sequence[object]], end: str) -> None:
        """AssertionError where what is there may not be. `end`: done, refused or died."""


def attempt(
    scene: Scene, place: Path, at: int, fault: Fault, switch: Switch
) -> tuple[str, list[list[object]], int]:
    """(how it ended, what it told, how many changes there were: 0 where it died) of one try, in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _in_child(scene, place, at, fault, switch, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        told: list[list[object]] = [json.loads(line) for line in pipe]
    os.waitpid(child, 0)
    if told and told[-1][0] == "bug":
        raise AssertionError(f"{fault.name} at change {at}: {told[-1][1]}")
    if told and told[-1][0] == "end":
        _, end, seen = told.pop()
        return str(end), told, int(str(seen))
    return "died", told, 0


def _in_child(scene: Scene, place: Path, at: int, fault: Fault, switch: Switch, pipe: int) -> None:
    def tell(*words: object) -> None:
        os.write(pipe, (json.dumps(words) + "\n").encode())

    try:
        prepared = scene.prepare(place)
        switch.arm(place, at, fault)
        try:
            scene.act(prepared, tell)
            end = "done"
        except UserError as error:
            tell("said", str(error))
            end = "refused"
        seen = switch.disarm()
        scene.again(prepared, tell)
        tell("end", end, seen)
    except BaseException:  # noqa: BLE001 - told to the one who looks on
        switch.disarm()
        tell("bug", traceback.format_exc())
    os._exit(0)


def walk(scene: Scene, fault: Fault, switch: Switch) -> Counter[str]:
    """Try every change in turn; how the tries ended. AssertionError names the change after which something was wrong."""
    ends: Counter[str] = Counter()
    memory = Path("/dev/shm")  # a real disk would make each of the many tries wait
    with tempfile.TemporaryDirectory(
        prefix="faults-", dir=memory if os.access(memory, os.W_OK) else None
    ) as folder:
        template = Path(folder) / "before"
        template.mkdir()
        scene.build(template)
        at = 1
        while True:
            place = Path(folder) / f"try-{at}"
            shutil.copytree(template, place)
            end, told, seen = attempt(scene, place, at, fault, switch)
            try:
                scene.hold(place, told, end)
            except AssertionError as error:
                error.add_note(f"{fault.name} at change {at}, {end}, told {told}")
                raise
            shutil.rmtree(place)
            if end != "died" and seen < at:
                ends["untouched"] += 1
                return ends
            ends[end] += 1
            at += 1


def main(words: Sequence[str]) -> None:
    """One scene under one fault."""
    from tests.faults.scenes import SCENES

    switch = Switch()
    if "plain" in words[2:]:
        switch.no_exchange()
    ends = walk(SCENES[words[0]](), FAULTS[words[1]], switch)
    print(json.dumps({"scene": words[0], "fault": words[1], "changes": ends.total() - 1, **ends}))


if __name__ == "__main__":
    main(sys.argv[1:])
