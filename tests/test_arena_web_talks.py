"""Talks in the chat are kept for the owner who had them, opened again, deleted, and stand in no export."""

import contextlib
import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from arena.web import chrome, talks
from arena.web.context import Context
from arena.web.pages import chat
from arena.web.talks import LONGEST_TITLE, Keeping, Talk, kept, read_talks, title_of
from db import chats, owners
from db.connection import Readers, Writer
from db.errors import NotFound, UserError
from db.owners import OwnerRole
from labeling.exporting import export
from labeling.tables import ExportFormat
from tests.standin import StandIn, standing_in
from tests.test_arena_report import filled, voted
from tests.workshop import endpoint_home


class Opened(NamedTuple):
    context: Context
    server: StandIn


@pytest.fixture
def opened(tmp_path) -> Iterator[Opened]:
    with standing_in() as server:
        home = endpoint_home(tmp_path / "home", server.url)
        context = Context(home, Readers(home), Writer(home), chrome.theme())
        yield Opened(context, server)
        context.players.close()
        context.writer.close()


def said(opened, question, before=None, which=None, system="Be brief."):
    steps = chat.converse(opened.context, opened.context.players, "far", None, question, before and before.history,
                          0.3, 20, system, None, False, which)  # fmt: skip
    return list(steps)[-1]


def kept_of(opened, which):
    return read_talks(talks.reopened(opened.context, which).talks)[0]


def test_a_talk_is_kept_goes_on_is_opened_again_and_deleted(opened):
    first = said(opened, "What is a   quokka?")
    second = said(opened, "And a wombat?", first, first.which)
    assert second.which == first.which
    [(shown, which)] = talks.earlier(opened.context)
    assert (shown.startswith("What is a quokka? ("), which) == (True, first.which)
    assert [t.content for t in kept_of(opened, which).turns] == [
        "What is a   quokka?", "You said What is a   quokka? ".replace("   ", " "), "And a wombat?", "You said And a wombat? ",
    ]  # fmt: skip
    one, two, html, history, same, *how = chat.opened_again(opened.context, which)
    assert (one.value, two.value, same) == ("far", chat.NOBODY, which)
    assert "And a wombat?" in html
    assert history == second.history
    assert how == [0.3, 20, "Be brief.", "", False]
    talks.forget(opened.context, which)
    assert talks.earlier(opened.context) == []
    with pytest.raises(NotFound, match="not kept any more"):
        chat.opened_again(opened.context, which)
    assert said(opened, "Once more", second, which).which != which, "it goes on as a new talk"


def test_a_page_that_closes_in_the_middle_leaves_what_was_said(opened):
    steps = chat.converse(
        opened.context, opened.context.players, "far", None, "What is a quokka?", "", 0.3, 20, ""
    )
    which = next(steps).which
    assert [t.content for t in kept_of(opened, which).turns] == ["What is a quokka?", ""]
    steps.close()
    assert kept_of(opened, which).turns[0].content == "What is a quokka?"


def test_an_answer_that_comes_after_its_talk_was_deleted_brings_nothing_back(opened):
    keeping = Keeping(opened.context, None, {})
    keeping.begin("hi", kept([Talk(), Talk()]))
    talks.forget(opened.context, keeping.id)
    assert keeping.go_on(kept([Talk(), Talk()])) is False
    assert talks.earlier(opened.context) == []


def test_an_answer_that_was_stopped_and_comes_late_undoes_nothing(opened):
    first = said(opened, "one")
    second = said(opened, "two", first, first.which)
    late = Keeping(opened.context, first.which, {})
    assert late.go_on(first.history) is False
    assert kept_of(opened, second.which).turns[2].content == "two"
    assert said(opened, "another way on", first, first.which).which != first.which, (
        "a second page goes its own way"
    )


def test_what_failed_is_kept_with_its_reason_and_a_missing_model_leaves_the_choice_open(opened):
    opened.server.statuses = [400]
    which = said(opened, "hi").which
    assert "answered 400" in kept_of(opened, which).turns[1].problem
    opened.context.writer.call(
        lambda db: db.conn.execute("UPDATE models SET removed_at = 'now' WHERE name = 'far'")
    )
    assert chat.opened_again(opened.context, which)[0].value is None


def test_talks_are_their_owners_alone_and_go_with_them(opened):
    writer = opened.context.writer
    which = said(opened, "My secret").which
    first = owners.get_owner(opened.context.readers.get()).id
    other = writer.call(lambda db: owners.add_owner(db, "nora", OwnerRole.OWNER)).id
    db = opened.context.readers.get()
    assert chats.list_chats(db, other, 10) == []
    assert writer.call(lambda w: chats.update_chat(w, which, other, "[]", {})) is False
    for work in (lambda w: chats.get_chat(w, which, other), lambda w: chats.delete_chat(w, which, other)):
        with pytest.raises(NotFound):
            writer.call(work)
    writer.call(lambda w: chats.add_chat(w, "x" * 22, other, "hers", "[]", {}))
    writer.call(lambda w: owners.remove_owner(w, "nora"))
    writer.call(lambda w: owners.add_owner(w, "nora", OwnerRole.OWNER))
    assert chats.list_chats(db, other, 10) == []
    assert [c.id for c in chats.list_chats(db, first, 10)] == [which]


def test_the_list_is_short_and_newest_first(opened):
    assert title_of(" a\n b ") == "a b"
    assert len(title_of("word " * 50)) <= LONGEST_TITLE
    one = said(opened, "first")
    said(opened, "second")
    said(opened, "again", one, one.which)
    assert [title.split(" (")[0] for title, _ in talks.earlier(opened.context)] == ["first", "second"]


def test_no_export_holds_a_word_of_them(home, db, tmp_path):
    voted(db, filled(db), ["a", "b"] * 5)
    chats.add_chat(db, "x" * 22, 1, "CANARY", json.dumps([[{"content": "CANARY"}], []]), {"system": "CANARY"})
    for shape in ExportFormat:
        with contextlib.suppress(UserError):  # too few pairs for this shape: then there is no file
            export(home, tmp_path / shape, format=shape)
    files = [p for p in tmp_path.rglob("*") if p.is_file() and home.root not in p.parents]
    assert len(files) > 5
    assert not [p for p in files if b"CANARY" in p.read_bytes()]
