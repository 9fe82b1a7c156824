"""A model that may use tools: a calculator, a search in this home, and the owner's own. The loop is smolagents'.

The tools are described in words and called in JSON, so that any model can try, one without tool calls of its own too.
Nothing that a model writes is run as code.
"""

import ast
import importlib.util
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sqlite_utils import Database

from arena.players import GenerationSettings
from db.catalog import responses_to, search_prompts
from db.connection import Home
from db.entities.catalog import Message, Model
from db.errors import UserError

if TYPE_CHECKING:
    from smolagents import ChatMessage, Tool

MOST_STEPS = 6
OWN_TOOLS = "tools.py"
"""the owner's file in the home's folder: functions marked with `smolagents.tool`"""
LONGEST_STEP = 2_000
"""characters of what a tool found that are shown and handed to the model"""

_TWO: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_NAMED: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt,
    "log": math.log,
    "exp": math.exp,
    "abs": abs,
    "round": round,
}


class Streams(Protocol):
    """Whatever lets a model speak (arena.web.chatting.Players)."""

    def stream(
        self, model: Model, messages: Sequence[Message], settings: GenerationSettings
    ) -> Iterator[str]:
        """The answer piece by piece."""
        ...


class WithTools:
    """Speaks as Streams does; what the model does on the way is said before its answer."""

    def __init__(self, players: Streams, home: Home, read: Callable[[], Database]) -> None:
        self._players, self._home, self._read = players, home, read

    def stream(
        self, model: Model, messages: Sequence[Message], settings: GenerationSettings
    ) -> Iterator[str]:
        """Each step with a tool as a quoted line, then the answer. UserError as the model itself refuses."""
        from smolagents import ActionStep, FinalAnswerStep, ToolCallingAgent
        from smolagents.agents import AgentGenerationError
        from smolagents.monitoring import LogLevel

        def respond(said: Sequence[Message]) -> str:
            return "".join(self._players.stream(model, said, replace(settings, system="")))

        agent = ToolCallingAgent(
            tools=[*tools_of(self._read), *own_tools(self._home)], model=_speaking(respond), max_steps=MOST_STEPS,
            instructions=settings.system or None, verbosity_level=LogLevel.OFF,
        )  # fmt: skip
        try:
            for step in agent.run(_task(messages), stream=True):
                if isinstance(step, ActionStep) and not step.is_final_answer:
                    yield _shown(step)
                elif isinstance(step, FinalAnswerStep):
                    yield str(step.output)
        except AgentGenerationError as error:
            cause = error.__cause__
            raise cause if isinstance(cause, UserError) else UserError(str(error)) from error


def _task(messages: Sequence[Message]) -> str:
    """The question, after what was said before it."""
    before = "\n".join(f"{m['role']}: {m['content']}" for m in messages[:-1])
    asked = messages[-1]["content"]
    return f"What was said before:\n{before}\n\nNow: {asked}" if before else asked


def _shown(step: Any) -> str:  # noqa: ANN401 - a step of smolagents
    """One step in a line: the call and what came of it, or why nothing did."""
    calls = ", ".join(f"{c.name}({c.arguments})" for c in step.tool_calls or ())
    found = str(step.error.message if step.error else step.observations or "").strip()
    line = " ".join(f"{calls or 'no tool'}: {found}".split())[:LONGEST_STEP]
    return f"> {line}\n\n"


def _speaking(respond: Callable[[Sequence[Message]], str]) -> Any:  # noqa: ANN401 - a Model of smolagents
    """A model of smolagents that speaks through one of ours."""
    from smolagents.models import ChatMessage, MessageRole, get_clean_message_list, tool_role_conversions
    from smolagents.models import Model as Speaker

    class Ours(Speaker):  # type: ignore[misc]
        """Text in, text out; a tool's call is read from the text."""

        def generate(
            self, messages: "list[ChatMessage]", stop_sequences: list[str] | None = None, **_: object
        ) -> ChatMessage:
            """The model's next turn, up to a stop sequence."""
            clean = get_clean_message_list(
                messages, role_conversions=tool_role_conversions, flatten_messages_as_text=True
            )
            said: list[Message] = [
                {"role": str(getattr(m["role"], "value", m["role"])), "content": m["content"]} for m in clean
            ]
            text = respond(said)
            for stop in stop_sequences or ():
                text = text.split(stop)[0]
            return ChatMessage(role=MessageRole.ASSISTANT, content=text.strip())

    return Ours(model_id="tastebench")


# -- tools ---------------------------------------------------------------------------------------------------------


def tools_of(read: Callable[[], Database]) -> "list[Tool]":
    """The tools every agent has. `read` gives a reading connection of the thread that asks."""
    from smolagents import tool

    @tool  # type: ignore[untyped-decorator]
    def calculator(expression: str) -> str:
        """Work out an arithmetic expression, such as (3 + 4) * 2 or sqrt(2).

        Args:
            expression: numbers with + - * / // % ** and brackets; also sqrt, log, exp, abs, round
        """
        return calculated(expression)

    @tool  # type: ignore[untyped-decorator]
    def search_arena(words: str) -> str:
        """Look up prompts of this arena and what its models answered.

        Args:
            words: one or a few words to look for
        """
        return found_in_home(read(), words)

    return [calculator, search_arena]


def own_tools(home: Home) -> "list[Tool]":
    """The tools of the owner's file in the home; none where there is no file. UserError where it does not load."""
    from smolagents import Tool

    file = Path(home.root) / OWN_TOOLS
    if not file.is_file():
        return []
    spec = importlib.util.spec_from_file_location("tastebench_own_tools", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the owner's own code may raise anything
        raise UserError(f"{file} does not load: {error}", "mend it, or move it away") from error
    return [value for value in vars(module).values() if isinstance(value, Tool)]


def calculated(expression: str) -> str:
    """The value of an arithmetic expression, or what is wrong with it, for the model to read."""
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body)
    except (ValueError, SyntaxError, TypeError, ArithmeticError, RecursionError) as error:
        return f"cannot be worked out: {error}"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else str(value)


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return -_value(node.operand) if isinstance(node.op, ast.USub) else _value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _TWO:
        return _TWO[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return math.pow(_value(node.left), _value(node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _NAMED:
        return float(_NAMED[node.func.id](*map(_value, node.args)))
    raise ValueError("only numbers, + - * / // % ** and brackets")


def found_in_home(db: Database, words: str, most: int = 3) -> str:
    """Prompts that hold the words and the answers they got, in a few lines."""
    lines = []
    for prompt in search_prompts(db, words, most):
        lines.append(f"Prompt: {prompt.text[:400]}")
        lines += [f"- {r.model}: {(r.text or '')[:300]}" for r in responses_to(db, prompt.id)[:4]]
    return "\n".join(lines) or "nothing was found"
