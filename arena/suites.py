"""Workflow: a campaign read as a benchmark reads its results, from any judge and from people.

MT-Bench (Zheng et al., 2023): each model by category and turn, as a win rate over the models it met (ties half) and,
where a judge gives marks, as their mean. AlpacaEval: each model against the baseline, with the columns of its leaderboard.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from sqlite_utils import Database

from arena.columns import Bools, Columns, Floats, columns, columns_of_battles
from arena.figure_tables import as_csv
from arena.plain import plain
from arena.where import Where, parse
from arena.winrates import length_controlled
from db.campaigns import battles_of, get_campaign, list_campaigns
from db.catalog import scores_of_campaign
from db.entities.campaigns import Battle, Campaign
from db.entities.votes import Vote
from db.errors import UserError
from db.figures import judge_votes, one_moment, tags_of, text_lengths, turns_of
from db.votes import counted_votes

ALL = "all"
PEOPLE = "people"


class SuiteName(StrEnum):
    """The benchmarks whose tables are known."""

    MTBENCH = "mtbench"
    ALPACA_EVAL = "alpaca_eval"


@dataclass(frozen=True, slots=True)
class CategoryScore:
    """A model in one category and turn (`all` for every one), by one judge."""

    judge: str
    model: str
    category: str
    turn: str
    n: int
    wins: int
    losses: int
    ties: int
    win_rate: float | None
    score: float | None
    """mean mark, grade or reward"""
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """A model against the baseline, by one judge; rates in percent, as the leaderboard has them."""

    judge: str
    model: str
    baseline: str
    win_rate: float
    standard_error: float | None
    """standard deviation (ddof 1) / sqrt(n)"""
    n_wins: int
    n_wins_base: int
    n_draws: int
    n_total: int
    length_controlled_winrate: float | None
    avg_length: float | None
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Suite:
    """A benchmark's table."""

    suite: SuiteName
    campaigns: tuple[str, ...]
    rows: tuple[CategoryScore, ...] | tuple[Standing, ...]

    def to_json(self) -> object:
        """The document as `report --suite --json` prints it."""
        return plain(self)

    def to_csv(self) -> str:
        """The table as CSV."""
        kind = CategoryScore if self.suite is SuiteName.MTBENCH else Standing
        names = [f.name for f in fields(kind) if f.name != "why"]
        return as_csv([names, *([getattr(row, n) for n in names] for row in self.rows)])

    def to_lines(self) -> list[str]:
        """The table in short, for a terminal."""
        return [_line(row) for row in self.rows]


def _line(row: CategoryScore | Standing) -> str:
    if isinstance(row, Standing):
        se = f" +- {row.standard_error:.2f}" if row.standard_error is not None else ""
        lc = f", at equal length {row.length_controlled_winrate:.2f} %" if row.length_controlled_winrate is not None else ""  # fmt: skip
        return f"{row.judge}: {row.model} wins {row.win_rate:.2f} %{se} of {row.n_total} against {row.baseline}{lc}"
    rate = f"wins {100 * row.win_rate:.1f} % of {row.n}" if row.win_rate is not None else "has no verdicts"
    mark = f", mean score {row.score:.2f}" if row.score is not None else ""
    return f"{row.judge}: {row.model}, {row.category}, turn {row.turn}: {rate}{mark}"


class _Read(NamedTuple):
    campaigns: tuple[str, ...]
    order: tuple[str, ...]
    by_judge: Mapping[str, Sequence[Vote]]
    scores: Mapping[str, Mapping[str, float]]
    battles: Sequence[Battle]
    """where two scored answers met"""
    turns: Mapping[int, int]
    """{battle: which turn of its talk is judged}"""
    tags: Mapping[str, frozenset[str]]
    lengths: Mapping[str, float]


def suite(db: Database, name: SuiteName, campaign: str | None = None, where: str | None = None) -> Suite:
    """The benchmark's table over a campaign, or all together. UserError where nothing was judged."""
    condition = parse(where)
    with one_moment(db):
        chosen = [get_campaign(db, campaign)] if campaign is not None else list_campaigns(db)
        tags = {p: t for c in chosen for p, t in tags_of(db, c.id).items()}
        cast = [
            v
            for c in chosen
            for v in (*counted_votes(db, c.id), *judge_votes(db, c.id))
            if condition.fits(v, tags)
        ]
        scores = _scores(db, [c.id for c in chosen])
        read = _Read(
            tuple(c.name for c in chosen), tuple(dict.fromkeys(m for c in chosen for m in c.models)), _by_judge(cast),
            scores, _battles(db, chosen, cast, condition) if scores else (),
            {b: t for c in chosen for b, t in turns_of(db, c.id).items()} if scores else {}, tags, {r: n for c in chosen for r, n in text_lengths(db, c.id).items()},
        )  # fmt: skip
    rows = tuple(_categories(read)) if name is SuiteName.MTBENCH else tuple(_standings(read))
    if not rows:
        raise UserError("nothing was judged there yet", "collect votes, import verdicts, or run `judge`")
    return Suite(name, read.campaigns, rows)


def _by_judge(cast: Iterable[Vote]) -> dict[str, list[Vote]]:
    """People together, and each machine judge that votes."""
    found: dict[str, list[Vote]] = defaultdict(list)
    for v in cast:
        found[v.rater_name if v.rater_kind.value == "judge" else PEOPLE].append(v)
    return dict(sorted(found.items()))


