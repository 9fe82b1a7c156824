"""What other annotation tools export of pairwise comparisons: Argilla (records of version 2 and feedback datasets of
version 1) and Label Studio (JSON, JSON_MIN and CSV, with a Pairwise or a Choices control).

Neither names the models or fixes the fields: the question is the field named like one, the two answers are those with
the same name but for an ending (response-1, response-2; answer_a, answer_b; left, right). Models are known by a field or
metadata beside each answer (response-1-model, model_1), else by the answer's own field name.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from db.entities.votes import Outcome, RaterKind
from labeling.formats.fields import OUTCOMES, clean, given_prompt, messages, moment, reference, short
from labeling.formats.records import BadRow, Format, GivenPrompt, GivenResponse, GivenVote, ImportKind, Row

PROMPTS = (
    "prompt",
    "instruction",
    "question",
    "query",
    "input",
    "messages",
    "conversation",
    "context",
    "chat",
)
SLOT = re.compile(r"(?P<stem>[a-z][a-z_ -]*?)??[-_ ]?(?P<end>a|b|0|1|2|left|right)", re.I)
STEMS = frozenset({"", "response", "answer", "completion", "generation", "output", "reply", "candidate", "summary",
                   "text", "model", "generated text", "model response", "model output"})  # fmt: skip
ENDS = (("1", "2"), ("0", "1"), ("a", "b"), ("left", "right"))
ASKED = re.compile(r"prefer|choice|chosen|better|best|winner|compar|pair|vote|pw", re.I)
"""names of controls that compare: a single word in another column may be anything"""
DROPPED = ("discarded", "draft")


@dataclass(frozen=True, slots=True)
class _Two:
    """The two answers of a record: their fields' names, models and texts."""

    prompt: GivenPrompt
    names: tuple[str, str]
    ends: tuple[str, str]
    models: tuple[str, str]
    texts: tuple[str, str]

    def outcome(self, said: object) -> Outcome | None:
        """What an annotator's answer says of the two; None where it says nothing of them."""
        if isinstance(said, list | tuple):
            return self._ranking(said)
        if isinstance(said, Mapping) and {"rank", "value"} <= said.keys():
            ranks, values = said["rank"], said["value"]
            if isinstance(ranks, Sequence) and isinstance(values, Sequence):
                return self._ranking([{"rank": r, "value": v} for r, v in zip(ranks, values, strict=False)])
        if not isinstance(said, str | int) or isinstance(said, bool):
            return None
        word = _plain(str(said))
        for slot, outcome in enumerate((Outcome.A, Outcome.B)):
            end = self.ends[slot]
            if word in {_plain(self.names[slot]), end, _plain(self.models[slot])} or _ending(word) == end:
                return outcome
        return OUTCOMES.get(str(said).strip().lower())

    def _ranking(self, ranked: Sequence[object]) -> Outcome | None:
        """The better placed of the two: names from the best on, or objects with a rank."""
        places: dict[Outcome, float] = {}
        for place, one in enumerate(ranked, 1):
            value = one.get("value") if isinstance(one, Mapping) else one
            rank = one.get("rank", place) if isinstance(one, Mapping) else place
            slot = self.outcome(value) if isinstance(value, str | int) else None
            if slot is not None and slot.decisive and isinstance(rank, int | float):
                places[slot] = rank
        if len(places) < 2:
            return None
        a, b = places[Outcome.A], places[Outcome.B]
        return Outcome.TIE if a == b else Outcome.A if a < b else Outcome.B


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]+", " ", name).strip().lower()


def _ending(word: str) -> str | None:
    """a of `response a` or `text1`; None where the word is no answer's name."""
    found = SLOT.fullmatch(word)
    return found["end"].lower() if found and _plain(found["stem"] or "") in STEMS else None


def _two_answers(fields: Row, beside: Row) -> _Two:
    """The question and the two answers among a record's fields; `beside`: where models may be named."""
    prompt_name = next((f for n in PROMPTS for f in fields if _plain(f) == n and fields[f]), None)
    if prompt_name is None:
        raise BadRow(f"no field holds the question (one of {', '.join(PROMPTS[:5])})")
    stems: dict[str, dict[str, str]] = {}
    for name in fields:
        found = SLOT.fullmatch(name)
        if found and name != prompt_name and _plain(found["stem"] or "") in STEMS:
            stems.setdefault(_plain(found["stem"] or ""), {})[found["end"].lower()] = name
    for slots in stems.values():
        for ends in ENDS:
            if set(slots) == set(ends) and all(_is_text(fields[slots[e]]) for e in ends):
                names = slots[ends[0]], slots[ends[1]]
                return _Two(
                    given_prompt({"prompt": fields[prompt_name]}), names, ends,
                    (_model(names[0], ends[0], beside), _model(names[1], ends[1], beside)),
                    (_said(fields[names[0]], names[0]), _said(fields[names[1]], names[1])),
                )  # fmt: skip
    raise BadRow("no two fields hold the answers, such as response-1 and response-2")


