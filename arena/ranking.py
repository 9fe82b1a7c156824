"""Workflow: N responses of one model to each prompt, ranked by a machine judge, into a named set of pairs.

The set's source says who ranked what, so that these pairs never pass for people's.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import NamedTuple

from sqlite_utils import Database

from arena.demo import ensure_starter
from arena.generating import MOST_SAMPLES, generate
from arena.grading import Grader, grade
from arena.judging import Judge, Ranker, compare, score
from arena.players import GenerationSettings
from arena.progress import Say, part
from db.catalog import prompts_of, responses_of, scores_of_responses
from db.connection import Home, checked_name
from db.entities.catalog import Prompt, Response, Split, bare
from db.entities.votes import Outcome
from db.errors import Conflict, UserError
from db.judges import Word, twos, words
from db.snapshots import add_pairs, pair_sets


class Which(StrEnum):
    """Which pairs a ranking gives: the best against the worst of a prompt, or every two that differ in rank."""

    BEST_WORST = "best-worst"
    ALL = "all"


class Ranked(NamedTuple):
    """A response's text, and what ranks it: a score, or points from comparisons and the sum of their margins."""

    response: str
    rank: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Order:
    """What `rank` is asked for: `n` responses of a model to a choice of prompts, and the name of the pairs."""

    prompts: str
    model: str
    n: int
    name: str
    which: Which = Which.BEST_WORST
    settings: GenerationSettings = field(default_factory=GenerationSettings)
    again: bool = False
    """ask the judge anew where it gave nothing that could be read"""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What `rank` made. `tied`: prompts whose answers the judge could not tell apart; `alike`: all answers the same."""

    pair_set: str
    source: str
    judge: str
    model: str
    prompts: int
    responses: int
    pairs: int
    already_there: int
    train: int
    heldout: int
    tied: int
    alike: int
    errors: int
    """comparisons or grades that could not be read"""
    truncated_share: float | None
    """the share of what the judge read that had to be cut to fit it"""
    notes: tuple[str, ...] = ()


def rank(
    db: Database,
    home: Home,
    order: Order,
    judge: Judge | Ranker | Grader,
    say: Say = lambda _p, _m: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Ranking:
    """Write what is missing of the responses, rank them, and keep the pairs under a name, all in one step.

    What was written and judged stays where this is stopped, so running it again goes on. UserError where there is
    nothing to rank, or where the name stands for other pairs.
    """
    own = judge.name if isinstance(judge, Judge) else judge.row.name
    source = f"{order.n} responses of {order.model} to {order.prompts}, {order.which} by {own}"
    _refuse(db, order, source)
    ensure_starter(db, order.model)
    prompts = prompts_of(db, order.prompts)
    if not prompts:
        raise UserError(f"{order.prompts!r} holds no prompts", "import some, or choose others")
    generate(home, db, [order.model], order.prompts, order.settings, samples=order.n, say=part(say, 0.0, 0.6),
             should_stop=should_stop)  # fmt: skip
    given = distinct(responses_of(db, order.model, order.prompts), order.n)
    several = [(p, given[p.id]) for p in prompts if len(given.get(p.id, ())) > 1]
    says = part(say, 0.6, 0.4)
    if isinstance(judge, Ranker):
        ranked = _by_comparing(db, judge, several, order.again, says, should_stop)
    else:
        ranked = _by_score(db, judge, several, order.again, says, should_stop)
    made = [(p, pairs_of(ranked.of[p.id], order.which)) for p, _ in several]
    rows = [(p.id, *pair) for p, pairs in made for pair in pairs]
    if not rows:
        raise UserError(
            f"{own} tells no two of these responses apart, so there are no pairs",
            "ask for more responses with --n, or a higher --temperature",
        )
    added = add_pairs(db, order.name, source, rows)
    return Ranking(
        order.name, source, own, order.model, len(prompts), sum(map(len, given.values())), len(rows),
        added.already_there,
        train=sum(len(pairs) for p, pairs in made if p.split is Split.TRAIN),
        heldout=sum(len(pairs) for p, pairs in made if p.split is Split.HELDOUT),
        tied=sum(not pairs for _, pairs in made), alike=len(prompts) - len(several),
        errors=ranked.errors, truncated_share=ranked.cut, notes=() if isinstance(judge, Judge) else judge.notes,
    )  # fmt: skip


def _refuse(db: Database, order: Order, source: str) -> None:
    """UserError where nothing can be ranked, or the name of the pairs stands for others."""
    if not 2 <= order.n <= MOST_SAMPLES:
        raise UserError(
            f"{order.n} responses a prompt cannot be ranked", f"ask for 2 to {MOST_SAMPLES} with --n"
        )
    name = checked_name(order.name, "pair set")
    for known, its_source, _ in pair_sets(db):
        if known == name and its_source != source:
            raise Conflict(
                f"there is already a pair set {name!r} from elsewhere ({its_source})", "choose another name"
            )


def distinct(responses: Iterable[Response], n: int) -> dict[str, list[Response]]:
    """{prompt: its first `n` responses that say something, each text once}."""
    found: dict[str, dict[str, Response]] = {}
    for r in responses:
        if r.sample < n and r.text is not None and bare(r.text):
            found.setdefault(r.prompt, {}).setdefault(bare(r.text), r)
    return {prompt: list(texts.values()) for prompt, texts in found.items()}


def pairs_of(ranked: Sequence[Ranked], which: Which) -> list[tuple[str, str]]:
    """(chosen, rejected) of one prompt's ranked responses; those of equal rank make no pair."""
    if len(ranked) < 2:
        return []
    ordered = sorted(ranked, key=lambda r: r.rank, reverse=True)
    ends = [(ordered[0], ordered[-1])] if which is Which.BEST_WORST else combinations(ordered, 2)
    return [(better.response, worse.response) for better, worse in ends if better.rank > worse.rank]


