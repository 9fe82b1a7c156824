"""Workflow: raters as the owner sees them, with their figures over every campaign, and one rater ballot by ballot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlite_utils import Database

from arena.plain import plain
from arena.report import limits
from db import campaigns, raters
from db.checks import check_votes
from db.entities.campaigns import CampaignStatus
from db.entities.votes import Vote
from db.figures import excluded_votes, one_moment, text_lengths
from db.raters import Decision, RaterVote, counted_in_order, decisions_about, votes_of_rater
from db.seats import list_seats
from db.votes import counted_votes
from labeling.alarms import CountedShare, counted_share_alarm
from labeling.quality import RaterFigures, rater_figures

MOST_VOTES = 200
"""votes of one rater that are shown"""
LOOKED_BACK = 2_000
"""votes that the alarm of the counted share looks at"""
IN_LIST = (
    "median_seconds", "left_share", "tie_share", "longer_share", "gold_accuracy", "gold_n", "self_consistency",
    "self_consistency_n", "agreement", "agreement_n", "information", "influence", "last_vote", "flags", "reasons",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RaterRow:
    """A rater with the seat they have, why they are left out if they are, and their figures once they voted."""

    name: str
    kind: str
    seat: int | None
    campaign: str | None
    votes: int
    excluded: str | None
    figures: RaterFigures | None


def rater_rows(db: Database, figures: Mapping[str, RaterFigures] | None = None) -> list[RaterRow]:
    """Every rater; figures are over all campaigns together, worked out now where none are given."""
    with one_moment(db):
        seats = {s.rater: s for s in list_seats(db)}
        figures = figures_of_raters(db) if figures is None else figures
        rows = []
        for rater in raters.list_raters(db):
            seat = seats.get(rater.name)
            rows.append(RaterRow(
                rater.name, rater.kind.value, seat.seat if seat else None, seat.campaign if seat else None,
                raters.standing_votes(db, rater.id), rater.excluded, figures.get(rater.name),
            ))  # fmt: skip
    return rows


def figures_of_raters(db: Database) -> dict[str, RaterFigures]:
    """{name: figures} of everyone who voted, over all campaigns; those of excluded raters as if they counted."""
    every = campaigns.list_campaigns(db)
    counted: list[Vote] = [v for c in every for v in counted_votes(db, c.id)]
    out = [v for c in every for v in excluded_votes(db, c.id)]
    checks = [v for c in every for v in check_votes(db, c.id)]
    lengths = {response: n for c in every for response, n in text_lengths(db, c.id).items()}
    found = {f.rater: f for f in rater_figures(counted, lengths, checks, limits(every))}
    if out:
        again = rater_figures([*counted, *out], lengths, checks, limits(every))
        found |= {f.rater: f for f in again if f.rater not in found}
    return found


def rater_listing(db: Database) -> list[dict[str, object]]:
    """The raters as `raters list --json` has them; figures are missing where someone has not voted."""
    return [
        {"name": r.name, "kind": r.kind, "seat": r.seat, "campaign": r.campaign, "votes": r.votes, "excluded": r.excluded}
        | ({key: plain(getattr(r.figures, key)) for key in IN_LIST} if r.figures else {})
        for r in rater_rows(db)
    ]  # fmt: skip


class Ballots(NamedTuple):
    """One rater's newest votes, the newest first, and the decisions about them, the oldest first."""

    votes: Sequence[RaterVote]
    decisions: Sequence[Decision]


def ballots_of(db: Database, name: str) -> Ballots:
    """What a rater did, ballot by ballot; NotFound."""
    rater = raters.get_rater(db, name)
    return Ballots(votes_of_rater(db, rater.id, MOST_VOTES), decisions_about(db, rater.id))


class Alarm(NamedTuple):
    """A campaign of which fewer votes count than before."""

    campaign: str
    found: CountedShare


def counted_alarms(db: Database) -> list[Alarm]:
    """The campaigns, closed ones left away, whose counted share dropped."""
    going = (c for c in campaigns.list_campaigns(db) if c.status is not CampaignStatus.CLOSED)
    found = ((c.name, counted_share_alarm(counted_in_order(db, c.id, LOOKED_BACK))) for c in going)
    return [Alarm(name, alarm) for name, alarm in found if alarm]
