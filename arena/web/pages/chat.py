"""Chat: talk to any registered model, or to two side by side, by name. The talk is kept in the page alone."""

import json
import queue
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from arena.agent import OWN_TOOLS, Streams, WithTools
from arena.documents import Passage, sources_for, told_with
from arena.players import GenerationSettings
from arena.web.chatting import MOST, Players
from arena.web.context import Context
from arena.web.pages.studio.acts import may_act, panel, told, typed, wanted
from arena.web.pages.studio.markup import render
from db.catalog import get_model, list_models
from db.entities import Message, Model, ModelKind
from db.errors import UserError

NOBODY = "(nobody)"
PACE = 0.1
"""seconds between two drawings of an answer that is still coming"""
LONGEST_TALK = 400_000
"""characters of a talk that the page may send back"""
ROLES = ("user", "assistant")


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn; `model` answered it, `problem` is why it did not."""

    role: str
    content: str
    model: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Talk:
    """The talk with one model; both sides of a page are asked the same."""

    turns: tuple[Turn, ...] = ()

    def asked(self, text: str, model: str) -> "Talk":
        """The talk with a question and the place where its answer will come."""
        return Talk((*self.turns, Turn("user", text), Turn("assistant", "", model)))

    def answered(self, piece: str, problem: str = "") -> "Talk":
        """The talk with more of its last answer, or with why there is none."""
        last = self.turns[-1]
        return Talk((*self.turns[:-1], replace(last, content=last.content + piece, problem=problem)))

    @property
    def messages(self) -> list[Message]:
        """What the model is sent: what was said, up to the answer that is awaited."""
        return [{"role": t.role, "content": t.content} for t in self.turns if t.content and not t.problem]


def read_talks(text: str | None) -> tuple[Talk, Talk]:
    """Both talks from what the page kept; UserError where it is not what the page was given."""
    if not typed(text):
        return Talk(), Talk()
    if len(typed(text)) > LONGEST_TALK:
        raise UserError("this talk is too long to go on", "start over")
    try:
        first, second = (
            Talk(tuple(Turn(*(str(t[k]) for k in ("role", "content", "model", "problem"))) for t in side))
            for side in json.loads(typed(text))
        )
    except (ValueError, TypeError, KeyError):
        raise UserError("the talk kept in this page cannot be read", "start over") from None
    if any(t.role not in ROLES for t in (*first.turns, *second.turns)):
        raise UserError("the talk kept in this page cannot be read", "start over")
    return first, second


def kept(talks: Sequence[Talk]) -> str:
    """Both talks as the page keeps them."""
    return json.dumps([[{"role": t.role, "content": t.content, "model": t.model, "problem": t.problem}
                        for t in talk.turns] for talk in talks], ensure_ascii=False)  # fmt: skip


def ask(
    players: Streams, models: Sequence[Model], talks: Sequence[Talk], text: str, settings: GenerationSettings
) -> Iterator[list[Talk]]:
    """Ask each model the same at once; the talks after every piece. A model that fails says so in its own talk."""
    now = [talk.asked(text, model.name) for talk, model in zip(talks, models, strict=True)]
    yield list(now)
    pieces: queue.Queue[tuple[int, str | None, str]] = queue.Queue()
    left = threading.Event()

    def read(side: int) -> None:
        problem = ""
        try:
            stream = players.stream(models[side], now[side].messages, settings)
            for piece in stream:
                pieces.put((side, piece, ""))
                if left.is_set():
                    break
        except UserError as error:
            problem = str(error)
        finally:
            pieces.put((side, None, problem))

    for side in range(len(models)):
        threading.Thread(target=read, args=(side,), daemon=True).start()
    try:
        open_sides = len(models)
        while open_sides:
            side, piece, problem = pieces.get()
            open_sides -= piece is None
            now[side] = now[side].answered(piece or "", problem)
            yield list(now)
    finally:
        left.set()


def shown(talks: Sequence[Talk], names: Sequence[str], *, busy: bool, sources: Sequence[Passage] = ()) -> str:
    """The talks as HTML, side by side where there are two; below them the passages that went with the last question."""
    return render(
        "chat",
        talks=list(zip(names, talks, strict=True)),
        busy=busy,
        empty=not talks[0].turns,
        sources=sources,
    )


def choices(context: Context) -> list[str]:
    """The models that can answer."""
    return [m.name for m in list_models(context.readers.get()) if m.kind is not ModelKind.RECORDED]


def recorded_note(context: Context) -> str:
    """Why some models are not offered."""
    names = [m.name for m in list_models(context.readers.get()) if m.kind is ModelKind.RECORDED]
    if not names:
        return ""
    return f"Not offered: {', '.join(names[:6])}{' and more' if len(names) > 6 else ''}. Recorded models only have the answers that were imported."


def converse(
    context: Context, players: Players, first: str | None, second: str | None, text: str | None, history: str | None,
    temperature: float, tokens: float | None, system: str | None, folder: str | None = None,
    tools: bool = False,
) -> Iterator[tuple[str, str, str]]:  # fmt: skip
    """(HTML, what the page keeps, what is left in the question's field) while the answers come. Refused for a viewer.

    With a folder its passages go with the question and are shown; with tools each model is asked as an agent.
    """
    may_act(context)
    question = wanted(text, "there is nothing to ask", "write something first")
    one = wanted(first, "no model is chosen", "choose one; the Models tab of the studio adds more")
    names = [one] if second in (None, "", NOBODY, one) else [one, str(second)]
    models = [get_model(context.readers.get(), n) for n in names]
    before = read_talks(history)
    sources = sources_for(typed(folder), question) if typed(folder) else []
    settings = GenerationSettings(
        temperature=float(temperature), max_new_tokens=max(1, int(tokens or 256)), seed=secrets.randbelow(2**31),
        system=told_with(typed(system), sources),
    )  # fmt: skip
    speakers: Streams = WithTools(players, context.home, context.readers.get) if tools else players
    now: list[Talk] = list(before[: len(names)])
    drawn = 0.0
    for now in ask(speakers, models, before[: len(names)], question, settings):
        if time.monotonic() - drawn >= PACE:
            drawn = time.monotonic()
            yield shown(now, names, busy=True, sources=sources), kept([*now, *before[len(names) :]]), ""
    yield shown(now, names, busy=False, sources=sources), kept([*now, *before[len(names) :]]), ""


def page(context: Context) -> gr.Blocks:
    """The page; its app lets the owner in and nobody else."""
    with gr.Blocks(title="Chat - Tastebench", analytics_enabled=False, fill_width=True) as blocks:
        with gr.Row(elem_id="chat-models"):
            first = gr.Dropdown(
                [], label="Talk to", info="Loading a model takes some seconds the first time.", min_width=240
            )
            second = gr.Dropdown([NOBODY], value=NOBODY, label="Beside it", info="A second model gets the same questions.",
                                 min_width=240)  # fmt: skip
        with gr.Accordion("How they answer", open=False):
            with gr.Row():
                temperature = gr.Slider(0, 2, 0.8, step=0.05, label="Temperature", min_width=240,
                                        info="0 always takes the likeliest word; higher is more varied.")  # fmt: skip
                tokens = gr.Number(256, label="Longest answer", precision=0, minimum=1, maximum=8192, min_width=240,
                                   info="In tokens, about three quarters of a word each.")  # fmt: skip
            system = gr.Textbox(
                label="System prompt",
                info="What the models are told before the talk; empty for none.",
                lines=2,
            )
        with gr.Accordion("Documents and tools", open=False):
            folder = gr.Textbox(label="Folder of documents", min_width=240, max_length=1000, placeholder="/home/me/notes",
                                info="On this machine: .md, .txt and .rst files. What fits a question goes with it and is shown.")  # fmt: skip
            tools = gr.Checkbox(False, label="Let the model use tools", min_width=240,
                                info=f"A calculator, a search in this home, and yours in {OWN_TOOLS} in the home's folder. Small models rarely manage.")  # fmt: skip
        talk = panel(elem_id="chat")
        history = gr.Textbox(visible="hidden")
        text = gr.Textbox(label="Your message", lines=1, max_lines=8, max_length=20_000, elem_id="chat-text",
                          info="Enter sends, Shift+Enter makes a new line.", placeholder="What is the capital of France?")  # fmt: skip
        with gr.Row(elem_classes="tb-buttons"):
            send = gr.Button("Send", variant="primary", elem_id="chat-send")
            stop = gr.Button("Stop", elem_id="chat-stop")
            over = gr.Button("Start over", elem_id="chat-over")
        note = panel()

        def say(*fields: Any) -> Iterator[tuple[str, str, str]]:  # noqa: ANN401 - what the components hold
            try:
                yield from converse(context, context.players, *fields)
            except UserError as error:
                raise gr.Error(str(error), duration=12, title="Not done", print_exception=False) from None

        def fresh() -> tuple[gr.Dropdown, gr.Dropdown, str, str]:
            names = choices(context)
            return (
                gr.Dropdown(choices=names, value=names[-1] if names else None), gr.Dropdown(choices=[NOBODY, *names]),
                render("note", text=recorded_note(context), kind="plain") if recorded_note(context) else "",
                shown([Talk()], [""], busy=False),
            )  # fmt: skip

        inputs = [first, second, text, history, temperature, tokens, system, folder, tools]
        talking = gr.on([send.click, text.submit], say, inputs, [talk, history, text], concurrency_limit=MOST,
                        show_progress="hidden", api_visibility="private")  # fmt: skip
        stop.click(told(lambda: None), cancels=[talking], api_visibility="private")
        over.click(told(lambda: (shown([Talk()], [""], busy=False), "", "")), outputs=[talk, history, text],
                   cancels=[talking], api_visibility="private")  # fmt: skip
        blocks.load(
            fresh, outputs=[first, second, note, talk], show_progress="hidden", api_visibility="private"
        )
    return blocks
