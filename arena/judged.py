"""The machine judges that a report is about, from what the database holds of them. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeVar

from arena.beside import GRADES, SCORES, Judge
from db.entities.catalog import Score
from db.entities.votes import Outcome, Vote
from db.grades import Graded
from db.judges import Beside

Said = TypeVar("Said", Beside, Graded)


def together(by_campaign: Iterable[Mapping[str, Said]]) -> dict[str, Said]:
    """What stands beside the words of each judge, over these campaigns together."""
    found: dict[str, Said] = {}
    for here in by_campaign:
        for name, one in here.items():
            found[name] = found[name] + one if name in found else one
    return found


def judges_of(
    scores: Mapping[str, Mapping[str, Score]], graded: Mapping[str, Graded], verdicts: Iterable[Vote],
    asked: Mapping[str, Beside],
) -> list[Judge]:  # fmt: skip
    """Those that score or grade answers one by one, by name, then those that compare; also where nothing could be read."""
    said: dict[str, list[Vote]] = defaultdict(list)
    for vote in verdicts:
        said[vote.rater_name].append(vote)
    return [
        *(_scoring(name, scores.get(name, {}), graded.get(name)) for name in sorted({*scores, *graded})),
        *(_comparing(name, said.get(name, ()), asked.get(name)) for name in sorted({*said, *asked})),
    ]


def _scoring(name: str, found: Mapping[str, Score], graded: Graded | None) -> Judge:
    """A judge that scores answers one by one, or a language model that grades them."""
    scores = {r: s.score for r, s in found.items()}
    if graded is not None:
        return Judge(name, GRADES, scores, errors=graded.errors)
    return Judge(name, SCORES, scores, frozenset(r for r, s in found.items() if s.truncated))


def _comparing(name: str, said: Iterable[Vote], asked: Beside | None) -> Judge:
    """A judge that compares, asked here or known from an import."""
    if asked is None:
        return Judge(name, "verdicts", verdicts=verdicts_of(said))
    return Judge(name, asked.kind.value, verdicts=verdicts_of(said), cut=asked.cut, errors=asked.errors)


def verdicts_of(votes: Iterable[Vote]) -> dict[tuple[str, str], float]:
    """A judge's last verdict on each two responses, in both orders."""
    found: dict[tuple[str, str], float] = {}
    for v in sorted(votes, key=lambda v: v.id):
        y = {Outcome.A: 1.0, Outcome.B: 0.0}.get(v.outcome, 0.5)
        found[v.response_a, v.response_b], found[v.response_b, v.response_a] = y, 1 - y
    return found


def has_word(judge: Judge, vote: Vote) -> bool:
    """Whether a judge said anything of the two responses of a vote."""
    both = (vote.response_a, vote.response_b)
    return both in judge.verdicts or all(r in judge.scores for r in both)
