"""Are careless raters found, and careful ones left alone? Sessions of made-up raters, as `simulate` has them.

    python -m bench.raters [--runs 100] [--votes 40] [--only NAME] [--end]

Each run is a session in memory: the crowd's own decisions (arena/crowd.py) on the demo's battles and, where
../shared/data is beside the checkout, on recorded answers to AlpacaEval's questions; ballots are drawn as the product
draws them, check questions at the stated rates. One rater of each profile sits among honest (or careful) ones; "careful
0.1" turns one vote in ten round. In the scenes of bots that come later, twelve readers give 50 ballots each, then two
pressers of left, then two of dice, `--votes` each. "taste 2" is somebody who differs from others as people do: of all
together, the log odds of an answer are drawn once a battle (normal, deviation 2); "coin" ties as often as they, and else
throws a coin. A careless rater counts as found if flagged after `--votes` ballots; a
reader counts as accused if flagged at any of the looks on the way there (`--end`: one look at the end, much faster). The
naive way beside it: flag who misses half of the known answers, or agrees with the others
on less than half of the shared battles.
"""

import argparse
import itertools
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from arena.crowd import DEFAULT_NOISE, Decide, decision, drawn_elapsed_ms
from db.checks import CheckVote
from db.entities.catalog import Split
from db.entities.votes import BallotKind, Choice, Outcome, RaterKind, Vote
from labeling.assignment import REPEAT_GAP, kind_of_next
from labeling.ballot import outcome_of
from labeling.flags import Limits
from labeling.gold import spoiled
from labeling.quality import Judged, judged
from training.starter.demo import demo_responses, showcase

ALPACA = Path(__file__).resolve().parents[2] / "shared" / "data" / "arena_alpacaeval.jsonl"
CARELESS = ("random", "left", "fast", "copy")
LOOKS = range(12, 401, 4)
FIRST = 50
"""ballots of each reader where the careless come later"""
TIES = 0.15
"""of the ballots of people who differ, and of those beside them who throw a coin"""


class Match(NamedTuple):
    """A battle in memory: the prompt, two models with their answers."""

    prompt: str
    models: tuple[str, str]
    texts: tuple[str, str]
    scores: Mapping[str, float] = {}
    """by text, where a reward model scored them"""


def starter_world(models: tuple[str, str] = ("starter-sft", "starter-dpo")) -> list[Match]:
    """The demo's battles between two starter models."""
    answers = {(r.prompt, r.model): r for r in demo_responses()}
    both = [(p, [answers[p, m] for m in models]) for p in dict.fromkeys(p for p, _ in answers)]
    found = [
        Match(p, models, (a.response, b.response), {x.response: x.score for x in (a, b)})
        for p, (a, b) in both
    ]
    return [m for m in found if m.texts[0].strip() != m.texts[1].strip()]


def real_texts() -> list[Match]:
    """Recorded answers of two models to AlpacaEval's questions; empty where the data is absent."""
    if not ALPACA.is_file():
        return []
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    for line in ALPACA.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        answers[row["prompt"]][row["model"]] = row["response"]
    common = [m for m, _ in Counter(m for found in answers.values() for m in found).most_common(2)]
    return [
        Match(p, (common[0], common[1]), (a[common[0]], a[common[1]]))
        for p, a in answers.items()
        if len(set(common) & set(a)) == 2 and a[common[0]].strip() != a[common[1]].strip()
    ]


@dataclass
class Rater:
    """A made-up rater in a session."""

    name: str
    profile: str
    decide: Decide
    rng: random.Random
    votes: list[Vote] = field(default_factory=list)
    checks: list[CheckVote] = field(default_factory=list)
    lent: set[int] = field(default_factory=set)
    """battles it was shown"""

    @property
    def done(self) -> int:
        """Ballots answered."""
        return len(self.votes) + len(self.checks)