def _is_text(value: object) -> bool:
    return isinstance(value, str | list)


def _said(value: object, field: str) -> str:
    """An answer as text; of a chat, its last message."""
    return clean(value, field) if isinstance(value, str) else messages(value, field)[-1]["content"]


def _model(field: str, end: str, beside: Row) -> str:
    wanted = {
        f"{_plain(field)} model",
        f"model {end}",
        f"model{end}",
        f"generator {end}",
        f"model name {end}",
    }
    for name, value in beside.items():
        if _plain(name) in wanted and isinstance(value, str) and value.strip():
            return value
    return field


# -- Argilla -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Said:
    """One person's answer to one question of a record."""

    question: str
    user: str
    value: object


def argilla_votes(row: Row) -> Iterable[GivenVote]:
    """A vote for each person who answered the first question that compares the two answers."""
    two = _argilla_two(row)
    given = [(one, two.outcome(one.value)) for one in _argilla_answers(row)]
    asked = next((one.question for one, outcome in given if outcome is not None), None)
    if asked is None:
        raise BadRow("nobody has said which answer is better")
    for one, outcome in given:
        if one.question == asked and outcome is not None:
            yield GivenVote(one.user, RaterKind.PERSON, outcome, two.prompt, *two.models, *two.texts)


def argilla_responses(row: Row) -> Iterable[GivenResponse]:
    """The two answers of a record, whether or not anybody compared them."""
    return _both(_argilla_two(row))


def _both(two: _Two) -> Iterator[GivenResponse]:
    for model, text in zip(two.models, two.texts, strict=True):
        yield GivenResponse(two.prompt, model, text)


def _argilla_two(row: Row) -> _Two:
    fields, metadata = row.get("fields"), row.get("metadata")
    if isinstance(metadata, str):  # feedback datasets of version 1 hold it as JSON
        try:
            metadata = json.loads(metadata)
        except ValueError:
            metadata = None
    known = dict(metadata) if isinstance(metadata, Mapping) else {}
    return _two_answers(fields if isinstance(fields, Mapping) else row, {**row, **known})


def _argilla_answers(row: Row) -> Iterator[_Said]:
    """Every submitted answer of a record, in whichever of the four forms it was exported."""
    nested = row.get("responses")
    if isinstance(nested, Mapping):  # version 2, nested: {question: [{user_id, value}]}
        for question, answers in nested.items():
            yield from _list_of_answers(str(question), answers)
        return
    if isinstance(nested, list):  # the server's records: [{user_id, status, values: {question: {value}}}]
        for one in nested:
            if (
                isinstance(one, Mapping)
                and one.get("status") not in DROPPED
                and isinstance(one.get("values"), Mapping)
            ):
                for question, value in one["values"].items():
                    yield _Said(str(question), str(one.get("user_id")), value.get("value") if isinstance(value, Mapping) else value)  # fmt: skip
        return
    for name, values in row.items():
        if name.endswith(".responses") and isinstance(values, Sequence):  # version 2, flattened
            users, status = row.get(f"{name}.users"), row.get(f"{name}.status")
            yield from _columns(name.removesuffix(".responses"), users, values, status)
        elif _is_v1(values):
            yield from _list_of_answers(name, values)


def _list_of_answers(question: str, answers: object) -> Iterator[_Said]:
    """Answers as a list of objects, or as an object of lists (what Parquet makes of it)."""
    if isinstance(answers, Mapping):
        yield from _columns(question, answers.get("user_id"), answers.get("value"), answers.get("status"))
    elif isinstance(answers, Sequence) and not isinstance(answers, str):
        for one in answers:
            if isinstance(one, Mapping) and one.get("status") not in DROPPED and one.get("value") is not None:
                yield _Said(question, str(one.get("user_id")), one["value"])


