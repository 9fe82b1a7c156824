"""A program that writes its file in place: what tests/faults/drive.py must find."""

from pathlib import Path

from tests.faults.drive import Tell, walk
from tests.faults.scenes import Told
from tests.faults.shim import FAULTS, Switch


class InPlace:
    """Two lines are replaced by two others."""

    def build(self, place: Path) -> None:
        """The old lines."""
        (place / "file").write_text("old\nold\n")

    def prepare(self, place: Path) -> Path:
        """Nothing more."""
        return place

    def act(self, prepared: Path, tell: Tell) -> None:
        """Write over them, one after the other."""
        with (prepared / "file").open("r+b", buffering=0) as file:
            file.write(b"new\n")
            file.write(b"new\n")

    def again(self, prepared: Path, tell: Tell) -> None:
        """Nothing more."""

    def hold(self, place: Path, told: Told, end: str) -> None:
        """All old or all new."""
        assert (place / "file").read_text() in ("old\nold\n", "new\nnew\n")


if __name__ == "__main__":
    walk(InPlace(), FAULTS["killed"], Switch())
