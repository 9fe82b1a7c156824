"""Votes and retractions, append-only; what is counted, and why the rest is not."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlite_utils import Database

from db.connection import transaction
from db.entities import Outcome, RaterKind, Split, Strength, Vote, VoteDetails


class StoredVote(NamedTuple):
    """A vote as the vote path needs it back."""

    id: int
    receipt: str
    outcome: Outcome
    key: str | None
    body: str | None
    created_at: str
    revealed: bool
    retracted: bool


_STORED = """SELECT v.id, v.receipt, v.outcome, v.key, v.body, v.created_at, v.revealed,
  EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id) FROM votes v"""


def _stored(row: Sequence[object] | None) -> StoredVote | None:
    if row is None:
        return None
    return StoredVote(int(str(row[0])), str(row[1]), Outcome(str(row[2])), None if row[3] is None else str(row[3]),
                      None if row[4] is None else str(row[4]), str(row[5]), bool(row[6]), bool(row[7]))  # fmt: skip


def vote_of_assignment(db: Database, assignment: str) -> StoredVote | None:
    """The vote cast with this assignment, retracted or not."""
    return _stored(db.conn.execute(f"{_STORED} WHERE v.assignment = ?", (assignment,)).fetchone())


def vote_of_key(db: Database, rater: int, key: str) -> StoredVote | None:
    """The vote a rater sent under this idempotency key."""
    return _stored(db.conn.execute(f"{_STORED} WHERE v.rater = ? AND v.key = ?", (rater, key)).fetchone())


def heard_before(db: Database, rater: int, key: str, battle: int) -> bool:
    """Whether a vote of this rater under this key or on this battle is stored, retracted or not: seldom, so asked first."""
    row = db.conn.execute(
        """SELECT 1 FROM votes WHERE rater = ?1 AND key = ?2
        UNION ALL SELECT 1 FROM votes WHERE battle = ?3 AND rater = ?1 LIMIT 1""",
        (rater, key, battle),
    ).fetchone()
    return row is not None


def standing_vote(db: Database, rater: int, battle: int, *, repeat: bool = False) -> StoredVote | None:
    """The rater's vote on the battle that is not retracted; with `repeat`, the one given when it was shown again."""
    return _stored(
        db.conn.execute(
            f"""{_STORED} LEFT JOIN assignments s ON s.id = v.assignment
            WHERE v.rater = ? AND v.battle = ? AND (coalesce(s.kind, 'battle') = 'repeat') = ?
            AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)""",
            (rater, battle, int(repeat)),
        ).fetchone()
    )


