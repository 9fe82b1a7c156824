"""What the report reads beside the votes themselves: judges' verdicts, lengths, tags, criteria, what was trained on."""

import contextlib
import json
from collections.abc import Collection, Iterator
from typing import NamedTuple

from sqlite_utils import Database

from db.entities.catalog import Message
from db.entities.votes import Outcome, Vote
from db.votes import _VOTE, _votes_from

MOST_CRITERIA = 20
"""of a campaign that asks for none: what raters' browsers make up fills no report"""


@contextlib.contextmanager
def one_moment(db: Database) -> Iterator[None]:
    """Everything read inside is of one moment, though votes keep coming in."""
    if db.conn.in_transaction:
        yield
        return
    db.conn.execute("BEGIN")
    try:
        yield
    finally:
        db.conn.execute("ROLLBACK")  # nothing was written


def judge_votes(db: Database, campaign: int) -> list[Vote]:
    """The counted verdicts of machine judges that vote, in order of arrival."""
    rows = db.conn.execute(
        f"{_VOTE} WHERE v.campaign = ? AND z.state = 'counted' AND t.kind = 'judge' ORDER BY v.id",
        (campaign,),
    )
    return list(map(_votes_from(), rows))


def excluded_votes(db: Database, campaign: int) -> list[Vote]:
    """The votes of excluded raters that would count if their raters did, in order of arrival."""
    rows = db.conn.execute(
        f"""{_VOTE} LEFT JOIN battle_cover y ON y.battle = v.battle JOIN campaigns k ON k.id = v.campaign
        WHERE v.campaign = ? AND z.state = 'rater excluded' AND t.kind <> 'judge' AND v.outcome <> 'skip'
        AND coalesce(s.kind, 'battle') = 'battle'
        AND NOT (coalesce(y.leaked, 0) = 1 AND v.import IS NULL AND k.count_leaked = 0) ORDER BY v.id""",
        (campaign,),
    )
    return list(map(_votes_from(), rows))


_RESPONSES = "SELECT response FROM campaign_responses WHERE campaign = ?1"


def text_lengths(db: Database, campaign: int) -> dict[str, float]:
    """{response id: characters} over the campaign's battles; responses without a text are left out."""
    rows = db.conn.execute(
        f"SELECT id, length(text) FROM responses WHERE text IS NOT NULL AND id IN ({_RESPONSES})", (campaign,)
    )
    return {str(r[0]): float(r[1]) for r in rows}


def texts_of(db: Database, responses: Collection[str]) -> dict[str, str]:
    """{response id: text}; those without a text are left out."""
    rows = db.conn.execute(
        "SELECT id, text FROM responses WHERE text IS NOT NULL AND id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(responses)),),
    )
    return {str(r[0]): str(r[1]) for r in rows}


def questions_of(db: Database, prompts: Collection[str]) -> dict[str, str]:
    """{prompt id: what the user asks, all turns}; prompts without a text are left out."""
    rows = db.conn.execute(
        "SELECT id, messages FROM prompts WHERE messages <> '[]' AND id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(prompts)),),
    )
    return {
        str(i): "\n".join(m["content"] for m in json.loads(text) if m["role"] == "user") for i, text in rows
    }


def asked_of(db: Database, prompts: Collection[str]) -> dict[str, list[Message]]:
    """{prompt id: its messages}; prompts without a text are left out."""
    rows = db.conn.execute(
        "SELECT id, messages FROM prompts WHERE messages <> '[]' AND id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(prompts)),),
    )
    return {str(i): json.loads(text) for i, text in rows}


def refs_of(db: Database, prompts: Collection[str]) -> dict[str, str]:
    """{prompt id: its id in the file it came from}; the first by name of several."""
    rows = db.conn.execute(
        "SELECT prompt, min(ref) FROM prompt_refs WHERE prompt IN (SELECT value FROM json_each(?)) GROUP BY prompt",
        (json.dumps(list(prompts)),),
    )
    return {str(r[0]): str(r[1]) for r in rows}