@dataclass
class Session:
    """A campaign in memory, lending ballots as the product does."""

    matches: Sequence[Match]
    overlap: int
    gold_rate: float
    repeat_rate: float
    rng: random.Random
    gold: list[tuple[Match, str]] = field(default_factory=list)
    covered: list[int] = field(default_factory=list)
    number: int = 0

    def __post_init__(self) -> None:
        self.covered = [0] * len(self.matches)
        self.order = self.rng.sample(range(len(self.matches)), len(self.matches))
        for match in self.rng.sample(list(self.matches), min(60, len(self.matches))):
            good, better = max(match.texts, key=lambda t: match.scores.get(t, 0.0)), self.rng.choice("ab")
            bad = spoiled(good, self.rng.choice(self.matches).texts[0])
            if bad and bad != good:
                self.gold.append(
                    (
                        Match(match.prompt, ("gold", "gold"), (good, bad) if better == "a" else (bad, good)),
                        better,
                    )
                )

    def lengths(self) -> dict[str, float]:
        """Characters by response id."""
        both = ((f"{i}-{k}", float(len(m.texts[k]))) for i, m in enumerate(self.matches) for k in (0, 1))
        return dict(both)

    def ballot(self, rater: Rater) -> bool:
        """One ballot for a rater and its answer; False where there is none left."""
        rates = {BallotKind.GOLD: self.gold_rate, BallotKind.REPEAT: self.repeat_rate}
        kind = kind_of_next(rates, Counter(c.kind for c in rater.checks), rater.done, self.rng)
        if kind is BallotKind.GOLD and self.gold:
            at = self.rng.randrange(len(self.gold))
            match, better = self.gold[at]
            vote = self._vote(rater, match, 10_000 + at, self.rng.choice("ab"))
            rater.checks.append(CheckVote(vote, kind, Outcome(better)))
            return True
        if kind is BallotKind.REPEAT and (old := self._repeatable(rater)) is not None:
            vote = self._vote(rater, self.matches[old.battle], old.battle, "b" if old.left_is == "a" else "a")
            rater.checks.append(CheckVote(vote, kind, None))
            return True
        free = [i for i in self.order if i not in rater.lent and self.covered[i] < self.overlap]
        if not free:
            return False
        battle = min(free, key=self.covered.__getitem__)
        rater.lent.add(battle)
        self.covered[battle] += 1
        rater.votes.append(self._vote(rater, self.matches[battle], battle, self.rng.choice("ab")))
        return True

    def _repeatable(self, rater: Rater) -> Vote | None:
        again = {c.vote.battle for c in rater.checks if c.kind is BallotKind.REPEAT}
        old = [v for v in rater.votes[:-REPEAT_GAP] if v.battle not in again and v.outcome.decisive]
        return self.rng.choice(old) if old else None

    def _vote(self, rater: Rater, match: Match, battle: int, left_is: str) -> Vote:
        left, right = match.texts if left_is == "a" else match.texts[::-1]
        ballot = {
            "prompt": [{"role": "user", "content": match.prompt}],
            "left": {"text": left},
            "right": {"text": right},
        }
        self.number += 1
        return Vote(
            id=self.number, campaign=1, battle=battle, rater=0, outcome=outcome_of(rater.decide(ballot), left_is),
            left_is=left_is, created_at="", prompt=match.prompt, response_a=f"{battle}-0", response_b=f"{battle}-1",
            model_a=match.models[0], model_b=match.models[1], rater_name=rater.name, rater_kind=RaterKind.SIMULATED,
            split=Split.TRAIN, elapsed_ms=drawn_elapsed_ms(ballot, rater.rng, rater.profile),
        )  # fmt: skip


def by_taste(rng: random.Random, spread: float) -> Decide:
    """Somebody who prefers an answer with the odds that all have in common; no spread is a coin."""

    def decide(ballot: Mapping[str, Any]) -> Choice:
        left, right = (ballot[side]["text"] for side in ("left", "right"))
        if rng.random() < TIES:
            return Choice.TIE
        low, high = sorted((left, right))
        odds = math.exp(random.Random(low + high).gauss(0, spread))
        chosen = high if rng.random() < odds / (1 + odds) else low
        return Choice.LEFT if chosen == left else Choice.RIGHT

    return decide


