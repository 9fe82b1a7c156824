"""An agent over our own models: its tools, the loop, what the page is told of it."""

import pytest

from arena.agent import OWN_TOOLS, WithTools, calculated, found_in_home, own_tools
from arena.players import GenerationSettings
from db.catalog import get_model
from db.connection import open_reader, open_writer
from db.errors import UserError
from tests.factories import make_home
from tests.standin import completion, standing_in
from tests.workshop import endpoint_home


@pytest.mark.parametrize(
    ("expression", "value"),
    [("(3 + 4) * 2", "14"), ("2 ** 10", "1024"), ("sqrt(2) ** 2", "2.0000000000000004"), ("-7 // 2", "-4"),
     ("10 % 4", "2"), ("1 / 4", "0.25"), ("round(2.6)", "3")],
)  # fmt: skip
def test_the_calculator_works_out_arithmetic(expression, value):
    assert calculated(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os')",
        "open('x')",
        "1 / 0",
        "9 ** 9 ** 9",
        "a + 1",
        "",
        "'a' * 9",
        "(1).real",
        "sqrt(-1)",
        "1 +",
    ],
)
def test_the_calculator_does_nothing_else(expression):
    assert calculated(expression).startswith("cannot be worked out")


def test_the_search_finds_prompts_with_their_answers(tmp_path):
    home = make_home(tmp_path / "home", prompts=3)
    db = open_reader(home)
    found = found_in_home(db, "Question 1")
    assert "Prompt: Question 1?" in found
    assert "- model-one: Answer 1" in found
    assert found_in_home(db, "zebra") == "nothing was found"
    db.conn.close()


def call(name, **arguments):
    import json

    return completion(f"Action:\n{json.dumps({'name': name, 'arguments': arguments})}")


class Far:
    """A stand-in endpoint as the chat reaches it, which says one prepared turn after another."""

    def __init__(self, server, turns):
        self.server, self.turns = server, turns

    def stream(self, model, messages, settings):
        from arena.players.endpoint import EndpointPlayer

        self.server.body = self.turns.pop(0)
        yield EndpointPlayer(model.endpoint, model.remote_name).respond([messages], settings)[0].text


def run(tmp_path, turns, text="What is 6 times 7?", **settings):
    with standing_in() as server:
        home = endpoint_home(tmp_path / "home", server.url)
        db = open_writer(home)
        agent = WithTools(Far(server, turns), home, lambda: open_reader(home))
        said = list(
            agent.stream(
                get_model(db, "far"), [{"role": "user", "content": text}], GenerationSettings(**settings)
            )
        )
        db.conn.close()
        return said, server.seen


def test_a_model_calls_a_tool_reads_what_it_found_and_answers(tmp_path):
    turns = [call("calculator", expression="6 * 7"), call("final_answer", answer="It is 42.")]
    said, seen = run(tmp_path, turns, system="Be kind.")
    assert said == ["> calculator({'expression': '6 * 7'}): 42\n\n", "It is 42."]
    assert "calculator" in seen[0]["messages"][0]["content"]
    assert "Be kind." in seen[0]["messages"][0]["content"]
    assert "42" in seen[1]["messages"][-1]["content"]
    assert {m["role"] for s in seen for m in s["messages"]} <= {"system", "user", "assistant"}


def test_a_model_that_cannot_call_tools_still_answers_in_the_end(tmp_path):
    turns = [completion("I like turtles.")] * 9
    said, seen = run(tmp_path, turns)
    assert all(line.startswith("> no tool:") for line in said[:-1])
    assert said[-1] == "I like turtles."
    assert len(seen) == 7


def test_what_the_models_server_refuses_is_told_in_its_words(tmp_path):
    with standing_in() as server:
        home = endpoint_home(tmp_path / "home", server.url)
        db = open_writer(home)
        server.statuses = [400]
        agent = WithTools(Far(server, [None]), home, lambda: open_reader(home))
        with pytest.raises(UserError, match="answered 400"):
            list(
                agent.stream(get_model(db, "far"), [{"role": "user", "content": "hi"}], GenerationSettings())
            )
        db.conn.close()


def test_the_owners_own_tools_are_found_in_the_home(tmp_path):
    home = make_home(tmp_path / "home", prompts=0)
    assert own_tools(home) == []
    (home.root / OWN_TOOLS).write_text(
        'from smolagents import tool\n\n@tool\ndef shout(word: str) -> str:\n    """Say it loudly.\n\n'
        '    Args:\n        word: what to say\n    """\n    return word.upper()\n'
    )
    [tool] = own_tools(home)
    assert (tool.name, tool("hi")) == ("shout", "HI")
    (home.root / OWN_TOOLS).write_text("import nowhere_to_be_found")
    with pytest.raises(UserError, match=r"tools\.py does not load"):
        own_tools(home)
