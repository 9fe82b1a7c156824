"""The pair policy: what an owner decides about how votes become pairs and judged answers. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from db.entities.votes import RaterKind, Vote

LEFT_OUT = "rater left out by name"


class Method(StrEnum):
    """How votes on one battle become pairs."""

    VOTE = "vote"
    MAJORITY = "majority"
    CONSENSUS = "consensus"
    MIN_AGREEMENT = "min-agreement"


class Ties(StrEnum):
    """What a tie says of its two answers where they go out one by one (KTO); as pairs, ties never go out."""

    DROP = "drop"
    GOOD = "good"
    BAD = "bad"


WORDS = {
    Method.VOTE: "each decisive vote is a pair of its own",
    Method.MAJORITY: "a battle is a pair where more of its votes chose one answer than chose the other or neither",
    Method.CONSENSUS: "a battle is a pair where Dawid and Skene's model of all raters finds one answer the likeliest winner",
    Method.MIN_AGREEMENT: "a battle is a pair where a majority chose one answer and they are at least",
}


@dataclass(frozen=True, slots=True)
class PairPolicy:
    """What counts as a pair.

    vote: each decisive vote is a pair of its own.
    majority: a battle is one pair if more of its votes chose one response than chose the other or neither.
    min-agreement: the same, if they are at least the share `min_agreement` of its votes.
    consensus: a battle is one pair if Dawid and Skene's model finds that response more likely the better one than the
    other is, or a tie.
    Ties, both good and both bad give no pair in any of them. Where the owner ruled on a battle, that stands in every
    method but `vote`.
    """

    method: Method = Method.MAJORITY
    simulated: bool = True
    """whether votes of simulated raters take part"""
    min_agreement: float = 0.7
    weighted: bool = False
    """in majority and min-agreement, whether a rater counts by what their votes tell instead of one each"""
    ties: Ties = Ties.DROP
    written: bool = True
    """whether a better answer that a rater wrote is chosen over both"""
    without: tuple[str, ...] = ()
    """raters, by pseudonym, whose votes are left out"""

    @property
    def needs_crowd(self) -> bool:
        """Whether a battle's verdict rests on what all votes together say of the raters."""
        weighing = self.weighted and self.method in (Method.MAJORITY, Method.MIN_AGREEMENT)
        return weighing or self.method is Method.CONSENSUS

    def takes(self, vote: Vote) -> bool:
        """Whether votes of this rater take part."""
        return self.refuses(vote) is None

    def refuses(self, vote: Vote) -> str | None:
        """Why votes of this rater are left out; None where they take part."""
        if vote.rater_name in self.without:
            return LEFT_OUT
        return "simulated rater" if vote.rater_kind is RaterKind.SIMULATED and not self.simulated else None

    def to_json(self) -> dict[str, object]:
        """As it is stored with a snapshot; what stands as it is by default, or plays no part, is not said."""
        said: dict[str, object] = {"method": self.method, "simulated": self.simulated}
        if self.method is Method.MIN_AGREEMENT:
            said["min_agreement"] = self.min_agreement
        if self.weighted and self.method in (Method.MAJORITY, Method.MIN_AGREEMENT):
            said["weighted"] = True
        if self.without:
            said["without"] = sorted(self.without)
        return said | ({} if self.written else {"written": False})

    def told(self) -> dict[str, object]:
        """The same for others to read: how many raters were left out instead of who."""
        return self.to_json() | ({"without": len(self.without)} if self.without else {})

    def __str__(self) -> str:
        """In words, for a card."""
        said = WORDS[self.method]
        if self.method is Method.MIN_AGREEMENT:
            said += f" {self.min_agreement:.0%} of its votes"
        if self.weighted and self.method in (Method.MAJORITY, Method.MIN_AGREEMENT):
            said += ", each rater weighed by the bits a vote of theirs tells"
        if self.method is not Method.VOTE:
            said += "; where the owner ruled on a battle, that stands"
        if self.without:
            said += f"; the votes of {len(self.without)} {'rater' if len(self.without) == 1 else 'raters'} are left out by name"
        return said + ("" if self.simulated else "; simulated raters are left out")


def policy_of(options: Mapping[str, object]) -> PairPolicy:
    """The policy that options of the command line say; those that are not there are as by default."""
    return PairPolicy(
        Method(str(options["policy"])), simulated=not options.get("no_simulated"),
        min_agreement=float(str(options.get("min_agreement", 0.7))), weighted=bool(options.get("weigh_raters")),
        ties=Ties(str(options.get("ties", Ties.DROP))), written=not options.get("no_written"),
        without=tuple(dict.fromkeys(_names(options.get("without")))),
    )  # fmt: skip


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(name) for name in value) if isinstance(value, list | tuple) else ()


def policy_from(stored: Mapping[str, object]) -> PairPolicy:
    """The policy that `to_json` wrote, as it stands with a snapshot."""
    return PairPolicy(
        Method(str(stored["method"])), simulated=bool(stored["simulated"]),
        min_agreement=float(str(stored.get("min_agreement", 0.7))), weighted=bool(stored.get("weighted")),
        written=bool(stored.get("written", True)), without=_names(stored.get("without")),
    )  # fmt: skip
