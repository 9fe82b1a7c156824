"""Answers judged one by one, for trainers that take no pairs (KTO), and answers that people wrote. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from db.adjudications import Ruling
from db.entities.catalog import Response, Split
from db.entities.votes import Outcome, Vote
from labeling.pairs import LeftOut, written_answer
from labeling.policy import PairPolicy, Ties
from labeling.verdicts import Crowd, Given, Verdict, usable_votes, verdicts

GOOD = {Outcome.A: (True, False), Outcome.B: (False, True), Outcome.BOTH_GOOD: (True, True),
        Outcome.BOTH_BAD: (False, False)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """One response that is good or bad, and the votes that say so."""

    prompt: str
    response: str
    good: bool
    votes: tuple[int, ...]
    agreement: float
    """the share of the votes that say anything of it"""
    split: Split


@dataclass(frozen=True, slots=True)
class Judged:
    """Answers judged one by one, and what became of the votes that judge none."""

    answers: tuple[JudgedAnswer, ...]
    left_out: Mapping[str, int]
    out: tuple[LeftOut, ...]
    written: Mapping[str, Response]


def judged_answers(
    votes: Iterable[Vote], texts: Mapping[str, str | None], policy: PairPolicy,
    ruled: Mapping[int, Ruling] | None = None, crowd: Crowd | None = None,
) -> Judged:  # fmt: skip
    """The answers that counted votes call good or bad.

    What raters said of an answer by itself (acceptable or not) goes before what the choice says of it: the chosen one
    is good, the other bad, both good or both bad as pressed, ties as the policy has it. A written answer is good.
    """
    given = list(votes)
    found, written = decided_answers(given, texts, policy, ruled or {}, crowd), written_answers(given, policy)
    used = {vote for _, answer in written for vote in answer.votes}
    out = tuple(one for one in found.out if one.vote not in used)
    return Judged(
        found.answers + tuple(answer for _, answer in written), dict(Counter(reason for _, reason in out)), out,
        {response.id: response for response, _ in written},
    )  # fmt: skip


def decided_answers(
    votes: Sequence[Vote], texts: Mapping[str, str | None], policy: PairPolicy, ruled: Mapping[int, Ruling], crowd: Crowd | None
) -> Judged:  # fmt: skip
    """What is said of the responses that were shown: of whole battles, whatever is voted on others."""
    usable, unusable = usable_votes(votes, texts, policy)
    answers: list[JudgedAnswer] = []
    out = [LeftOut(v.id, reason) for v, reason in unusable]
    for verdict in verdicts(usable, policy, ruled, crowd):
        made = [a for slot in (0, 1) if (a := _answer(verdict, slot, policy)) is not None]
        answers += made
        out += [LeftOut(v.id, _why(verdict, o)) for v, o in verdict.given]
    used = {v for answer in answers for v in answer.votes}
    left = tuple(one for one in out if one.vote not in used)
    return Judged(tuple(answers), dict(Counter(reason for _, reason in left)), left, {})


def written_answers(votes: Iterable[Vote], policy: PairPolicy) -> list[tuple[Response, JudgedAnswer]]:
    """The answers that raters wrote, each good."""
    made = ((vote, written_answer(vote)) for vote in votes if policy.written and policy.takes(vote))
    return [
        (response, JudgedAnswer(vote.prompt, response.id, True, (vote.id,), 1.0, vote.split))
        for vote, response in made
        if response is not None
    ]


def _why(verdict: Verdict, outcome: Outcome) -> str:
    """Why a vote judges no answer of its battle."""
    return verdict.lost if verdict.outcome is None or outcome is not verdict.outcome else outcome.value


def _answer(verdict: Verdict, slot: int, policy: PairPolicy) -> JudgedAnswer | None:
    """What is said of the response in slot a (0) or b (1); None where it is undecided."""
    said = [
        (vote, flag)
        for vote, outcome in verdict.given
        if (flag := _flag((vote, outcome), verdict, slot)) is not None
    ]
    if said:
        yes = sum(flag for _, flag in said)
        if 2 * yes == len(said):
            return None
        good = 2 * yes > len(said)
        votes = tuple(vote.id for vote, flag in said if flag is good)
        share = len(votes) / len(said)
    else:
        both = _by_outcome(verdict.outcome, policy)
        if both is None:
            return None
        good, votes, share = both[slot], tuple(v.id for v in verdict.votes), verdict.agreement
    response = (verdict.response_a, verdict.response_b)[slot]
    return JudgedAnswer(verdict.prompt, response, good, votes, share, verdict.given[0][0].split)


def _flag(one: Given, verdict: Verdict, slot: int) -> bool | None:
    """Whether the rater called the response in this slot of the verdict acceptable."""
    vote, _ = one
    same = vote.response_a == verdict.response_a
    flags = (vote.acceptable_a, vote.acceptable_b)
    return flags[slot if same else 1 - slot]


def _by_outcome(outcome: Outcome | None, policy: PairPolicy) -> tuple[bool, bool] | None:
    """Whether each of the two is good, by what was pressed."""
    if outcome is Outcome.TIE:
        return None if policy.ties is Ties.DROP else (policy.ties is Ties.GOOD,) * 2
    return GOOD.get(outcome) if outcome is not None else None
