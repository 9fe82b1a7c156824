"""Exports made some votes at a time: the rows of holding every vote at once, and never more votes than a few chunks."""

import contextlib
import gc
import json
import random
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.adjudications import add_ruling
from db.campaigns import create_campaign, get_campaign
from db.catalog import add_scores
from db.connection import Home, Writer, open_reader, open_writer
from db.entities.campaigns import CampaignSettings, Guard
from db.entities.catalog import Score
from db.entities.votes import Choice, Outcome, PreferencePair, Vote
from labeling import export_rows, gathering
from labeling.export_rows import effects_of, rows_of
from labeling.exporting import one_moment
from labeling.gathering import Gathering, Order, gather
from labeling.gold import add_spoiled
from labeling.importing import ImportKind, import_file
from labeling.lending import next_ballots
from labeling.pairs import TwoTexts, policy_effects, preference_pairs, read_votes
from labeling.policy import Method, PairPolicy, Ties
from labeling.scanning import scan
from labeling.surveying import Fates, first_places, whole_groups
from labeling.tables import ExportFormat, Row
from labeling.unpaired import judged_answers
from tests.factories import NOW, make_home
from tests.faults.scenes import cast, lend
from tests.test_labeling_exporting import Person

MODELS = ("model-one", "model-two", "model-three")
PROMPTS = 24
CHOICES = [Choice.LEFT, Choice.RIGHT] * 2 + [Choice.TIE, Choice.BOTH_GOOD, Choice.BOTH_BAD, Choice.SKIP]


def answer(model: str, i: int) -> str:
    """Some texts are blank, equal, or said by two models."""
    special = {1: " " if model == MODELS[1] else "full", 2: "the same" + " " * len(model), 3: "twice" if model != MODELS[0] else "once"}  # fmt: skip
    return special.get(i, f"Answer {i} in the manner of {model[-3:]}.")


def rated(home: Home, lot: random.Random) -> None:
    """Two rounds of a campaign with check questions, ties, written answers and people of both kinds."""
    db = open_writer(home)
    add_spoiled(db, get_campaign(db, "first"), 3)
    root = get_campaign(db, "first")
    create_campaign(db, "second", MODELS[1::-1], "set of first", CampaignSettings(ask_better=True, guard=Guard.REDACT), lineage=root.lineage)  # fmt: skip
    for name in ("first", "second"):
        scan(db, get_campaign(db, name).id)
    for name, simulated in (("first", False), ("first", True), ("second", False)):
        person = Person(db, name, simulated=simulated)
        for _ in range(20):
            if not next_ballots(db, person.session, 1, NOW).ballots:
                break
            choice = lot.choice(CHOICES)
            better = choice is not Choice.SKIP and lot.random() < 0.3
            person.vote(
                choice, **({"better": lot.choice(["mine", "twice", f"own {lot.random()}"])} if better else {})
            )
    db.conn.close()


def imported(home: Home, folder: Path, lot: random.Random) -> None:
    """Votes of eight raters on the same texts in a campaign of their own, models in either slot, and some without texts."""
    given = []
    for i in range(PROMPTS):
        for r in range(8):
            a, b = lot.sample(MODELS, 2)
            given.append({"rater": f"i{r}", "prompt": f"Question {i}?", "model_a": a, "model_b": b, "response_a": answer(a, i),
                          "response_b": answer(b, i), "winner": lot.choice(["model_a", "model_b", "tie", "both_bad"])})  # fmt: skip
    (folder / "texts.json").write_text(
        json.dumps([g for g in given if g["response_a"].strip() and g["response_b"].strip()])
    )
    import_file(home, ImportKind.VOTES, str(folder / "texts.json"), campaign="imported")
    (folder / "bare.json").write_text(json.dumps([
        {"rater": "i1", "prompt_id": f"x{i}", "model_a": MODELS[0], "model_b": MODELS[1], "winner": "model_a"} for i in range(3)]))  # fmt: skip
    import_file(home, ImportKind.VOTES, str(folder / "bare.json"), campaign="bare")
    (folder / "alone.json").write_text(
        json.dumps(
            [{"prompt": f"Alone {i}?", "model": m, "response": f"{m} {i}"} for i in range(3) for m in MODELS]
        )
    )
    import_file(home, ImportKind.RESPONSES, str(folder / "alone.json"))


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with everything that decides what a row is."""
    lot, folder = random.Random(5), tmp_path_factory.mktemp("rich")
    home = make_home(folder / "home", models=MODELS, prompts=PROMPTS, split=None,  # type: ignore[arg-type]
                     settings=CampaignSettings(overlap=4, ask_better=True, gold_rate=0.1, guard=Guard.ALLOW), answer=answer)  # fmt: skip
    rated(home, lot)
    imported(home, folder, lot)
    db = open_writer(home)
    stored = [
        r[0] for r in db.conn.execute("SELECT id FROM responses WHERE text IS NOT NULL ORDER BY number")
    ]
    add_scores(db, [Score(r, judge, lot.gauss(0, 1)) for r in stored for judge in ("rm", "other") if lot.random() < 0.6])  # fmt: skip
    battles = [r[0] for r in db.conn.execute("SELECT DISTINCT battle FROM votes v JOIN battles b ON b.id = v.battle WHERE b.turn IS NULL AND v.import IS NOT NULL")]  # fmt: skip
    for battle in lot.sample(battles, 8):
        add_ruling(db, battle, lot.choice([Outcome.A, Outcome.B, Outcome.TIE]), "because", "owner")
    db.conn.close()
    return home


class NoLot:
    """Where an export draws its lots: the same ones each time."""

    token_hex = staticmethod(secrets.token_hex)

    @staticmethod
    def token_bytes(n: int) -> bytes:
        return random.Random(n).randbytes(n)

    @staticmethod
    def randbits(_: int) -> int:
        return 0


@pytest.fixture(autouse=True)
def no_lot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two exports give their votes the same numbers and their raters the same names."""
    monkeypatch.setattr(gathering, "secrets", NoLot)