def _columns(question: str, users: object, values: object, status: object) -> Iterator[_Said]:
    if not isinstance(users, Sequence) or not isinstance(values, Sequence):
        return
    states = status if isinstance(status, Sequence) and not isinstance(status, str) else [None] * len(values)
    for user, value, state in zip(users, values, states, strict=False):
        if state not in DROPPED and value is not None:
            yield _Said(question, str(user), value)


def _is_v1(value: object) -> bool:
    if isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, Mapping) and {"user_id", "value"} <= value.keys()


def _is_argilla(columns: frozenset[str], row: Row) -> bool:
    return (
        {"fields", "responses"} <= columns
        or any(c.endswith(".responses.users") for c in columns)
        or any(_is_v1(value) for value in row.values())
    )


# -- Label Studio ------------------------------------------------------------------------------------------------


def label_studio_votes(row: Row) -> Iterable[GivenVote]:
    """A vote for each annotation of a task that was not cancelled."""
    found = list(_tasks(row))
    if not found:
        raise BadRow("nobody has said which answer is better")
    yield from found


def _tasks(row: Row) -> Iterator[GivenVote]:
    annotations, data = row.get("annotations"), row.get("data")
    if isinstance(annotations, list) and isinstance(data, Mapping):
        two = _two_answers(data, data)
        for one in annotations:
            if isinstance(one, Mapping) and not one.get("was_cancelled"):
                outcome = _result(two, one.get("result"))
                if outcome is not None:
                    yield _label_studio_vote(two, one.get("completed_by"), outcome, one.get("created_at"))
        return
    fields = {k: v for k, v in row.items() if k not in ("annotator", "annotation_id", "lead_time")}
    two = _two_answers(fields, fields)
    said = {n: v for n, v in fields.items() if n not in (*two.names, "id") and _plain(n) not in PROMPTS}
    outcome = _first(
        two, (v for v in said.values() if not isinstance(v, str) or v.lstrip().startswith(("[", "{")))
    )
    outcome = outcome or _first(two, (v for n, v in said.items() if ASKED.search(n)))
    if outcome is not None:
        yield _label_studio_vote(two, row.get("annotator"), outcome, row.get("created_at"))


def _first(two: _Two, values: Iterable[object]) -> Outcome | None:
    """The first of the values that compares the two answers."""
    return next((o for value in values if (o := _choice(two, value)) is not None), None)


def _label_studio_vote(two: _Two, who: object, outcome: Outcome, at: object) -> GivenVote:
    return GivenVote(
        _annotator(who),
        RaterKind.PERSON,
        outcome,
        two.prompt,
        *two.models,
        *two.texts,
        at=moment({"tstamp": at}),
    )


def _annotator(who: object) -> str:
    """An annotator by number, or by mail where the export says who it was (stored as a hash)."""
    if isinstance(who, Mapping):
        who = who.get("email") or who.get("id")
    name = reference({"annotator": who}, "annotator")
    if name is None:
        raise BadRow(f"the annotation does not say whose it is ({short(who)})")
    return name if "@" in name else f"annotator-{name}"


def _result(two: _Two, results: object) -> Outcome | None:
    """What the first control of an annotation that compares the two says."""
    values = (
        [one.get("value") for one in results if isinstance(one, Mapping)] if isinstance(results, list) else []
    )
    return _first(two, values)


def _choice(two: _Two, value: object) -> Outcome | None:
    """`{"selected": "left"}`, `{"choices": ["Answer 1"]}`, either in a list or as the JSON a CSV cell holds, or a word."""
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, Mapping):
        if "selected" in value:
            return {"left": Outcome.A, "right": Outcome.B}.get(str(value["selected"]))
        chosen = value.get("choices")
        return two.outcome(chosen[0]) if isinstance(chosen, list) and len(chosen) == 1 else None
    return two.outcome(value) if isinstance(value, str) else None


def label_studio_responses(row: Row) -> Iterable[GivenResponse]:
    """The two answers of a task, whether or not anybody compared them."""
    data = row.get("data")
    fields = data if isinstance(data, Mapping) else row
    return _both(_two_answers(fields, fields))


def _is_label_studio(columns: frozenset[str], _row: Row) -> bool:
    return {"annotations", "data"} <= columns or {"annotation_id", "annotator"} <= columns


FORMATS = (
    Format("label_studio", (), {ImportKind.VOTES: label_studio_votes, ImportKind.RESPONSES: label_studio_responses},
           _is_label_studio),
    Format("argilla", (), {ImportKind.VOTES: argilla_votes, ImportKind.RESPONSES: argilla_responses}, _is_argilla),
)  # fmt: skip
