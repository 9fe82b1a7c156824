"""Campaigns, their settings, and their battles."""

import dataclasses
import functools
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlite_utils import Database

from db.catalog import get_model, prompt_filter
from db.connection import checked_name, transaction
from db.entities.campaigns import (
    Battle,
    Campaign,
    CampaignSettings,
    CampaignStatus,
    Guard,
    Matchmaking,
    Purpose,
    QuizQuestion,
    Recruit,
    Sampling,
)
from db.entities.catalog import Message
from db.errors import Conflict, NotFound, UserError, one_of

_CAMPAIGN = """SELECT c.id, c.name,
  (SELECT json_group_array(name) FROM (SELECT m.name FROM campaign_models cm JOIN models m ON m.id = cm.model
   WHERE cm.campaign = c.id ORDER BY cm.position)),
  c.prompts, c.status, c.lineage, c.parent_run, c.demo, c.created_at,
  c.version, {settings} FROM campaigns c"""


@functools.lru_cache(256)
def _campaign(r: tuple[object, ...]) -> Campaign:
    """A row as a campaign; every vote asks for one, and most rows have been read before."""
    return Campaign(
        id=int(str(r[0])), name=str(r[1]), models=tuple(json.loads(str(r[2]))), prompts=str(r[3]),
        status=CampaignStatus(str(r[4])), lineage=int(str(r[5])),
        parent_run=None if r[6] is None else int(str(r[6])), demo=None if r[7] is None else str(r[7]),
        created_at=str(r[8]), version=int(str(r[9])), settings=_settings(r[10:]),
    )  # fmt: skip


_SETTINGS = tuple(f.name for f in dataclasses.fields(CampaignSettings))
_CAMPAIGN = _CAMPAIGN.format(settings=", ".join(f"c.{name}" for name in _SETTINGS))
_READ: Mapping[str, Callable[[Any], object]] = {
    "purpose": Purpose, "sampling": Sampling, "guard": Guard, "recruit": Recruit,
    "matchmaking": Matchmaking,
    "criteria": lambda text: tuple(json.loads(text)), "reason_tags": lambda text: tuple(json.loads(text)),
    "quiz": lambda text: tuple(QuizQuestion(q["question"], tuple(q["answers"]), q["correct"]) for q in json.loads(text)),
    **{f.name: bool for f in dataclasses.fields(CampaignSettings) if f.type is bool},
}  # fmt: skip


def _settings(row: Sequence[object]) -> CampaignSettings:
    values = dict(zip(_SETTINGS, row, strict=True))
    return CampaignSettings(**{name: _READ.get(name, _same)(value) for name, value in values.items()})  # type: ignore[arg-type]


def _same(value: object) -> object:
    return value


def _columns(settings: CampaignSettings) -> dict[str, object]:
    """The settings as they stand in their columns."""
    values = {name: getattr(settings, name) for name in _SETTINGS}
    values |= {"criteria": json.dumps(settings.criteria), "reason_tags": json.dumps(settings.reason_tags),
               "quiz": json.dumps([dataclasses.asdict(q) for q in settings.quiz])}  # fmt: skip
    return {name: int(value) if isinstance(value, bool) else value for name, value in values.items()}


class Created(NamedTuple):
    """A new campaign and what became of its prompts."""

    campaign: Campaign
    battles: int
    missing: int
    """(prompt, two models) without a response of both."""
    identical: int
    """(prompt, two models) whose texts are the same or empty: nothing to compare."""


def create_campaign(
    db: Database,
    name: str,
    models: Sequence[str],
    prompts: str,
    settings: CampaignSettings,
    *,
    status: CampaignStatus = CampaignStatus.OPEN,
    parent_run: int | None = None,
    lineage: int | None = None,
    demo: str | None = None,
) -> Created:
    """Make a campaign and its battles: each two of its models over each prompt of the choice that both answered."""
    checked_name(name, "campaign")
    if len(set(models)) < 2 or len(set(models)) != len(models):
        raise UserError("a campaign compares two or more different models", "name them with --models A,B")
    with transaction(db):
        if db.conn.execute("SELECT 1 FROM campaigns WHERE name = ?", (name,)).fetchone():
            raise Conflict(f"there is already a campaign named {name!r}", "choose another name")
        ids = [get_model(db, m).id for m in models]
        campaign_id = _insert_campaign(db, name, prompts, settings, status, parent_run, lineage, demo)
        db.conn.executemany(
            "INSERT INTO campaign_models VALUES (?, ?, ?)", [(campaign_id, i, m) for i, m in enumerate(ids)]
        )
        battles, missing, identical = _add_battles(db, campaign_id, ids, prompts, settings.purpose)
        return Created(get_campaign(db, name), battles, missing, identical)