def tags_of(db: Database, campaign: int) -> dict[str, frozenset[str]]:
    """{prompt id: tags} over the campaign's battles; prompts without tags are left out."""
    rows = db.conn.execute(
        """SELECT prompt, json_group_array(tag) FROM prompt_tags
        WHERE prompt IN (SELECT prompt FROM battles WHERE campaign = ?) GROUP BY prompt""",
        (campaign,),
    )
    return {str(r[0]): frozenset(json.loads(r[1])) for r in rows}


def turns_of(db: Database, campaign: int) -> dict[int, int]:
    """{battle: which turn of its talk is judged}: what the battle says, else how often its prompt's user spoke."""
    rows = db.conn.execute(
        """SELECT b.id, coalesce(b.turn, (SELECT count(*) FROM json_each(p.messages) m WHERE m.value ->> 'role' = 'user'))
        FROM battles b JOIN prompts p ON p.id = b.prompt WHERE b.campaign = ?""",
        (campaign,),
    )
    return {int(battle): max(1, int(turn)) for battle, turn in rows}


class Answer(NamedTuple):
    """What a vote said about one of the campaign's questions."""

    vote: int
    criterion: str
    outcome: Outcome


def criteria_answers(db: Database, campaign: int) -> list[Answer]:
    """The answers to the campaign's further questions, of counted votes.

    Where the campaign asks none: to those that most votes answered by themselves, MOST_CRITERIA of them.
    """
    rows = db.conn.execute(
        """WITH given AS MATERIALIZED (
          SELECT v.id, j.key, j.value FROM votes v JOIN vote_states z ON z.vote = v.id AND z.state = 'counted',
          json_each(v.criteria) j WHERE v.campaign = ?1 AND v.criteria <> '{}'
        ), asked AS (SELECT j.value AS key FROM campaigns c, json_each(c.criteria) j WHERE c.id = ?1
        ), most AS (SELECT key FROM given GROUP BY key ORDER BY count(*) DESC, key LIMIT ?2)
        SELECT id, key, value FROM given
        WHERE key IN (SELECT key FROM asked UNION ALL SELECT key FROM most WHERE NOT EXISTS (SELECT 1 FROM asked))
        ORDER BY id, key""",
        (campaign, MOST_CRITERIA),
    )
    return [Answer(int(r[0]), str(r[1]), Outcome(r[2])) for r in rows]


def trained_prompts(db: Database, model: str) -> frozenset[str]:
    """The prompts that the model or one of its ancestors was trained on, as far as their runs were made here."""
    rows = db.conn.execute(
        """WITH RECURSIVE line(id, parent, run) AS (
          SELECT id, parent, run FROM models WHERE name = ?
          UNION SELECT m.id, m.parent, m.run FROM models m JOIN line l ON m.id = l.parent)
        SELECT DISTINCT s.prompt FROM line l JOIN runs r ON r.id = l.run
        JOIN snapshot_rows s ON s.snapshot = r.snapshot AND s.part = 'train'""",
        (model,),
    )
    return frozenset(str(r[0]) for r in rows)


def votes_in(db: Database, campaign: str | None = None) -> int:
    """Votes of one campaign, or of all, from the counts kept up; skips left out. 0 where there is no such campaign."""
    row = db.conn.execute(
        """SELECT coalesce(sum(s.votes), 0) FROM campaign_sizes s JOIN campaigns c ON c.id = s.campaign
        WHERE ?1 IS NULL OR c.name = ?1""",
        (campaign,),
    ).fetchone()
    return int(row[0])


_STAMP = """SELECT (SELECT max(id) FROM votes), (SELECT count(*) FROM retractions), (SELECT count(*) FROM withdrawals),
  (SELECT max(id) FROM rater_decisions), (SELECT count(finished_at) FROM imports), (SELECT total(leaked) FROM battle_cover),
  (SELECT count(*) || ' ' || total(score) FROM scores), (SELECT max(id) FROM comparisons),
  (SELECT max(id) FROM grades), (SELECT count(*) FROM judges),
  (SELECT count(*) FROM prompt_tags), (SELECT count(*) FROM gold_pairs), (SELECT count(*) FROM models),
  (SELECT count(*) || ' ' || total(count_leaked) FROM campaigns)"""


def figures_stamp(db: Database) -> str:
    """Changes whenever a figure of some report may have; ballots that are only shown leave it as it is."""
    return json.dumps(list(db.conn.execute(_STAMP).fetchone()))