def add_vote(
    db: Database, *, receipt: str, assignment: str, campaign: int, battle: int, rater: int, outcome: Outcome,
    key: str, body: str, details: VoteDetails, consent_version: str | None, revealed: bool, created_at: str,
) -> int:  # fmt: skip
    """Store a vote cast on a ballot. The caller's transaction makes it durable."""
    cursor = db.conn.execute(
        """INSERT INTO votes(receipt, assignment, campaign, battle, rater, outcome, key, body, strength, acceptable_a,
          acceptable_b, criteria, tags_a, tags_b, comment, better, reason, report, elapsed_ms, consent_version, revealed,
          created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (receipt, assignment, campaign, battle, rater, outcome, key, body, details.strength,
         _flag(details.acceptable_a), _flag(details.acceptable_b), json.dumps(dict(details.criteria)),
         json.dumps(details.tags_a), json.dumps(details.tags_b), details.comment, details.better, details.reason,
         details.report, details.elapsed_ms, consent_version, int(revealed), created_at),
    )  # fmt: skip
    return int(cursor.lastrowid or 0)


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)


def retract(db: Database, vote: int) -> None:
    """Undo a vote: a row beside it. Once."""
    db.conn.execute("INSERT INTO retractions(vote) VALUES (?)", (vote,))


class ImportedVote(NamedTuple):
    """A vote that was given elsewhere."""

    receipt: str
    campaign: int
    battle: int
    rater: int
    outcome: Outcome
    created_at: str | None


def add_imported_votes(db: Database, votes: Iterable[ImportedVote], import_id: int) -> int:
    """Store votes of an import; they count once the import is finished. Those there already add nothing."""
    added = 0
    with transaction(db):
        for v in votes:
            cursor = db.conn.execute(
                """INSERT INTO votes(receipt, campaign, battle, rater, outcome, import, created_at)
                VALUES (?, ?, ?, ?, ?, ?, coalesce(?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))
                ON CONFLICT (receipt) DO NOTHING""",
                (v.receipt, v.campaign, v.battle, v.rater, v.outcome, import_id, v.created_at),
            )
            added += cursor.rowcount
    return added


class ImportCounts(NamedTuple):
    """What an import did."""

    read: int
    added: int
    already_there: int
    refused: int


def begin_import(db: Database, kind: str, source: str, campaign: int | None = None) -> int:
    """Open an import; what it brings becomes visible when it is finished."""
    with transaction(db):
        cursor = db.conn.execute(
            "INSERT INTO imports(kind, source, campaign) VALUES (?, ?, ?)", (kind, source, campaign)
        )
        return int(cursor.lastrowid or 0)


def finish_import(db: Database, import_id: int, counts: ImportCounts) -> None:
    """Make an import's votes count, in one step."""
    with transaction(db):
        db.conn.execute(
            """UPDATE imports SET read = ?, added = ?, already_there = ?, refused = ?,
            finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = ?""",
            (*counts, import_id),
        )
        count_import(db, import_id)


def count_import(db: Database, import_id: int) -> None:
    """Let the votes of an import count; for the caller's transaction, once an import."""
    db.conn.execute(
        """INSERT INTO vote_counts SELECT v.campaign, b.model_a, b.model_b, v.rater, v.outcome, count(*)
        FROM votes v JOIN battles b ON b.id = v.battle WHERE v.import = ? GROUP BY 1, 2, 3, 4, 5
        ON CONFLICT DO UPDATE SET n = n + excluded.n""",
        (import_id,),
    )
    db.conn.execute(
        """UPDATE battle_cover SET votes = votes + v.n FROM (
          SELECT battle, count(*) AS n FROM votes WHERE import = ? AND outcome <> 'skip'
          AND rater NOT IN (SELECT rater FROM excluded_raters)
          AND rater NOT IN (SELECT id FROM raters WHERE kind = 'judge') GROUP BY battle
        ) v WHERE v.battle = battle_cover.battle""",
        (import_id,),
    )
    db.conn.execute(
        """UPDATE campaign_sizes SET votes = votes + v.n FROM (
          SELECT campaign, count(*) AS n FROM votes WHERE import = ? AND outcome <> 'skip'
          AND rater NOT IN (SELECT rater FROM excluded_raters)
          AND rater NOT IN (SELECT id FROM raters WHERE kind = 'judge') GROUP BY campaign
        ) v WHERE v.campaign = campaign_sizes.campaign""",
        (import_id,),
    )


class Counts(NamedTuple):
    """What happened to ballots and votes of a campaign. stored = counted + retracted + sum of excluded."""

    shown: int
    stored: int
    counted: int
    retracted: int
    excluded: dict[str, int]


def counts(db: Database, campaign: int | None = None) -> Counts:
    """Shown, stored, counted, retracted and excluded (by reason), of one campaign or of the home.

    From the counts kept up (docs/schema.md), which `check` holds against the votes: as quick with a million votes. What
    they do not tell apart is counted one by one: there are few votes taken back, and few on battles that give a model away.
    """
    states = dict(db.conn.execute(_STATES, (campaign,)).fetchall())
    shown = db.conn.execute(
        "SELECT count(*) FROM assignments"
        if campaign is None
        else "SELECT count(*) FROM assignments s JOIN battles b ON b.id = s.battle WHERE b.campaign = ?",
        () if campaign is None else (campaign,),
    ).fetchone()[0]
    counted, retracted = states.pop("counted", 0), states.pop("retracted", 0)
    return Counts(int(shown), counted + retracted + sum(states.values()), counted, retracted, states)


# CROSS JOIN keeps the order: what is rare first, then its votes, instead of every vote
_STATES = """WITH stands AS (
  SELECT campaign, rater, CASE outcome WHEN 'skip' THEN 'skipped' ELSE 'counted' END AS state, n FROM vote_counts
  UNION ALL SELECT campaign, rater, 'skipped', skipped FROM check_counts
  UNION ALL SELECT campaign, rater, CASE kind WHEN 'gold' THEN 'known answer' ELSE kind END, n - skipped FROM check_counts
  UNION ALL SELECT v.campaign, v.rater, m.value, CASE m.value WHEN 'counted' THEN -1 ELSE 1 END
  FROM battle_cover c JOIN campaigns k ON k.id = c.campaign AND k.count_leaked = 0
  CROSS JOIN votes v ON v.battle = c.battle AND v.import IS NULL AND v.outcome <> 'skip'
  CROSS JOIN assignments s ON s.id = v.assignment AND s.kind = 'battle' CROSS JOIN json_each('["counted", "identity leak"]') m
  WHERE c.leaked = 1 AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id))
SELECT state, sum(n) FROM (
  SELECT CASE WHEN w.rater IS NOT NULL THEN 'withdrawn' WHEN x.rater IS NOT NULL THEN 'rater excluded' ELSE n.state END AS state,
    n.n FROM stands n LEFT JOIN withdrawals w ON w.rater = n.rater LEFT JOIN excluded_raters x ON x.rater = n.rater
  WHERE ?1 IS NULL OR n.campaign = ?1
  UNION ALL SELECT 'retracted', 1 FROM retractions r CROSS JOIN votes v ON v.id = r.vote WHERE ?1 IS NULL OR v.campaign = ?1
  UNION ALL SELECT 'import unfinished', 1 FROM imports i CROSS JOIN votes v ON v.import = i.id WHERE i.finished_at IS NULL
  AND (?1 IS NULL OR v.campaign = ?1) AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)
) GROUP BY state HAVING sum(n) > 0"""


class Tally(NamedTuple):
    """Standing votes of one kind of rater in one campaign; skips and excluded raters left out."""

    campaign: int
    kind: RaterKind
    votes: int
    decisive: int


def tallies(db: Database) -> list[Tally]:
    """How many votes each campaign has from people, simulated raters and judges, from the counts kept up.

    Votes on battles that give a model away are taken off one by one: there are few.
    """
    rows = db.conn.execute(
        """SELECT n.campaign, t.kind, sum(n.n), sum(n.n * (n.outcome IN ('a', 'b')))
        FROM (
          SELECT campaign, rater, outcome, n FROM vote_counts
          UNION ALL SELECT v.campaign, v.rater, v.outcome, -1 FROM battle_cover c
          JOIN campaigns k ON k.id = c.campaign AND k.count_leaked = 0
          CROSS JOIN votes v ON v.battle = c.battle AND v.import IS NULL
          CROSS JOIN assignments s ON s.id = v.assignment AND s.kind = 'battle'
          WHERE c.leaked = 1 AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)
        ) n JOIN raters t ON t.id = n.rater LEFT JOIN excluded_raters x ON x.rater = n.rater
        WHERE n.outcome <> 'skip' AND x.rater IS NULL GROUP BY 1, 2 HAVING sum(n.n) > 0"""
    )
    return [Tally(int(r[0]), RaterKind(r[1]), int(r[2]), int(r[3])) for r in rows]


def trained_votes(db: Database) -> dict[tuple[int, RaterKind], int]:
    """{(campaign, kind of rater): standing votes up to the last one that a succeeded run learned from}."""
    rows = db.conn.execute(
        """WITH last AS (
          SELECT v.campaign, max(v.id) AS vote FROM snapshot_rows s JOIN json_each(s.votes) j
          JOIN votes v ON v.id = j.value
          WHERE s.snapshot IN (SELECT snapshot FROM runs WHERE status = 'succeeded') GROUP BY v.campaign)
        SELECT v.campaign, t.kind, count(*) FROM last JOIN votes v ON v.campaign = last.campaign AND v.id <= last.vote
        JOIN vote_states z ON z.vote = v.id JOIN raters t ON t.id = v.rater
        WHERE z.state = 'counted' GROUP BY 1, 2"""
    )
    return {(int(r[0]), RaterKind(r[1])): int(r[2]) for r in rows}


_VOTE_OF = """SELECT v.id, v.campaign, v.battle, v.rater, v.outcome, s.left_is, v.created_at, b.prompt, b.response_a,
  b.response_b, ma.name, mb.name, t.name, t.kind, p.split, v.strength, v.elapsed_ms, b.turn, v.acceptable_a,
  v.acceptable_b, CASE WHEN own.ask_better THEN v.better END, s.chance, s.among
FROM votes v JOIN campaigns own ON own.id = v.campaign
JOIN battles b ON b.id = v.battle JOIN models ma ON ma.id = b.model_a JOIN models mb ON mb.id = b.model_b
JOIN raters t ON t.id = v.rater JOIN prompts p ON p.id = b.prompt
LEFT JOIN assignments s ON s.id = v.assignment"""
_VOTE = f"{_VOTE_OF} JOIN vote_states z ON z.vote = v.id"
_OUTCOMES = {m.value: m for m in Outcome}
_KINDS = {m.value: m for m in RaterKind}
_SPLITS = {m.value: m for m in Split}
_STRENGTHS = {m.value: m for m in Strength}
MOST_SHARED = 100_000
"""texts that a reading of votes remembers"""


def _votes_from() -> Callable[[Sequence[Any]], Vote]:
    """What makes a vote of a row. Equal ids and names are one text in memory: there may be a million votes."""
    known: dict[str, str] = {}
    one = known.setdefault

    def vote(r: Sequence[Any]) -> Vote:
        if len(known) > MOST_SHARED:
            known.clear()
        (number, campaign, battle, rater, outcome, left_is, at, prompt, a, b, model_a, model_b, name, kind, split,
         strength, elapsed, turn, fine_a, fine_b, better, chance, among) = r  # fmt: skip
        return Vote(
            number, campaign, battle, rater, _OUTCOMES[outcome], left_is, at, one(prompt, prompt), one(a, a), one(b, b),
            one(model_a, model_a), one(model_b, model_b), one(name, name), _KINDS[kind], _SPLITS[split],
            _STRENGTHS[strength] if strength else None, elapsed, turn, None if fine_a is None else bool(fine_a),
            None if fine_b is None else bool(fine_b), better, 1.0 if chance is None else 1 / (chance * among),
        )  # fmt: skip

    return vote


def counted_votes(db: Database, campaign: int, until: str | None = None) -> Iterator[Vote]:
    """The votes people gave that count (simulated people too; judges not), in order of arrival.

    until: only those that were there at that moment (UTC ISO text).
    """
    rows = db.conn.execute(
        f"""{_VOTE} LEFT JOIN imports n ON n.id = v.import
        WHERE v.campaign = ?1 AND z.state = 'counted' AND t.kind <> 'judge'
        AND (?2 IS NULL OR coalesce(n.finished_at, v.created_at) <= ?2) ORDER BY v.id""",
        (campaign, until),
    )
    return map(_votes_from(), rows)


def votes_of(db: Database, votes: Sequence[int]) -> dict[int, Vote]:
    """{number: vote} of these votes, counted or not."""
    rows = db.conn.execute(
        f"{_VOTE_OF} WHERE v.id IN (SELECT value FROM json_each(?))", (json.dumps(list(votes)),)
    )
    return {vote.id: vote for vote in map(_votes_from(), rows)}


def texts_of_campaign(db: Database, campaign: int) -> dict[str, str | None]:
    """{response id: text} over the responses of a campaign's battles."""
    rows = db.conn.execute(
        """SELECT id, text FROM responses WHERE id IN (
          SELECT response FROM campaign_responses WHERE campaign = ?1)""",
        (campaign,),
    )
    return {r[0]: r[1] for r in rows}


class VoteRow(NamedTuple):
    """A vote as the owner browses it."""

    vote: int
    campaign: str
    rater: str
    prompt: str
    model_a: str
    model_b: str
    outcome: str
    state: str
    created_at: str


def browse_votes(
    db: Database, campaign: str | None = None, words: str = "", limit: int = 100
) -> list[VoteRow]:
    """The newest votes, of one campaign, whose prompt or comment holds the words."""
    rows = db.conn.execute(
        """SELECT v.id, c.name, t.name, p.text, ma.name, mb.name, v.outcome, z.state, v.created_at
        FROM votes v JOIN vote_states z ON z.vote = v.id JOIN campaigns c ON c.id = v.campaign
        JOIN raters t ON t.id = v.rater JOIN battles b ON b.id = v.battle JOIN prompts p ON p.id = b.prompt
        JOIN models ma ON ma.id = b.model_a JOIN models mb ON mb.id = b.model_b
        WHERE (?1 IS NULL OR c.name = ?1)
          AND (?2 = '' OR instr(lower(p.text), lower(?2)) OR instr(lower(coalesce(v.comment, '')), lower(?2)))
        ORDER BY v.id DESC LIMIT ?3""",
        (campaign, words.strip(), limit),
    )
    return [VoteRow(*r) for r in rows]


def rater_progress(db: Database, rater: int, campaign: int) -> int:
    """How many standing votes (skips and check questions too, practice not) the rater has in a campaign."""
    row = db.conn.execute(
        """SELECT (SELECT coalesce(sum(n), 0) FROM vote_counts INDEXED BY vote_counts_by_rater
            WHERE rater = ?1 AND campaign = ?2)
          + (SELECT coalesce(sum(n), 0) FROM check_counts WHERE rater = ?1 AND campaign = ?2 AND kind <> 'practice')""",
        (rater, campaign),
    ).fetchone()
    return int(row[0])


class Standing(NamedTuple):
    """A rater's standing votes in a campaign, check questions included, practice not."""

    all: int
    skipped: int


def standing_of_rater(db: Database, rater: int, campaign: int) -> Standing:
    """How many votes of a rater stand in a campaign, counted from the votes themselves."""
    row = db.conn.execute(
        """SELECT count(*), coalesce(sum(v.outcome = 'skip'), 0) FROM votes v LEFT JOIN assignments s ON s.id = v.assignment
        WHERE v.rater = ? AND v.campaign = ? AND coalesce(s.kind, 'battle') <> 'practice'
        AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id)""",
        (rater, campaign),
    ).fetchone()
    return Standing(int(row[0]), int(row[1]))


class Cast(NamedTuple):
    """A vote by the assignment it was cast with."""

    assignment: str
    outcome: Outcome


def cast_by(db: Database, rater: int, campaign: int) -> list[Cast]:
    """A rater's standing votes in a campaign, skips left out, in order."""
    rows = db.conn.execute(
        """SELECT v.assignment, v.outcome FROM votes v WHERE v.rater = ? AND v.campaign = ? AND v.assignment IS NOT NULL
        AND v.outcome <> 'skip' AND NOT EXISTS (SELECT 1 FROM retractions r WHERE r.vote = v.id) ORDER BY v.id""",
        (rater, campaign),
    )
    return [Cast(r[0], Outcome(r[1])) for r in rows]


def mark_revealed(db: Database, rater: int, campaign: int) -> None:
    """Remember that a rater has seen who wrote what in a campaign."""
    db.conn.execute(
        "INSERT INTO reveals(rater, campaign) VALUES (?, ?) ON CONFLICT DO NOTHING", (rater, campaign)
    )


def revealed_to(db: Database, rater: int, campaign: int) -> bool:
    """Whether a rater has seen who wrote what in a campaign."""
    row = db.conn.execute(
        "SELECT 1 FROM reveals WHERE rater = ? AND campaign = ?", (rater, campaign)
    ).fetchone()
    return row is not None
