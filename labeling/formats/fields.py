"""Typed reading of one field of a row; what is not as it must be raises BadRow with the field's name."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from db.entities.catalog import Message, Split
from db.entities.votes import Outcome
from labeling.formats.records import BadRow, GivenPrompt, Row

ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant",
}  # fmt: skip

OUTCOMES = {
    **dict.fromkeys(("model_a", "a", "left", "model_1", "output_1", "1", "response_a", "chosen_a"), Outcome.A),
    **dict.fromkeys(("model_b", "b", "right", "model_2", "output_2", "2", "response_b", "chosen_b"), Outcome.B),
    **dict.fromkeys(("tie", "tie (inconsistent)", "draw", "equal", "same", "0", "1.5"), Outcome.TIE),
    **dict.fromkeys(("both_bad", "bothbad", "both bad", "tie (bothbad)", "neither"), Outcome.BOTH_BAD),
    **dict.fromkeys(("both_good", "bothgood", "both good", "tie (bothgood)", "both"), Outcome.BOTH_GOOD),
    "skip": Outcome.SKIP,
}  # fmt: skip


def clean(value: str, field: str) -> str:
    """The text unless it holds what no database or browser takes: half a surrogate pair, or NUL."""
    if "\0" in value:
        raise BadRow(f"{field} holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRow(f"{field} holds half a surrogate pair, which is not text") from None
    return value


def text(row: Row, field: str) -> str:
    """A text, which may be empty."""
    value = row.get(field)
    if value is None:
        raise BadRow(f"{field} is missing")
    if not isinstance(value, str):
        raise BadRow(f"{field} is {_kind(value)} where a text is wanted")
    return clean(value, field)


def filled(row: Row, field: str) -> str:
    """A text with something in it."""
    value = text(row, field)
    if not value.strip():
        raise BadRow(f"{field} is empty")
    return value


def optional(row: Row, field: str) -> str | None:
    """A text, or None where it is missing."""
    return None if row.get(field) is None else text(row, field)


def reference(row: Row, field: str) -> str | None:
    """A source's own id, which may be a text or a whole number; None where it is missing or empty."""
    value = row.get(field)
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadRow(f"{field} is {_kind(value)} where an id is wanted")
    if isinstance(value, int) and abs(value) >= 1 << 64:
        raise BadRow(f"{field} is too large for an id")
    return clean(str(value), field)


def number(row: Row, field: str) -> float:
    """A finite number; a text that holds one will do (CSV has nothing else)."""
    value = row.get(field)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadRow(f"{field} is {_kind(value)} where a number is wanted")
    try:
        result = float(value)
    except (ValueError, OverflowError):
        raise BadRow(f"{field} is not a number") from None
    if not math.isfinite(result):
        raise BadRow(f"{field} is not a finite number")
    return result


def turn_of(row: Row) -> int | None:
    """Which turn of the talk was judged; None where the row does not say."""
    if row.get("turn") is None or row.get("turn") == "":
        return None
    value = number(row, "turn")
    if not value.is_integer() or not 1 <= value <= 1000:
        raise BadRow("turn is not a whole number from 1")
    return int(value)


def moment(row: Row) -> str | None:
    """When it happened as UTC ISO text, from seconds since 1970 or ISO text; None where the row does not say."""
    value = row.get("tstamp")
    if value is None or value == "":
        return None
    try:
        if isinstance(value, datetime):
            when = value
        elif isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            when = datetime.fromisoformat(value)
        else:
            when = datetime.fromtimestamp(number(row, "tstamp"), UTC)
    except (ValueError, OverflowError, OSError):
        raise BadRow("tstamp is neither a time nor seconds since 1970") from None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def outcome(row: Row, field: str = "winner") -> Outcome:
    """Which response won, in the words arenas use."""
    value = row.get(field)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    word = str(value).strip().lower()
    if value is None or isinstance(value, bool) or word not in OUTCOMES:
        raise BadRow(f"{field} is {short(value)}, not model_a, model_b, tie, both_good or both_bad")
    return OUTCOMES[word]


def split_of_row(row: Row) -> Split | None:
    """The split a row names for its prompt; None where it names none."""
    value = optional(row, "split")
    if not value:
        return None
    named = {"train": Split.TRAIN, "heldout": Split.HELDOUT, "test": Split.HELDOUT, "held-out": Split.HELDOUT}
    if value.lower() not in named:
        raise BadRow(f"split is {short(value)}, not train or heldout")
    return named[value.lower()]


