"""Workflow: which model leads. What votes on held-out prompts say of a candidate, the rule, and who decided what.

The rule: a model is promoted where blind votes on prompts that neither side was trained on prefer it to its parent, and
to the champion where that is another model. "Prefer" is the anytime-valid test (arena/intervals.py): more wins than
losses, and evidence of ENOUGH or more, which is p of 5 % or less however often anybody looks. Judges are shown beside
and decide nothing. Votes of simulated raters count only where somebody says so, and the record says so too.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlite_utils import Database

from arena.beside import Judge, judge_figures
from arena.columns import WIN_A, WIN_B, Columns, columns
from arena.demo import ensure_starter
from arena.intervals import ENOUGH, Interval, ToGo, anytime, votes_to_go
from arena.judged import verdicts_of
from arena.plain import as_object, plain
from arena.winrates import HeadToHead, head_to_head
from db import runs
from db.campaigns import list_campaigns, set_status
from db.catalog import find_model, scores_of_campaign
from db.connection import transaction
from db.entities.campaigns import Campaign, CampaignStatus, Purpose
from db.entities.catalog import Model, content_id
from db.entities.runs import Run, RunKind
from db.entities.votes import RaterKind, Vote
from db.errors import Conflict, UserError
from db.figures import judge_votes, text_lengths, trained_prompts
from db.promotions import Promotion, Way, add_promotion, add_rollback
from db.votes import counted_votes

RULE = (
    "A candidate is promoted by the rule when blind votes of people on held-out prompts prefer it to its parent, and to "
    f"the champion where that is another model: more wins than losses, and evidence (e-value) of {ENOUGH:.0f} or more. "
    "Between two equal models, with votes like coin throws, that happens in at most 5 % of rematches, however often "
    "anybody looks; where raters or prompts differ much it happens more often, so look at the interval and at how many "
    "raters there are. Prompts a model was trained on never count, judges advise only, and simulated votes count only "
    "where you say so."
)

SIMULATED, TRAINED, TWICE = (
    "of simulated raters",
    "on prompts a model was trained on",
    "given again on the same two answers",
)
"""why a vote that counts elsewhere does not count here"""


class Role(NamedTuple):
    """Whom a model has to beat, and why."""

    rival: str
    role: str
    """parent, champion, or parent and champion"""


@dataclass(frozen=True, slots=True)
class Against:
    """What blind votes on held-out prompts say of a model and one rival. Rates are the model's.

    wins, losses: votes that preferred the model, or the rival. left_out: votes by the reason they are not in it.
    votes: hash of the votes read, with their outcomes.
    """

    rival: str
    role: str
    campaigns: tuple[str, ...]
    n: int
    wins: int
    losses: int
    ties: int
    raters: int
    simulated: int
    imported: int
    left_out: Mapping[str, int]
    e_value: float
    p: float
    cs95: Interval
    votes: str
    to_go: ToGo

    @property
    def beats(self) -> bool:
        """Whether the rule says that the model is preferred."""
        return self.wins > self.losses and self.e_value >= ENOUGH

    @property
    def loses(self) -> bool:
        """Whether the same test says that the rival is preferred."""
        return self.losses > self.wins and self.e_value >= ENOUGH


class Word(NamedTuple):
    """What a machine judge says of the same two models: its win rate for the model on n battles."""

    judge: str
    n: int
    win_rate: float
    ci95: Interval | None
    disagrees: bool
    """whether people lean the other way"""


@dataclass(frozen=True, slots=True)
class Detail:
    """The figures of the report on the same votes, and what machine judges say; None where nobody voted."""

    figures: HeadToHead | None
    judges: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a model stands by the rule."""

    model: str
    champion: str | None
    rivals: tuple[Against, ...]
    simulated: bool
    """whether votes of simulated raters are counted"""
    details: tuple[Detail, ...] = field(default=())
    """one a rival, where they were asked for"""

    @property
    def leads(self) -> bool:
        """Whether it is the champion already."""
        return self.champion == self.model

    @property
    def promotes(self) -> bool:
        """Whether the rule promotes it."""
        return bool(self.rivals) and not self.leads and all(r.beats for r in self.rivals)

    @property
    def loses(self) -> Against | None:
        """The first rival that votes found better."""
        return next((r for r in self.rivals if r.loses), None)

    def words(self) -> str:
        """In a sentence."""
        if self.leads:
            return f"{self.model} is the champion."
        if not self.rivals:
            return f"{self.model} has no parent here and there is no champion, so there is nothing to hold it against."
        if self.promotes:
            return f"The rule promotes {self.model}: " + "; ".join(map(_told, self.rivals)) + "."
        made_up = sum(r.left_out.get(SIMULATED, 0) for r in self.rivals)
        apart = f" {made_up} votes of simulated raters are not counted." if made_up else ""
        return f"Not by the rule yet: {'; '.join(map(_told, self.rivals))}.{apart}"


