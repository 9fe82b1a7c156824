"""Workflow: everything the votes of a campaign say, as one document; section 6 of the contract.

Reads the database once, at one moment, and hands votes to the pure files. Field names of the JSON are those of the
dataclasses; an undefined figure is null, with its reason in `why` of the same object.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from sqlite_utils import Database

from arena.beside import JudgeFigures, judge_figures
from arena.caveats import warnings
from arena.columns import Columns, columns, columns_of_battles
from arena.differing import Queue, differing, ends_wanted, filled_in, texts_wanted
from arena.judged import has_word, judges_of, together
from arena.judging import kinship
from arena.language import language_of
from arena.plain import as_object
from arena.ratings import Rating, WinMatrix, ratings, win_matrix
from arena.robustness import Robustness, robustness
from arena.slices import Slice, slices
from arena.style import Style, StyledRatings, style_controlled, style_of
from arena.where import Where, parse
from arena.winrates import HeadToHead, head_to_head
from db.asked_battles import battles_between
from db.campaigns import battles_of, coverage, get_campaign, list_campaigns
from db.catalog import scores_of_campaign
from db.checks import CheckVote, check_votes
from db.counting import Counts, counts
from db.entities.campaigns import Battle, Campaign
from db.entities.catalog import Score, content_id
from db.entities.votes import Outcome, RaterKind, Vote
from db.figures import (
    Answer,
    criteria_answers,
    excluded_votes,
    judge_votes,
    one_moment,
    questions_of,
    tags_of,
    text_lengths,
    texts_of,
    trained_prompts,
)
from db.grades import Graded, beside_grades
from db.judges import Beside, JudgeKind, beside_verdicts
from db.runs import list_runs, metrics_of
from db.votes import counted_votes
from labeling.agreement import Agreement, agreement, opinions
from labeling.flags import Limits
from labeling.quality import RaterFigures, rater_figures

Curves = Mapping[str, Sequence[tuple[int, float]]]
"""{metric: (step, value), ...} of a run"""


@dataclass(frozen=True, slots=True)
class CriterionFigures:
    """The head-to-head on one of the campaign's further questions."""

    name: str
    pairs: tuple[HeadToHead, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What the votes say. `campaign` is None where several are read together."""

    campaign: str | None
    campaigns: tuple[str, ...]
    where: str | None
    snapshot: str
    """hash of the votes read"""
    counts: Counts
    pairs: tuple[HeadToHead, ...]
    criteria: tuple[CriterionFigures, ...]
    slices: tuple[Slice, ...]
    ratings: tuple[Rating, ...]
    style_controlled_ratings: StyledRatings | None
    win_matrix: WinMatrix
    agreement: Agreement
    judges: tuple[JudgeFigures, ...]
    differing: tuple[Queue, ...]
    """for each judge the battles that it sees otherwise than most people"""
    human_agreement: Agreement
    raters: tuple[RaterFigures, ...]
    robustness: tuple[Robustness, ...]
    """each win rate with excluded raters, without flagged ones, and without the one who moves it most"""
    warnings: tuple[str, ...]
    simulated_share: float | None
    """share of the votes that made-up raters gave"""
    why: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """The document as `report --json` prints it."""
        return as_object(self)


# -- reading ---------------------------------------------------------------------------------------------------


class _Read(NamedTuple):
    """What the report is made from."""

    campaigns: tuple[Campaign, ...]
    votes: tuple[Vote, ...]
    verdicts: tuple[Vote, ...]
    answers: tuple[Answer, ...]
    battles: tuple[Battle, ...]
    lengths: dict[str, float]
    tags: dict[str, frozenset[str]]
    languages: dict[str, str]
    styles: dict[str, Style]
    asked: dict[str, Beside]
    graded: dict[str, Graded]
    kin: tuple[str, ...]
    scores: dict[str, dict[str, Score]]
    counts: Counts
    checks: tuple[CheckVote, ...]
    excluded: tuple[Vote, ...]


def report(db: Database, campaign: str | None = None, where: str | None = None) -> Report:
    """Everything the votes of a campaign say (of all together where none is named); `where` picks some of them.

    UserError where there is no such campaign or the condition is not understood.
    """
    condition = parse(where)
    with one_moment(db):
        chosen = [get_campaign(db, campaign)] if campaign is not None else list_campaigns(db)
        read = _read(db, chosen, condition)
        order = tuple(dict.fromkeys(m for c in chosen for m in c.models))
        votes = columns(read.votes, order)
        trained = {m: trained_prompts(db, m) for m in votes.models}
    made = _report(read, votes, order, trained, condition, where)
    prompts, responses = texts_wanted(
        made.differing
    )  # an id stands for its text: no need for the same moment
    between = battles_between(db, made.campaigns, ends_wanted(made.differing))
    return replace(
        made, differing=filled_in(made.differing, questions_of(db, prompts), texts_of(db, responses), between)
    )


def _read(db: Database, chosen: Sequence[Campaign], where: Where) -> _Read:
    everyone = [v for c in chosen for v in _weighed(db, c)]
    verdicts = [v for c in chosen for v in judge_votes(db, c.id)]
    tags: dict[str, frozenset[str]] = {}
    lengths: dict[str, float] = {}
    scores: dict[str, dict[str, Score]] = defaultdict(dict)
    for c in chosen:
        tags |= tags_of(db, c.id)
        lengths |= text_lengths(db, c.id)
        for scorer, found in scores_of_campaign(db, c.id).items():
            scores[scorer] |= found
    kept = tuple(v for v in everyone if where.fits(v, tags)) if where.patterns else tuple(everyone)
    counted = _counts(db, chosen, len(verdicts), len(everyone) - len(kept))
    return _Read(
        tuple(chosen), kept, tuple(verdicts),
        tuple(a for c in chosen for a in criteria_answers(db, c.id)),
        tuple(b for c in chosen for b in battles_of(db, c.id)) if not kept else (), lengths, tags, _languages(db, kept),
        _styles(db, kept), asked := together(beside_verdicts(db, c.id) for c in chosen),
        graded := together(beside_grades(db, c.id) for c in chosen),
        _kin(db, {j.model for j in asked.values() if j.kind is JudgeKind.LLM} | {j.model for j in graded.values()}, chosen),
        dict(scores), counted,
        tuple(v for c in chosen for v in check_votes(db, c.id)),
        tuple(v for c in chosen for v in excluded_votes(db, c.id) if where.fits(v, tags)),
    )  # fmt: skip


def _kin(db: Database, asked: Iterable[str], chosen: Sequence[Campaign]) -> tuple[str, ...]:
    """A sentence for each language model that judges its own kin."""
    rated = list(dict.fromkeys(m for c in chosen for m in c.models))
    return tuple(
        told[0].upper() + told[1:] + "." for judge in sorted(asked) for told in kinship(db, judge, rated)
    )


_KNOWN_STYLES: dict[str, Style] = {}
_KNOWN_LANGUAGES: dict[str, str | None] = {}
MOST_KNOWN = 500_000
"""responses whose style is kept in memory; an id stands for its text, so what is kept stays true"""


def _styles(db: Database, votes: Iterable[Vote]) -> dict[str, Style]:
    """The style of each response that was voted on and has a text."""
    wanted = {r for v in votes for r in (v.response_a, v.response_b)}
    if len(_KNOWN_STYLES) > MOST_KNOWN:
        _KNOWN_STYLES.clear()
    missing = wanted - _KNOWN_STYLES.keys()
    _KNOWN_STYLES.update((r, style_of(text)) for r, text in texts_of(db, missing).items())
    return {r: _KNOWN_STYLES[r] for r in wanted if r in _KNOWN_STYLES}


def _languages(db: Database, votes: Iterable[Vote]) -> dict[str, str]:
    """The language of each prompt that was voted on, where it is clear."""
    wanted = {v.prompt for v in votes}
    if len(_KNOWN_LANGUAGES) > MOST_KNOWN:
        _KNOWN_LANGUAGES.clear()
    asked = questions_of(db, wanted - _KNOWN_LANGUAGES.keys())
    _KNOWN_LANGUAGES.update((p, language_of(text)) for p, text in asked.items())
    return {p: code for p in wanted if (code := _KNOWN_LANGUAGES.get(p)) is not None}


def _weighed(db: Database, campaign: Campaign) -> Iterator[Vote]:
    """A campaign's counted votes; without weights once every battle has its votes, however they were sampled."""
    covered = coverage(db, campaign)
    complete = covered.votes - covered.held_votes >= covered.battles * campaign.settings.overlap
    votes = counted_votes(db, campaign.id)
    return (replace(v, weight=1.0) if v.weight != 1.0 else v for v in votes) if complete else votes


def _counts(db: Database, chosen: Sequence[Campaign], verdicts: int, outside: int) -> Counts:
    """Ballots and votes, with judges' verdicts and votes outside --where among the excluded."""
    found = counts(db, chosen[0].id if len(chosen) == 1 else None)
    more = {"verdict of a machine judge": verdicts, "outside --where": outside}
    excluded = found.excluded | {reason: n for reason, n in more.items() if n}
    return found._replace(counted=found.counted - verdicts - outside, excluded=excluded)


def _report(
    read: _Read, votes: Columns, order: Sequence[str], trained: Mapping[str, frozenset[str]], where: Where, text: str | None
) -> Report:  # fmt: skip
    pairs = _pairs(votes, read.lengths, trained)
    raters = rater_figures(read.votes, read.lengths, read.checks, limits(read.campaigns))
    made_up = sum(v.rater_kind is RaterKind.SIMULATED for v in read.votes)
    judges, queues, judged = _judges(read, votes, order)
    styled = style_controlled(votes, read.styles)
    people = agreement(opinions(read.votes), where.repeats)
    human = people if len(judged) == len(read.votes) else agreement(opinions(judged), where.repeats)
    return Report(
        campaign=read.campaigns[0].name if len(read.campaigns) == 1 else None,
        campaigns=tuple(c.name for c in read.campaigns), where=text or None,
        snapshot=content_id("votes", [[v.id, v.outcome] for v in sorted(read.votes, key=lambda v: v.id)]),
        counts=read.counts, pairs=pairs, criteria=_criteria(read, order), slices=slices(read.votes, votes, read.tags, read.lengths, read.languages),
        ratings=ratings(votes), style_controlled_ratings=None if isinstance(styled, str) else styled,
        win_matrix=win_matrix(votes),
        agreement=people, judges=judges, differing=queues, human_agreement=human, raters=raters,
        robustness=robustness(read.votes, read.excluded, {r.rater for r in raters if r.flags}, [pair for pair, _ in votes.pairs()]),
        warnings=(*warnings(pairs, raters, made_up, len(read.votes)), *read.kin),
        simulated_share=made_up / len(read.votes) if read.votes else None,
        why=({"style_controlled_ratings": styled} if isinstance(styled, str) else {})
        | ({} if len(read.campaigns) == 1 else {"campaign": "several campaigns are read together"})
        | ({} if read.votes else {"simulated_share": "no votes"}),
    )  # fmt: skip


def limits(campaigns: Iterable[Campaign]) -> dict[int, Limits]:
    """What the owner demands of raters, by campaign."""
    return {c.id: Limits(c.settings.time_floor, c.settings.warn_below) for c in campaigns}


def _pairs(
    votes: Columns, lengths: Mapping[str, float], trained: Mapping[str, frozenset[str]] | None = None
) -> tuple[HeadToHead, ...]:
    return tuple(
        head_to_head(pair, part, lengths, _trained_share(part, trained[pair.model_a] | trained[pair.model_b]) if trained else None)
        for pair, part in votes.pairs()
    )  # fmt: skip


def _trained_share(votes: Columns, trained: frozenset[str]) -> float:
    prompts = [votes.prompts[i] for i in np.unique(votes.prompt).tolist()]
    return sum(p in trained for p in prompts) / len(prompts)


# -- parts of the votes ----------------------------------------------------------------------------------------


def _criteria(read: _Read, order: Sequence[str]) -> tuple[CriterionFigures, ...]:
    """The head-to-head on each further question, from the votes that answered it."""
    by_name: dict[str, dict[int, Outcome]] = defaultdict(dict)
    for answer in read.answers:
        by_name[answer.criterion][answer.vote] = answer.outcome
    return tuple(
        CriterionFigures(name, _pairs(columns([replace(v, outcome=given[v.id]) for v in read.votes if v.id in given], order),
                                      read.lengths))
        for name, given in sorted(by_name.items())
    )  # fmt: skip


# -- judges ----------------------------------------------------------------------------------------------------


class _Judged(NamedTuple):
    figures: tuple[JudgeFigures, ...]
    differing: tuple[Queue, ...]
    votes: list[Vote]
    """on battles that one of the judges judged"""


def _judges(read: _Read, votes: Columns, order: Sequence[str]) -> _Judged:
    """Every machine rater beside the people.

    Where nobody voted yet, the judges speak of every battle of the campaign.
    """
    over = votes if len(votes) else columns_of_battles(read.battles, order)
    judges = judges_of(read.scores, read.graded, read.verdicts, read.asked)
    figures = tuple(judge_figures(j, over, read.lengths) for j in judges)
    judged = [v for v in read.votes if any(has_word(j, v) for j in judges)]
    return _Judged(figures, tuple(differing(j, votes) for j in judges) if len(votes) else (), judged)


def curves_behind(db: Database, made: Report) -> dict[str, Curves]:
    """{run: its curves} of the runs that made the models of a report, in the models' order."""
    models = [model for name in made.campaigns for model in get_campaign(db, name).models]
    behind = {run.model: run for run in list_runs(db) if run.model is not None}
    return {behind[m].name: metrics_of(db, behind[m].id) for m in models if m in behind}