def _insert_campaign(
    db: Database, name: str, prompts: str, settings: CampaignSettings, status: CampaignStatus,
    parent_run: int | None, lineage: int | None, demo: str | None,
) -> int:  # fmt: skip
    values = _columns(settings)
    cursor = db.conn.execute(
        f"""INSERT INTO campaigns(name, prompts, status, parent_run, lineage, demo, {", ".join(values)})
        VALUES ({", ".join("?" * (6 + len(values)))})""",
        (name, prompts, status, parent_run, lineage, demo, *values.values()),
    )
    campaign_id = int(cursor.lastrowid or 0)
    if lineage is None:
        db.conn.execute("UPDATE campaigns SET lineage = id WHERE id = ?", (campaign_id,))
    return campaign_id


_BARE_A, _BARE_B = ("trim(" + text + ", ' ' || char(9, 10, 13))" for text in ("a.text", "b.text"))
_COMPARABLE = f"{_BARE_A} <> {_BARE_B} AND {_BARE_A} <> '' AND {_BARE_B} <> ''"


def _prompts_for(db: Database, prompts: str, purpose: Purpose) -> tuple[str, tuple[object, ...]]:
    """The WHERE clause over `prompts p` for the prompts of the choice that serve the purpose."""
    where, values = prompt_filter(db, prompts)
    return where + (" AND p.split = 'heldout'" if purpose is Purpose.EVALUATE else ""), values


class ToBe(NamedTuple):
    """A battle that a campaign would have."""

    response_a: str
    response_b: str
    messages: tuple[Message, ...]
    text_a: str
    text_b: str


def battles_to_be(db: Database, models: Sequence[str], prompts: str, purpose: Purpose) -> Iterator[ToBe]:
    """The battles that `create_campaign` would make, prompt by prompt, read one at a time."""
    ids = json.dumps([get_model(db, m).id for m in models])
    where, values = _prompts_for(db, prompts, purpose)
    rows = db.conn.execute(
        f"""SELECT a.id, b.id, p.messages, a.text, b.text FROM prompts p CROSS JOIN json_each(?) x
        CROSS JOIN json_each(?) y ON x.key < y.key
        CROSS JOIN responses a ON a.prompt = p.id AND a.model = x.value AND a.sample = 0 AND a.text IS NOT NULL
        CROSS JOIN responses b ON b.prompt = p.id AND b.model = y.value AND b.sample = 0 AND b.text IS NOT NULL
        WHERE {where} AND {_COMPARABLE}""",
        (ids, ids, *values),
    )
    return (ToBe(r[0], r[1], tuple(json.loads(r[2])), r[3], r[4]) for r in rows)


def _add_battles(
    db: Database, campaign: int, models: Sequence[int], prompts: str, purpose: Purpose
) -> tuple[int, int, int]:
    where, values = _prompts_for(db, prompts, purpose)
    total = int(db.conn.execute(f"SELECT count(*) FROM prompts p WHERE {where}", values).fetchone()[0])
    added = missing = identical = 0
    for i, first in enumerate(models):
        for second in models[i + 1 :]:
            both = f"""FROM prompts p
                JOIN responses a ON a.prompt = p.id AND a.model = ? AND a.sample = 0 AND a.text IS NOT NULL
                JOIN responses b ON b.prompt = p.id AND b.model = ? AND b.sample = 0 AND b.text IS NOT NULL
                WHERE {where}"""
            pair = (first, second, *values)
            n = int(db.conn.execute(f"SELECT count(*) {both}", pair).fetchone()[0])
            cursor = db.conn.execute(
                f"""INSERT OR IGNORE INTO battles(campaign, prompt, response_a, response_b, model_a, model_b)
                SELECT ?, p.id, a.id, b.id, a.model, b.model {both} AND {_COMPARABLE} ORDER BY p.number""",
                (campaign, *pair),
            )
            added += cursor.rowcount
            missing += total - n
            identical += n - cursor.rowcount
    return added, missing, identical


