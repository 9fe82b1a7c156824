"""Human / Assistant transcripts: Anthropic's hh-rlhf, and the form that has the prompt apart."""

import re
from collections.abc import Iterable

from db.entities.catalog import Message
from labeling.formats.fields import asked, text
from labeling.formats.plain import checked_pair
from labeling.formats.records import BadRow, Format, GivenPair, GivenPrompt, ImportKind, Row

MARK = re.compile(r"(?:^|\n\n)(Human|Assistant):")
ROLE = {"Human": "user", "Assistant": "assistant"}


def parse_transcript(transcript: str, field: str) -> tuple[Message, ...]:
    """The turns of a transcript, each text without the space around it. BadRow where it does not begin with one."""
    parts = MARK.split(transcript)
    if parts[0].strip() or len(parts) == 1:
        raise BadRow(f"{field} does not begin with 'Human:' or 'Assistant:'")
    return tuple(
        {"role": ROLE[role], "content": said.strip()}
        for role, said in zip(parts[1::2], parts[2::2], strict=True)
    )


def _pair(chosen: tuple[Message, ...], rejected: tuple[Message, ...]) -> GivenPair:
    both = (("chosen", chosen), ("rejected", rejected))
    for name, chat in both:
        empty = next((i for i, turn in enumerate(chat, 1) if not turn["content"]), None)
        if empty is not None:
            raise BadRow(f"{name} has an empty message (turn {empty})")
    if chosen[:-1] != rejected[:-1]:
        raise BadRow("chosen and rejected differ before the last answer: not the same prompt")
    for name, chat in both:
        twice = next((i for i in range(1, len(chat)) if chat[i]["role"] == chat[i - 1]["role"]), None)
        if twice is not None:
            raise BadRow(f"roles do not alternate in {name} (turn {twice + 1})")
        if chat[-1]["role"] != "assistant":
            raise BadRow(f"{name} does not end with the assistant's turn")
    return checked_pair(
        GivenPrompt(asked(chosen[:-1], "chosen")), chosen[-1]["content"], rejected[-1]["content"]
    )


def hh_row(row: Row) -> Iterable[GivenPair]:
    """chosen and rejected are whole transcripts."""
    yield _pair(*(parse_transcript(text(row, name), name) for name in ("chosen", "rejected")))


def rlhf_reward_row(row: Row) -> Iterable[GivenPair]:
    """prompt is a transcript that ends where the assistant speaks; chosen and rejected are what it says."""
    prompt = text(row, "prompt")
    opening = prompt if prompt.rstrip().endswith("Assistant:") else f"{prompt.rstrip()}\n\nAssistant:"
    pair = []
    for name in ("chosen", "rejected"):
        said = text(row, name)
        if MARK.search(said.lstrip()):
            raise BadRow(f"{name} holds further turns of the talk")
        pair.append(
            (*parse_transcript(opening, "prompt")[:-1], Message(role="assistant", content=said.strip()))
        )
    yield _pair(*pair)


def _is_transcript(value: object) -> bool:
    return isinstance(value, str) and value.lstrip().startswith(("Human:", "Assistant:"))


FORMATS = (
    Format("rlhf_reward", (("prompt",), ("chosen",), ("rejected",)), {ImportKind.PAIRS: rlhf_reward_row},
           lambda columns, row: {"chosen", "rejected"} <= columns and _is_transcript(row.get("prompt"))),
    Format("hh", (("chosen",), ("rejected",)), {ImportKind.PAIRS: hh_row},
           lambda columns, row: "prompt" not in columns and _is_transcript(row.get("chosen"))),
)  # fmt: skip