def tags_of(row: Row) -> tuple[str, ...]:
    """Tags, from a list or one text; a comma or semicolon parts them in a text."""
    value = row.get("tags")
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = value.replace(";", ",").split(",")
    if not isinstance(value, Sequence) or not all(isinstance(tag, str) for tag in value):
        raise BadRow("tags is neither a list of texts nor a text")
    return tuple(sorted({clean(tag.strip(), "tags") for tag in value if tag.strip()}))


def settings_of(row: Row) -> dict[str, object] | None:
    """How a response was made, as far as it is plain names and values; None where the row does not say."""
    value = row.get("settings")
    if not isinstance(value, Mapping):
        return None
    texts = {
        k: clean(v, "settings") if isinstance(v, str) else v for k, v in value.items() if isinstance(k, str)
    }
    plain = {clean(k, "settings"): v for k, v in texts.items() if isinstance(v, str | int | float)}
    return {k: v for k, v in plain.items() if not isinstance(v, float) or math.isfinite(v)} or None


def messages(value: object, field: str) -> tuple[Message, ...]:
    """A chat from a list of messages in any of the usual spellings (role and content, from and value)."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise BadRow(f"{field} is {_kind(value)} where a list of messages is wanted")
    if not value:
        raise BadRow(f"{field} is an empty list")
    return tuple(message(one, f"{field}[{i}]") for i, one in enumerate(value))


def message(value: object, field: str) -> Message:
    """One message of a chat."""
    if not isinstance(value, Mapping):
        raise BadRow(f"{field} is {_kind(value)} where a message is wanted")
    role = value.get("role", value.get("from"))
    if not isinstance(role, str) or role.lower() not in ROLES:
        raise BadRow(f"{field} has the role {short(role)}, not system, user or assistant")
    content = value.get("content", value.get("value"))
    if isinstance(content, list):  # parts: only texts have a place here
        parts = [p.get("text") if isinstance(p, Mapping) else None for p in content]
        content = (
            "".join(p for p in parts if isinstance(p, str))
            if all(isinstance(p, str) for p in parts)
            else None
        )
    if not isinstance(content, str):
        raise BadRow(f"{field} has no text")
    return {"role": ROLES[role.lower()], "content": clean(content, field)}


def asked(chat: Sequence[Message], field: str) -> tuple[Message, ...]:
    """The chat if it can be answered: something in every message, at most one system message, first, user last."""
    for i, one in enumerate(chat):
        if not one["content"].strip():
            raise BadRow(f"{field} has an empty message")
        if one["role"] == "system" and i > 0:
            raise BadRow(f"{field} has a system message that is not the first")
        if i > 0 and one["role"] == chat[i - 1]["role"]:
            raise BadRow(f"{field} has two {one['role']} messages in a row")
    if not chat or chat[-1]["role"] != "user":
        raise BadRow(f"{field} does not end with the user's message")
    return tuple(chat)


def user(content: str) -> tuple[Message, ...]:
    """A chat of one question."""
    return ({"role": "user", "content": content},)


def given_prompt(row: Row, field: str = "prompt") -> GivenPrompt:
    """The prompt of a row: `prompt` as text or messages, or `messages`, and `prompt_id`; one of them must be there."""
    ref = reference(row, "prompt_id")
    value = row.get(field) if row.get(field) is not None else row.get("messages")
    if value is None or (value in ("", []) and ref is not None):
        if ref is None:
            raise BadRow(f"{field} is missing")
        chat: tuple[Message, ...] = ()
    elif isinstance(value, str):
        chat = user(filled(row, field if row.get(field) is not None else "messages"))
        system = optional(row, "system")
        chat = ({"role": "system", "content": system}, *chat) if system and system.strip() else chat
    else:
        if not isinstance(value, Sequence):
            raise BadRow(f"{field} is {_kind(value)} where a text or messages are wanted")
        chat = asked(messages(value, field), field)
    return GivenPrompt(chat, ref, split_of_row(row), tags_of(row))


def short(value: object) -> str:
    """A value as a reason shows it: never longer than a glance."""
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text"}
    if isinstance(value, Mapping):
        return "an object"
    return names.get(type(value), "a list" if isinstance(value, Sequence) else f"a {type(value).__name__}")
