"""Workflow: machine judges over the battles of a campaign, resumable.

A reward model scores each distinct response once, and a language model can grade each once (`arena/grading.py`). The
others (PairRM, a language model, length) compare each two responses once, wherever they meet, and vote on the battles
like any rater, apart from people's votes.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlite_utils import Database

from arena.beside import GRADES
from arena.demo import ensure_starter
from arena.generating import player_of
from arena.grading import Grader, grade_campaign
from arena.judges import Comparer, Duel, LengthJudge
from arena.judges.asking import PAIR_VERSION, SINGLE_VERSION
from arena.judges.kinship import kin
from arena.progress import Say
from db.asked_battles import is_check_question, people_on
from db.catalog import add_scores, find_model, get_setting, responses_without_score, scores_of_campaign
from db.connection import Home
from db.entities.campaigns import Campaign
from db.entities.catalog import Model, ModelKind, Prompt, Response, Score
from db.errors import NotFound, UserError
from db.grades import beside_grades
from db.judges import (
    Comparison,
    JudgeKind,
    JudgeRow,
    Two,
    add_comparisons,
    add_judge,
    beside_verdicts,
    cast_verdicts,
    due_verdicts,
    open_battles,
)
from db.pauses import with_pauses
from labeling.formats.naming import safe_name
from training.starter import REWARD_MODEL, weights_of

if TYPE_CHECKING:
    from arena.judges.llm import LlmJudge

VERDICTS = 1000
"""verdicts a transaction: some 50 ms of processor time"""

LOT, ASKED_LOT = 64, 16
STOCK = "OpenAssistant/reward-model-deberta-v3-large-v2"


class Judge(NamedTuple):
    """A reward model: the name its scores go by, and where it is loaded from."""

    name: str
    source: str


def reward_judge(db: Database, home: Home, model: str | None = None) -> Judge:
    """The reward model that is named (a folder or hub id), else the home's own, else the stock one."""
    model = model or get_setting(db, "reward_model") or STOCK
    registered = find_model(db, model)
    if registered is not None and registered.kind is ModelKind.CHECKPOINT:
        return Judge(registered.name, home.locate(registered.source or ""))
    if model == REWARD_MODEL:
        return Judge(REWARD_MODEL, str(weights_of(REWARD_MODEL)))
    source = str(Path(model).resolve()) if Path(model).is_dir() else home.locate(model)
    return Judge(source, source)


