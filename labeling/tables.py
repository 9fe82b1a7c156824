"""The rows of an export, one builder a format: from gathered pairs, votes and texts to plain columns. Pure."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from db.entities import (
    Message,
    Outcome,
    PreferencePair,
    Purpose,
    RaterKind,
    Split,
    Strength,
    Vote,
    content_id,
)
from db.exchange import ResponseText

Row = dict[str, object]


class ExportFormat(StrEnum):
    """The shapes an export can have."""

    TRL = "trl"
    KTO = "kto"
    REWARD = "reward"
    ULTRAFEEDBACK = "ultrafeedback"
    RESPONSES = "responses"
    VOTES = "votes"
    CSV = "csv"


MARGIN = {Strength.CLEAR: 1.0, Strength.SLIGHT: 0.5, None: 0.0}
"""what a reward model must put between two responses, by how clear the vote was"""
WINNER = {Outcome.A: "model_a", Outcome.B: "model_b"}
MESSAGES = "messages"
"""column types: this one is a list of {role, content}; the others are named as in Arrow, with [] for lists"""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything an export reads, at one moment of the database."""

    pairs: tuple[PreferencePair, ...]
    votes: Mapping[int, Vote]
    """the counted votes of the campaigns, in order of arrival"""
    prompts: Mapping[str, Sequence[Message]]
    splits: Mapping[str, Split]
    tags: Mapping[str, Sequence[str]]
    responses: Mapping[str, ResponseText]
    acceptable: Mapping[int, tuple[bool | None, bool | None]]
    campaigns: Mapping[int, tuple[str, Purpose]]
    raters: Mapping[str, str]
    """pseudonym in the home: pseudonym in this export alone"""

    def text(self, response: str) -> str:
        """What a response says; those of pairs and of texted votes are always there."""
        return self.responses[response].text or ""


def columns(shape: ExportFormat) -> dict[str, str]:
    """{column: type} of a format, in order."""
    return dict(_COLUMNS[shape])


