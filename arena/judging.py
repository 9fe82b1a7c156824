"""Workflow: a reward model's scores of the responses of a campaign, each distinct response once, resumable."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sqlite_utils import Database

from db.catalog import add_scores, find_model, get_setting, responses_without_score
from db.connection import Home
from db.entities import Campaign, ModelKind, Score
from db.errors import UserError
from training.starter import REWARD_MODEL, weights_of

LOT = 64
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
    say: Callable[[float | None, str], None] = lambda _p, _m: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Score what the judge has not scored yet of a campaign's responses; the number of new scores.

    UserError where the reward model does not load, or when it is told to stop; what is scored stays.
    """
    todo = responses_without_score(db, judge.name, campaign.id)
    if not todo:
        return 0
    from arena.players.scorer import RewardScorer

    say(0.0, f"loading {judge.name}")
    scorer = RewardScorer(judge.source)
    done = 0
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
