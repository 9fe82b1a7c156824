"""Made-up raters vote over HTTP on the real app: as many as asked, marked simulated, each profile as it says."""

import contextlib
import random
from collections import Counter

import pytest

from arena.crowd import Client, Tally, decision, drawn_elapsed_ms, simulate, taste
from arena.jobs import this_job
from arena.serving import served as served_by
from db.campaigns import coverage, get_campaign, set_status
from db.connection import open_writer
from db.entities.campaigns import CampaignSettings, CampaignStatus, QuizQuestion
from db.entities.votes import Choice, RaterKind
from db.errors import UserError
from db.lock import Lock, server_of
from db.raters import list_raters
from db.seats import list_seats
from db.votes import counted_votes
from tests.factories import make_home
from tests.serving import running
from tests.workshop import refused, run
from training.starter import demo_prompts
from training.starter.answers import IDEAL, Manner, answer
from training.starter.world import utility


@contextlib.contextmanager
def served(folder, **options):
    """A home with the campaign `first`, its server, and the home's lock held as `serve` holds it."""
    home = make_home(folder, **options)
    with running(home) as server:
        lock = Lock(home)
        lock.announce(server.base)
        yield home
        lock.release()


@pytest.fixture(scope="module")
def _large(tmp_path_factory):
    settings = CampaignSettings(overlap=30)
    with served(tmp_path_factory.mktemp("crowd") / "home", prompts=30, settings=settings) as home:
        yield home


@pytest.fixture
def home(_large):
    return _large


@pytest.fixture
def db(home):
    opened = open_writer(home)
    yield opened
    opened.conn.close()


def votes_after(db, before):
    return [v for v in counted_votes(db, get_campaign(db, "first").id) if v.id > before]


def last_vote(db):
    return db.conn.execute("SELECT coalesce(max(id), 0) FROM votes").fetchone()[0]


def test_as_many_votes_as_asked_shared_out_evenly(home, db):
    before = last_vote(db)
    ran = run(home, "simulate", "first", "--raters", 5, "--votes", 42, "--profile", "random", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["raters"], ran.json["votes"], ran.json["profile"]) == (5, 42, "random")
    assert "25 of 42 votes" in ran.err
    given = votes_after(db, before)
    assert len(given) == 42
    shares = Counter(v.rater for v in given)
    assert (len(shares), max(shares.values())) == (5, 9)
    assert {v.rater_kind for v in given} == {RaterKind.SIMULATED}
    assert {v.left_is for v in given} == {"a", "b"}


def test_the_seats_are_marked_simulated(home, db):
    run(home, "simulate", "first", "--raters", 2, "--votes", 2, "--profile", "left")
    assert {s.kind for s in list_seats(db)} == {"simulated"}
    assert all(r.name.startswith("sim-") for r in list_raters(db))


def pressed(db, before):
    """How often each side was pressed."""
    sides = {"a": ("left", "right"), "b": ("right", "left")}
    given = votes_after(db, before)
    return Counter(
        sides[v.left_is][v.outcome == "b"] if v.outcome.decisive else v.outcome.value for v in given
    )


def test_left_presses_left_and_fast_is_fast(home, db):
    before = last_vote(db)
    run(home, "simulate", "first", "--raters", 2, "--votes", 20, "--profile", "left")
    assert pressed(db, before) == {"left": 20}
    before = last_vote(db)
    run(home, "simulate", "first", "--raters", 2, "--votes", 20, "--profile", "fast")
    assert max(v.elapsed_ms for v in votes_after(db, before)) <= 800


def test_noise_turns_votes_round(home, db):
    before = last_vote(db)
    run(home, "simulate", "first", "--raters", 3, "--votes", 60, "--profile", "left", "--noise", 0.5)
    assert 12 <= pressed(db, before)["right"] <= 48


def test_the_same_seed_draws_the_same(home):
    ballots = [
        {"left": {"text": "a" * i}, "right": {"text": "b" * (9 - i)}, "prompt": [{"content": "?"}]}
        for i in range(9)
    ]
    drawn = [[decision("random", random.Random(f"{seed}-1"), 0.1)(b) for b in ballots] for seed in (3, 3, 4)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_it_ends_well_where_no_ballot_is_left(tmp_path):
    with served(tmp_path / "home", prompts=6) as home:
        ran = run(home, "simulate", "first", "--raters", 3, "--votes", 500, "--profile", "careful", "--json")
        assert (ran.code, ran.json["votes"]) == (0, 6)
        db = open_writer(home)
        assert coverage(db, get_campaign(db, "first")).votes == 6
        db.conn.close()


def test_what_one_rater_may_not_give_others_give(tmp_path):
    settings = CampaignSettings(overlap=2, rater_cap=4)
    with served(tmp_path / "home", prompts=6, settings=settings) as home:
        ran = run(home, "simulate", "first", "--raters", 4, "--votes", 12, "--profile", "left", "--json")
        assert ran.json["votes"] == 12


def test_made_up_raters_agree_and_answer_the_questions_before_they_rate(tmp_path):
    quiz = (QuizQuestion("Which is better?", ("the longer", "the truer", "neither"), 1),)
    settings = CampaignSettings(
        overlap=2, consent_text="Your votes are kept.", consent_version="1", quiz=quiz
    )
    with served(tmp_path / "home", settings=settings) as home:
        ran = run(home, "simulate", "first", "--raters", "2", "--votes", "4", "--profile", "left", "--json")
        assert (ran.code, ran.json["votes"]) == (0, 4)
        rows = open_writer(home).execute("SELECT DISTINCT consent_version FROM votes").fetchall()
    assert rows == [("1",)]


def test_it_stops_when_told(home, db):
    class Told:
        def __init__(self, job):
            self.job, self.asked = job, 0

        def say(self, *_):
            pass

        def should_stop(self):
            self.asked += 1
            return self.asked > 7

    with this_job(db, ["simulate"]) as job:
        made = simulate(home, db, "first", Told(job), raters=2, votes=100, profile="left")
    assert made.votes == 7


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["first"], "honest raters judge by the starter world's rubric, which says nothing of 'first'"),
        (["nothing", "--profile", "left"], "there is no campaign 'nothing'"),
        (["first", "--raters", "0"], "--raters must be 1 to 1000"),
        (["first", "--raters", "1001"], "--raters must be 1 to 1000"),
        (["first", "--votes", "0"], "--votes 1 or more"),
        (["first", "--noise", "0.7"], "--noise is the share of votes turned round"),
        (["first", "--pace", "-1"], "-1.0 is not in the range"),
        (["first", "--pace", "nan"], "'nan' is no number"),
        (["first", "--pace", "inf"], "inf is not in the range"),
        (["first", "--profile", "replay"], "--profile replay needs the file"),
        (["first", "--profile", "replay", "/nowhere.csv"], "/nowhere.csv"),
        (["first", "--profile", "left", "votes.csv"], "only --profile replay reads a file"),
    ],
)
def test_what_cannot_be_simulated_is_one_line_and_seats_nobody(home, db, words, reason):
    before = len(list_seats(db))
    assert reason in refused(run(home, "simulate", *words))
    assert len(list_seats(db)) == before


