"""Votes that are rigged for one model: the rigger is flagged and near the top by influence, and the order of models holds."""

import math
import random
from dataclasses import dataclass

import pytest

from arena.columns import columns
from arena.ratings import ratings
from db.entities.catalog import Split
from db.entities.votes import Outcome, RaterKind, Vote
from labeling.favour import favours, hypotheses
from labeling.flags import EVIDENCE, Flag
from labeling.influence import influence
from labeling.quality import judged

MODELS = [f"model-{i}" for i in range(8)]
STRENGTH = {m: 0.35 * i for i, m in enumerate(MODELS)}  # the last is the best
TARGET = MODELS[2]


@dataclass
class Session:
    """Votes in the order they come; each battle is drawn by the server, its sides too."""

    rng: random.Random
    votes: list[Vote]

    def give(self, rater: str, n: int, wins: object) -> None:
        """n votes; `wins(a, b)` is the chance that this rater prefers a."""
        for _ in range(n):
            a, b = self.rng.sample(MODELS, 2)
            prompt = self.rng.randrange(400)
            won = self.rng.random() < wins(a, b)  # type: ignore[operator]
            self.votes.append(Vote(
                len(self.votes) + 1, 1, prompt * 64 + MODELS.index(a) * 8 + MODELS.index(b), 1, Outcome.A if won else Outcome.B,
                self.rng.choice("ab"), "2026-01-01T00:00:00.000Z", f"p{prompt}", f"{prompt}-{a}", f"{prompt}-{b}", a, b, rater,
                RaterKind.PERSON, Split.TRAIN, elapsed_ms=20_000,
            ))  # fmt: skip


def honest(taste: dict[str, float]) -> object:
    return lambda a, b: 1 / (1 + math.exp(STRENGTH[b] + taste[b] - STRENGTH[a] - taste[a]))


def rigged(a: str, b: str) -> float:
    """For the target where it is, else against whoever is better than it."""
    if TARGET in (a, b):
        return float(a == TARGET)
    return float(STRENGTH[a] < STRENGTH[b])


def only_the_target(a: str, b: str) -> float:
    return float(a == TARGET) if TARGET in (a, b) else honest(dict.fromkeys(MODELS, 0.0))(a, b)  # type: ignore[operator,no-any-return]


def session(seed: int, riggers: int, how: object) -> Session:
    """30 honest raters with 100 votes each, each with tastes of their own; 300 rigged votes between them."""
    made = Session(random.Random(seed), [])
    for i in range(30):
        made.give(f"honest-{i:02d}", 100, honest({m: made.rng.gauss(0, 0.4) for m in MODELS}))
    for i in range(riggers):
        made.give(f"rigger-{i}", 300 // riggers, how)
    return made


def order(votes: list[Vote]) -> list[str]:
    return [r.model for r in sorted(ratings(columns(votes)), key=lambda r: -(r.rating or 0.0))]


def moved(one: list[str], other: list[str]) -> int:
    """The most places that a model moves."""
    return max(abs(one.index(m) - other.index(m)) for m in MODELS)


@pytest.mark.parametrize("how", [rigged, only_the_target])
@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 7))])
def test_300_rigged_among_3000_honest_votes_move_a_rating_by_one_place_at_most(
    seed: int, how: object
) -> None:
    votes = session(seed, 1, how).votes
    assert len(votes) == 3_300
    found = judged(votes, {})
    flagged = {name for name, j in found.items() if j.raised}
    assert Flag.PARTIAL in {r.flag for r in found["rigger-0"].raised}
    assert len(flagged) <= 2, "at most one of thirty honest raters with them"
    clean = order([v for v in votes if v.rater_name != "rigger-0"])
    assert moved(clean, order([v for v in votes if v.rater_name not in flagged])) <= 1
    by_rater: dict[str, list[Vote]] = {}
    for v in votes:
        by_rater.setdefault(v.rater_name, []).append(v)
    moves = influence(by_rater)
    assert "rigger-0" in sorted(moves, key=lambda name: -(moves[name] or 0.0))[:3]


@pytest.mark.slow
@pytest.mark.parametrize("how", [rigged, only_the_target])
@pytest.mark.parametrize("seats", [3, 10, 30])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_300_over_many_seats_move_it_no_further(seed: int, seats: int, how: object) -> None:
    """The fewer votes a seat gives, the less there is to mark it by; what they move together stays one place."""
    votes = session(seed, seats, how).votes
    clean = order([v for v in votes if not v.rater_name.startswith("rigger")])
    flagged = {name for name, j in judged(votes, {}).items() if j.raised}
    left = moved(clean, order([v for v in votes if v.rater_name not in flagged]))
    print(f"\n300 rigged votes over {seats} seats: {sum(n.startswith('rigger') for n in flagged)} marked, "
          f"moved {moved(clean, order(votes))}, without the marked {left}")  # fmt: skip
    assert left <= 1


def test_a_rigger_who_votes_for_one_model_is_told_with_the_numbers() -> None:
    found = judged(session(1, 1, only_the_target).votes, {})["rigger-0"].raised
    assert found[-1].flag is Flag.PARTIAL
    assert found[-1].reason.startswith(f"voted for {TARGET} ")
    assert "by the others' votes it would be" in found[-1].reason


def test_readers_with_strong_tastes_are_left_alone() -> None:
    """200 raters whose tastes differ by a factor of 1.8 in odds (one standard deviation), 100 votes each."""
    raised = 0
    for seed in range(4):
        made = Session(random.Random(seed), [])
        for i in range(50):
            made.give(f"r{i}", 100, honest({m: made.rng.gauss(0, 0.6) for m in MODELS}))
        by_rater: dict[str, list[Vote]] = {}
        for v in made.votes:
            by_rater.setdefault(v.rater_name, []).append(v)
        limit = EVIDENCE * hypotheses(by_rater)
        raised += sum(f is not None and f.evidence >= limit for f in favours(by_rater).values())
    assert raised <= 2


def test_a_better_model_may_win_every_vote() -> None:
    """Where everybody prefers one model, whoever does so too is nobody's partisan."""
    made = Session(random.Random(5), [])
    for i in range(20):
        made.give(f"r{i}", 60, lambda a, b: float(MODELS.index(a) > MODELS.index(b)))
    assert not [j for j in judged(made.votes, {}).values() if any(r.flag is Flag.PARTIAL for r in j.raised)]


def test_nothing_to_compare_with_is_nothing() -> None:
    made = Session(random.Random(6), [])
    made.give("alone", 50, rigged)
    assert favours({"alone": made.votes}) == {"alone": None}
