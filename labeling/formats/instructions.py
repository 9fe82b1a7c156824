"""Instruction data: alpaca, qa, lima, sharegpt, ultrafeedback. Their answers come from a model named after the file."""

from collections.abc import Iterable, Mapping, Sequence

from db.entities.catalog import Message
from labeling.formats.fields import (
    asked,
    clean,
    filled,
    given_prompt,
    message,
    messages,
    number,
    optional,
    text,
)
from labeling.formats.plain import checked_pair, pair_row, question
from labeling.formats.records import (
    BadRow,
    Format,
    GivenPair,
    GivenPrompt,
    GivenResponse,
    GivenScore,
    ImportKind,
    Row,
)


def alpaca_row(row: Row) -> Iterable[GivenResponse]:
    """instruction, input where there is one, output."""
    instruction, extra = filled(row, "instruction"), optional(row, "input") or ""
    asks = f"{instruction}\n\n{extra}" if extra.strip() else instruction
    yield GivenResponse(question(asks), optional(row, "generator"), text(row, "output"))


def qa_row(row: Row) -> Iterable[GivenResponse]:
    """question, answer."""
    yield GivenResponse(question(filled(row, "question")), None, text(row, "answer"))


def lima_row(row: Row) -> Iterable[GivenResponse]:
    """conversations: texts in turn, the user's first; where the user has the last word, the talk ends one earlier."""
    said = row.get("conversations")
    if not isinstance(said, Sequence) or isinstance(said, str) or not all(isinstance(s, str) for s in said):
        raise BadRow("conversations is not a list of texts")
    roles = ("user", "assistant")
    chat = [Message(role=roles[i % 2], content=clean(s, "conversations")) for i, s in enumerate(said)]
    yield _last_answer(chat[: len(chat) // 2 * 2], "conversations")


def sharegpt_row(row: Row) -> Iterable[GivenResponse]:
    """conversations: messages from human and gpt."""
    yield _last_answer(messages(_talk(row), "conversations"), "conversations")


def sharegpt_prompt(row: Row) -> Iterable[GivenPrompt]:
    """The prompt of a talk, whether or not its answer is there."""
    chat = messages(_talk(row), "conversations")
    yield GivenPrompt(asked(chat[:-1] if chat[-1]["role"] == "assistant" else chat, "conversations"))


def sharegpt_pair(row: Row) -> Iterable[GivenPair]:
    """conversations with chosen and rejected, one message each."""
    chosen, rejected = (message(row.get(name), name)["content"] for name in ("chosen", "rejected"))
    yield checked_pair(next(iter(sharegpt_prompt(row))), chosen, rejected)


def _talk(row: Row) -> object:
    return row.get("conversations", row.get("conversation", row.get("messages")))


def _last_answer(chat: Sequence[Message], field: str) -> GivenResponse:
    if len(chat) < 2 or chat[-1]["role"] != "assistant":
        raise BadRow(f"{field} does not end with the assistant's answer")
    return GivenResponse(GivenPrompt(asked(chat[:-1], field)), None, chat[-1]["content"])


def ultrafeedback_row(row: Row) -> Iterable[GivenPair]:
    """The argilla columns (instruction, chosen_response, ...) or the messages form (score_chosen, chosen-rating, ...)."""
    if row.get("chosen_response") is not None and row.get("chosen") is None:
        prompt = question(filled(row, "instruction"))
        yield checked_pair(prompt, text(row, "chosen_response"), text(row, "rejected_response"))
        return
    for chosen, rejected in (("score_chosen", "score_rejected"), ("chosen-rating", "rejected-rating")):
        scores = row.get(chosen), row.get(rejected)
        if isinstance(scores[0], int | float) and scores[0] == scores[1]:
            raise BadRow("chosen and rejected have the same score: nobody preferred one")
    yield from pair_row(
        {k: v for k, v in row.items() if k in ("prompt", "chosen", "rejected", "split", "tags")}
    )


def generations_row(row: Row) -> Iterable[GivenResponse]:
    """all_generated_responses: every answer to one prompt, as ranked datasets and our own `responses` export hold them."""
    prompt, answers = _ranked(row)
    models = row.get("models")
    for i, answer in enumerate(answers):
        model = (
            models[i]
            if isinstance(models, Sequence) and not isinstance(models, str) and i < len(models)
            else None
        )
        yield GivenResponse(prompt, model if isinstance(model, str) else None, answer)


def generations_scores(row: Row) -> Iterable[GivenScore]:
    """scores: for each judge the score of each answer, where it gave one; the models must be named."""
    prompt, answers = _ranked(row)
    models, judged = row.get("models"), row.get("scores")
    if not isinstance(models, Sequence) or not isinstance(judged, Sequence) or len(models) != len(answers):
        raise BadRow("models and scores are not lists as long as all_generated_responses")
    for one in judged:
        if isinstance(one, Mapping) and isinstance(one.get("scores"), Sequence):
            for answer, model, score in zip(answers, models, one["scores"], strict=False):
                if score is not None:
                    yield GivenScore(
                        prompt, str(model), answer, str(one.get("judge")), number({"score": score}, "score")
                    )


def _ranked(row: Row) -> tuple[GivenPrompt, list[str]]:
    """The prompt, whole where it has several turns, and the answers to it."""
    answers = row.get("all_generated_responses")
    if not isinstance(answers, Sequence) or isinstance(answers, str):
        raise BadRow("all_generated_responses is not a list of texts")
    asked_of = row.get("prompt_messages") or row.get("prompt")
    texts = [text({"all_generated_responses": a}, "all_generated_responses") for a in answers]
    return given_prompt({"prompt": asked_of, "tags": row.get("tags")}), texts


def _list_of(kind: type, value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and bool(value)
        and isinstance(value[0], kind)
    )


FORMATS = (
    Format("ultrafeedback", (("chosen_response", "chosen"), ("rejected_response", "rejected")),
           {ImportKind.PAIRS: ultrafeedback_row},
           lambda columns, _row: {"instruction", "chosen_response", "rejected_response"} <= columns
           or {"score_chosen", "score_rejected", "chosen", "rejected"} <= columns
           or {"chosen-rating", "rejected-rating", "chosen", "rejected"} <= columns),
    Format("generations", (("all_generated_responses",), ("prompt", "prompt_messages")),
           {ImportKind.RESPONSES: generations_row, ImportKind.SCORES: generations_scores},
           lambda columns, _row: "all_generated_responses" in columns),
    Format("sharegpt", (("conversations", "conversation", "messages"),),
           {ImportKind.PAIRS: sharegpt_pair, ImportKind.RESPONSES: sharegpt_row, ImportKind.PROMPTS: sharegpt_prompt},
           lambda columns, row: bool({"conversations", "conversation"} & columns) and _list_of(Mapping, _talk(row))),
    Format("lima", (("conversations",),), {ImportKind.RESPONSES: lima_row},
           lambda _columns, row: _list_of(str, row.get("conversations"))),
    Format("alpaca", (("instruction",), ("output",)), {ImportKind.RESPONSES: alpaca_row},
           lambda columns, _row: {"instruction", "input", "output"} <= columns),
    Format("qa", (("question",), ("answer",)), {ImportKind.RESPONSES: qa_row},
           lambda columns, _row: {"question", "answer"} <= columns and "model" not in columns),
)  # fmt: skip
