"""The flags of a session with many votes: worked out by a child, shown when they are there, the same as a small session's."""

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import gradio as gr
import pytest

from arena.web.context import Context
from arena.web.pages.studio import live
from bench.results_page import fill
from db.campaigns import battles_of, get_campaign
from db.connection import Readers, Writer, home_at, open_writer
from db.entities.votes import Outcome, RaterKind
from db.imports import ImportCounts, ImportedVote, add_imported_votes, begin_import, finish_import
from db.raters import add_rater
from labeling.flags import Flag
from labeling.live import look, quick_look


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("large") / "home"
    fill(home, live.LARGE + 500, 3, 12, prompts=400)
    db = open_writer(home_at(home))
    campaign, rater = get_campaign(db, "bench").id, add_rater(db, "undecided", RaterKind.PERSON)
    number = begin_import(db, "votes", "ties", campaign)
    ties = [
        ImportedVote(f"tie-{b.id}", campaign, b.id, rater, Outcome.TIE, None)
        for b in battles_of(db, campaign)[:50]
    ]
    add_imported_votes(db, ties, number)
    finish_import(db, number, ImportCounts(len(ties), len(ties), 0, 0))
    db.conn.close()
    return home


@pytest.fixture
def context(folder: Path) -> Iterator[Context]:
    home = home_at(folder)
    context = Context(home, Readers(home), Writer(home), gr.themes.Base())
    yield context
    context.kept.close()
    context.writer.close()


def test_many_votes_are_looked_at_by_a_child_and_till_then_there_are_no_flags(context: Context) -> None:
    campaign, now = get_campaign(context.readers.get(), "bench"), [0.0]
    looks = live.Looks(context, lambda: now[0])
    assert looks.at(campaign) is None
    assert looks.at(campaign) is None, "one child's look for everybody"
    context.kept.submit(int).result(timeout=120)  # one at a time: then the look before it is there
    whole = look(context.readers.get(), campaign)
    assert Flag.SAME in [f.flag for f in whole.flags["undecided"]]
    assert looks.at(campaign) == whole
    assert quick_look(context.readers.get(), campaign).counts == whole.counts
    kept = looks.at(campaign)
    now[0] += 10_000
    assert looks.at(campaign) is kept, "the last one, while a newer one is made"


def dies(*_: object) -> None:
    """As a child does whose memory is wanted."""
    os._exit(1)


@pytest.mark.parametrize("failing", [int, pytest.param(dies, marks=pytest.mark.slow)])
def test_a_child_that_fails_is_told_once_and_leaves_the_next_look_another_try(
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failing: Callable[..., object],
) -> None:
    campaign = get_campaign(context.readers.get(), "bench")
    looks = live.Looks(context)
    monkeypatch.setattr(live, "_timed", failing)
    for _ in range(2):
        assert looks.at(campaign) is None
        with contextlib.suppress(BrokenProcessPool):
            context.kept.submit(int).result(timeout=120)
        assert not looks._making
    assert [r.message for r in caplog.records] == [
        "figures could not be worked out; they are tried again when somebody looks"
    ]
    monkeypatch.undo()
    assert looks.at(campaign) is None
    context.kept.submit(int).result(timeout=120)
    assert looks.at(campaign) is not None


def test_few_votes_are_looked_at_here(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LARGE", 10**9)
    campaign = get_campaign(context.readers.get(), "bench")
    assert live.Looks(context).at(campaign) == look(context.readers.get(), campaign)
    assert context.kept._pool is None
