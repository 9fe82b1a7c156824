"""What an export reads: texts, scores, remarks and consents in bulk, by prompt, response or vote."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlite_utils import Database

from db.entities.catalog import Message
from db.entities.votes import Outcome


def messages_of(db: Database, prompts: Iterable[str]) -> dict[str, list[Message]]:
    """{prompt: its messages}."""
    rows = db.conn.execute(
        "SELECT id, messages FROM prompts WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(set(prompts))),),
    )
    return {str(r[0]): json.loads(r[1]) for r in rows}


def tags_of(db: Database, prompts: Iterable[str]) -> dict[str, list[str]]:
    """{prompt: its tags} for those that have any."""
    found: dict[str, list[str]] = {}
    rows = db.conn.execute(
        "SELECT prompt, tag FROM prompt_tags WHERE prompt IN (SELECT value FROM json_each(?)) ORDER BY prompt, tag",
        (json.dumps(sorted(set(prompts))),),
    )
    for prompt, tag in rows:
        found.setdefault(prompt, []).append(tag)
    return found


class ResponseText(NamedTuple):
    """A response as an export shows it."""

    prompt: str
    model: str | None
    text: str | None
    sample: int
    finish_reason: str | None


def response_texts(db: Database, responses: Iterable[str]) -> dict[str, ResponseText]:
    """{response: its model and text}."""
    rows = db.conn.execute(
        """SELECT r.id, r.prompt, m.name, r.text, r.sample, r.finish_reason FROM responses r
        LEFT JOIN models m ON m.id = r.model WHERE r.id IN (SELECT value FROM json_each(?))""",
        (json.dumps(sorted(set(responses))),),
    )
    return {str(r[0]): ResponseText(*r[1:]) for r in rows}


class ListedResponse(NamedTuple):
    """A response by its row number."""

    number: int
    prompt: str
    model: str


def listed_responses(db: Database, campaign: int | None) -> Iterator[ListedResponse]:
    """The responses of models with a text, in order of arrival: those of a campaign's battles, or all.

    Answers of check questions are never among them, nor answers that raters wrote.
    """
    where = (
        ""
        if campaign is None
        else " AND r.id IN (SELECT response FROM campaign_responses WHERE campaign = ?1)"
    )
    rows = db.conn.execute(
        f"""SELECT r.number, r.prompt, m.name FROM responses r JOIN models m ON m.id = r.model
        WHERE r.text IS NOT NULL{where} AND r.id NOT IN (
          SELECT response_a FROM battles WHERE id IN (SELECT battle FROM gold_pairs)
          UNION SELECT response_b FROM battles WHERE id IN (SELECT battle FROM gold_pairs)) ORDER BY r.number""",
        () if campaign is None else (campaign,),
    )
    return (ListedResponse(int(r[0]), str(r[1]), str(r[2])) for r in rows)


def response_ids(db: Database, numbers: Sequence[int]) -> list[str]:
    """The ids of the responses with these row numbers, in their order."""
    found = dict(
        db.conn.execute(
            "SELECT number, id FROM responses WHERE number IN (SELECT value FROM json_each(?))",
            (json.dumps(list(numbers)),),
        ).fetchall()
    )
    return [str(found[n]) for n in numbers]


def only_in_checks(db: Database, campaigns: Sequence[int]) -> frozenset[str]:
    """The responses of these campaigns' check questions that stand in no other battle of theirs."""
    here = "campaign IN (SELECT value FROM json_each(?1))"
    checks = f"FROM battles WHERE {here} AND id IN (SELECT battle FROM gold_pairs)"
    rows = db.conn.execute(
        f"""SELECT response_a {checks} UNION SELECT response_b {checks}
        EXCEPT SELECT response FROM campaign_responses WHERE {here} AND EXISTS (SELECT 1 {checks})""",
        (json.dumps(list(campaigns)),),
    )
    return frozenset(str(r[0]) for r in rows)


def scores_of(db: Database, responses: Iterable[str]) -> dict[str, dict[str, float]]:
    """{response: {judge: score}} for those that were scored."""
    found: dict[str, dict[str, float]] = {}
    rows = db.conn.execute(
        "SELECT response, scorer, score FROM scores WHERE response IN (SELECT value FROM json_each(?)) ORDER BY scorer",
        (json.dumps(sorted(set(responses))),),
    )
    for response, scorer, score in rows:
        found.setdefault(response, {})[scorer] = score
    return found