_ABOUT = {
    "prompt_id": "string", "campaign": "string", "purpose": "string", "raters": "string[]", "vote_ids": "int64[]",
    "n_votes": "int64", "agreement": "float64", "simulated": "bool", "created_at": "string", "tags": "string[]",
}  # fmt: skip
_PAIR = {
    "pair_id": "string", **_ABOUT, "chosen_model": "string", "rejected_model": "string", "strength": "string",
    "margin": "float64",
}  # fmt: skip
_BATTLE = {
    "rater": "string", "simulated": "bool", "prompt_id": "string", "prompt": MESSAGES, "model_a": "string",
    "model_b": "string", "response_a": "string", "response_b": "string", "winner": "string", "turn": "int64",
    "campaign": "string", "purpose": "string", "strength": "string", "elapsed_ms": "int64", "tags": "string[]",
    "tstamp": "string", "vote_id": "int64",
}  # fmt: skip
_COLUMNS: Mapping[ExportFormat, Mapping[str, str]] = {
    ExportFormat.TRL: {"prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES, **_PAIR},
    ExportFormat.REWARD: {"prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES, "margin": "float64",
                          **{k: v for k, v in _PAIR.items() if k != "margin"}},
    ExportFormat.KTO: {"prompt": MESSAGES, "completion": MESSAGES, "label": "bool", "model": "string", **_ABOUT},
    ExportFormat.ULTRAFEEDBACK: {"prompt": "string", "prompt_id": "string", "chosen": MESSAGES, "rejected": MESSAGES,
                                 "messages": MESSAGES, "score_chosen": "float64", "score_rejected": "float64",
                                 **{k: v for k, v in _PAIR.items() if k != "prompt_id"}},
    ExportFormat.RESPONSES: {"prompt_id": "string", "prompt": MESSAGES, "model": "string", "response": "string",
                             "sample": "int64", "finish_reason": "string", "tags": "string[]"},
    ExportFormat.VOTES: _BATTLE,
    ExportFormat.CSV: {**_BATTLE, "prompt": "string", "tags": "string", "turn": "float64", "elapsed_ms": "float64"},
}  # fmt: skip


def rows(shape: ExportFormat, found: Gathered) -> Iterator[tuple[Split, Row]]:
    """Each row of a format with its split."""
    return _BUILDERS[shape](found)


def said(text: str) -> Message:
    """An answer as a message."""
    return {"role": "assistant", "content": text}


# -- pairs -------------------------------------------------------------------------------------------------------


def _trl(found: Gathered) -> Iterator[tuple[Split, Row]]:
    for pair in found.pairs:
        yield (
            pair.split,
            {
                "prompt": list(found.prompts[pair.prompt]),
                "chosen": [said(found.text(pair.chosen))],
                "rejected": [said(found.text(pair.rejected))],
                **_about_pair(found, pair),
            },
        )


def _reward(found: Gathered) -> Iterator[tuple[Split, Row]]:
    for split, row in _trl(found):
        yield split, {**row, "margin": row["margin"] or 0.0}


def _ultrafeedback(found: Gathered) -> Iterator[tuple[Split, Row]]:
    shares = _win_shares(found.votes.values())
    for pair in found.pairs:
        asked = list(found.prompts[pair.prompt])
        text = asked[-1]["content"]
        chosen, rejected = ([*asked, said(found.text(r))] for r in (pair.chosen, pair.rejected))
        share = shares[frozenset((pair.chosen, pair.rejected))]
        yield pair.split, {
            **_about_pair(found, pair),
            "prompt": text, "prompt_id": hashlib.sha256(text.encode()).hexdigest(), "chosen": chosen,
            "rejected": rejected, "messages": chosen, "score_chosen": share.get(pair.chosen, 0.0),
            "score_rejected": share.get(pair.rejected, 0.0),
        }  # fmt: skip


def _win_shares(votes: Iterable[Vote]) -> dict[frozenset[str], dict[str, float]]:
    """{the two responses: {response: share of the votes on them that it won, ties half}}."""
    won: dict[frozenset[str], dict[str, float]] = {}
    total: dict[frozenset[str], int] = {}
    for vote in votes:
        both = frozenset((vote.response_a, vote.response_b))
        total[both] = total.get(both, 0) + 1
        half = {Outcome.A: (1.0, 0.0), Outcome.B: (0.0, 1.0)}.get(vote.outcome, (0.5, 0.5))
        sums = won.setdefault(both, {})
        for response, points in zip((vote.response_a, vote.response_b), half, strict=True):
            sums[response] = sums.get(response, 0.0) + points
    return {both: {r: s / total[both] for r, s in sums.items()} for both, sums in won.items()}


def _about_pair(found: Gathered, pair: PreferencePair) -> Row:
    votes = [found.votes[v] for v in pair.votes]
    strengths = [v.strength for v in votes if v.strength]
    margin = pair.margin
    if margin is None and strengths:
        margin = sum(MARGIN[v.strength] for v in votes) / len(votes)
    return {
        "pair_id": content_id("pair", pair.prompt, pair.chosen, pair.rejected, list(pair.votes))[:16],
        **_about(found, pair.prompt, votes),
        "agreement": pair.agreement,
        "chosen_model": found.responses[pair.chosen].model,
        "rejected_model": found.responses[pair.rejected].model,
        "strength": strengths[0].value if len(set(strengths)) == 1 else None,
        "margin": margin,
    }


def _about(found: Gathered, prompt: str, votes: Sequence[Vote]) -> Row:
    campaigns = dict.fromkeys(found.campaigns[v.campaign] for v in votes)
    purposes = {purpose for _, purpose in campaigns}
    return {
        "prompt_id": prompt,
        "campaign": ", ".join(name for name, _ in campaigns),
        "purpose": (Purpose.EVALUATE if Purpose.EVALUATE in purposes else Purpose.COLLECT).value,
        "raters": [found.raters[v.rater_name] for v in votes],
        "vote_ids": [v.id for v in votes],
        "n_votes": len(votes),
        "simulated": any(v.rater_kind is RaterKind.SIMULATED for v in votes),
        "created_at": max(v.created_at for v in votes),
        "tags": list(found.tags.get(prompt, ())),
    }


# -- single responses --------------------------------------------------------------------------------------------


def _kto(found: Gathered) -> Iterator[tuple[Split, Row]]:
    """A row for each response a vote called good or bad: by its own mark, else by winning, both good or both bad."""
    for vote in found.votes.values():
        labels = found.acceptable.get(vote.id, (None, None))
        judged = {Outcome.A: (True, False), Outcome.B: (False, True), Outcome.BOTH_GOOD: (True, True),
                  Outcome.BOTH_BAD: (False, False)}.get(vote.outcome, (None, None))  # fmt: skip
        for response, own, other in zip((vote.response_a, vote.response_b), labels, judged, strict=True):
            label = own if own is not None else other
            if label is None or not found.prompts[vote.prompt] or not found.text(response).strip():
                continue
            yield vote.split, {
                "prompt": list(found.prompts[vote.prompt]), "completion": [said(found.text(response))],
                "label": label, "model": found.responses[response].model, **_about(found, vote.prompt, [vote]),
                "agreement": None,
            }  # fmt: skip


def _responses(found: Gathered) -> Iterator[tuple[Split, Row]]:
    for response in found.responses.values():
        if response.text is None or not found.prompts[response.prompt]:
            continue
        yield found.splits[response.prompt], {
            "prompt_id": response.prompt, "prompt": list(found.prompts[response.prompt]), "model": response.model,
            "response": response.text, "sample": response.sample, "finish_reason": response.finish_reason,
            "tags": list(found.tags.get(response.prompt, ())),
        }  # fmt: skip


# -- votes -------------------------------------------------------------------------------------------------------


def _votes(found: Gathered) -> Iterator[tuple[Split, Row]]:
    for vote in found.votes.values():
        name, purpose = found.campaigns[vote.campaign]
        yield vote.split, {
            "rater": found.raters[vote.rater_name], "simulated": vote.rater_kind is RaterKind.SIMULATED,
            "prompt_id": vote.prompt, "prompt": list(found.prompts[vote.prompt]), "model_a": vote.model_a,
            "model_b": vote.model_b, "response_a": found.responses[vote.response_a].text,
            "response_b": found.responses[vote.response_b].text,
            "winner": WINNER.get(vote.outcome, vote.outcome.value), "turn": vote.turn, "campaign": name,
            "purpose": purpose.value, "strength": vote.strength.value if vote.strength else None,
            "elapsed_ms": vote.elapsed_ms, "tags": list(found.tags.get(vote.prompt, ())), "tstamp": vote.created_at,
            "vote_id": vote.id,
        }  # fmt: skip


def _csv(found: Gathered) -> Iterator[tuple[Split, Row]]:
    for split, row in _votes(found):
        prompt = found.prompts[str(row["prompt_id"])]
        flat = {
            **row,
            "prompt": flat_chat(prompt),
            "tags": ", ".join(found.tags.get(str(row["prompt_id"]), ())),
        }
        yield split, {k: safe_cell(v) if isinstance(v, str) else v for k, v in flat.items()}


def flat_chat(messages: Sequence[Message]) -> str:
    """A chat in one cell: one question as it is, more turns each with its role before it."""
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n\n".join(f"{m['role']}: {m['content']}" for m in messages)


def safe_cell(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


_BUILDERS: Mapping[ExportFormat, Callable[[Gathered], Iterator[tuple[Split, Row]]]] = {
    ExportFormat.TRL: _trl, ExportFormat.KTO: _kto, ExportFormat.REWARD: _reward,
    ExportFormat.ULTRAFEEDBACK: _ultrafeedback, ExportFormat.RESPONSES: _responses, ExportFormat.VOTES: _votes,
    ExportFormat.CSV: _csv,
}  # fmt: skip