def crowd(profiles: Sequence[str], seed: str) -> list[Rater]:
    """A rater of each of these profiles; "careful 0.1" turns one vote in ten round."""
    made = []
    for n, profile in enumerate(profiles):
        rng = random.Random(f"{seed}-{n}")
        kind, _, noise = profile.partition(" ")
        share = float(noise) if noise else DEFAULT_NOISE.get(kind, 0.0)
        decide = by_taste(rng, share) if kind in ("taste", "coin") else decision(kind, rng, share)
        made.append(Rater(f"{profile}-{n}", profile, decide, rng))
    return made


def play(session: Session, raters: Sequence[Rater], votes: int) -> Iterator[int]:
    """Everyone gives a ballot in turn, in a new order each time; yields how many each has given."""
    for given in range(1, votes + 1):
        for rater in session.rng.sample(list(raters), len(raters)):
            session.ballot(rater)
        yield given


def look(session: Session, raters: Sequence[Rater], warn_below: float = 0.7) -> dict[str, Judged]:
    """What the product says of everyone now."""
    return judged(
        [v for r in raters for v in r.votes], session.lengths(), [c for r in raters for c in r.checks],
        {1: Limits(0.0, warn_below)},
    )  # fmt: skip


def naive(raters: Sequence[Rater]) -> set[str]:
    """Who misses half of the known answers, or half of the shared battles' majorities."""
    labels: dict[int, Counter[Outcome]] = defaultdict(Counter)
    for v in (v for r in raters for v in r.votes):
        labels[v.battle][v.outcome] += 1
    found = set()
    for r in raters:
        gold = [c.vote.outcome is c.better for c in r.checks if c.kind is BallotKind.GOLD]
        shared = [v.outcome is (labels[v.battle] - Counter([v.outcome])).most_common(1)[0][0] for v in r.votes
                  if labels[v.battle].total() > 1]  # fmt: skip
        if any(len(x) >= 3 and sum(x) < len(x) / 2 for x in (gold, shared)):
            found.add(r.name)
    return found


class Scene(NamedTuple):
    """What is tried: battles, the readers that make the crowd, overlap and the rates of check questions."""

    name: str
    matches: Sequence[Match]
    readers: Sequence[str]
    overlap: int
    gold_rate: float = 0.1
    repeat_rate: float = 0.1
    careless: Sequence[str] = CARELESS
    later: bool = False
    """readers give FIRST ballots each, then the careless come, one profile after the other"""


class Score(NamedTuple):
    """Of so many raters of a profile: flagged at the last look, at any look, and by the naive way; the flags at any look."""

    raters: int
    last: int
    ever: int
    naive: int
    flags: Mapping[str, int]


def tried(scene: Scene, runs: int, votes: int, seed: int = 0, end: bool = False) -> dict[str, Score]:
    """The scores by profile over so many sessions; `end`: one look at the end, none on the way."""
    tally: dict[str, Counter[str]] = defaultdict(Counter)
    flags: dict[str, Counter[str]] = defaultdict(Counter)
    for run in range(runs):
        rng = random.Random(f"{seed}-{scene.name}-{run}")
        session = Session(
            rng.sample(list(scene.matches), _wanted(scene, votes)),
            scene.overlap,
            scene.gold_rate,
            scene.repeat_rate,
            rng,
        )
        raters = crowd([*scene.readers, *scene.careless], f"{seed}-{scene.name}-{run}")
        ever: dict[str, set[str]] = defaultdict(set)
        for come, most in _groups(scene, raters, votes):
            for given in play(session, come, most):
                if given in LOOKS and not end:
                    _note(ever, look(session, raters))
        now, plain = look(session, raters), naive(raters)
        _note(ever, now)
        for r in raters:
            tally[r.profile].update(
                raters=1, last=bool(now[r.name].raised), ever=bool(ever[r.name]), naive=r.name in plain
            )
            flags[r.profile].update(ever[r.name])
    return {p: Score(t["raters"], t["last"], t["ever"], t["naive"], flags[p]) for p, t in tally.items()}


