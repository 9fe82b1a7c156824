"""The battles on which most people and a machine judge prefer different answers: the clearest first. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from arena.beside import Judge, _word
from arena.columns import TIE, WIN_A, WIN_B, Columns

MOST_DIFFERING = 20
"""battles shown of each judge"""
MOST_TEXT = 2000
"""characters shown of a text"""


@dataclass(frozen=True, slots=True)
class Differing:
    """One battle: who people and the judge prefer, and how clearly. Texts are filled in for those that are shown."""

    judge: str
    prompt: str
    model_a: str
    model_b: str
    response_a: str
    response_b: str
    for_a: int
    for_b: int
    ties: int
    people_prefer: str
    judge_prefers: str
    score_gap: float | None
    """the judge's score of model_a less that of model_b"""
    question: str | None = None
    answer_a: str | None = None
    answer_b: str | None = None
    battle: int | None = None
    """its number, by which a judge can be asked about it"""
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    """How many battles a judge sees otherwise than most people, of those that both decide, and the clearest of them."""

    judge: str
    n: int
    of: int
    first: tuple[Differing, ...]


def differing(judge: Judge, votes: Columns) -> Queue:
    """A judge's queue. A battle is people's where one answer has strictly more votes than the other and than ties."""
    word = _word(judge, votes)
    said = np.flatnonzero(~np.isnan(word.y) & (votes.outcome >= 0))
    _, first, place = np.unique(votes.battle[said], return_index=True, return_inverse=True)
    outcome = votes.outcome[said]
    for_a, for_b = (np.bincount(place[outcome == kind], minlength=len(first)) for kind in (WIN_A, WIN_B))
    ties = np.bincount(place[outcome >= TIE], minlength=len(first))
    row = said[first]
    people = np.where(
        for_a > np.maximum(for_b, ties), 1.0, np.where(for_b > np.maximum(for_a, ties), 0.0, 0.5)
    )
    machine = word.y[row]
    both = (people != 0.5) & (machine != 0.5)
    gap = np.abs(word.gap[row]) if word.gap is not None else np.zeros(len(row))
    found = np.flatnonzero(both & (people != machine))
    order = found[np.lexsort((votes.battle[row][found], -gap[found], -np.abs(for_a - for_b)[found]))]

    def one(i: int) -> Differing:
        r = int(row[i])
        two = votes.models[int(votes.a[r])], votes.models[int(votes.b[r])]
        return Differing(
            judge.name, votes.prompts[int(votes.prompt[r])], *two, str(votes.response_a[r]), str(votes.response_b[r]),
            int(for_a[i]), int(for_b[i]), int(ties[i]), two[int(people[i] == 0)], two[int(machine[i] == 0)],
            float(word.gap[r]) if word.gap is not None else None,
            why={} if word.gap is not None else {"score_gap": "this judge votes and gives no scores"},
        )  # fmt: skip

    return Queue(
        judge.name, len(found), int(both.sum()), tuple(one(i) for i in order[:MOST_DIFFERING].tolist())
    )


def texts_wanted(queues: Iterable[Queue]) -> tuple[set[str], set[str]]:
    """The prompts and the responses of what is shown."""
    shown = [d for q in queues for d in q.first]
    return {d.prompt for d in shown}, {r for d in shown for r in (d.response_a, d.response_b)}


def ends_wanted(queues: Iterable[Queue]) -> set[tuple[str, str]]:
    """The two responses of each battle that is shown."""
    return {(d.response_a, d.response_b) for q in queues for d in q.first}


def filled_in(
    queues: Sequence[Queue], questions: Mapping[str, str], answers: Mapping[str, str],
    battles: Mapping[tuple[str, str], int],
) -> tuple[Queue, ...]:  # fmt: skip
    """The queues with their battles' numbers and what was asked and answered, cut to MOST_TEXT characters."""
    return tuple(
        replace(q, first=tuple(_filled(d, questions, answers, battles) for d in q.first)) for q in queues
    )


def _filled(
    d: Differing, questions: Mapping[str, str], answers: Mapping[str, str], battles: Mapping[tuple[str, str], int]
) -> Differing:  # fmt: skip
    question, answer_a, answer_b = (
        questions.get(d.prompt),
        answers.get(d.response_a),
        answers.get(d.response_b),
    )
    texts = {"question": question, "answer_a": answer_a, "answer_b": answer_b}
    battle = battles.get((d.response_a, d.response_b))
    why = {name: "the text is not on record" for name, t in texts.items() if t is None}
    return replace(
        d, question=_cut(question), answer_a=_cut(answer_a), answer_b=_cut(answer_b), battle=battle,
        why={**d.why, **why, **({} if battle is not None else {"battle": "no battle is on record"})},
    )  # fmt: skip


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]} …"
