"""The rows of an export, one builder a format: from gathered pairs, answers, votes and texts to plain columns. Pure."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from db.entities.campaigns import Purpose
from db.entities.catalog import Message, Split, content_id
from db.entities.votes import Outcome, PreferencePair, RaterKind, Vote
from db.exports import Remarks, ResponseText
from labeling.unpaired import JudgedAnswer

Row = dict[str, object]


class ExportFormat(StrEnum):
    """The shapes an export can have."""

    TRL = "trl"
    KTO = "kto"
    REWARD = "reward"
    ULTRAFEEDBACK = "ultrafeedback"
    RESPONSES = "responses"
    SFT = "sft"
    VOTES = "votes"
    CSV = "csv"


PAIRED = frozenset(
    {ExportFormat.TRL, ExportFormat.REWARD, ExportFormat.ULTRAFEEDBACK, ExportFormat.RESPONSES}
)
"""the formats whose rows hold preference pairs"""
JUDGED = frozenset({ExportFormat.KTO, ExportFormat.SFT})
"""the formats whose rows hold answers judged one by one"""
SPLITS = {Split.TRAIN: "train", Split.HELDOUT: "test"}
WINNER = {Outcome.A: "model_a", Outcome.B: "model_b"}
MESSAGES = "messages"
"""column types: this one is a list of {role, content}; the others are named as in Arrow, with [] for lists"""
SCORES = "scores"
"""a list of {judge, scores}: one score an answer, null where that judge gave none"""
FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""what a formula begins with; the last four are the full-width ones"""
BEST, WORST = 5.0, 1.0
"""the ends of the scale that UltraFeedback's ratings have"""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What rows of an export are written of, all or some of them, read at one moment of the database."""

    pairs: Sequence[PreferencePair]
    answers: Sequence[JudgedAnswer]
    votes: Mapping[int, Vote]
    """the counted votes of the campaigns, in order of arrival"""
    prompts: Mapping[str, Sequence[Message]]
    splits: Mapping[str, Split]
    tags: Mapping[str, Sequence[str]]
    responses: Mapping[str, ResponseText]
    """those of models, and those that raters wrote"""
    scores: Mapping[str, Mapping[str, float]]
    """{response: {judge: score}}"""
    rounds: Sequence[Sequence[str]]
    """the responses of each round of the loop, for the format `responses`"""
    wins: Mapping[str, int]
    """{response: pairs of the whole export in which it is chosen less those in which it is rejected}, for the same format"""
    campaigns: Mapping[int, tuple[str, Purpose]]
    raters: Mapping[str, str]
    """pseudonym in the home: pseudonym in this export alone"""
    ids: Mapping[int, int]
    """vote in the home: its number in this export alone, for every stored vote that was read"""
    remarks: Mapping[int, Remarks]
    """what came with each vote, where rows are votes"""
    redacted: frozenset[int]
    """votes on battles with words that were covered for raters"""
    comments: bool = False
    """whether comments, reasons and reports go out: they may tell who wrote them"""
    written: bool = True
    """whether answers that raters wrote go out"""
    exact_times: bool = False
    """whether times go out whole: they tell which rows of two exports are one vote"""

    def at(self, moment: str | None) -> str | None:
        """A time as it goes out: the day, where times are not exact."""
        return moment if self.exact_times or moment is None else moment[:10]

    def text(self, response: str) -> str:
        """What a response says; those of pairs and of texted votes are always there."""
        return self.responses[response].text or ""


def columns(shape: ExportFormat) -> dict[str, str]:
    """{column: type} of a format, in order."""
    return dict(_COLUMNS[shape])


_ABOUT = {
    "prompt_id": "string", "campaign": "string", "purpose": "string", "raters": "string[]", "vote_ids": "int64[]",
    "n_votes": "int64", "agreement": "float64", "simulated": "bool", "ruled": "bool", "written": "bool",
    "redacted": "bool", "created_at": "string", "tags": "string[]",
}  # fmt: skip
_PAIR = {
    "pair_id": "string", **_ABOUT, "chosen_model": "string", "rejected_model": "string", "strength": "string",
    "margin": "float64",
}  # fmt: skip
_BATTLE = {
    "rater": "string", "simulated": "bool", "prompt_id": "string", "prompt": MESSAGES, "model_a": "string",
    "model_b": "string", "response_a": "string", "response_b": "string", "winner": "string", "turn": "int64",
    "campaign": "string", "purpose": "string", "strength": "string", "acceptable_a": "bool", "acceptable_b": "bool",
    "elapsed_ms": "int64", "tags": "string[]", "tstamp": "string", "vote_id": "int64",
    "criteria": "string", "reason_tags_a": "string[]", "reason_tags_b": "string[]", "better": "string",
    "comment": "string", "reason": "string", "report": "string", "consent_version": "string", "chance": "float64",
    "among": "int64", "redacted": "bool",
}  # fmt: skip
_COLUMNS: Mapping[ExportFormat, Mapping[str, str]] = {
    ExportFormat.TRL: {"prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES, **_PAIR},
    ExportFormat.REWARD: {"prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES, "margin": "float64",
                          **{k: v for k, v in _PAIR.items() if k != "margin"}},
    ExportFormat.KTO: {"prompt": MESSAGES, "completion": MESSAGES, "label": "bool", "model": "string", **_ABOUT},
    ExportFormat.SFT: {"prompt": MESSAGES, "completion": MESSAGES, **_ABOUT},
    ExportFormat.ULTRAFEEDBACK: {
        "prompt": "string", "prompt_id": "string", "chosen": MESSAGES, "rejected": MESSAGES, "messages": MESSAGES,
        "score_chosen": "float64", "score_rejected": "float64", "source": "string", "instruction": "string",
        "chosen_response": "string", "rejected_response": "string", "chosen_avg_rating": "float64",
        "rejected_avg_rating": "float64", **{k: v for k, v in _PAIR.items() if k != "prompt_id"}},
    ExportFormat.RESPONSES: {
        "prompt_id": "string", "prompt": "string", "prompt_messages": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES,
        "chosen_by": "string", "all_generated_responses": "string[]", "all_rm_scores": "float64[]", "models": "string[]",
        "samples": "int64[]", "finish_reasons": "string[]", "scores": SCORES, "tags": "string[]"},
    ExportFormat.VOTES: _BATTLE,
    ExportFormat.CSV: {**_BATTLE, "prompt": "string", "tags": "string", "turn": "float64", "elapsed_ms": "float64",
                       "acceptable_a": "float64", "acceptable_b": "float64", "reason_tags_a": "string",
                       "reason_tags_b": "string", "among": "float64"},
}  # fmt: skip


def rows(shape: ExportFormat, found: Gathered) -> Iterator[tuple[str, Row]]:
    """Each row of a format with the name of its split."""
    return _BUILDERS[shape](found)


def said(text: str) -> Message:
    """An answer as a message."""
    return {"role": "assistant", "content": text}


# -- pairs -------------------------------------------------------------------------------------------------------


def _trl(found: Gathered) -> Iterator[tuple[str, Row]]:
    for pair in found.pairs:
        yield SPLITS[pair.split], {
            "prompt": list(found.prompts[pair.prompt]), "chosen": [said(found.text(pair.chosen))],
            "rejected": [said(found.text(pair.rejected))], **_about_pair(found, pair),
        }  # fmt: skip


def _reward(found: Gathered) -> Iterator[tuple[str, Row]]:
    for split, row in _trl(found):
        yield split, {**row, "margin": row["margin"] or 0.0}


def _ultrafeedback(found: Gathered) -> Iterator[tuple[str, Row]]:
    shares = _win_shares(found.votes.values())
    for pair in found.pairs:
        asked = list(found.prompts[pair.prompt])
        text = asked[-1]["content"]
        chosen, rejected = ([*asked, said(found.text(r))] for r in (pair.chosen, pair.rejected))
        won, lost = _two_scores(pair, shares)
        yield SPLITS[pair.split], {
            **_about_pair(found, pair),
            "prompt": text, "prompt_id": hashlib.sha256(text.encode()).hexdigest(), "chosen": chosen,
            "rejected": rejected, "messages": chosen, "score_chosen": won, "score_rejected": lost,
            "source": "tastebench", "instruction": text, "chosen_response": found.text(pair.chosen),
            "rejected_response": found.text(pair.rejected), "chosen_avg_rating": WORST + (BEST - WORST) * won,
            "rejected_avg_rating": WORST + (BEST - WORST) * lost,
        }  # fmt: skip


def _two_scores(
    pair: PreferencePair, shares: Mapping[frozenset[str], Mapping[str, float]]
) -> tuple[float, float]:
    """The shares of the votes that chosen and rejected won; 1 and 0 where that is not what decided the pair."""
    share = shares.get(frozenset((pair.chosen, pair.rejected)), {})
    won, lost = share.get(pair.chosen, 1.0), share.get(pair.rejected, 0.0)
    return (won, lost) if won > lost else (1.0, 0.0)


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
    strengths = [s for v in pair.votes if (s := found.votes[v].strength)]
    return {
        "pair_id": content_id(
            "pair", pair.prompt, pair.chosen, pair.rejected, sorted(found.ids[v] for v in pair.votes)
        )[:16],
        **_about(found, pair.prompt, pair.votes, (pair.chosen, pair.rejected)),
        "agreement": pair.agreement,
        "ruled": pair.ruled,
        "written": found.responses[pair.chosen].model is None,
        "chosen_model": found.responses[pair.chosen].model,
        "rejected_model": found.responses[pair.rejected].model,
        "strength": strengths[0].value if len(set(strengths)) == 1 else None,
        "margin": pair.margin,
    }


def _about(found: Gathered, prompt: str, given: Sequence[int], responses: Sequence[str]) -> Row:
    """What is known of the votes a row rests on; where the owner ruled against them all, of those on its responses."""
    votes = [found.votes[v] for v in sorted(given, key=found.ids.__getitem__)]
    beside = votes or [v for v in found.votes.values() if {v.response_a, v.response_b} & set(responses)]
    campaigns = dict.fromkeys(found.campaigns[v.campaign] for v in beside)
    purposes = {purpose for _, purpose in campaigns}
    return {
        "prompt_id": prompt,
        "campaign": ", ".join(name for name, _ in campaigns),
        "purpose": (Purpose.EVALUATE if Purpose.EVALUATE in purposes else Purpose.COLLECT).value,
        "raters": [found.raters[v.rater_name] for v in votes],
        "vote_ids": [found.ids[v.id] for v in votes],
        "n_votes": len(votes),
        "simulated": any(v.rater_kind is RaterKind.SIMULATED for v in votes),
        "redacted": any(v.id in found.redacted for v in beside),
        "created_at": found.at(max((v.created_at for v in beside), default=None)),
        "tags": list(found.tags.get(prompt, ())),
    }


# -- answers one by one ------------------------------------------------------------------------------------------


def _kto(found: Gathered) -> Iterator[tuple[str, Row]]:
    for answer in found.answers:
        response = found.responses[answer.response]
        yield SPLITS[answer.split], {
            "prompt": list(found.prompts[answer.prompt]), "completion": [said(found.text(answer.response))],
            "label": answer.good, "model": response.model,
            **_about(found, answer.prompt, answer.votes, (answer.response,)), "agreement": answer.agreement,
            "ruled": not answer.votes, "written": response.model is None,
        }  # fmt: skip


def _sft(found: Gathered) -> Iterator[tuple[str, Row]]:
    """The answers that raters wrote."""
    return ((split, row) for split, row in _kto(found) if row["written"])


def _responses(found: Gathered) -> Iterator[tuple[str, Row]]:
    """One row a prompt and round; where there are several rounds, each has splits of its own."""
    judges = sorted({judge for given in found.scores.values() for judge in given})
    for i, names in enumerate(found.rounds, 1):
        by_prompt: dict[str, list[str]] = {}
        for name in names:
            by_prompt.setdefault(found.responses[name].prompt, []).append(name)
        ending = f"_iteration_{i}" if len(found.rounds) > 1 else ""
        for prompt, answers in by_prompt.items():
            if found.prompts[prompt]:
                yield SPLITS[found.splits[prompt]] + ending, _prompt_row(found, prompt, answers, judges)


def _prompt_row(found: Gathered, prompt: str, answers: Sequence[str], judges: Sequence[str]) -> Row:
    asked = list(found.prompts[prompt])
    given = [found.responses[a] for a in answers]
    scores = {j: [found.scores.get(a, {}).get(j) for a in answers] for j in judges}
    first: list[float | None] = next((s for s in scores.values() if any(x is not None for x in s)), [])
    best, worst, by = _best_and_worst(answers, {a: found.wins[a] for a in answers if a in found.wins}, scores)
    return {
        "prompt_id": prompt, "prompt": asked[-1]["content"], "prompt_messages": asked,
        "chosen": [*asked, said(found.text(best))] if best else None,
        "rejected": [*asked, said(found.text(worst))] if worst else None, "chosen_by": by,
        "all_generated_responses": [r.text for r in given], "all_rm_scores": first, "models": [r.model for r in given],
        "samples": [r.sample for r in given], "finish_reasons": [r.finish_reason for r in given],
        "scores": [{"judge": j, "scores": s} for j, s in scores.items() if any(x is not None for x in s)],
        "tags": list(found.tags.get(prompt, ())),
    }  # fmt: skip


def _best_and_worst(
    answers: Sequence[str], wins: Mapping[str, int], scores: Mapping[str, Sequence[float | None]]
) -> tuple[str | None, str | None, str | None]:
    """(chosen, rejected, who says so) of a prompt's answers: people's votes, else the first judge who tells them apart."""
    ways = [("votes", dict(wins))]
    ways += [(j, {a: x for a, x in zip(answers, s, strict=True) if x is not None}) for j, s in scores.items()]  # type: ignore[misc]
    for by, worth in ways:
        if len(set(worth.values())) > 1:
            return max(worth, key=worth.__getitem__), min(worth, key=worth.__getitem__), by
    return None, None, None


# -- votes -------------------------------------------------------------------------------------------------------


def _votes(found: Gathered) -> Iterator[tuple[str, Row]]:
    for vote in sorted(found.votes.values(), key=lambda v: found.ids[v.id]):
        name, purpose = found.campaigns[vote.campaign]
        yield SPLITS[vote.split], {
            "rater": found.raters[vote.rater_name], "simulated": vote.rater_kind is RaterKind.SIMULATED,
            "prompt_id": vote.prompt, "prompt": list(found.prompts[vote.prompt]), "model_a": vote.model_a,
            "model_b": vote.model_b, "response_a": found.responses[vote.response_a].text,
            "response_b": found.responses[vote.response_b].text,
            "winner": WINNER.get(vote.outcome, vote.outcome.value), "turn": vote.turn, "campaign": name,
            "purpose": purpose.value, "strength": vote.strength.value if vote.strength else None,
            "acceptable_a": vote.acceptable_a, "acceptable_b": vote.acceptable_b, "elapsed_ms": _elapsed(found, vote),
            "tags": list(found.tags.get(vote.prompt, ())), "tstamp": found.at(vote.created_at),
            "vote_id": found.ids[vote.id], "better": vote.better if found.written else None, **_remarked(found, vote.id),
        }  # fmt: skip


def _elapsed(found: Gathered, vote: Vote) -> int | None:
    """Milliseconds; whole seconds where times are not exact."""
    if found.exact_times or vote.elapsed_ms is None:
        return vote.elapsed_ms
    return round(vote.elapsed_ms / 1000) * 1000


def _remarked(found: Gathered, vote: int) -> Row:
    """What came with a vote; the words a rater wrote only where they may go out."""
    given = found.remarks[vote]
    said = {name: WINNER.get(outcome, outcome.value) for name, outcome in given.criteria.items()}
    return {
        "criteria": json.dumps(said, ensure_ascii=False) if said else None, "reason_tags_a": list(given.tags_a),
        "reason_tags_b": list(given.tags_b), **words_of(given, found.comments), "consent_version": given.consent_version,
        "chance": given.chance, "among": given.among, "redacted": given.redacted,
    }  # fmt: skip


def words_of(given: Remarks, comments: bool) -> dict[str, str | None]:
    """A vote's comment, reason and report; all None where `comments` may not go out."""
    words = {"comment": given.comment, "reason": given.reason, "report": given.report}
    return words if comments else dict.fromkeys(words)


