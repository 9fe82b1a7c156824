"""Chat: talk to any registered model, or to two side by side, by name. Talks are kept in the home for their owner."""

import queue
import secrets
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple

import gradio as gr

from arena.agent import OWN_TOOLS, Streams, WithTools
from arena.documents import Passage, sources_for, told_with
from arena.players import GenerationSettings
from arena.web.chatting import MOST, Players
from arena.web.context import Context
from arena.web.pages.studio.acts import may_act, panel, told, typed, wanted
from arena.web.pages.studio.markup import render
from arena.web.talks import Keeping, Talk, earlier, forget, kept, read_talks, reopened
from db.catalog import get_model, list_models
from db.entities.catalog import Model, ModelKind
from db.errors import UserError

NOBODY = "(nobody)"
PACE = 0.1
"""seconds between two drawings of an answer that is still coming"""
DELETE = "(which) => which && confirm('Delete this talk for good?') ? which : ''"
"""asked before the server is"""


def ask(
    players: Streams, models: Sequence[Model], talks: Sequence[Talk], text: str, settings: GenerationSettings
) -> Generator[list[Talk]]:
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


class Said(NamedTuple):
    """What a page shows while the answers come: HTML, the talk as it keeps it, the question's field, the kept talk."""

    html: str
    history: str
    text: str
    which: str


def converse(
    context: Context, players: Players, first: str | None, second: str | None, text: str | None, history: str | None,
    temperature: float, tokens: float | None, system: str | None, folder: str | None = None,
    tools: bool = False, which: str | None = None,
) -> Iterator[Said]:  # fmt: skip
    """What to show while the answers come; the talk `which` (a new one) is kept. Refused for a viewer.

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
    keeping = Keeping(context, which, {
        "models": names, "temperature": settings.temperature, "tokens": settings.max_new_tokens,
        "system": typed(system), "folder": typed(folder), "tools": bool(tools),
    })  # fmt: skip
    rest, drawn = before[len(names) :], time.monotonic()
    asking = ask(speakers, models, before[: len(names)], question, settings)
    now = next(asking)
    talks = kept([*now, *rest])
    keeping.begin(question, talks)
    try:
        yield Said(shown(now, names, busy=True, sources=sources), talks, "", keeping.id)
        for now in asking:
            talks = kept([*now, *rest])
            if time.monotonic() - drawn >= PACE:
                drawn = time.monotonic()
                yield Said(shown(now, names, busy=True, sources=sources), talks, "", keeping.id)
    finally:
        asking.close()
        keeping.go_on(talks)
    yield Said(shown(now, names, busy=False, sources=sources), talks, "", keeping.id)


def opened_again(context: Context, which: str | None) -> tuple[Any, ...]:
    """A kept talk as the page shows it: both models, the talk, its form in the page, its id, how they answer."""
    chat = reopened(context, which)
    wanted_models, names = list(chat.settings["models"]), choices(context)  # type: ignore[call-overload]
    talks = read_talks(chat.talks)[: len(wanted_models)]
    first, second = [n if n in names else None for n in (*wanted_models, NOBODY)[:2]]
    return (
        gr.Dropdown(choices=names, value=first), gr.Dropdown(choices=[NOBODY, *names], value=second or NOBODY),
        shown(talks, wanted_models, busy=False), chat.talks, chat.id,
        *(chat.settings[key] for key in ("temperature", "tokens", "system", "folder", "tools")),
    )  # fmt: skip


def _models() -> list[gr.Dropdown]:
    """Who is asked: one model, or two."""
    with gr.Row(elem_id="chat-models"):
        first = gr.Dropdown(
            [], label="Talk to", info="Loading a model takes some seconds the first time.", min_width=240
        )
        second = gr.Dropdown([NOBODY], value=NOBODY, label="Beside it", info="A second model gets the same questions.",
                             min_width=240)  # fmt: skip
    return [first, second]


def _manner() -> list[gr.components.Component]:
    """How they answer, in the order in which a kept talk has it."""
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
    return [temperature, tokens, system, folder, tools]


def page(context: Context) -> gr.Blocks:
    """The page; its app lets the owner in and nobody else."""
    with gr.Blocks(title="Chat - Tastebench", analytics_enabled=False, fill_width=True) as blocks:
        with gr.Row(elem_classes="tb-buttons"):
            listed = gr.Dropdown([], value=None, label="Earlier talks", min_width=240, elem_id="chat-earlier",
                                 info="Kept in this home, for you alone, until you delete them.")  # fmt: skip
            gone = gr.Button("Delete this talk", elem_id="chat-delete", visible=False)
        both, settings = _models(), _manner()
        talk = panel(elem_id="chat")
        history, which = gr.Textbox(visible="hidden"), gr.Textbox(visible="hidden")
        text = gr.Textbox(label="Your message", lines=1, max_lines=8, max_length=20_000, elem_id="chat-text",
                          info="Enter sends, Shift+Enter makes a new line.", placeholder="What is the capital of France?")  # fmt: skip
        with gr.Row(elem_classes="tb-buttons"):
            send = gr.Button("Send", variant="primary", elem_id="chat-send")
            stop = gr.Button("Stop", elem_id="chat-stop")
            over = gr.Button("New talk", elem_id="chat-over")
        note = panel()

        def say(*fields: Any) -> Iterator[Said]:  # noqa: ANN401 - what the components hold
            try:
                yield from converse(context, context.players, *fields)
            except UserError as error:
                raise gr.Error(str(error), duration=12, title="Not done", print_exception=False) from None

        def fresh() -> tuple[gr.Dropdown, gr.Dropdown, str]:
            names = choices(context)
            return (
                gr.Dropdown(choices=names, value=names[-1] if names else None), gr.Dropdown(choices=[NOBODY, *names]),
                render("note", text=recorded_note(context), kind="plain") if recorded_note(context) else "",
            )  # fmt: skip

        def list_of(open_now: str | None) -> tuple[gr.Dropdown, gr.Button]:
            return gr.Dropdown(choices=earlier(context), value=typed(open_now) or None), gr.Button(
                visible=bool(typed(open_now))
            )

        def new() -> tuple[Any, ...]:
            return shown([Talk()], [""], busy=False), "", "", "", *list_of("")

        def delete(chosen: str | None) -> tuple[Any, ...]:
            may_act(context)
            if not typed(chosen):  # the person said no
                return tuple(gr.skip() for _ in (*said, *kept_ones))
            forget(context, chosen)
            return new()

        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        said, kept_ones = [talk, history, text, which], [listed, gone]
        talking = gr.on([send.click, text.submit], say, [*both, text, history, *settings, which], said,
                        concurrency_limit=MOST, **quiet)  # fmt: skip
        talking.then(told(list_of), which, kept_ones, **quiet)
        stop.click(told(list_of), which, kept_ones, cancels=[talking], api_visibility="private")
        over.click(told(new), outputs=[*said, *kept_ones], cancels=[talking], api_visibility="private")
        listed.input(told(lambda chosen: (*opened_again(context, chosen), gr.Button(visible=True))), listed,
                     [*both, talk, history, which, *settings, gone], cancels=[talking], **quiet)  # fmt: skip
        gone.click(told(delete), which, [*said, *kept_ones], js=DELETE, cancels=[talking], **quiet)
        blocks.load(fresh, outputs=[*both, note], **quiet)
        blocks.load(new, outputs=[*said, *kept_ones], **quiet)
    return blocks