PLAIN = [PairPolicy(Method.VOTE), PairPolicy(), PairPolicy(
    Method.MIN_AGREEMENT, ties=Ties.GOOD, simulated=False, without=("i1",))]  # fmt: skip
CROWDS = [PairPolicy(Method.CONSENSUS), PairPolicy(weighted=True, written=False)]
"""rest on all votes together, which takes a second each"""
MADE = [s for s in ExportFormat if s not in (ExportFormat.VOTES, ExportFormat.CSV)]


def made(home: Home, order: Order) -> tuple[list[tuple[str, Row]], Gathering]:
    """The rows of an export, and what it gathered."""
    with one_moment(home) as db:
        found = gather(db, order)
        return list(rows_of(db, found)), found


def numbers(found: Gathering, votes: Sequence[int]) -> list[int]:
    return sorted(found.numbers[v] for v in votes)


def told(made_of: Gathering) -> list[object]:
    ledger = made_of.ledger
    return [list(made_of.out), ledger.contradictions, ledger.refused, ledger.written]


@pytest.mark.parametrize(
    ("shape", "policy"), [*((s, p) for s in MADE for p in PLAIN), *((ExportFormat.TRL, p) for p in CROWDS)]
)
def test_chunks_change_nothing(
    rich: Home, monkeypatch: pytest.MonkeyPatch, shape: ExportFormat, policy: PairPolicy
) -> None:
    for campaign in (None, "first") if policy.method is Method.VOTE else (None,):
        monkeypatch.setattr(export_rows, "CHUNK", 10**9)
        whole, at_once = made(rich, Order(campaign, shape, policy))
        monkeypatch.setattr(export_rows, "CHUNK", 3)
        parts, bit_by_bit = made(rich, Order(campaign, shape, policy))
        assert parts == whole
        assert told(bit_by_bit) == told(at_once)
        assert whole


@pytest.mark.parametrize("policy", PLAIN, ids=lambda p: p.method)
def test_pairs_and_answers_are_those_of_every_vote_held_at_once(
    rich: Home, monkeypatch: pytest.MonkeyPatch, policy: PairPolicy
) -> None:
    monkeypatch.setattr(export_rows, "CHUNK", 3)
    with one_moment(rich) as db:
        read = read_votes(db, [])
        every = preference_pairs(read.votes, read.texts, policy, read.ruled)
        judged = judged_answers(read.votes, read.texts, policy, read.ruled)
        asked = {r[0] for r in db.conn.execute("SELECT id FROM prompts WHERE messages <> '[]'")}
        texts = dict(db.conn.execute("SELECT id, text FROM responses")) | {r.id: r.text for r in (every.written or {}).values()}  # fmt: skip
    kept, repeated = TwoTexts().without_duplicates([p for p in every.pairs if p.prompt in asked], texts)
    rows, found = made(rich, Order(None, ExportFormat.TRL, policy))
    assert [(r["vote_ids"], r["agreement"]) for _, r in rows] == [
        (numbers(found, p.votes), p.agreement) for p in kept
    ]
    assert tuple(found.ledger.contradictions) == every.contradictions
    assert len([r for r in found.ledger.refused if "same two" in r.reason]) == len(repeated)
    used = {v for p in kept for v in p.votes}
    out = set(every.out) | {(v, r.reason) for r in repeated for v in r.pair.votes if v not in used}
    assert out <= set(found.out)
    assert not used & {v for v, _ in found.out}
    rows, found = made(rich, Order(None, ExportFormat.KTO, policy))
    assert [(r["prompt_id"], r["label"], r["vote_ids"]) for _, r in rows] == [
        (a.prompt, a.good, numbers(found, a.votes)) for a in judged.answers if a.prompt in asked
    ]
    assert set(judged.out) <= set(found.out)


