"""Chat: the talk kept in the page, two models at once, and the process that holds a model's weights."""

import io
import json
import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from arena.players import GenerationSettings
from arena.players.worker import Inbox, answer
from arena.web import chrome
from arena.web.chatting import MOST, Players
from arena.web.context import Context
from arena.web.pages import chat
from arena.web.pages.chat import ask, shown
from arena.web.talks import Talk, Turn, kept, read_talks
from db.catalog import add_model, get_model
from db.connection import Readers, Writer, open_writer
from db.entities.catalog import Model, ModelKind
from db.errors import UserError

SETTINGS = GenerationSettings(temperature=0.0, max_new_tokens=12)


class Echo:
    """A model that says its question back, word by word; `bad` refuses in the middle."""

    def stream(self, model: Model, messages, settings) -> Iterator[str]:
        for word in messages[-1]["content"].split():
            if model.name == "bad" and word == "two":
                raise UserError("too long", "start over")
            yield f"{word} "


def model(name: str) -> Model:
    return Model(1, name, ModelKind.CHECKPOINT, source="x")


def test_two_models_are_asked_at_once_and_one_failing_leaves_the_other():
    steps = list(ask(Echo(), [model("good"), model("bad")], [Talk(), Talk()], "one two three", SETTINGS))
    good, bad = steps[-1]
    assert [t.content for t in good.turns] == ["one two three", "one two three "]
    assert bad.turns[-1] == Turn("assistant", "one ", "bad", "too long; start over")
    assert steps[0][0].turns[-1].content == ""
    again = list(ask(Echo(), [model("good")], [good], "four", SETTINGS))[-1][0]
    assert [m["role"] for m in again.messages] == ["user", "assistant"] * 2


def test_an_answer_that_failed_is_not_sent_to_the_model_again():
    talk = Talk().asked("hi", "m").answered("half", "broke")
    assert talk.messages == [{"role": "user", "content": "hi"}]


def test_a_bug_in_one_side_does_not_leave_the_page_waiting():
    class Broken:
        def stream(self, model, messages, settings):
            yield "a"
            raise UserError("gone")

    last = list(ask(Broken(), [model("x")], [Talk()], "hi", SETTINGS))[-1][0]
    assert last.turns[-1].problem == "gone"


def test_a_talk_survives_the_page_and_what_is_not_one_is_refused():
    talks = (Talk().asked("a <b>", "m").answered("c", ""), Talk())
    assert read_talks(kept(talks)) == talks
    assert read_talks(None) == (Talk(), Talk())
    for wrong in (
        "x",
        "[]",
        "[[], [{}]]",
        '[[{"role": "system", "content": "", "model": "", "problem": ""}], []]',
        "7",
    ):
        with pytest.raises(UserError, match="begin a new one"):
            read_talks(wrong)
    with pytest.raises(UserError, match="too long"):
        read_talks("[" * 500_000)


def test_the_talk_is_shown_as_text_whatever_it_holds():
    nasty = "<img src=x onerror=alert(1)> **bold**"
    html = shown([Talk().asked(nasty, "m").answered(nasty, nasty)], ["m"], busy=True)
    assert "<img" not in html
    assert "<strong>bold</strong>" in html
    assert "thinking..." in shown([Talk().asked("q", "m")], ["m"], busy=True)
    assert "Choose a model" in shown([Talk()], [""], busy=False)


# -- the worker ------------------------------------------------------------------------------------------------


class Counter:
    """A player that counts, and remembers whether it was let go."""

    def __init__(self, after=lambda n: None):
        self.after, self.closed_at = after, None

    def stream(self, messages, settings):
        n = 0
        try:
            while n < settings.max_new_tokens:
                n += 1
                yield str(n)
                self.after(n)
        finally:
            self.closed_at = n


def request(number=1, tokens=3):
    return {
        "id": number,
        "messages": [{"role": "user", "content": "hi"}],
        "settings": {"max_new_tokens": tokens},
    }


def test_the_worker_streams_and_ends_each_answer():
    lines = list(answer(Counter(), Waiting(), request()))
    assert lines == [*({"id": 1, "piece": p} for p in "123"), {"id": 1, "done": True}]
    assert Inbox(io.StringIO("")).next(1.0) is None


class Waiting:
    """An inbox in which nothing comes."""

    def stopped(self, number):
        return False


def test_the_worker_stops_drawing_when_it_is_told_to_and_when_nobody_listens():
    for lines in ('{"stop": 1}\n', ""):
        inbox, player = Inbox(io.StringIO(lines)), Counter(after=lambda n: time.sleep(0.05))
        assert list(answer(player, inbox, request(tokens=1000)))[-1] == {"id": 1, "done": True}
        assert player.closed_at < 1000


class Open(io.StringIO):
    """Lines of someone who stays connected and says no more."""

    def __next__(self):
        line = self.readline()
        if line:
            return line
        time.sleep(60)
        raise StopIteration


def test_a_stop_for_an_earlier_answer_stops_nothing():
    inbox = Inbox(Open('{"stop": 7}\n'))
    lines = list(answer(Counter(after=lambda n: time.sleep(0.02)), inbox, request(tokens=20)))
    assert len(lines) == 21
    assert inbox.next(0.01) is None


# -- a real model in a real child ------------------------------------------------------------------------------


