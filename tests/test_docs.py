"""The documentation holds: links and pictures are there, commands are ones the program knows, files it names exist."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import click
import pytest

from arena.beside import JudgeFigures
from arena.intervals import Anytime
from arena.ratings import Rating
from arena.robustness import Robustness
from arena.winrates import HeadToHead
from labeling.agreement import Agreement
from labeling.quality import RaterFigures
from launch import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SAYS_HOW = [p for p in PAGES if p.name not in ("log.md", "schema.md") and p.parent.name != "decisions"]
"""pages about the program as it is now; the others tell what was once so"""
STANDS_FOR = {"KIND": "dpo"}
"""words that stand for a verb in the docs"""
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s]+)\)")


def named(path):
    return path.relative_to(ROOT).as_posix()


def without_blocks(text):
    """The text outside fenced and indented blocks."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


def anchors(path):
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in heads}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_and_pictures_are_there(page):
    for link in LINK.findall(without_blocks(page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def commands(text):
    """Every command a page shows, as words: those of `launch.py`, and inline ones that begin with a verb."""
    shown = [m[1] for m in re.finditer(r"^ +(?:\$ )?python launch\.py((?:[^\n]|(?<=\\)\n)*)", text, re.M)]
    for code in CODE.findall(without_blocks(text)):
        words = code.removeprefix("python launch.py").strip()
        if code.startswith("python launch.py") or (words.split() and words.split()[0] in cli.commands):
            shown.append(words)
    for one in shown:
        plain = re.sub(r"\s#.*$", "", one.replace("\\\n", " "), flags=re.M)
        yield from spelled_out(
            plain.replace("\\|", "|").replace("[", " ").replace("]", " ").partition(" > ")[0]
        )


def spelled_out(line):
    """`campaign open / close NAME` as two commands."""
    first, *others = line.split(" / ")
    words = shlex.split(first.replace("'", ""))
    yield words
    before = words[:-1]
    for other in others:
        yield [*before, *shlex.split(other)]


def wrong(words):
    """What of a command the program does not know; empty where it knows all of it."""
    command: click.Command = cli
    words = words[2:] if words[:1] == ["--home"] else words
    for word in words:
        if isinstance(command, click.Group) and not word.startswith("-"):
            word = STANDS_FOR.get(word, word.split("|")[0])
            if word == "VERB":
                return ""
            if word not in command.commands:
                return f"no verb {word}"
            command = command.commands[word]
    known = {name for p in (*command.params, *cli.params) for name in (*p.opts, *p.secondary_opts)} | {
        "--help"
    }
    unknown = [w for w in words if re.match(r"--[a-z]", w) and w.split("=")[0].split("|")[0] not in known]
    return f"no option {unknown[0]}" if unknown else ""


@pytest.mark.parametrize("page", SAYS_HOW, ids=named)
def test_every_command_is_one_the_program_knows(page):
    found = [(" ".join(words), wrong(words)) for words in commands(page.read_text(encoding="utf-8"))]
    assert [f"{line}: {why}" for line, why in found if why] == []


def test_a_command_the_program_does_not_know_is_seen():
    assert wrong(["campaign", "fly"]) == "no verb fly"
    assert wrong(["report", "--fly"]) == "no option --fly"
    assert list(spelled_out("jobs list / show JOB")) == [["jobs", "list"], ["jobs", "show", "JOB"]]
    assert [" ".join(c) for c in commands("    python launch.py export DIR \\\n      --push R   # so\n")] == [
        "export DIR --push R"
    ]


@pytest.mark.parametrize("page", SAYS_HOW, ids=named)
def test_files_it_names_exist(page):
    text = page.read_text(encoding="utf-8")
    files = re.findall(
        r"(?<![\w./])((?:arena|db|labeling|training|bench|docs|tests)/[\w./-]*\.(?:py|md|json|txt|toml))",
        text,
    )
    modules = [
        m.replace(".", "/") + ".py"
        for m in re.findall(r"python -m ((?:bench|arena|docs|training)\.[\w.]*\w)", text)
    ]
    said = [f for f in (*files, *modules) if not re.search(r"[A-Z]{4}", f)]
    assert [f for f in said if not (ROOT / f).exists()] == []
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"^ +make ([\w-]+)|`make ([\w-]+)`", text, re.M)) <= {(t, "") for t in targets} | {
        ("", t) for t in targets
    }


def test_every_figure_of_the_report_is_explained():
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    told = set(CODE.findall(page))
    kinds = (HeadToHead, Anytime, Rating, Agreement, JudgeFigures, RaterFigures, Robustness)
    plain = {"model_a", "model_b", "model", "name", "kind", "rater", "simulated", "why", "pairs", "votes", "n",
             "last_vote", "criteria"}  # fmt: skip
    figures = {f for kind in kinds for f in getattr(kind, "_fields", None) or (x.name for x in fields(kind))}
    assert figures - told - plain == set()


def test_every_page_is_found_from_the_front_page():
    found, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page in found or page.suffix != ".md":
            continue
        found.add(page)
        links = LINK.findall(page.read_text(encoding="utf-8"))
        todo += [
            (page.parent / link.partition("#")[0]).resolve() for link in links if not link.startswith("#")
        ]
    apart = {named(p) for p in PAGES if p not in found and p.parent.name != "decisions"}
    assert apart == set()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_dash_stands_for_a_stop(page):
    assert "\N{EM DASH}" not in page.read_text(encoding="utf-8")
