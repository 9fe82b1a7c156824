"""Do the votes behind a run say something about answers, or about one rater, one model, one side of the screen? Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from db.voices import Voice

ENOUGH = 20
"""votes below which a lopsided count is no news"""
MOSTLY = 0.8
"""the share of votes by one rater above which the model learns that person's taste"""
NEARLY_ALL = 0.9
"""the share of wins of one model or side above which little about the answers is learned"""


@dataclass(frozen=True, slots=True)
class Most:
    """The most frequent of a kind: its name, how many votes, its share, and how many there are of the kind."""

    name: str
    votes: int
    share: float
    of: int


@dataclass(frozen=True, slots=True)
class Balance:
    """How the votes behind the rows are spread. None where there is nothing to count."""

    votes: int
    rater: Most | None
    side: Most | None
    winner: Most | None

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each way in which they are lopsided."""
        if self.votes < ENOUGH:
            return ()
        found = []
        if self.rater and self.rater.of == 1:
            found.append(
                f"all {self.votes} votes are by one rater ({self.rater.name}): it learns one person's taste; invite more raters"
            )
        elif self.rater and self.rater.share > MOSTLY:
            found.append(f"{self.rater.share:.0%} of the votes are by one rater ({self.rater.name}): it learns mostly that person's "
                         "taste; invite more raters")  # fmt: skip
        if self.side and self.side.share >= NEARLY_ALL:
            found.append(f"{self.side.share:.0%} of the votes are for the {self.side.name} answer: somebody may have pressed one side "
                         "without reading; look at the Raters tab")  # fmt: skip
        if self.winner and self.winner.share >= NEARLY_ALL:
            found.append(f"{self.winner.share:.0%} of the votes on {self.winner.name} are for it: the pairs tell the two models apart more than "
                         "good answers from bad; add battles it can lose")  # fmt: skip
        return tuple(found)


def balance(voices: Sequence[Voice]) -> Balance:
    """The spread of these votes."""
    return Balance(
        len(voices), _most(v.rater for v in voices), _most(v.side for v in voices if v.side), _winner(voices)
    )


def _most(names: Iterable[str]) -> Most | None:
    counts = Counter(names)
    if not counts:
        return None
    name, n = counts.most_common(1)[0]
    return Most(name, n, n / counts.total(), len(counts))


def _winner(voices: Sequence[Voice]) -> Most | None:
    """The model that won the largest share of the votes it stood in, of those that stood in most of them."""
    between = [v for v in voices if v.winner != v.loser]  # two answers of one model say nothing about models
    stood = Counter(m for v in between for m in (v.winner, v.loser))
    won = Counter(v.winner for v in between)
    often = [m for m in stood if stood[m] >= max(ENOUGH, len(voices) / 2)]
    best = max(often, key=lambda m: won[m] / stood[m], default=None)
    return None if best is None else Most(best, won[best], won[best] / stood[best], len(stood))