def score_campaign(
    db: Database,
    campaign: Campaign,
    judge: Judge,
    say: Say = lambda _p, _m: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Score what the judge has not scored yet of a campaign's responses; the number of new scores.

    UserError where the reward model does not load, or when it is told to stop; what is scored stays.
    """
    return score(db, responses_without_score(db, judge.name, campaign.id), judge, say, should_stop)


def score(
    db: Database,
    todo: Sequence[tuple[Prompt, Response]],
    judge: Judge,
    say: Say = lambda _p, _m: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Score these responses, in lots that stay, those of like length together; UserError as score_campaign."""
    if not todo:
        return 0
    from arena.players.scorer import RewardScorer

    say(0.0, f"loading {judge.name}")
    scorer = RewardScorer(judge.source)
    done, todo = 0, sorted(todo, key=_size)
    for at in range(0, len(todo), LOT):
        if should_stop():
            raise UserError(f"stopped after {done} of {len(todo)} scores", "run it again to go on")
        lot = todo[at : at + LOT]
        scored = scorer.score([(prompt.messages, response.text or "") for prompt, response in lot])
        add_scores(db, [
            Score(response.id, judge.name, s.score, s.truncated)
            for (_, response), s in zip(lot, scored, strict=True)
        ])  # fmt: skip
        done += len(lot)
        say(done / len(todo), f"{done} of {len(todo)} responses scored by {judge.name}")
    return done


def _size(asked: tuple[Prompt, Response]) -> int:
    """Characters of a prompt and its response."""
    prompt, response = asked
    return sum(len(m["content"]) for m in prompt.messages) + len(response.text or "")


# -- judges that compare ---------------------------------------------------------------------------------------


class Ranker(NamedTuple):
    """A judge that compares: who it is among raters, and how it is loaded."""

    row: JudgeRow
    load: Callable[[], Comparer]
    lot: int = LOT
    """comparisons that are asked for together; each lot stays"""
    notes: tuple[str, ...] = ()
    """what a person should know before they trust it"""


class Judged(NamedTuple):
    """What a judge did to a campaign. `scored` is None of a judge that compares, `compared` of one that scores or grades."""

    judge: str
    kind: str
    scored: int | None = None
    compared: int | None = None
    verdicts: int | None = None
    errors: int | None = None
    """battles (of a judge that grades: responses) on which its answer could not be read: they count as no verdict"""
    textless: int | None = None
    """battles or responses left out, for there is no text to show"""
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """As `judge --json` prints it."""
        return {k: v for k, v in self._asdict().items() if v is not None and v != ()}

    def to_lines(self) -> list[str]:
        """The same for a person."""
        what = "battles"
        if self.scored is not None:
            done, what = "graded" if self.kind == GRADES else "scored", "responses"
            nothing = not (self.scored or self.errors or self.textless)
            lines = [f"nothing to do: {self.judge} has {done} every response that has a text" if nothing
                     else f"{self.scored} responses {done} by {self.judge}"]  # fmt: skip
        else:
            lines = [f"{self.compared} comparisons, {self.verdicts} new verdicts by {self.judge}"]
        if self.errors:
            lines.append(f"{self.errors} answers of the judge could not be read and count as no verdict; --again asks "
                         "once more")  # fmt: skip
        if self.textless:
            lines.append(f"{self.textless} {what} left out: there is no text to show")
        return lines


def judge_campaign(
    db: Database,
    home: Home,
    campaign: Campaign,
    kind: str,
    model: str | None = None,
    *,
    single: bool = False,
    battle: int | None = None,
    again: bool = False,
    say: Say = lambda _p, _m: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Judged:
    """Let a judge of this kind judge a campaign, or one battle of it that a person voted on.

    `single`: a language model grades each response by itself. UserError as score_campaign, compare_campaign,
    grade_campaign and checked_battle.
    """
    if battle is not None:
        checked_battle(db, campaign, battle)
    judge = judge_of(db, home, kind, model, campaign.models, single=single)
    if isinstance(judge, Ranker):
        return compare_campaign(
            db, campaign, judge, battle=battle, again=again, say=say, should_stop=should_stop
        )
    if battle is not None:
        raise UserError(
            "one battle is for a judge that compares", "name pairrm, llm or length, and leave --single out"
        )
    if isinstance(judge, Grader):
        made = grade_campaign(db, campaign, judge, again=again, say=say, should_stop=should_stop)
        return Judged(
            judge.row.name, GRADES, made.graded, errors=made.errors, textless=made.textless, notes=judge.notes
        )
    return Judged(judge.name, kind, score_campaign(db, campaign, judge, say, should_stop))


def checked_battle(db: Database, campaign: Campaign, battle: int) -> None:
    """UserError where a judge may not be asked about one battle: so that it leads nobody, a person votes first."""
    people = people_on(db, campaign.id, battle)
    if people is None:
        raise NotFound(
            f"{campaign.name!r} has no battle {battle}", "the studio's Data tab and the report name them"
        )
    if is_check_question(db, battle):
        raise UserError(f"battle {battle} is a check question, whose better answer is known", "name another")
    if not people.all:
        raise UserError(f"no person has voted on battle {battle} yet",
                        "ask a judge once one has, so that the judge leads nobody")  # fmt: skip


class Standing(NamedTuple):
    """How far a judge has come with a campaign: words on battles, or scores of responses."""

    name: str
    kind: str
    said: int
    what: str
    errors: int
    cut: int


def standings(db: Database, campaign: Campaign) -> list[Standing]:
    """Every machine judge of a campaign that was asked here or came with scores."""
    return list(_scoring(db, campaign)) + [
        Standing(name, one.kind.value, one.read, "verdicts", one.errors, len(one.cut))
        for name, one in sorted(beside_verdicts(db, campaign.id).items())
    ]


def _scoring(db: Database, campaign: Campaign) -> Iterator[Standing]:
    """The judges that score or grade."""
    scores, graded = scores_of_campaign(db, campaign.id), beside_grades(db, campaign.id)
    for name in sorted({*scores, *graded}):
        found, cut = scores.get(name, {}), sum(s.truncated for s in scores.get(name, {}).values())
        if name in graded:
            yield Standing(name, GRADES, len(found), "grades", graded[name].errors, 0)
        else:
            yield Standing(name, "reward", len(found), "scores", 0, cut)


def judge_of(
    db: Database, home: Home, kind: str, model: str | None, rated: Sequence[str] = (), *, single: bool = False
) -> Judge | Ranker | Grader:
    """The judge of a kind (reward, pairrm, llm, length), its own by default; `rated` are the models it will judge.

    `single`: it grades answers one by one; UserError of any but a language model.
    """
    if single:
        if kind != JudgeKind.LLM:
            raise UserError(
                "only a language model gives grades from 1 to 10", "add --with llm, or leave out --single"
            )
        row, own, notes = _asked(db, model, rated, SINGLE_VERSION)
        return Grader(row, lambda: _asking(home, own), notes)
    if kind == "reward":
        return reward_judge(db, home, model)
    return ranker_of(db, home, JudgeKind(kind), model, rated)


def ranker_of(
    db: Database, home: Home, kind: JudgeKind, model: str | None = None, rated: Sequence[str] = ()
) -> Ranker:
    """The comparing judge of this kind; UserError where it cannot be one. Its weights are loaded when it is needed."""
    if kind is JudgeKind.LENGTH:
        if model is not None:
            raise UserError("the judge that prefers the longer answer has no model", "leave the model out")
        return Ranker(add_judge(db, "length", kind, ""), LengthJudge)
    if kind is JudgeKind.LLM:
        row, own, notes = _asked(db, model, rated, PAIR_VERSION)
        return Ranker(row, lambda: _asking(home, own), ASKED_LOT, notes)
    return _pairrm(db, home, model)


def _asked(
    db: Database, model: str | None, rated: Sequence[str], version: str
) -> tuple[JudgeRow, Model, tuple[str, ...]]:
    """A language model as a judge that is asked with this version of the prompt, and whose kin it judges."""
    if model is None:
        raise UserError(
            "say which model judges", "name a registered one: an endpoint, or weights on this machine"
        )
    own = ensure_starter(db, model)
    row = add_judge(db, safe_name(f"llm {own.name} {version}", "judge"), JudgeKind.LLM, own.name, version)
    return row, own, tuple(kinship(db, own.name, rated))


def _asking(home: Home, model: Model) -> "LlmJudge":
    from arena.judges.llm import LlmJudge

    return LlmJudge(player_of(home, model))


def kinship(db: Database, judge: str, rated: Sequence[str]) -> Iterator[str]:
    """A sentence for each model that the judge is kin to."""
    own = _names(db, judge)
    for model in rated:
        if found := kin(own, _names(db, model)):
            yield f"the judge {judge} and {model} {found}: a judge tends to prefer its own kind"


def _names(db: Database, name: str) -> list[str]:
    """What a model goes by: its name, what it is loaded from or called elsewhere, and the same of its ancestors."""
    names = [name]
    model = find_model(db, name)
    while model is not None:
        names += [n for n in (model.name, model.source, model.remote_name) if n and n not in names]
        model = find_model(db, model.parent) if model.parent else None
    return names


def _pairrm(db: Database, home: Home, model: str | None) -> Ranker:
    from arena.players.pairwise import STOCK, PairRanker

    registered = find_model(db, model) if model else None
    named = registered.source if registered is not None else model
    source = str(Path(named).resolve()) if named and Path(named).is_dir() else home.locate(named or STOCK)
    kept = home.relative(Path(source)) if Path(source).is_dir() else source
    row = add_judge(db, safe_name(f"pairrm {Path(source).name}", "judge"), JudgeKind.PAIRRM, kept)
    return Ranker(row, lambda: PairRanker(source))


def compare_campaign(
    db: Database,
    campaign: Campaign,
    ranker: Ranker,
    *,
    battle: int | None = None,
    again: bool = False,
    say: Say = lambda _p, _m: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Judged:
    """Let a judge compare what it has not compared yet of a campaign (or one battle of it), and vote.

    `again` asks anew what was unreadable. UserError where the judge does not load or answer, or when it is told to stop;
    what it said stays.
    """
    verdicts = _vote(db, ranker.row, campaign.id, battle)
    todo = open_battles(db, ranker.row.id, campaign.id, battle, again=again)
    compared, due = 0, 0
    try:
        for lot in with_pauses(compare(db, ranker, todo.open, say, should_stop)):
            compared += lot
            if compared >= due:  # each time looks at the whole campaign
                verdicts += _vote(db, ranker.row, campaign.id, battle)
                due = compared + compared // 10
    finally:
        verdicts += _vote(db, ranker.row, campaign.id, battle)
    left = open_battles(db, ranker.row.id, campaign.id, battle)
    return Judged(ranker.row.name, ranker.row.kind, None, compared, verdicts, left.unreadable, todo.textless,
                  ranker.notes)  # fmt: skip


def _vote(db: Database, judge: JudgeRow, campaign: int, battle: int | None) -> int:
    """Cast what a judge has said and not voted yet, lot by lot: people's votes go in between."""
    due = due_verdicts(db, judge.id, campaign, battle)
    lots = (due[at : at + VERDICTS] for at in range(0, len(due), VERDICTS))
    return sum(cast_verdicts(db, judge, campaign, lot) for lot in with_pauses(lots))


def compare(
    db: Database,
    ranker: Ranker,
    todo: Sequence[Two],
    say: Say = lambda _p, _m: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[int]:
    """Compare these responses in lots that stay; yields how many each lot was. UserError as compare_campaign."""
    if not todo:
        return
    say(0.0, f"loading {ranker.row.name}")
    judge = ranker.load()
    for at in range(0, len(todo), ranker.lot):
        if should_stop():
            raise UserError(f"stopped after {at} of {len(todo)} comparisons", "run it again to go on")
        lot = todo[at : at + ranker.lot]
        said = judge.compare([Duel(t.prompt.messages, t.text_a, t.text_b) for t in lot])
        add_comparisons(db, ranker.row.id, [
            Comparison(two, c.outcome, c.margin, c.cut, c.details) for two, c in zip(lot, said, strict=True)
        ])  # fmt: skip
        yield len(lot)
        say((at + len(lot)) / len(todo), f"{at + len(lot)} of {len(todo)} comparisons by {ranker.row.name}")