def _told(one: Against) -> str:
    """What the votes against one rival say, without a full stop."""
    who = f"{one.rival} ({one.role})"
    if not one.wins + one.losses:
        return f"no vote yet decides between it and {who}; at least {one.to_go.least} that do are needed"
    made_up = f", {one.simulated} of all votes simulated" if one.simulated else ""
    enough = "" if one.beats or one.loses else f" of {ENOUGH:.0f}"
    seen = (
        f"{one.wins} of {one.wins + one.losses} decided votes, evidence {shown(one.e_value)}{enough}{made_up}"
    )
    whose = "raters" if one.simulated else "people"
    if one.beats:
        return f"{whose} prefer it to {who}: {seen}"
    if one.loses:
        return f"{whose} prefer {who} to it: it won {seen}"
    return f"against {who} it won {seen}; {one.to_go.words()}"


def shown(value: float) -> str:
    """An e-value to read: two figures below 1, whole numbers above 100."""
    return f"{value:.2g}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:,.0f}" if value < 1e6 else f"{value:.1e}"  # fmt: skip


# -- the evidence ----------------------------------------------------------------------------------------------


def rivals_of(model: Model, champion: str | None) -> tuple[Role, ...]:
    """Whom a model has to beat: its parent, and the champion where that is another model."""
    if champion is None or champion == model.name:
        return (Role(model.parent, "parent"),) if model.parent else ()
    if model.parent == champion:
        return (Role(champion, "parent and champion"),)
    return ((Role(model.parent, "parent"),) if model.parent else ()) + (Role(champion, "champion"),)


