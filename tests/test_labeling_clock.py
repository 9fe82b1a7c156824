"""The server's clock is wrong, is set back, or jumps: no vote is lost, none is doubled, no battle stays blocked."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.connection import open_writer, transaction
from db.entities.campaigns import CampaignSettings
from db.upkeep import check
from labeling import joining, lending, rating
from labeling.submission import parse_submission
from tests.factories import NOW, make_home

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=8)
STEPS = st.sampled_from([SECOND, SECOND, SECOND, HOUR, -HOUR, DAY, -DAY, 2 * HOUR, -timedelta(seconds=30)])
"""between two acts of a rater; an hour is also what a change to summer time would be to a clock that is not UTC"""


class Table:
    """Raters of one campaign, whose server's clock the test holds."""

    def __init__(self, folder, raters=3, prompts=6):
        self.home = make_home(folder, prompts=prompts, settings=CampaignSettings(overlap=2, undo_seconds=600))
        self.db, self.now = open_writer(self.home), NOW
        invited = joining.invite(self.db, "first", raters)
        self.cookies = [joining.join(self.db, i.token, None, NOW) for i in invited]
        self.given: dict[str, str] = {}
        """{assignment: receipt}"""

    def next(self, rater):
        with transaction(self.db):
            session = joining.session_from(self.db, self.cookies[rater], self.now)
            return lending.next_ballots(self.db, session, 1, self.now).ballots

    def vote(self, rater, ballot, choice="left"):
        body = {"assignment": ballot.assignment, "choice": choice, "key": ballot.assignment}
        with transaction(self.db):
            session = joining.session_from(self.db, self.cookies[rater], self.now)
            self.given[ballot.assignment] = rating.cast_vote(
                self.db, session, parse_submission(body), self.now
            ).receipt

    def stored(self):
        return [r[0] for r in self.db.conn.execute("SELECT receipt FROM votes ORDER BY id")]


@given(st.lists(st.tuples(st.integers(0, 2), STEPS), min_size=4, max_size=24))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_clock_does_votes_are_kept_once_in_their_order(tmp_path_factory, acts):
    table = Table(tmp_path_factory.mktemp("clock") / "home")
    for rater, step in acts:
        table.now += step
        ballots = table.next(rater)
        if ballots:
            assert table.next(rater) == ballots, "the same ballot until it is voted on"
            table.now += step
            table.vote(rater, ballots[0])
    assert table.stored() == list(table.given.values()), (
        "in the order they were given, whatever the clock said"
    )
    assert check(table.home) == []
    rows = table.db.conn.execute(
        "SELECT battle, rater, count(*) FROM votes GROUP BY 1, 2 HAVING count(*) > 1"
    ).fetchall()
    assert rows == []
    back = sum(step.total_seconds() < 0 for _, step in acts)
    print(f"R9: {len(table.given)} votes, the clock {back} times set back: lost 0, doubled 0, order kept")
    table.db.conn.close()


def test_what_was_lent_before_the_clock_was_set_back_is_lent_to_others_again(tmp_path):
    table = Table(tmp_path / "home", prompts=1)
    table.now = NOW + DAY
    ballot = table.next(0)[0]
    table.next(1)
    assert table.next(2) == (), "two of two hold it"
    table.now = NOW
    assert len(table.next(2)) == 1, "nobody waits a day for a lease that the clock made up"
    table.vote(0, ballot)
    assert table.stored() == list(table.given.values()), "a late vote counts"
    assert check(table.home) == []
    table.db.conn.close()


def test_a_session_outlives_a_clock_that_is_a_day_off(tmp_path):
    table = Table(tmp_path / "home")
    for step in (DAY, -2 * DAY):
        table.now = NOW + step
        assert table.next(0)
    table.db.conn.close()


def test_undo_is_not_refused_because_the_clock_went_back(tmp_path):
    table = Table(tmp_path / "home")
    ballot = table.next(0)[0]
    table.vote(0, ballot)
    table.now = NOW - HOUR
    with transaction(table.db):
        session = joining.session_from(table.db, table.cookies[0], table.now)
        rating.undo(table.db, session, ballot.assignment, table.now)
    assert table.db.conn.execute("SELECT count(*) FROM retractions").fetchone() == (1,)
    assert check(table.home) == []
    table.db.conn.close()