def _csv(found: Gathered) -> Iterator[tuple[str, Row]]:
    for split, row in _votes(found):
        prompt = found.prompts[str(row["prompt_id"])]
        flat = {
            **row,
            "prompt": flat_chat(prompt),
            **{
                c: ", ".join(v)
                for c, v in row.items()
                if c.startswith(("tags", "reason_tags")) and isinstance(v, list)
            },
        }
        yield split, {k: safe_cell(v) if isinstance(v, str) else v for k, v in flat.items()}


def flat_chat(messages: Sequence[Message]) -> str:
    """A chat in one cell: one question as it is, more turns each with its role before it."""
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n\n".join(f"{m['role']}: {m['content']}" for m in messages)


def safe_cell(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would take it for a formula, spaces before it or not."""
    return f"'{text}" if text.startswith(("\t", "\r", "\n")) or text.lstrip().startswith(FORMULA) else text


_BUILDERS: Mapping[ExportFormat, Callable[[Gathered], Iterator[tuple[str, Row]]]] = {
    ExportFormat.TRL: _trl, ExportFormat.KTO: _kto, ExportFormat.REWARD: _reward, ExportFormat.SFT: _sft,
    ExportFormat.ULTRAFEEDBACK: _ultrafeedback, ExportFormat.RESPONSES: _responses, ExportFormat.VOTES: _votes,
    ExportFormat.CSV: _csv,
}  # fmt: skip