@pytest.fixture
def players(home, tmp_path):
    from tests.tiny import tiny_llama

    db = open_writer(home)
    for name in ("one", "two", "three"):
        add_model(db, name, ModelKind.CHECKPOINT, source=str(tiny_llama(tmp_path / name)))
    add_model(db, "gone", ModelKind.CHECKPOINT, source=str(tmp_path / "gone"))
    add_model(db, "kept", ModelKind.RECORDED)
    add_model(db, "far", ModelKind.ENDPOINT, endpoint="http://127.0.0.1:9/v1", remote_name="m")
    opened = Players(home)
    opened.model = lambda name: get_model(db, name)
    yield opened
    opened.close()
    db.conn.close()


def said(players, name, tokens=12):
    hello = [{"role": "user", "content": "Hello?"}]
    return "".join(
        players.stream(players.model(name), hello, GenerationSettings(temperature=0, max_new_tokens=tokens))
    )


@pytest.mark.slow
def test_models_live_in_children_at_most_two_and_die_with_a_clear_line(players):
    first = said(players, "one")
    assert first == said(players, "one")
    said(players, "two")
    said(players, "three")
    assert players.alive() == ["two", "three"]
    assert len(players.alive()) == MOST
    child = players._children["three"].pid
    os.kill(child, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(child)] if psutil.pid_exists(child) else [], 10)
    said(players, "three")
    stream = players.stream(
        players.model("three"), [{"role": "user", "content": "Hi"}], GenerationSettings(max_new_tokens=400)
    )
    next(stream)
    with pytest.raises(UserError, match="three is answering already"):
        said(players, "three")
    os.kill(players._children["three"].pid, signal.SIGKILL)
    with pytest.raises(UserError, match="three stopped answering"):
        list(stream)
    pids = [c.pid for c in players._children.values()]
    players.close()
    assert not any(psutil.pid_exists(p) for p in pids)


@pytest.mark.slow
def test_an_answer_that_is_left_stops_and_the_next_one_is_whole(players):
    whole = said(players, "one")
    stream = players.stream(
        players.model("one"), [{"role": "user", "content": "Tell"}], GenerationSettings(max_new_tokens=400)
    )
    next(stream)
    stream.close()
    assert said(players, "one") == whole


@pytest.mark.slow
def test_a_model_that_does_not_load_says_why(players):
    with pytest.raises(UserError, match="gone"):
        said(players, "gone")


def test_recorded_and_unreachable_models_say_so_at_once(players):
    with pytest.raises(UserError, match="kept is recorded"):
        said(players, "kept")
    with pytest.raises(UserError, match="does not answer"):
        said(players, "far")


def test_only_models_that_can_answer_are_offered(home):
    db = open_writer(home)
    add_model(db, "rec", ModelKind.RECORDED)
    add_model(db, "far", ModelKind.ENDPOINT, endpoint="http://127.0.0.1:9/v1", remote_name="m")
    db.conn.close()
    context = Context(home, Readers(home), Writer(home), chrome.theme())
    assert chat.choices(context) == ["far"]
    assert "Not offered: rec" in chat.recorded_note(context)
    steps = list(chat.converse(context, Players(home), "far", chat.NOBODY, "hi", "", 0.5, None, None))
    assert "does not answer" in steps[-1][0]
    assert steps[-1][2] == ""
    assert json.loads(steps[-1][1])[0][0]["content"] == "hi"
    for bad in ((None, "hi"), ("far", "  "), ("nowhere", "hi")):
        with pytest.raises(UserError):
            list(chat.converse(context, Players(home), bad[0], None, bad[1], None, 0.5, 10, None))
    context.writer.close()


def test_documents_go_with_the_question_and_tools_take_their_turns(tmp_path):
    from tests.standin import standing_in
    from tests.workshop import endpoint_home

    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "quokka.md").write_text("A quokka lives on <b>Rottnest</b> Island.")
    with standing_in() as server:
        home = endpoint_home(tmp_path / "home", server.url)
        context = Context(home, Readers(home), Writer(home), chrome.theme())
        rest = (0.0, 20, "Be brief.", str(docs))
        steps = list(
            chat.converse(context, context.players, "far", None, "Where does a quokka live?", "", *rest)
        )
        assert "Sources of the last question (1)" in steps[-1][0]
        assert "&lt;b&gt;Rottnest" in steps[-1][0]
        system, asked = server.seen[-1]["messages"]
        assert system["content"].startswith("Be brief.")
        assert "[1] quokka.md" in system["content"]
        assert asked["content"] == "Where does a quokka live?"
        assert "quokka.md" not in steps[-1][1], "what the page keeps is the talk alone"
        with pytest.raises(UserError, match="no folder"):
            list(
                chat.converse(context, context.players, "far", None, "hi", "", 0.0, 20, "", "/nowhere/at/all")
            )
        text = 'Action: {"name": "final_answer", "arguments": {"answer": "On an island."}}'
        chunk = json.dumps({"choices": [{"delta": {"content": text}}]})
        server.body = f"data: {chunk}\n\ndata: [DONE]\n\n"
        last = list(chat.converse(context, context.players, "far", None, "Where?", "", *rest, tools=True))[-1]
        assert json.loads(last[1])[0][-1]["content"] == "On an island."
        context.players.close()
        context.writer.close()


@pytest.mark.slow
def test_a_whole_answer_says_how_it_ended_and_a_stuck_model_is_ended(players):
    hello = [{"role": "user", "content": "Hello?"}]
    settings = GenerationSettings(temperature=0, max_new_tokens=5)
    made = players.respond(players.model("one"), hello, settings, 120.0)
    assert (made.finish_reason, made.tokens) in (("length", 5), ("stop", made.tokens))
    with pytest.raises(UserError, match="two stopped answering"):
        players.respond(players.model("two"), hello, settings, 0.01)
    assert players.respond(players.model("two"), hello, settings, 120.0).tokens <= 5
