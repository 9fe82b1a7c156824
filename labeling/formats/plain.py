"""The formats of the contract: prompts, responses, votes, verdicts, pairs, scores, and items that votes point to."""

from collections.abc import Iterable, Mapping, Sequence

from db.entities.catalog import Message
from db.entities.votes import Outcome, RaterKind
from labeling.formats.fields import (
    asked,
    filled,
    given_prompt,
    message,
    messages,
    moment,
    number,
    optional,
    outcome,
    reference,
    settings_of,
    short,
    split_of_row,
    tags_of,
    text,
    turn_of,
    user,
)
from labeling.formats.records import (
    BadRow,
    Format,
    GivenItem,
    GivenPair,
    GivenPrompt,
    GivenResponse,
    GivenScore,
    GivenVote,
    ImportKind,
    Row,
)


def prompt_row(row: Row) -> Iterable[GivenPrompt]:
    """One prompt; its texts must be there."""
    prompt = given_prompt(row)
    if not prompt.messages:
        raise BadRow("prompt is missing")
    yield prompt


def response_row(row: Row) -> Iterable[GivenResponse]:
    """One model's response."""
    yield GivenResponse(given_prompt(row), filled(row, "model"), text(row, "response"), settings_of(row))


def item_row(row: Row) -> Iterable[GivenItem]:
    """Two responses under one id."""
    item = reference(row, "item_id")
    if item is None:
        raise BadRow("item_id is missing")
    yield GivenItem(
        item, given_prompt(row), *_two_models(row), text(row, "response_a"), text(row, "response_b")
    )


def _two_models(row: Row) -> tuple[str, str]:
    model_a, model_b = filled(row, "model_a"), filled(row, "model_b")
    if model_a.strip() == model_b.strip():
        raise BadRow(f"model_a and model_b are both {short(model_a)}")
    return model_a, model_b


def vote_row(row: Row) -> Iterable[GivenVote]:
    """A person's vote, or a made-up one where the row says so."""
    kind = RaterKind.SIMULATED if _true(row.get("simulated")) else RaterKind.PERSON
    yield _vote(row, kind)


def verdict_row(row: Row) -> Iterable[GivenVote]:
    """A machine's verdict; one that flipped when the order was swapped is a tie."""
    vote = _vote(row, RaterKind.JUDGE)
    if _true(row.get("inconsistent")):
        vote = GivenVote(vote.rater, vote.kind, Outcome.TIE, vote.prompt, vote.model_a, vote.model_b, vote.text_a,
                         vote.text_b, vote.turn, vote.at, vote.item)  # fmt: skip
    yield vote


def _true(value: object) -> bool:
    return (
        value is True
        or value == 1
        or (isinstance(value, str) and value.strip().lower() in ("true", "yes", "1"))
    )


def _vote(row: Row, kind: RaterKind) -> GivenVote:
    rater, won, at = rater_of(row), outcome(row), moment(row)
    item = reference(row, "item_id")
    if item is not None and row.get("model_a") is None:
        return GivenVote(rater, kind, won, turn=turn_of(row), at=at, item=item)
    model_a, model_b = _two_models(row)
    if row.get("conversation_a") is not None:
        prompt, text_a, text_b = _conversations(row)
    else:
        prompt, text_a, text_b = given_prompt(row), optional(row, "response_a"), optional(row, "response_b")
    return GivenVote(rater, kind, won, prompt, model_a, model_b, text_a, text_b, turn_of(row), at)


def rater_of(row: Row) -> str:
    """Who judged, as the source calls them; a judge given as [name, template] is known by its name."""
    value = row.get("rater")
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return filled({"rater": value[0]}, "rater")
    rater = reference(row, "rater")
    if rater is None or not rater.strip():
        raise BadRow("rater is missing")
    return rater


def _conversations(row: Row) -> tuple[GivenPrompt, str | None, str | None]:
    """Both talks of an arena row. Where they part before the last answer there is no one prompt: only the id stays."""
    first, second = (messages(row.get(name), name) for name in ("conversation_a", "conversation_b"))
    ref = reference(row, "prompt_id")
    tags = tags_of(row)
    if first[:-1] == second[:-1] and first[-1]["role"] == second[-1]["role"] == "assistant":
        prompt = GivenPrompt(asked(first[:-1], "conversation_a"), ref, split_of_row(row), tags)
        return prompt, first[-1]["content"], second[-1]["content"]
    if ref is None:
        raise BadRow("the two conversations differ before the last answer and the row has no prompt_id")
    return GivenPrompt((), ref, split_of_row(row), tags), None, None