def add_battle(
    db: Database, campaign: int, prompt: str, response_a: str, response_b: str, model_a: int, model_b: int,
    turn: int | None = None, chance: float = 1.0,
) -> tuple[int, bool]:  # fmt: skip
    """The battle between two responses in a campaign, made if missing; and whether its slots are the other way round."""
    find = "SELECT id FROM battles WHERE campaign = ? AND response_a = ? AND response_b = ?"
    for swapped, (x, y) in ((False, (response_a, response_b)), (True, (response_b, response_a))):
        row = db.conn.execute(find, (campaign, x, y)).fetchone()
        if row:
            return int(row[0]), swapped
    cursor = db.conn.execute(
        """INSERT INTO battles(campaign, prompt, response_a, response_b, model_a, model_b, turn, chance)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (campaign, prompt, response_a, response_b, model_a, model_b, turn, chance),
    )
    return int(cursor.lastrowid or 0), False


def add_campaign_models(db: Database, campaign: int, models: Sequence[int]) -> None:
    """Let further models take part in a campaign that an import fills."""
    for model in models:
        db.conn.execute(
            """INSERT OR IGNORE INTO campaign_models
            SELECT ?1, coalesce(max(position), -1) + 1, ?2 FROM campaign_models WHERE campaign = ?1""",
            (campaign, model),
        )


def order_models_by_name(db: Database, campaign: int) -> None:
    """Put the models of a campaign in the order of their names; the first of two is model_a in the report."""
    with transaction(db):
        db.conn.execute("UPDATE campaign_models SET position = -1 - position WHERE campaign = ?", (campaign,))
        db.conn.execute(
            """UPDATE campaign_models SET position = (SELECT count(*) FROM campaign_models x JOIN models o ON o.id = x.model
              WHERE x.campaign = ?1 AND o.name < (SELECT name FROM models WHERE id = campaign_models.model))
            WHERE campaign = ?1""",
            (campaign,),
        )


def find_campaign(db: Database, name: str) -> Campaign | None:
    """A campaign by name, or None."""
    row = db.conn.execute(f"{_CAMPAIGN} WHERE c.name = ?", (name,)).fetchone()
    return _campaign(row) if row else None


def get_campaign(db: Database, name: str) -> Campaign:
    """A campaign by name; NotFound lists what there is."""
    campaign = find_campaign(db, name)
    if campaign is None:
        names = one_of((c.name for c in list_campaigns(db)), name)
        raise NotFound(
            f"there is no campaign {name!r}", f"create it with `campaign create`, or use one of: {names}"
        )
    return campaign


def campaign_of_battle(db: Database, battle: int) -> Campaign:
    """The campaign that a battle, which must exist, belongs to."""
    row = db.conn.execute(f"{_CAMPAIGN} JOIN battles b ON b.campaign = c.id WHERE b.id = ?", (battle,))
    return _campaign(row.fetchone())


def campaign_by_id(db: Database, campaign_id: int) -> Campaign:
    """A campaign by its row number, which must exist."""
    return _campaign(db.conn.execute(f"{_CAMPAIGN} WHERE c.id = ?", (campaign_id,)).fetchone())


def list_campaigns(db: Database, *, lineage: int | None = None) -> list[Campaign]:
    """Every campaign (of one lineage), oldest first."""
    where, values = ("", ()) if lineage is None else (" WHERE c.lineage = ?", (lineage,))
    return [_campaign(r) for r in db.conn.execute(f"{_CAMPAIGN}{where} ORDER BY c.id", values)]


def set_status(db: Database, name: str, status: CampaignStatus) -> Campaign:
    """Open, pause or close a campaign."""
    with transaction(db):
        campaign = get_campaign(db, name)
        db.conn.execute("UPDATE campaigns SET status = ? WHERE id = ?", (status, campaign.id))
        return get_campaign(db, name)


def change_settings(db: Database, campaign: Campaign, settings: CampaignSettings) -> Campaign:
    """Give a campaign other settings, in one transaction; Conflict where it has votes and what raters see would change."""
    values = _columns(settings)
    with transaction(db):
        try:
            db.conn.execute(
                f"UPDATE campaigns SET {', '.join(f'{name} = ?' for name in values)} WHERE id = ?",
                (*values.values(), campaign.id),
            )
        except sqlite3.IntegrityError as error:
            raise Conflict(str(error), "make a new version") from None
        return get_campaign(db, campaign.name)


def mark_version(db: Database, campaign: Campaign, previous: Campaign) -> Campaign:
    """Say that a campaign is the next version of another."""
    with transaction(db):
        db.conn.execute(
            "UPDATE campaigns SET version = ?, previous = ? WHERE id = ?",
            (previous.version + 1, previous.id, campaign.id),
        )
        return get_campaign(db, campaign.name)


def has_votes(db: Database, campaign: int) -> bool:
    """Whether anything was voted on in a campaign, undone or not."""
    return (
        db.conn.execute("SELECT 1 FROM votes WHERE campaign = ? LIMIT 1", (campaign,)).fetchone() is not None
    )


def shared_campaigns(db: Database, lineage: int) -> list[str]:
    """The closed campaigns of a lineage whose results its raters may see, the newest first."""
    rows = db.conn.execute(
        "SELECT name FROM campaigns WHERE lineage = ? AND share_results = 1 AND status = 'closed' ORDER BY id DESC",
        (lineage,),
    )
    return [str(r[0]) for r in rows]


class Coverage(NamedTuple):
    """How far a campaign is."""

    battles: int
    """battles that are served: those the guard holds are left out"""
    votes: int
    """standing votes, skips left out"""
    wanted: int
    """battles x overlap, or the campaign's target where one is set; votes on battles held since are as many more"""
    held: int = 0
    """battles that are not served"""
    held_votes: int = 0
    """standing votes on those"""


def coverage(db: Database, campaign: Campaign) -> Coverage:
    """Battles, standing votes and votes wanted of a campaign, from the kept counts."""
    row = db.conn.execute(
        """SELECT battles - held, votes, held, CASE held WHEN 0 THEN 0 ELSE
          (SELECT coalesce(sum(c.votes), 0) FROM battle_cover c
           WHERE c.campaign = z.campaign AND c.held = 1 AND c.votes > 0) END
        FROM campaign_sizes z WHERE campaign = ?""",
        (campaign.id,),
    ).fetchone()
    battles, votes, held, held_votes = row or (0, 0, 0, 0)
    wanted = battles * campaign.settings.overlap + held_votes
    return Coverage(battles, votes, campaign.settings.target or wanted, held, held_votes)


def last_votes(db: Database) -> dict[int, int]:
    """{campaign: number of its newest vote cast here}; campaigns that hold none, or imported ones only, are left out."""
    rows = db.conn.execute(
        "SELECT c.id, (SELECT max(v.id) FROM votes v WHERE v.campaign = c.id AND v.import IS NULL) FROM campaigns c"
    )
    return {int(r[0]): int(r[1]) for r in rows if r[1] is not None}


_BATTLE = """SELECT b.id, b.campaign, b.prompt, b.response_a, b.response_b, ma.name, mb.name
  FROM battles b JOIN models ma ON ma.id = b.model_a JOIN models mb ON mb.id = b.model_b"""


def get_battle(db: Database, battle_id: int) -> Battle:
    """A battle by number, which must exist."""
    return Battle(*db.conn.execute(f"{_BATTLE} WHERE b.id = ?", (battle_id,)).fetchone())


def battles_of(db: Database, campaign: int, limit: int = -1) -> list[Battle]:
    """The battles of a campaign in order, all of them unless limited; pairs with a known answer are left out."""
    rows = db.conn.execute(
        f"{_BATTLE} WHERE b.campaign = ? AND b.id NOT IN (SELECT battle FROM gold_pairs) ORDER BY b.id LIMIT ?",
        (campaign, limit),
    )
    return [Battle(*r) for r in rows]
