"""The house: imports run down the line only, strata keep to themselves, requirements are what is imported."""

import ast
import graphlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINE = ["launch", "arena", "training", "labeling", "db"]
FILES = [ROOT / "launch.py", *(p for d in LINE[1:] for p in sorted((ROOT / d).rglob("*.py")))]

HEAVY = {"torch", "transformers", "peft", "trl", "datasets", "bitsandbytes", "accelerate"}
DATABASE = {"sqlite3", "sqlite_utils"}
FIRST_EIGHT = ["gradio", "transformers", "trl", "peft", "datasets", "bitsandbytes", "torch", "sqlite-utils"]


def imports(path, *, top_only=False):
    """Names of the modules a file imports (only at its top, if asked; type-checking blocks left out)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module)
    return found


def relative(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_imports_run_down_the_line(path):
    own = LINE.index(path.relative_to(ROOT).parts[0].removesuffix(".py"))
    wrong = [m for m in imports(path) if m.split(".")[0] in LINE and LINE.index(m.split(".")[0]) < own]
    assert wrong == []


def test_no_file_needs_itself_by_way_of_others():
    """Imports in functions and for types count too."""
    names = {relative(p).removesuffix(".py").removesuffix("/__init__").replace("/", "."): p for p in FILES}
    needs = {}
    for name, path in names.items():
        said = [
            n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.ImportFrom)
        ]
        full = [(f"{n.module}.{a.name}", n.module) for n in said for a in n.names]
        needs[name] = {part if part in names else package for part, package in full} & names.keys()
    graphlib.TopologicalSorter(needs).prepare()


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_trl_only_in_training_and_no_sql_or_torch_in_faces(path):
    tops = {m.split(".")[0] for m in imports(path)}
    parts = path.relative_to(ROOT).parts
    if parts[0] != "training":
        assert "trl" not in tops
    if parts[:2] == ("arena", "web"):
        assert not tops & (HEAVY | DATABASE)


def calls_itself_pure(path):
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return re.search(r"\bPure\b(?! but)", said) is not None


PURE = [path for path in FILES if calls_itself_pure(path)]


@pytest.mark.parametrize("path", PURE, ids=relative)
def test_what_calls_itself_pure_touches_nothing(path):
    tops = {m.split(".")[0] for m in imports(path)}
    assert not tops & (HEAVY | DATABASE | {"os", "time", "secrets", "socket", "subprocess", "httpx"})


def test_the_heart_of_the_house_is_pure():
    """Sides, votes, pairs and figures can be read and tried without a database, a clock or chance."""
    heart = {"labeling/ballot.py", "labeling/submission.py", "labeling/verdicts.py", "labeling/policy.py", "labeling/agreement.py",
             "training/settings.py", "training/proof.py", "arena/winrates.py", "arena/ratings.py", "arena/intervals.py"}  # fmt: skip
    assert heart <= set(map(relative, PURE))


def test_nothing_heavy_is_imported_with_the_web_app():
    """The web process must never hold torch: import everything it imports, and look."""
    code = f"import sys, arena.web.app\nprint(sorted(set({sorted(HEAVY)!r}) & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_command_line_imports_the_standard_library_and_click_only():
    for path in [ROOT / "launch.py", *sorted((ROOT / "arena" / "verbs").glob("*.py"))]:
        wanted = {m for m in imports(path, top_only=True) if m.split(".")[0] not in sys.stdlib_module_names}
        assert {m for m in wanted if not m.startswith("arena.verbs")} <= {"click"}, path


def requirement_names(file):
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [
        re.split(r"[=<>~!;\[ ]", line)[0].lower()
        for line in lines
        if line and not line.startswith(("#", "-"))
    ]


def test_requirements_begin_with_the_eight_and_are_pinned():
    assert requirement_names("requirements.txt")[:8] == FIRST_EIGHT
    for file in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", "-")):
                assert "==" in line, line


def test_requirements_are_what_the_program_imports_both_ways():
    distributions = importlib.metadata.packages_distributions()
    used = set()
    for path in FILES:
        for module in imports(path):
            top = module.split(".")[0]
            if top not in sys.stdlib_module_names and top not in LINE and top != "docs":
                used |= {d.lower().replace("_", "-") for d in distributions.get(top, [top])}
    required = {n.replace("_", "-") for n in requirement_names("requirements.txt")}
    assert used - required == set(), "imported but not in requirements.txt"
    assert required - used == set(), "in requirements.txt but imported nowhere"
