"""Workflow: a plan for a campaign, from what its home knows: battles, votes so far, how long one takes."""

import statistics
from typing import NamedTuple

from sqlite_utils import Database

from arena import planning
from arena.alike import ALIKE_PROMPT, ALIKE_RATER, FEWEST_ALIKE, Alike, Seen, alike
from arena.planning import READ_A_MINUTE, Ground, Plan, Wish
from db import clusters, live
from db.campaigns import coverage, get_campaign
from db.entities.campaigns import Campaign
from db.figures import one_moment

FEWEST_TIMED = 20
"""votes with their time under which reading speed is the better guess"""
FEWEST_TIES = 50
TO_DECIDE = 5.0
"""seconds to decide and press, beside reading"""


def plan(db: Database, name: str, wish: Wish) -> Plan:
    """What a wish takes in this campaign."""
    return planning.plan(wish, ground(db, get_campaign(db, name)))


def ground(db: Database, campaign: Campaign) -> Ground:
    """What is known of a campaign that a plan rests on; votes of simulated raters do not tell how people vote."""
    with one_moment(db):
        return _ground(db, campaign)


def _ground(db: Database, campaign: Campaign) -> Ground:
    wanted, covered = campaign.settings, coverage(db, campaign)
    pairs = max(1, len(campaign.models) * (len(campaign.models) - 1) // 2)
    by_rater = clusters.by_rater(db, campaign.id)
    time, seen = _seconds(db, campaign.id), alike(by_rater, clusters.by_prompt(db, campaign.id))
    counted = sum(c.won + c.lost + c.tied for c in by_rater)
    ties = sum(c.tied for c in by_rater) / counted if counted >= FEWEST_TIES else 0.0
    return Ground(
        campaign=campaign.name, models=len(campaign.models), prompts=round(covered.battles / pairs), votes=covered.votes,
        wanted=covered.wanted, overlap=wanted.overlap, seconds=time.seconds, seconds_from=time.words, ties=ties,
        alike=_alike(seen), alike_from=_alike_words(seen), practice=wanted.practice,
        checks=min(0.9, wanted.gold_rate + wanted.repeat_rate), rater_cap=wanted.rater_cap,
        briefing_words=len(f"{wanted.guidelines} {wanted.consent_text}".split()),
    )  # fmt: skip


def _alike_words(seen: Seen) -> str:
    known = {
        True: "as the votes so far show",
        False: f"as on MT-Bench, until {FEWEST_ALIKE} votes of your own tell",
    }
    r, p = _alike(seen)
    here, there = known[seen.rater is not None], known[seen.prompt is not None]
    if here == there:
        return f"by {r:.2f} where one person gave them and by {p:.2f} where they are on one prompt, {here}"
    return f"by {r:.2f} where one person gave them ({here}) and by {p:.2f} where they are on one prompt ({there})"


def _alike(seen: Seen) -> Alike:
    return Alike(
        ALIKE_RATER if seen.rater is None else seen.rater,
        ALIKE_PROMPT if seen.prompt is None else seen.prompt,
    )


class _Time(NamedTuple):
    seconds: float
    words: str


def _seconds(db: Database, campaign: int) -> _Time:
    """How long a vote takes: the median of this campaign's people, else of the home's, else by the length of the texts."""
    for where, words in ((campaign, "here so far (median)"), (None, "in this home so far (median)")):
        timed = live.seconds_a_vote(db, where)
        if len(timed) >= FEWEST_TIMED:
            return _Time(max(1.0, statistics.median(timed)), words)
    read = live.words_a_battle(db, campaign)
    if not read:
        return _Time(30.0, "by rule of thumb: there is no battle to read yet")
    words_ = statistics.median(read)
    return _Time(TO_DECIDE + 60 * words_ / READ_A_MINUTE,
                 f"by the length of the texts: {words_:.0f} words at {READ_A_MINUTE:.0f} a minute, and a moment to decide")  # fmt: skip