def test_effects_are_those_of_every_vote_held_at_once(rich: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_rows, "CHUNK", 3)
    with one_moment(rich) as db:
        read = read_votes(db, [])
        every = policy_effects(read.votes, read.texts, PairPolicy(), read.ruled)
        assert effects_of(db, Order(policy=PairPolicy())) == every


def held() -> int:
    """Votes and pairs in memory."""
    return sum(type(o) in (Vote, PreferencePair) for o in gc.get_objects())


@pytest.mark.parametrize("shape", [ExportFormat.TRL, ExportFormat.KTO, ExportFormat.RESPONSES])
def test_only_a_few_votes_and_pairs_are_held(
    rich: Home, monkeypatch: pytest.MonkeyPatch, shape: ExportFormat
) -> None:
    """Counted whenever a chunk of votes was read, which is when most are there, beside what other tests hold."""
    monkeypatch.setattr(export_rows, "CHUNK", 10)
    gc.collect()
    most, others, real = 0, held(), export_rows.votes_of

    def watched(*args: object) -> object:
        nonlocal most
        found = real(*args)  # type: ignore[arg-type]
        most = max(most, held() - others)
        return found

    monkeypatch.setattr(export_rows, "votes_of", watched)
    made(rich, Order(None, shape, PairPolicy(Method.VOTE)))
    counted = (
        open_reader(rich).execute("SELECT count(*) FROM vote_states WHERE state = 'counted'").fetchone()[0]
    )
    assert 10 <= most <= 8 * 10 < counted


def test_the_log_of_writes_grows_with_the_votes_of_an_export_and_is_used_again_after_it(
    tmp_path: Path,
) -> None:
    """While an export reads, what is voted stays in the log beside the database; then the log begins anew, as long as it was."""
    home = make_home(tmp_path / "home", prompts=120, settings=CampaignSettings(overlap=1000))
    log = home.database.with_name(f"{home.database.name}-wal")
    with contextlib.closing(Writer(home)) as writer:
        writer.call(lambda db: db.conn.execute("PRAGMA wal_autocheckpoint=20").fetchall())

        def votes(n: int) -> int:
            """The size of the log after so many votes of a new rater."""
            cookie, assignments = writer.call(lambda db: lend(db, n))
            for assignment in assignments:
                writer.call(lambda db, a=assignment: cast(db, cookie, a))
            return log.stat().st_size

        before = votes(10)
        with one_moment(home) as db:
            seen = db.conn.execute("SELECT count(*) FROM votes").fetchone()
            first, second = votes(10), votes(10)
            assert before < first < second
            assert db.conn.execute("SELECT count(*) FROM votes").fetchone() == seen == (10,)
        after = votes(10)
        assert after - second < second - first  # what was written before the log began anew
        assert votes(10) == votes(10) == after


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=40), st.integers(1, 5))
def test_whole_groups_come_in_the_order_of_their_first_that_counts(
    items: list[tuple[int, bool]], size: int
) -> None:
    groups, counts = np.array([g for g, _ in items], np.int32), np.array([c for _, c in items], np.bool_)
    came = [g for g, c in items if c] + [g for g, _ in items]
    expected = [i for g in dict.fromkeys(came) for i, (own, _) in enumerate(items) if own == g]
    parts = [p.tolist() for p in whole_groups(first_places(groups, counts), size)]
    assert [i for p in parts for i in p] == expected
    assert all(len(p) >= size for p in parts[:-1])
    inside = [{items[i][0] for i in p} for p in parts]
    assert sum(map(len, inside)) == len(set().union(*inside)) if inside else not items


@given(st.lists(st.tuples(st.sampled_from(["out", "in", "keep"]), st.integers(1, 9), st.sampled_from("xyz"))))
def test_fates_are_what_was_said_last_of_each_vote(said: list[tuple[str, int, str]]) -> None:
    fates, left, kept = Fates(np.array([9, 1, 5, 3, 2, 4, 8, 7, 6, 9])), dict[int, str](), set[int]()
    ways: dict[str, Callable[[int, str], object]] = {"out": lambda v, why: (fates.leave_out([v], why), left.update({v: why})),
            "in": lambda v, _: (fates.take_in([v]), left.pop(v, None)), "keep": lambda v, _: (fates.keep([v]), kept.add(v))}  # fmt: skip
    for way, vote, why in said:
        ways[way](vote, why)
    assert list(fates) == sorted(left.items())
    assert fates.counts == {why: list(left.values()).count(why) for why in left.values()}
    assert list(fates.counts) == list(dict.fromkeys(why for _, why in sorted(left.items())))
    assert fates.kept(range(1, 10)).tolist() == [v in kept for v in range(1, 10)]
    fates.forget()
    assert (list(fates), fates.counts) == ([], {})
