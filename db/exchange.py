"""What imports and exports need of the store: empty campaigns to fill, what is there already, items, texts in bulk."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlite_utils import Database

from db.campaigns import _insert_campaign, get_campaign
from db.catalog import _set_id
from db.connection import checked_name, transaction
from db.entities.campaigns import Campaign, CampaignSettings, CampaignStatus
from db.entities.catalog import Message, Split
from db.entities.votes import Outcome, RaterKind
from db.errors import Conflict

# -- in ----------------------------------------------------------------------------------------------------------


def add_empty_campaign(
    db: Database, name: str, prompts: str, settings: CampaignSettings, status: CampaignStatus
) -> Campaign:
    """A campaign without battles or models, for an import to fill; Conflict where the name is taken."""
    with transaction(db):
        if db.conn.execute("SELECT 1 FROM campaigns WHERE name = ?", (name,)).fetchone():
            raise Conflict(f"there is already a campaign named {name!r}", "choose another name")
        _insert_campaign(db, checked_name(name, "campaign"), prompts, settings, status, None, None, None)
        return get_campaign(db, name)


def drop_empty_campaign(db: Database, campaign: int) -> bool:
    """Take back a campaign that an import made and put nothing in; whether it was one."""
    with transaction(db):
        empty = """id = ? AND status IN ('closed', 'draft') AND id NOT IN (SELECT campaign FROM battles)
          AND id NOT IN (SELECT campaign FROM campaign_models)"""
        found = db.conn.execute(f"SELECT 1 FROM campaigns WHERE {empty}", (campaign,)).fetchone() is not None
        if found:
            db.conn.execute("UPDATE campaigns SET lineage = NULL WHERE id = ?", (campaign,))
            db.conn.execute("DELETE FROM campaigns WHERE id = ?", (campaign,))
        return found


def add_to_set(db: Database, name: str, prompts: Iterable[str]) -> None:
    """Put stored prompts into a set, made where missing, in one step."""
    with transaction(db):
        set_id = _set_id(db, name)
        db.conn.executemany(
            "INSERT OR IGNORE INTO prompt_set_members VALUES (?, ?)", [(set_id, p) for p in prompts]
        )


def has_pair_set(db: Database, name: str) -> bool:
    """Whether there is a pair set of this name."""
    return db.conn.execute("SELECT 1 FROM pair_sets WHERE name = ?", (name,)).fetchone() is not None


def rename_pair_set(db: Database, old: str, new: str) -> None:
    """Give a pair set that an import filled its own name, in one step."""
    with transaction(db):
        db.conn.execute("UPDATE pair_sets SET name = ? WHERE name = ?", (new, old))


def splits_of(db: Database, prompts: Sequence[str]) -> dict[str, Split]:
    """{prompt: the split it is stored with} for those that are stored."""
    rows = db.conn.execute(
        "SELECT id, split FROM prompts WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(prompts)),),
    )
    return {str(r[0]): Split(str(r[1])) for r in rows}


class StoredText(NamedTuple):
    """A stored response without its settings; `text` None where only votes know it."""

    id: str
    text: str | None
    sample: int


def texts_of_model(db: Database, prompt: str, model: int | None) -> list[StoredText]:
    """A model's responses to one prompt (or those of no model), in order of their sample numbers."""
    rows = db.conn.execute(
        "SELECT id, text, sample FROM responses WHERE prompt = ? AND model IS ? ORDER BY sample, number",
        (prompt, model),
    )
    return [StoredText(*r) for r in rows]


class KnownRater(NamedTuple):
    """A rater's kind, and whether a seat of this home is theirs."""

    kind: RaterKind
    seated: bool


def rater_kind(db: Database, name: str) -> KnownRater | None:
    """What is known of a rater by name; None where there is none."""
    row = db.conn.execute(
        "SELECT kind, EXISTS (SELECT 1 FROM seats WHERE rater = r.id) FROM raters r WHERE name = ?", (name,)
    ).fetchone()
    return KnownRater(RaterKind(row[0]), bool(row[1])) if row else None


class CampaignBattle(NamedTuple):
    """A battle by what an import knows of it."""

    battle: int
    prompt: str
    turn: int | None
    model_a: int
    model_b: int


def campaign_battles(db: Database, campaign: int) -> list[CampaignBattle]:
    """The battles of a campaign with their turns and the row numbers of their models."""
    rows = db.conn.execute(
        "SELECT id, prompt, turn, model_a, model_b FROM battles WHERE campaign = ?", (campaign,)
    )
    return [CampaignBattle(*r) for r in rows]


class StoredReceipt(NamedTuple):
    """A vote that is there already: what it says, and whether the import that brought it was cut off."""

    outcome: Outcome
    import_id: int | None
    cut_off: bool


def vote_of_receipt(db: Database, receipt: str) -> StoredReceipt | None:
    """The stored vote of a receipt, or None."""
    row = db.conn.execute(
        """SELECT v.outcome, v.import, i.id IS NOT NULL AND i.finished_at IS NULL
        FROM votes v LEFT JOIN imports i ON i.id = v.import WHERE v.receipt = ?""",
        (receipt,),
    ).fetchone()
    return StoredReceipt(Outcome(row[0]), row[1], bool(row[2])) if row else None


class Item(NamedTuple):
    """Two responses to one prompt, as a source's votes know them."""

    prompt: str
    response_a: str
    response_b: str
    model_a: int
    model_b: int


def add_items(db: Database, items: Iterable[tuple[str, str, str]]) -> int:
    """Remember (item, response a, response b); how many were new."""
    with transaction(db):
        rows = [
            db.conn.execute("INSERT OR IGNORE INTO item_refs VALUES (?, ?, ?)", item).rowcount
            for item in items
        ]
        return sum(rows)


def items_of_ref(db: Database, item: str) -> list[Item]:
    """What a source's item id stands for; more than one where two sources use the same id."""
    rows = db.conn.execute(
        """SELECT a.prompt, a.id, b.id, a.model, b.model FROM item_refs i
        JOIN responses a ON a.id = i.response_a JOIN responses b ON b.id = i.response_b WHERE i.ref = ?""",
        (item,),
    )
    return [Item(*r) for r in rows]


# -- out ---------------------------------------------------------------------------------------------------------


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
