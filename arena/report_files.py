"""A report as files: one page, plots with their tables, a text. Each is in its place whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from arena.charts import whole_page
from arena.figure_tables import tables
from arena.report import Report
from db.errors import UserError
from db.files import written_file
from training.alarms import Curves


def write_html(made: Report, path: Path, runs: Mapping[str, Curves] = MappingProxyType({})) -> None:
    """One page that needs nothing else, with the plots."""
    _write(path, whole_page(made, runs).encode())


def write_plots(made: Report, folder: Path, runs: Mapping[str, Curves] = MappingProxyType({})) -> None:
    """The plots as PNG and SVG and their tables as CSV, in a folder; with the curves of runs by name, theirs too."""
    from arena.plots import pictures  # heavy

    for name, content in pictures(made, runs):
        _write(folder / name, content)
    for name, text in tables(made):
        _write(folder / name, text.encode())


def write_text(path: Path, text: str) -> None:
    """A text as a file, in its place whole. UserError where it cannot be written."""
    _write(path, text.encode())


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_file(path) as aside:
            aside.write_bytes(content)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}", "name a file in a folder of yours"
        ) from None
