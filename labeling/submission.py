"""A vote as it is sent: parsed and checked field by field, still in terms of the screen. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from db.entities.votes import Choice, Outcome, Side, Strength, VoteDetails
from db.errors import UserError
from labeling.ballot import outcome_of, slot_of

MAX_TEXT = 20_000
MOST_NAMES, LONGEST_NAME = 20, 80
"""reasons ticked for an answer, or questions answered; characters of each"""
E = TypeVar("E", Choice, Strength)


class Malformed(UserError):
    """A field of the request is not what it must be (HTTP 422)."""

    def __init__(self, field: str, what: str) -> None:
        self.field = field
        super().__init__(f"{field}: {what}")


@dataclass(frozen=True, slots=True)
class Submission:
    """A vote as it was sent: still in terms of the screen."""

    assignment: str
    choice: Choice
    key: str
    body: str
    """hash of the canonical request, to tell a repeat from another vote under the same key"""
    strength: Strength | None = None
    acceptable: tuple[tuple[Side, bool], ...] = ()
    criteria: tuple[tuple[str, Choice], ...] = ()
    tags: tuple[tuple[Side, tuple[str, ...]], ...] = ()
    comment: str | None = None
    better: str | None = None
    reason: str | None = None
    report: str | None = None
    elapsed_ms: int | None = None


_FIELDS = {
    "assignment", "choice", "key", "strength", "acceptable", "criteria", "tags", "comment", "better", "reason",
    "report", "elapsed_ms",
}  # fmt: skip


def parse_submission(body: object) -> Submission:
    """The request's JSON as a Submission; Malformed names the field that is wrong."""
    if not isinstance(body, dict):
        raise Malformed("body", "must be a JSON object")
    for name in body:
        if name not in _FIELDS:
            raise Malformed(str(name)[:40] or "(unnamed)", "is not a field of a vote")
    sides = {}
    for name in ("acceptable", "criteria", "tags"):
        sides[name] = {} if body.get(name) is None else body[name]
        if not isinstance(sides[name], dict):
            raise Malformed(name, "must be an object")
    return Submission(
        assignment=_string(body, "assignment", 64, required=True) or "",
        choice=_one_of(body, "choice", Choice, required=True) or Choice.SKIP,
        key=_string(body, "key", 128, required=True) or "",
        body=hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest(),
        strength=_one_of(body, "strength", Strength),
        acceptable=tuple(
            (_side("acceptable", s), _boolean("acceptable", v)) for s, v in sides["acceptable"].items()
        ),
        criteria=_criteria(sides["criteria"]),
        tags=tuple((_side("tags", s), _strings("tags", v)) for s, v in sides["tags"].items()),
        comment=_string(body, "comment", MAX_TEXT),
        better=_string(body, "better", MAX_TEXT),
        reason=_string(body, "reason", MAX_TEXT),
        report=_string(body, "report", MAX_TEXT),
        elapsed_ms=_milliseconds(body),
    )


def _string(body: Mapping[str, object], name: str, longest: int, *, required: bool = False) -> str | None:
    value = body.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or (required and not value):
        raise Malformed(name, "must be a text" + ("" if not required else " that is not empty"))
    if len(value) > longest:
        raise Malformed(name, f"must have at most {longest} characters")
    return _whole(name, value)


def _whole(name: str, value: str) -> str:
    """The text unless it holds what no export could give back."""
    if "\0" in value:
        raise Malformed(name, "holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Malformed(name, "holds half a character") from None
    return value


def _one_of(body: Mapping[str, object], name: str, kind: type[E], *, required: bool = False) -> E | None:
    value = body.get(name)
    if value is None and not required:
        return None
    if not isinstance(value, str) or value not in list(kind):
        raise Malformed(name, "must be one of " + ", ".join(kind))
    return kind(value)


def _side(field: str, value: object) -> Side:
    if value not in list(Side):
        raise Malformed(field, "speaks of left and right only")
    return Side(str(value))


def _boolean(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise Malformed(field, "must be true or false")
    return value


def _strings(field: str, value: object) -> tuple[str, ...]:
    if (
        not isinstance(value, list)
        or len(value) > MOST_NAMES
        or not all(isinstance(v, str) and len(v) <= LONGEST_NAME for v in value)
    ):
        raise Malformed(field, f"must be lists of at most {MOST_NAMES} short texts")
    return tuple(_whole(field, v) for v in value)


def _criteria(given: Mapping[str, object]) -> tuple[tuple[str, Choice], ...]:
    if len(given) > MOST_NAMES or any(len(name) > LONGEST_NAME for name in given):
        raise Malformed("criteria", f"must be at most {MOST_NAMES}, with short names")
    if any(value not in (Choice.LEFT, Choice.RIGHT, Choice.TIE) for value in given.values()):
        raise Malformed("criteria", "each must be left, right or tie")
    return tuple((_whole("criteria", name), Choice(str(value))) for name, value in given.items())


def _milliseconds(body: Mapping[str, object]) -> int | None:
    value = body.get("elapsed_ms")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**9:
        raise Malformed("elapsed_ms", "must be a number of milliseconds")
    return int(value)


def details_of(vote: Submission, left_is: str) -> VoteDetails:
    """What came with the choice, un-swapped to slots."""
    acceptable = {slot_of(side, left_is): value for side, value in vote.acceptable}
    tags = {slot_of(side, left_is): value for side, value in vote.tags}
    return VoteDetails(
        strength=vote.strength,
        acceptable_a=acceptable.get(Outcome.A), acceptable_b=acceptable.get(Outcome.B),
        criteria=tuple((name, outcome_of(choice, left_is)) for name, choice in vote.criteria),
        tags_a=tags.get(Outcome.A, ()), tags_b=tags.get(Outcome.B, ()),
        comment=vote.comment, better=vote.better, reason=vote.reason, report=vote.report,
        elapsed_ms=vote.elapsed_ms,
    )  # fmt: skip
