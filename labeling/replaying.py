"""Older votes mixed into a new round's: a stated share of the battles that earlier campaigns of its lineage decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlite_utils import Database

from db.campaigns import get_campaign, list_campaigns
from db.entities.campaigns import Campaign, Purpose
from db.entities.catalog import Split, content_id
from db.entities.votes import Vote
from labeling.pairs import Read, read_votes
from labeling.policy import PairPolicy


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was mixed in. `votes` of `of_votes` older ones; `seed` draws the same battles again."""

    share: float
    seed: int
    campaigns: tuple[str, ...]
    battles: int
    of_battles: int
    votes: int
    of_votes: int

    def to_json(self) -> Mapping[str, object]:
        """As it is stored with the snapshot."""
        return {
            "share": self.share, "seed": self.seed, "campaigns": list(self.campaigns), "battles": self.battles,
            "of_battles": self.of_battles, "votes": self.votes, "of_votes": self.of_votes,
        }  # fmt: skip


def older_campaigns(db: Database, names: Sequence[str]) -> list[Campaign]:
    """The campaigns whose votes train that came before these in their lineages, oldest first."""
    named = [get_campaign(db, name) for name in names]
    newest = {c.lineage: max(n.id for n in named if n.lineage == c.lineage) for c in named}
    return [
        c for c in list_campaigns(db)
        if c.settings.purpose is Purpose.COLLECT and c.name not in names and c.id < newest.get(c.lineage, 0)
    ]  # fmt: skip


def replay(
    db: Database, names: Sequence[str], share: float, seed: int, policy: PairPolicy, until: str | None = None
) -> tuple[Read, Replayed]:
    """The votes on a share (0 to 1) of the older campaigns' battles, drawn by the seed; whole battles, as people left them.

    Only votes the policy takes and prompts that train take part. The draw orders battles by a hash, so a larger share
    holds every battle of a smaller one, and new votes move few.
    """
    older = older_campaigns(db, names)
    read = (
        read_votes(db, [c.name for c in older], training=True, until=until) if older else Read((), {}, {}, 0)
    )
    usable = [v for v in read.votes if policy.takes(v) and v.split is Split.TRAIN]
    battles = sorted({_key(v) for v in usable}, key=lambda key: content_id("replay", seed, key))
    drawn = set(battles[: round(share * len(battles))])
    kept = tuple(v for v in usable if _key(v) in drawn)
    return replace(read, votes=kept), Replayed(
        share, seed, tuple(c.name for c in older), len(drawn), len(battles), len(kept), len(usable)
    )  # fmt: skip


def _key(vote: Vote) -> tuple[str, str]:
    """A battle by its two responses, whichever campaign and slots they are in."""
    first, second = sorted((vote.response_a, vote.response_b))
    return first, second


def together(new: Read, old: Read) -> Read:
    """Both, as one reading."""
    return Read(
        (*new.votes, *old.votes), {**old.texts, **new.texts}, {**old.ruled, **new.ruled},
        new.evaluating + old.evaluating,
    )  # fmt: skip
