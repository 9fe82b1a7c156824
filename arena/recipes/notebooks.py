"""A recipe as a notebook: a cell of text and a cell of code for each command, which runs it as `recipe run` would."""

import shlex
from pathlib import Path

from arena.recipes.reading import Recipe
from db.connection import PROJECT, Home
from db.errors import UserError

SETUP = '''import shlex
import subprocess
import sys

CHECKOUT = {checkout!r}  # the folder with launch.py
HOME = {home!r}  # where models, votes and results are kept


def tastebench(line):
    """Run one command of Tastebench; a command that fails stops the notebook here."""
    words = [sys.executable, "launch.py", "--home", HOME, *shlex.split(line)]
    ran = subprocess.run(words, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(ran.stdout)
    ran.check_returncode()'''


def write(recipe: Recipe, home: Home, path: Path) -> None:
    """Write the recipe as a notebook that runs in a kernel with the requirements; UserError where it cannot be written."""
    import nbformat
    from nbformat import v4

    cells = [
        v4.new_markdown_cell(_about(recipe)),
        v4.new_code_cell(SETUP.format(checkout=str(PROJECT), home=str(home.root))),
    ]
    for number, step in enumerate(recipe.steps, 1):
        cells.append(v4.new_markdown_cell(f"**{number}.** {step.say}"))
        cells.append(v4.new_code_cell(f"tastebench({shlex.join(step.command)!r})"))
    book = v4.new_notebook(cells=cells)
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number}"  # the same notebook each time
    nbformat.validate(book)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(book, path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}", "name a file in a folder of yours"
        ) from None


def _about(recipe: Recipe) -> str:
    told = [f"# {recipe.title}", recipe.was, f"Needs: {recipe.needs}"]
    for head, sentences in (("What ours gets right", recipe.corrected), ("Not in it yet", recipe.missing),
                            ("Mind", recipe.warnings)):  # fmt: skip
        if sentences:
            told.append(f"## {head}\n\n" + "\n".join(f"- {s}" for s in sentences))
    return "\n\n".join(told)