def pair_row(row: Row) -> Iterable[GivenPair]:
    """A preference pair: chosen and rejected as texts, messages, or whole chats that begin with the prompt."""
    chosen, before = _answer(row, "chosen")
    rejected, before_rejected = _answer(row, "rejected")
    if before != before_rejected:
        raise BadRow("chosen and rejected do not answer the same prompt")
    if before:
        prompt = GivenPrompt(
            asked(before, "prompt"), reference(row, "prompt_id"), split_of_row(row), tags_of(row)
        )
        _agrees(row, prompt)
    else:
        prompt = given_prompt(row)
        if not prompt.messages:
            raise BadRow("prompt is missing")
    yield checked_pair(prompt, chosen, rejected)


def _answer(row: Row, field: str) -> tuple[str, tuple[Message, ...]]:
    """The answer, and the turns before it where the field holds a whole chat."""
    value = row.get(field)
    if value is None or isinstance(value, str):
        return text(row, field), ()
    chat = (message(value, field),) if isinstance(value, Mapping) else messages(value, field)
    if chat[-1]["role"] != "assistant":
        raise BadRow(f"{field} does not end with the assistant's message")
    return chat[-1]["content"], chat[:-1]


def _agrees(row: Row, prompt: GivenPrompt) -> None:
    """A chat that brings its own prompt must ask what the row's prompt asks."""
    if row.get("prompt") is None:
        return
    asks = given_prompt({"prompt": row["prompt"]}).messages
    if asks[-1] != prompt.messages[-1]:
        raise BadRow("prompt is not what chosen and rejected answer")


def checked_pair(prompt: GivenPrompt, chosen: str, rejected: str) -> GivenPair:
    """A pair that can teach something: two texts, both there, and different."""
    for name, value in (("chosen", chosen), ("rejected", rejected)):
        if not value.strip():
            raise BadRow(f"the {name} response is empty")
    if chosen.strip() == rejected.strip():
        raise BadRow("chosen and rejected are the same")
    return GivenPair(prompt, chosen, rejected)


def score_row(row: Row) -> Iterable[GivenScore]:
    """One score."""
    scorer = filled(row, "scorer").strip()
    yield GivenScore(
        given_prompt(row), filled(row, "model"), optional(row, "response"), scorer, number(row, "score")
    )


def scored_pair_row(row: Row) -> Iterable[GivenScore]:
    """Two responses of one row, each with its score."""
    scorer, models = filled(row, "scorer").strip(), _two_models(row)
    for model, slot in zip(models, "ab", strict=True):
        yield GivenScore(
            given_prompt(row), model, text(row, f"response_{slot}"), scorer, number(row, f"score_{slot}")
        )


def scored_pair_vote(row: Row) -> Iterable[GivenVote]:
    """The human verdict beside the scores, from one unnamed person."""
    yield _vote({**row, "rater": row.get("rater") or "human"}, RaterKind.PERSON)


def instruction_with_input(row: Row) -> Row:
    """The row with `input`, where it holds anything, put under the instruction."""
    extra = optional(row, "input")
    if not extra or not extra.strip() or not isinstance(row.get("prompt"), str):
        return row
    return {**row, "prompt": f"{row['prompt']}\n\n{extra}"}


def items_with_input(row: Row) -> Iterable[GivenItem]:
    """Items whose prompt is an instruction and an input."""
    return item_row(instruction_with_input(row))


def question(content: str) -> GivenPrompt:
    """A prompt of one question, which must not be empty."""
    if not content.strip():
        raise BadRow("the prompt is empty")
    return GivenPrompt(user(content))


_PROMPT = ("prompt", "prompt_id", "messages")
_BATTLE = (("model_a", "item_id", "conversation_a"), ("winner",), ("rater",))

ITEMS = Format("items", (("item_id",), ("prompt", "messages"), ("model_a",), ("model_b",), ("response_a",), ("response_b",)),
               {ImportKind.RESPONSES: items_with_input}, aliased=True)  # fmt: skip
SCORED_PAIRS = Format("scored_pairs", (("prompt",), ("model_a",), ("model_b",), ("score_a",), ("score_b",), ("scorer",)),
                      {ImportKind.SCORES: scored_pair_row, ImportKind.VOTES: scored_pair_vote},
                      lambda columns, _row: {"score_a", "score_b", "scorer"} <= columns, aliased=True)  # fmt: skip
PLAIN = (
    Format("prompts", (_PROMPT,), {ImportKind.PROMPTS: prompt_row}, aliased=True),
    Format(
        "responses", (_PROMPT, ("model",), ("response",)), {ImportKind.RESPONSES: response_row}, aliased=True
    ),
    Format("votes", _BATTLE, {ImportKind.VOTES: vote_row}, aliased=True),
    Format("verdicts", _BATTLE, {ImportKind.VERDICTS: verdict_row}, aliased=True),
    Format("pairs", (("chosen",), ("rejected",)), {ImportKind.PAIRS: pair_row}, aliased=True),
    Format(
        "scores", (_PROMPT, ("model",), ("scorer",), ("score",)), {ImportKind.SCORES: score_row}, aliased=True
    ),
)