def _note(ever: dict[str, set[str]], now: Mapping[str, Judged]) -> None:
    for name, one in now.items():
        ever[name].update(f.flag.value for f in one.raised)


def _groups(scene: Scene, raters: Sequence[Rater], votes: int) -> list[tuple[Sequence[Rater], int]]:
    """Who rates together, and how many ballots each gives: everybody at once, or readers first, then bot after bot."""
    if not scene.later:
        return [(raters, votes)]
    readers = len(scene.readers)
    bots = itertools.groupby(raters[readers:], key=lambda r: r.profile)
    return [(raters[:readers], FIRST), *((list(group), votes) for _, group in bots)]


def _wanted(scene: Scene, votes: int) -> int:
    """As many battles as the raters fill to the overlap; all where bots come later."""
    if scene.later:
        return len(scene.matches)
    given = votes * (len(scene.readers) + len(scene.careless)) * (1 - scene.gold_rate - scene.repeat_rate)
    return min(len(scene.matches), max(round(given / scene.overlap), votes))


def scenes() -> list[Scene]:
    """Crowds with and without overlap, with and without check questions, on the starter world and on real texts."""
    starter, base, real = starter_world(), starter_world(("starter-base", "starter-sft")), real_texts()
    shown = [Match(s.messages[-1]["content"], ("showcase-a", "showcase-b"), (s.answers[0].response, s.answers[1].response))
             for s in showcase()]  # fmt: skip
    honest, careful, bots = ["honest"] * 8, ["careful"] * 8, ["left"] * 2 + ["random"] * 2
    found = [
        Scene("SFT and DPO, overlap 1", starter, honest, 1),
        Scene("SFT and DPO, overlap 3", starter, honest, 3),
        Scene("base and SFT, overlap 1", base, honest, 1),
        Scene("SFT and DPO, overlap 3, careful", starter, careful, 3),
        Scene("showcase, overlap 12, careful", shown, careful, 12),
        Scene(
            "four bots come later, overlap 3, no checks", starter, ["careful"] * 12, 3, 0.0, 0.0, bots, True
        ),
        Scene(
            "four bots come later among uneven readers",
            starter,
            [*careful, "careful", "careful 0.1", "careful 0.15", "lazy"],
            3,
            0.0,
            0.0,
            bots,
            True,
        ),
    ]
    for spread in (4, 2, 1):  # two of them say the same of 82, 70 and 59 of 100 battles that both decided
        name = f"people who differ, taste {spread}, overlap 3, no checks"
        found.append(Scene(name, starter, [f"taste {spread}"] * 12, 3, 0.0, 0.0, ["coin"] * 2))
    if real:
        found += [
            Scene("real texts, overlap 1", real, careful, 1),
            Scene("real texts, overlap 3", real, careful, 3),
            Scene("real texts, overlap 3, no checks", real, careful, 3, 0.0, 0.0),
            Scene("real texts, overlap 1, one vote in ten turned round", real, ["careful 0.1"] * 8, 1),
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--votes", type=int, default=40)
    parser.add_argument("--only", default="", metavar="NAME", help="scenes with this in their name")
    parser.add_argument("--end", action="store_true", help="look at the end only")
    options = parser.parse_args()
    if not ALPACA.is_file():
        print(f"note: {ALPACA} is absent, so real texts are left out")
    for scene in scenes():
        if options.only not in scene.name:
            continue
        print(
            f"{scene.name}: {len(scene.matches)} battles, {options.runs} sessions, {options.votes} ballots each"
        )
        for profile, s in tried(scene, options.runs, options.votes, end=options.end).items():
            print(f"  {profile:12} {s.raters:5} raters: flagged at the end {s.last / s.raters:6.1%}, at any look "
                  f"{s.ever / s.raters:6.1%}, naive {s.naive / s.raters:6.1%}  {dict(s.flags)}")  # fmt: skip


if __name__ == "__main__":
    main()