def by_points(responses: Sequence[str], said: Mapping[tuple[str, str], Word]) -> list[Ranked]:
    """Ranked by comparisons won (a tie is half a point to both, an unreadable one nothing), then by summed margins."""
    points, margins = dict.fromkeys(responses, 0.0), dict.fromkeys(responses, 0.0)
    for one, other in combinations(responses, 2):
        a, b = min(one, other), max(one, other)
        word = said.get((a, b))
        if word is None or word.outcome is None:
            continue
        share = {Outcome.A: 1.0, Outcome.B: 0.0}.get(word.outcome, 0.5)
        points[a], points[b] = points[a] + share, points[b] + 1 - share
        margins[a], margins[b] = margins[a] + (word.margin or 0.0), margins[b] - (word.margin or 0.0)
    return [Ranked(r, (points[r], margins[r])) for r in responses]


Answered = Sequence[tuple[Prompt, Sequence[Response]]]


class _Ranks(NamedTuple):
    """Ranked responses by prompt, the share of what was read that was cut, and what could not be read."""

    of: dict[str, list[Ranked]]
    cut: float | None
    errors: int = 0


def _by_comparing(
    db: Database, ranker: Ranker, several: Answered, again: bool, say: Say,
    should_stop: Callable[[], bool],
) -> _Ranks:  # fmt: skip
    ids = {p.id: [r.id for r in found] for p, found in several}
    meetings = [
        (prompt, min(two), max(two)) for prompt, found in ids.items() for two in combinations(found, 2)
    ]
    said = words(db, ranker.row.id, ids)
    wanted = [
        (p, a, b) for p, a, b in meetings if (a, b) not in said or (again and said[a, b].outcome is None)
    ]
    for _ in compare(db, ranker, twos(db, wanted), say, should_stop):
        pass
    said = words(db, ranker.row.id, ids)
    read = [said[a, b] for _, a, b in meetings if said[a, b].outcome is not None]
    cut = sum(w.cut for w in read) / len(read) if read else None
    return _Ranks({p: by_points(found, said) for p, found in ids.items()}, cut, len(meetings) - len(read))


def _by_score(
    db: Database, judge: Judge | Grader, several: Answered, again: bool, say: Say,
    should_stop: Callable[[], bool],
) -> _Ranks:  # fmt: skip
    each = [(prompt, r) for prompt, found in several for r in found]
    ids, grades = [r.id for _, r in each], isinstance(judge, Grader)
    name = judge.row.name if isinstance(judge, Grader) else judge.name
    scored = scores_of_responses(db, name, ids)
    missing = [one for one in each if one[1].id not in scored]
    if isinstance(judge, Grader):
        grade(db, missing, judge, again=again, say=say, should_stop=should_stop)
    else:
        score(db, missing, judge, say, should_stop)
    scored = scores_of_responses(db, name, ids)
    cut = sum(s.truncated for s in scored.values()) / len(scored) if scored and not grades else None
    ranked = {
        p.id: [Ranked(r.id, (scored[r.id].score, 0.0)) for r in found if r.id in scored]
        for p, found in several
    }
    return _Ranks(ranked, cut, len(ids) - len(scored))