def weigh(db: Database, name: str, *, simulated: bool = False, details: bool = False) -> Standing:
    """What the votes say of a model under the rule; NotFound.

    simulated: count votes of simulated raters too. details: with the report's figures and the judges.
    """
    model = ensure_starter(db, name)
    champion = runs.champion(db)
    read = [_read(db, model.name, one, simulated) for one in rivals_of(model, champion)]
    return Standing(
        model.name, champion, tuple(r.against() for r in read), simulated,
        tuple(_detail(db, r) for r in read) if details else (),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Votes:
    """The votes that count for a model against one rival, and the others by reason."""

    role: Role
    campaigns: tuple[Campaign, ...]
    votes: tuple[Vote, ...]
    turned: Columns
    left_out: Mapping[str, int]

    def against(self) -> Against:
        outcome = self.turned.outcome
        wins, losses = int((outcome == WIN_A).sum()), int((outcome == WIN_B).sum())
        test = anytime(outcome[self.turned.decided] == WIN_A)
        return Against(
            self.role.rival, self.role.role, tuple(c.name for c in self.campaigns), len(outcome), wins, losses,
            len(outcome) - wins - losses, len({v.rater for v in self.votes}),
            sum(v.rater_kind is RaterKind.SIMULATED for v in self.votes),
            sum(v.left_is is None for v in self.votes), self.left_out, test.e_value, test.p, test.cs95,
            content_id("votes", [[v.id, v.outcome] for v in self.votes]), votes_to_go(wins, losses, len(outcome)),
        )  # fmt: skip


def _read(db: Database, name: str, role: Role, simulated: bool) -> _Votes:
    both = {name, role.rival}
    campaigns = tuple(
        c for c in list_campaigns(db)
        if c.settings.purpose is Purpose.EVALUATE and c.status is not CampaignStatus.DRAFT and both <= set(c.models)
    )  # fmt: skip
    trained = trained_prompts(db, name) | trained_prompts(db, role.rival)
    kept, out, seen = [], Counter[str](), set()
    every = (v for c in campaigns for v in counted_votes(db, c.id) if {v.model_a, v.model_b} == both)
    for vote in sorted(every, key=lambda v: v.id):
        battle = (vote.rater, frozenset((vote.response_a, vote.response_b)))
        if vote.prompt in trained:
            out[TRAINED] += 1
        elif vote.rater_kind is RaterKind.SIMULATED and not simulated:
            out[SIMULATED] += 1
        elif battle in seen:
            out[TWICE] += 1
        else:
            seen.add(battle)
            kept.append(vote)
    return _Votes(role, campaigns, tuple(kept), columns(kept, (name, role.rival)), dict(out))


def _detail(db: Database, read: _Votes) -> Detail:
    if not read.votes:
        return Detail(None, ())
    lengths: dict[str, float] = {}
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    machine: dict[str, list[Vote]] = defaultdict(list)
    for campaign in read.campaigns:
        lengths |= text_lengths(db, campaign.id)
        for scorer, found in scores_of_campaign(db, campaign.id).items():
            scores[scorer] |= {r: s.score for r, s in found.items()}
        for vote in judge_votes(db, campaign.id):
            machine[vote.rater_name].append(vote)
    judges = [Judge(n, "reward", s) for n, s in sorted(scores.items())]
    judges += [Judge(n, "verdicts", verdicts=verdicts_of(v)) for n, v in sorted(machine.items())]
    pair, votes = next(read.turned.pairs())
    figures = head_to_head(pair, votes, lengths, 0.0)
    words = (_word(judge, votes, lengths, figures) for judge in judges)
    return Detail(figures, tuple(word for word in words if word is not None))


def _word(judge: Judge, votes: Columns, lengths: Mapping[str, float], people: HeadToHead) -> Word | None:
    said = judge_figures(judge, votes, lengths).pairs
    if not said:
        return None
    lean = (people.win_rate_a or 0.5) - 0.5
    return Word(judge.name, said[0].n, said[0].win_rate_a, said[0].win_rate_ci95,
                (said[0].win_rate_a - 0.5) * lean < 0)  # fmt: skip


# -- the decision ----------------------------------------------------------------------------------------------


class Promoted(NamedTuple):
    """A new champion, and the campaigns that closed with it."""

    promotion: Promotion
    closed: tuple[str, ...]


def promote(
    db: Database, name: str, who: str, *, reason: str | None = None, force: bool = False, simulated: bool = False
) -> Promoted:  # fmt: skip
    """Make a model the champion: by the rule where it says so, else by hand, which needs a reason.

    Where votes found a rival better, a reason is not enough: that needs `force`. Closes the candidate's campaigns.
    """
    with transaction(db):
        standing = weigh(db, name, simulated=simulated, details=True)
        way, why = _decided(db, standing, (reason or "").strip(), force)
        made = add_promotion(
            db, standing.model, way, why, who, simulated=simulated, evidence=evidence_of(standing)
        )
        return Promoted(made, tuple(_close(db, standing.model)))


def _decided(db: Database, standing: Standing, reason: str, force: bool) -> tuple[Way, str]:
    """By which way a model becomes the champion and why; UserError where it cannot."""
    name = standing.model
    if standing.leads:
        raise Conflict(f"{name} is the champion already", "promote another model, or `rollback`")
    run = run_of(db, name)
    if run is not None and run.kind is RunKind.REWARD:
        raise UserError(
            f"{name} is a reward model, which gives scores and no answers", "promote a model that answers"
        )
    if standing.promotes:
        return Way.RULE, reason or standing.words()
    if not reason:
        raise UserError(
            standing.words(), f"collect more votes, or promote by hand: `promote {name} --reason WHY`"
        )
    worse = standing.loses
    if worse is not None and not force:
        raise UserError(
            f"votes found {worse.rival} better than {name}", "to promote it all the same, say --force too"
        )
    return Way.HAND, reason


def run_of(db: Database, name: str) -> Run | None:
    """The run that made a model, where one did."""
    model = find_model(db, name)
    return runs.run_by_id(db, model.run) if model is not None and model.run is not None else None


def evidence_of(standing: Standing) -> dict[str, object]:
    """What is kept with a decision: the rule, the counts, the test and the judges against each rival."""
    rows = [
        {
            **as_object(against), "beats": against.beats,
            **({} if detail.figures is None else {
                "win_rate": detail.figures.win_rate_a, "ci95": plain(detail.figures.ci95),
                "ci_method": detail.figures.ci_method,
            }),
            "judges": plain(detail.judges),
        }
        for against, detail in zip(standing.rivals, standing.details, strict=True)
    ]  # fmt: skip
    return {
        "rule_met": standing.promotes,
        "enough": ENOUGH,
        "champion_before": standing.champion,
        "rivals": rows,
    }


def _close(db: Database, name: str) -> list[str]:
    """Close the campaigns that opened with a candidate; their names."""
    run = run_of(db, name)
    if run is None:
        return []
    own = [c for c in list_campaigns(db) if c.parent_run == run.id and c.status is not CampaignStatus.CLOSED]
    for campaign in own:
        set_status(db, campaign.name, CampaignStatus.CLOSED)
    return [c.name for c in own]


class RolledBack(NamedTuple):
    """A promotion that was taken back, and who is the champion now."""

    promotion: Promotion
    champion: str | None


def rollback(db: Database, who: str, *, reason: str | None = None) -> RolledBack:
    """Make the champion before this one the champion again. A row beside the promotion; nothing is deleted."""
    with transaction(db):
        undone = add_rollback(db, (reason or "").strip(), who)
        return RolledBack(undone, runs.champion(db))
