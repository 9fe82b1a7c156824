"""Recorded human votes, given again over HTTP as their raters gave them, by seats marked simulated.

The file is imported first, into a campaign of its own (`NAME recorded`); then each recorded rater gets a seat, is
lent exactly the battles they rated, and answers each ballot as recorded, whatever sides are drawn.
"""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple

from sqlite_utils import Database

from arena.crowd import AT_ONCE, Client, Crowd, Tally, drawn_elapsed_ms
from arena.jobs import ThisJob
from db.campaigns import add_battle, add_campaign_models, find_campaign, get_campaign
from db.catalog import get_model, texts_of_campaign
from db.connection import Home, transaction
from db.entities.campaigns import Campaign, CampaignSettings, CampaignStatus, Guard
from db.entities.votes import Choice, Outcome, Vote
from db.errors import UserError
from db.guarding import mark_scanned
from db.imports import add_empty_campaign
from db.votes import counted_votes
from labeling import joining
from labeling.ballot import choice_of
from labeling.lending import lend


def replay(home: Home, db: Database, name: str, job: ThisJob, address: str, file: str | None) -> Crowd:
    """Send the recorded votes of a file into the campaign, which is made (open) where missing."""
    if file is None:
        raise UserError(
            "--profile replay needs the file of recorded votes", "simulate NAME --profile replay FILE"
        )
    from labeling.formats.records import ImportKind
    from labeling.importing import import_file

    job.say(0.0, f"reading {file}")
    import_file(home, ImportKind.VOTES, file, campaign=f"{name} recorded")
    votes, left_out = usable(db, get_campaign(db, f"{name} recorded"))
    if not votes:
        raise UserError(
            f"{file} holds no vote that can be given again", "votes need the texts of both responses"
        )
    campaign = _opened(db, name, votes)
    by_rater: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        by_rater[vote.rater_name].append(vote)
    seats = [_seated(db, campaign, rater, given) for rater, given in by_rater.items()]
    tally = Tally(len(votes), job)
    started = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for future in [pool.submit(_answer, address, name, seat, tally) for seat in seats]:
            future.result()
    return Crowd(len(seats), tally.done, "replay", round(time.monotonic() - started, 2), left_out)


def usable(db: Database, recorded: Campaign) -> tuple[list[Vote], dict[str, int]]:
    """The recorded votes a ballot can carry, in order, and how many cannot, by reason."""
    texts = texts_of_campaign(db, recorded.id)
    left_out: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    votes = []
    for vote in counted_votes(db, recorded.id):
        if texts.get(vote.response_a) is None or texts.get(vote.response_b) is None:
            left_out["no text"] += 1
        elif (vote.rater, vote.battle) in seen:
            left_out["second vote of one rater on one battle"] += 1
        else:
            seen.add((vote.rater, vote.battle))
            votes.append(vote)
    return votes, dict(left_out)


def _opened(db: Database, name: str, votes: Sequence[Vote]) -> Campaign:
    """The campaign with a battle for each that was rated, its overlap the most votes one of them got.

    Recorded votes were given on what was shown then, so the guard holds nothing back here and leaves nothing out.
    """
    overlap = max(Counter(v.battle for v in votes).values())
    settings = CampaignSettings(overlap=overlap, guard=Guard.ALLOW, count_leaked=True)
    with transaction(db):
        campaign = find_campaign(db, name) or add_empty_campaign(
            db, name, "all", settings, CampaignStatus.OPEN
        )
        ids = {m: get_model(db, m).id for v in votes for m in (v.model_a, v.model_b)}
        add_campaign_models(db, campaign.id, list(ids.values()))
        for v in {v.battle: v for v in votes}.values():
            add_battle(
                db, campaign.id, v.prompt, v.response_a, v.response_b, ids[v.model_a], ids[v.model_b], v.turn
            )
        mark_scanned(db, campaign.id)
    return campaign


class Seated(NamedTuple):
    """A recorded rater at a seat: the link's token, and what they gave on each ballot, by assignment."""

    rater: str
    token: str
    choices: Mapping[str, Choice]


def _seated(db: Database, campaign: Campaign, rater: str, given: Sequence[Vote]) -> Seated:
    """A new seat that is lent exactly the battles this rater rated, in their order."""
    now = datetime.now(UTC)
    choices: dict[str, Choice] = {}
    with transaction(db):
        invitation = joining.invite(db, campaign.name, 1, simulated=True)[0]
        for vote in given:
            battle, swapped = add_battle(
                db, campaign.id, vote.prompt, vote.response_a, vote.response_b,
                get_model(db, vote.model_a).id, get_model(db, vote.model_b).id, vote.turn,
            )  # fmt: skip
            lent = lend(db, campaign, invitation.seat, battle, now)
            other = {Outcome.A: Outcome.B, Outcome.B: Outcome.A}
            outcome = other.get(vote.outcome, vote.outcome) if swapped else vote.outcome
            choices[lent.id] = choice_of(outcome, lent.left_is)
    return Seated(rater, invitation.token, choices)


def _answer(address: str, campaign: str, seat: Seated, tally: Tally) -> None:
    """Give every vote of one rater as recorded."""
    rng = random.Random(seat.rater)
    left = dict(seat.choices)
    with Client(address, seat.token, campaign) as client:
        while left and tally.take():
            ballot = client.ballot()
            if ballot is None or ballot["assignment"] not in left:
                raise UserError(f"the server did not hand {seat.rater} the ballots they were lent",
                                "check that the campaign is open and its leases long enough")  # fmt: skip
            client.vote(ballot, left.pop(ballot["assignment"]), drawn_elapsed_ms(ballot, rng, "replay"))