def uncounted_votes(db: Database, campaigns: Sequence[int]) -> Iterator[tuple[int, str]]:
    """(vote, why it does not count) of people and simulated raters in these campaigns, in order of arrival."""
    rows = db.conn.execute(
        """SELECT z.vote, z.state FROM vote_states z JOIN raters t ON t.id = z.rater AND t.kind <> 'judge'
        WHERE z.state <> 'counted' AND z.campaign IN (SELECT value FROM json_each(?)) ORDER BY z.vote""",
        (json.dumps(list(campaigns)),),
    )
    return ((int(r[0]), str(r[1])) for r in rows)


def counted_votes_on(db: Database, campaigns: Sequence[int], responses: Iterable[str]) -> list[int]:
    """The counted votes of people and simulated raters on battles with one of these responses, in these campaigns."""
    rows = db.conn.execute(
        """SELECT z.vote FROM battles b CROSS JOIN votes v ON v.battle = b.id JOIN vote_states z ON z.vote = v.id
        JOIN raters t ON t.id = v.rater AND t.kind <> 'judge'
        WHERE z.state = 'counted' AND b.campaign IN (SELECT value FROM json_each(?1))
        AND (b.response_a IN (SELECT value FROM json_each(?2)) OR b.response_b IN (SELECT value FROM json_each(?2)))""",
        (json.dumps(list(campaigns)), json.dumps(sorted(set(responses)))),
    )
    return [int(r[0]) for r in rows]


class Remarks(NamedTuple):
    """What came with a vote beside its outcome, and how its ballot came about."""

    criteria: Mapping[str, Outcome]
    tags_a: Sequence[str]
    tags_b: Sequence[str]
    comment: str | None
    reason: str | None
    report: str | None
    consent_version: str | None
    chance: float | None
    """how likely the battle was to be drawn, of `among` that could be; None where it was not drawn"""
    among: int | None
    redacted: bool
    """whether words of its battle are covered for raters"""


_REDACTED = """k.guard = 'redact' AND v.import IS NULL AND EXISTS (
  SELECT 1 FROM battle_findings f WHERE f.battle = v.battle AND f.dismissed_at IS NULL
  AND f.kind IN ('identity', 'template'))"""


def remarks(db: Database, votes: Sequence[int]) -> dict[int, Remarks]:
    """{vote: what came with it} of these votes."""
    rows = db.conn.execute(
        f"""SELECT v.id, v.criteria, v.tags_a, v.tags_b, v.comment, v.reason, v.report, nullif(v.consent_version, ''),
          s.chance, s.among, {_REDACTED}
        FROM votes v JOIN campaigns k ON k.id = v.campaign LEFT JOIN assignments s ON s.id = v.assignment
        WHERE v.id IN (SELECT value FROM json_each(?))""",
        (json.dumps(list(votes)),),
    )
    found = {}
    for vote, criteria, tags_a, tags_b, comment, reason, report, consent, chance, among, redacted in rows:
        answers = {c: Outcome(o) for c, o in json.loads(criteria or "{}").items()}
        found[int(vote)] = Remarks(answers, json.loads(tags_a or "[]"), json.loads(tags_b or "[]"), comment, reason,
                                   report, consent, chance, among, bool(redacted))  # fmt: skip
    return found


def redacted_votes(db: Database, votes: Iterable[int]) -> frozenset[int]:
    """Those of these votes whose battles have words that are covered for raters."""
    rows = db.conn.execute(
        f"""SELECT v.id FROM votes v JOIN campaigns k ON k.id = v.campaign
        WHERE v.id IN (SELECT value FROM json_each(?)) AND {_REDACTED}""",
        (json.dumps(list(votes)),),
    )
    return frozenset(int(r[0]) for r in rows)


def consents(db: Database, campaigns: Sequence[int]) -> list[tuple[str | None, int]]:
    """(version of the consent text, counted votes given under it) in these campaigns; None where none was asked for."""
    rows = db.conn.execute(
        """SELECT nullif(v.consent_version, ''), count(*) FROM votes v JOIN vote_states z ON z.vote = v.id
        JOIN raters t ON t.id = v.rater AND t.kind <> 'judge'
        WHERE z.state = 'counted' AND z.campaign IN (SELECT value FROM json_each(?)) GROUP BY 1 ORDER BY 1""",
        (json.dumps(list(campaigns)),),
    )
    return [(r[0], int(r[1])) for r in rows]


def sources(db: Database, campaigns: Sequence[int]) -> list[tuple[str, str]]:
    """(kind, file name or hub dataset) of the imports that went into these campaigns, each once, oldest first."""
    rows = db.conn.execute(
        """SELECT kind, source FROM imports WHERE finished_at IS NOT NULL
        AND campaign IN (SELECT value FROM json_each(?)) ORDER BY id""",
        (json.dumps(list(campaigns)),),
    )
    named = (
        (str(kind), source.rsplit("/", 1)[-1] if source.startswith("/") else str(source))
        for kind, source in rows
    )
    return list(dict.fromkeys(named))