def test_without_a_server_it_says_so(tmp_path):
    home = make_home(tmp_path / "home")
    assert "start `serve` on this home first" in refused(run(home, "simulate", "first", "--profile", "left"))


def test_a_paused_campaign_and_a_server_that_went_away(tmp_path):
    with served(tmp_path / "home") as home:
        db = open_writer(home)
        set_status(db, "first", CampaignStatus.PAUSED)
        ran = run(home, "simulate", "first", "--profile", "left", "--raters", 1, "--votes", 1, "--json")
        assert (ran.code, ran.json["votes"]) == (0, 0), ran.err
        db.conn.close()
    lock = Lock(home)
    lock.announce("http://127.0.0.1:9")
    assert "does not answer" in refused(run(home, "simulate", "first", "--profile", "left"))
    lock.release()


def test_a_link_that_lets_nobody_in(home):
    from db.lock import server_of

    with pytest.raises(UserError, match="let no rater in"):
        Client(server_of(home).address, "no-such-token", None)


# -- how they judge --------------------------------------------------------------------------------------------


def ballot(left, right, prompt="What is it?"):
    return {"left": {"text": left}, "right": {"text": right}, "prompt": [{"role": "user", "content": prompt}]}


def test_profiles():
    def choice(profile, *texts):
        return decision(profile, random.Random(1), 0.0)(ballot(*texts))

    assert choice("lazy", "long long long", "short") is Choice.LEFT
    assert choice("lazy", "same", "size") is Choice.TIE
    assert (
        choice("careful", "It is a well kept secret of the house.", "secret secret secret secret")
        is Choice.LEFT
    )
    assert choice("careful", "", "An answer.") is Choice.RIGHT
    copying = decision("copy", random.Random(1), 0.0)
    assert len({copying(ballot("a", "b")) for _ in range(10)}) == 1
    tosses = decision("random", random.Random(1), 0.0)
    assert len({tosses(ballot("a", "b")) for _ in range(40)}) == 3


def test_honest_raters_know_the_starter_world():
    prompt = demo_prompts()[0].text
    good, bad = answer(prompt, IDEAL, random.Random(0)), answer(prompt, Manner(stuck=1.0), random.Random(0))
    assert utility(prompt, good) - utility(prompt, bad) > 0.3
    decide = decision("honest", random.Random(1), 0.0)
    assert decide(ballot(good, bad, prompt)) is Choice.LEFT
    assert decide(ballot(bad, good, prompt)) is Choice.RIGHT


def test_taste_likes_whole_varied_answers():
    assert taste("A whole sentence.") > taste("A whole sentence")
    assert taste("word word word word.") < taste("four quite different words.")
    assert taste("") < 0


def test_reading_takes_time_and_longer_for_more():
    rng = random.Random(0)
    short = [drawn_elapsed_ms(ballot("a", "b"), rng, "careful") for _ in range(200)]
    long = [drawn_elapsed_ms(ballot("word " * 200, "word " * 200), rng, "careful") for _ in range(200)]
    assert 1000 < sorted(short)[100] < 4000
    assert 60_000 < sorted(long)[100] < 140_000


def test_the_tally_counts_down_and_takes_back():
    class Quiet:
        def say(self, *_):
            pass

        def should_stop(self):
            return False

    tally = Tally(2, Quiet())
    assert (tally.take(), tally.take(), tally.take(), tally.done) == (True, True, False, 2)
    tally.give_back()
    assert (tally.take(), tally.done) == (True, 2)


def test_a_server_runs_meanwhile_where_none_does_and_is_gone_afterwards(tmp_path):
    home = make_home(tmp_path / "home")
    ran = run(
        home.root, "simulate", "first", "--raters", "2", "--votes", "4", "--profile", "careful", "--serve"
    )
    assert (ran.code, ran.out.split()[0]) == (0, "4"), ran.err
    assert server_of(home) is None


def test_the_server_that_is_there_is_left_running(home):
    before = server_of(home)
    with served_by(home):
        assert server_of(home) == before
    assert server_of(home) == before


def test_a_server_that_cannot_start_is_one_line(tmp_path):
    home = make_home(tmp_path / "home")
    (home.root / "arena.db").write_bytes(b"no database at all, and far too short to be one" * 50)
    with pytest.raises(UserError, match=r"the server did not start; see .*serve\.log"), served_by(home):
        pass