def _scores(db: Database, campaigns: Sequence[int]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for campaign in campaigns:
        for scorer, given in scores_of_campaign(db, campaign).items():
            found[scorer] |= {r: s.score for r, s in given.items()}
    return dict(sorted(found.items()))


def _battles(
    db: Database, chosen: Sequence[Campaign], cast: Iterable[Vote], condition: Where
) -> list[Battle]:
    """The battles that a judge's scores are read of, voted on or not; under --where, those with a vote that fits."""
    fits = {v.battle for v in cast}
    return [b for c in chosen for b in battles_of(db, c.id) if not condition.patterns or b.id in fits]


def _scored(read: _Read, scorer: str) -> list[Battle]:
    """One battle of each two answers that a judge scored."""
    given = read.scores[scorer]
    each = {(b.response_a, b.response_b): b for b in read.battles}
    return [b for two, b in each.items() if all(r in given for r in two)]


# -- MT-Bench --------------------------------------------------------------------------------------------------


def _categories(read: _Read) -> Iterator[CategoryScore]:
    for judge, votes in read.by_judge.items():
        c = columns(votes, read.order)
        kept = {v.id: v for v in votes}
        turns = np.array(
            [str(kept[i].turn) if kept[i].turn is not None else "" for i in c.vote.tolist()], dtype=object
        )
        for model, category, turn, mask in _cells(c, read, turns):
            part = c.only(mask)
            y = np.where(part.a == c.models.index(model), part.y, 1 - part.y)
            yield CategoryScore(judge, model, category, turn, len(y), int((y == 1).sum()), int((y == 0).sum()),
                                int((y == 0.5).sum()), float(y.mean()), None, {"score": "this judge gives no marks"})  # fmt: skip
    for scorer, given in read.scores.items():
        yield from _marks(read, scorer, given)


def _cells(c: Columns, read: _Read, turns: "np.ndarray[tuple[int], np.dtype[np.object_]]") -> Iterator[tuple[str, str, str, Bools]]:  # fmt: skip
    """(model, category, turn, its votes) where there is a vote."""
    of_prompt = [read.tags.get(p, frozenset()) for p in c.prompts]
    categories = (ALL, *sorted({t for tags in of_prompt for t in tags}))
    in_category = {
        t: np.array([t == ALL or t in tags for tags in of_prompt], np.bool_)[c.prompt] for t in categories
    }
    for place, model in enumerate(c.models):
        own = (c.a == place) | (c.b == place)
        for category in categories:
            for turn in (ALL, *sorted({t for t in turns.tolist() if t})):
                mask: Bools = own & in_category[category] & ((turn == ALL) | (turns == turn))
                if mask.any():
                    yield model, category, turn, mask


def _marks(read: _Read, scorer: str, given: Mapping[str, float]) -> Iterator[CategoryScore]:
    """A scoring judge's mean by model, category and turn; each answer once."""
    answers: dict[str, dict[tuple[str, str], dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for b in _scored(read, scorer):
        cells = [
            (category, turn) for category in (ALL, *read.tags.get(b.prompt, ()))
            for turn in (ALL, str(read.turns.get(b.id, 1)))
        ]  # fmt: skip
        for model, response in ((b.model_a, b.response_a), (b.model_b, b.response_b)):
            for cell in cells:
                answers[model][cell][response] = given[response]
    for model in (m for m in read.order if m in answers):
        for (category, turn), found in sorted(answers[model].items()):
            yield CategoryScore(scorer, model, category, turn, len(found), 0, 0, 0, None, float(np.mean(list(found.values()))),
                                {"win_rate": "this judge gives marks, no verdicts"})  # fmt: skip


# -- AlpacaEval ------------------------------------------------------------------------------------------------


def _standings(read: _Read) -> Iterator[Standing]:
    for judge, votes in read.by_judge.items():
        yield from _against(judge, columns(votes, read.order), read)
    for scorer, given in read.scores.items():
        c = columns_of_battles(_scored(read, scorer), read.order)
        of_a, of_b = c.values(given)
        yield from _against(scorer, c, read, (np.sign(of_a - of_b) + 1) / 2)


def baseline_of(c: Columns) -> int:
    """The model that met most others; of several, the first in the campaign's order."""
    met = [len({*c.b[c.a == m].tolist(), *c.a[c.b == m].tolist()}) for m in range(len(c.models))]
    return int(np.argmax(met))


def _against(judge: str, c: Columns, read: _Read, y: Floats | None = None) -> Iterator[Standing]:
    """Every model that met the baseline, the best first. `y`: what the judge says, where it does not vote."""
    if not len(c):
        return
    base, of_a, (length_a, length_b) = baseline_of(c), c.y if y is None else y, c.values(read.lengths)
    found = []
    for place, model in enumerate(c.models):
        for_a, for_b = (c.a == place) & (c.b == base), (c.b == place) & (c.a == base)
        wins = np.concatenate([of_a[for_a], 1 - of_a[for_b]])
        if len(wins):
            own = np.concatenate([length_a[for_a], length_b[for_b]])
            theirs = np.concatenate([length_b[for_a], length_a[for_b]])
            found.append(_standing(judge, model, c.models[base], wins, own, theirs))
    yield from sorted(found, key=lambda s: -s.win_rate)


def _standing(judge: str, model: str, baseline: str, wins: Floats, own: Floats, theirs: Floats) -> Standing:
    n, controlled = len(wins), length_controlled(wins, own - theirs)
    known = own[~np.isnan(own)]
    why = {
        "standard_error": "one verdict" if n == 1 else "",
        "length_controlled_winrate": controlled.why,
        "avg_length": "" if len(known) else "no text is on record",
    }
    return Standing(
        judge, model, baseline, 100 * float(wins.mean()), 100 * float(wins.std(ddof=1)) / math.sqrt(n) if n > 1 else None,
        int((wins == 1).sum()), int((wins == 0).sum()), int((wins == 0.5).sum()), n,
        None if controlled.value is None else 100 * controlled.value, float(known.mean()) if len(known) else None,
        {name: reason for name, reason in why.items() if reason},
    )  # fmt: skip
