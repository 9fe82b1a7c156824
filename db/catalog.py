"""Models, prompts, responses, scores: what is compared. Content-addressed, so adding twice adds nothing."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlite_utils import Database

from db.connection import checked_name, transaction
from db.entities.catalog import Model, ModelKind, Prompt, Quantize, Response, Score, Split
from db.errors import Conflict, NotFound, UserError, one_of


class Added(NamedTuple):
    """How many rows went in, and how many were there already."""

    added: int
    already_there: int


# -- prompts ---------------------------------------------------------------------------------------------------


def add_prompts(db: Database, prompts: Iterable[Prompt], *, prompt_set: str | None = None) -> Added:
    """Add prompts with their tags; put them all (old ones too) into the named set, made where missing."""
    added = seen = 0
    with transaction(db):
        set_id = _set_id(db, prompt_set) if prompt_set is not None else None
        for prompt in prompts:
            seen += 1
            cursor = db.conn.execute(
                "INSERT INTO prompts(id, messages, text, split) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (prompt.id, json.dumps(prompt.messages, ensure_ascii=False), prompt.text, prompt.split),
            )
            added += cursor.rowcount
            db.conn.executemany(
                "INSERT OR IGNORE INTO prompt_tags VALUES (?, ?)", [(prompt.id, tag) for tag in prompt.tags]
            )
            if set_id is not None:
                db.conn.execute("INSERT OR IGNORE INTO prompt_set_members VALUES (?, ?)", (set_id, prompt.id))
    return Added(added, seen - added)


def _set_id(db: Database, name: str) -> int:
    if name in ("all", "train", "heldout"):
        raise UserError(f"{name!r} names a choice of prompts, not a set", "give the set another name")
    db.conn.execute(
        "INSERT INTO prompt_sets(name) VALUES (?) ON CONFLICT DO NOTHING", (checked_name(name, "prompt set"),)
    )
    return int(db.conn.execute("SELECT id FROM prompt_sets WHERE name = ?", (name,)).fetchone()[0])


def add_refs(db: Database, refs: Iterable[tuple[str, str]]) -> None:
    """Remember which prompts a source's own prompt ids stand for: (ref, prompt id)."""
    with transaction(db):
        db.conn.executemany("INSERT OR IGNORE INTO prompt_refs VALUES (?, ?)", refs)


def prompts_of_ref(db: Database, ref: str) -> list[str]:
    """The prompt ids a source's id stands for; more than one where two sources use the same id."""
    return [r[0] for r in db.conn.execute("SELECT prompt FROM prompt_refs WHERE ref = ?", (ref,))]


def prompt_filter(db: Database, choice: str) -> tuple[str, tuple[object, ...]]:
    """The WHERE clause over `prompts p` for `all`, `train`, `heldout`, a set's name, or one half of a set (SET:train)."""
    name, _, half = choice.partition(":")
    where: str = "p.messages <> '[]'"
    values: tuple[object, ...] = ()
    if name in tuple(Split) and not half:
        name, half = "all", name
    if half and half not in tuple(Split):
        raise UserError(f"{choice!r} is no choice of prompts", f"write {name}:train or {name}:heldout")
    if half:
        where, values = f"{where} AND p.split = ?", (half,)
    if name == "all":
        return where, values
    row = db.conn.execute("SELECT id FROM prompt_sets WHERE name = ?", (name,)).fetchone()
    if row is None:
        names = one_of((s.name for s in prompt_sets(db)), name)
        raise NotFound(f"there is no prompt set {name!r}", f"use all, train, heldout or a set ({names})")
    return f"{where} AND p.id IN (SELECT prompt FROM prompt_set_members WHERE prompt_set = ?)", (
        *values,
        row[0],
    )


_PROMPT = """SELECT p.id, p.messages, p.split,
  (SELECT json_group_array(tag) FROM prompt_tags WHERE prompt = p.id) FROM prompts p"""


def _prompt(row: Sequence[str]) -> Prompt:
    return Prompt(row[0], tuple(json.loads(row[1])), Split(row[2]), tuple(sorted(json.loads(row[3]))))


def prompts_of(db: Database, choice: str) -> list[Prompt]:
    """The prompts of a set, or `all`, `train`, `heldout`, in order of arrival."""
    where, values = prompt_filter(db, choice)
    return [_prompt(r) for r in db.conn.execute(f"{_PROMPT} WHERE {where} ORDER BY p.number", values)]


def get_prompt(db: Database, prompt_id: str) -> Prompt:
    """One prompt by id; NotFound."""
    row = db.conn.execute(f"{_PROMPT} WHERE p.id = ?", (prompt_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no prompt {prompt_id}")
    return _prompt(row)


def search_prompts(db: Database, words: str, limit: int = 50) -> list[Prompt]:
    """Prompts whose last user turn matches the words, best first; with no words, the newest."""
    if not words.strip():
        rows = db.conn.execute(f"{_PROMPT} ORDER BY p.number DESC LIMIT ?", (limit,))
        return [_prompt(r) for r in rows]
    if not any(c.isalnum() for c in words):
        return []  # nothing a full-text index could look up
    found = db["prompts"].search(words, columns=["id"], limit=limit, quote=True)
    return [get_prompt(db, row["id"]) for row in found]


class PromptSet(NamedTuple):
    """A named set with its sizes."""

    name: str
    train: int
    heldout: int


def prompt_sets(db: Database) -> list[PromptSet]:
    """Every named set."""
    rows = db.conn.execute(
        """SELECT s.name, coalesce(sum(p.split = 'train'), 0), coalesce(sum(p.split = 'heldout'), 0)
        FROM prompt_sets s LEFT JOIN prompt_set_members m ON m.prompt_set = s.id LEFT JOIN prompts p ON p.id = m.prompt
        GROUP BY s.id ORDER BY s.id"""
    )
    return [PromptSet(*r) for r in rows]


def count_prompts(db: Database) -> PromptSet:
    """How many prompts with a text there are in all."""
    row = db.conn.execute(
        """SELECT coalesce(sum(split = 'train'), 0), coalesce(sum(split = 'heldout'), 0) FROM prompts
        WHERE messages <> '[]'"""
    ).fetchone()
    return PromptSet("all", int(row[0]), int(row[1]))


# -- models ----------------------------------------------------------------------------------------------------

_MODEL = """SELECT m.id, m.name, m.kind, m.source, m.adapter, m.quantize, m.endpoint, m.remote_name, p.name, m.run,
  m.note, m.created_at FROM models m LEFT JOIN models p ON p.id = m.parent"""


def _model(r: Sequence[object]) -> Model:
    return Model(
        id=int(str(r[0])), name=str(r[1]), kind=ModelKind(str(r[2])),
        source=_text(r[3]), adapter=_text(r[4]), quantize=Quantize(str(r[5])) if r[5] else None,
        endpoint=_text(r[6]), remote_name=_text(r[7]), parent=_text(r[8]),
        run=int(str(r[9])) if r[9] is not None else None, note=str(r[10]), created_at=str(r[11]),
    )  # fmt: skip


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def add_model(
    db: Database,
    name: str,
    kind: ModelKind,
    *,
    source: str | None = None,
    adapter: str | None = None,
    quantize: Quantize | None = None,
    endpoint: str | None = None,
    remote_name: str | None = None,
    parent: str | None = None,
    run: int | None = None,
    note: str = "",
) -> Model:
    """Register a model; the same name with the same content is the same model, with other content a Conflict."""
    checked_name(name, "model")
    with transaction(db):
        old = find_model(db, name)
        if old is not None:
            same = (old.kind, old.source, old.adapter, old.quantize, old.endpoint, old.remote_name)
            if same != (kind, source, adapter, quantize, endpoint, remote_name):
                raise Conflict(f"there is already another model named {name!r}", "choose another name")
            db.conn.execute("UPDATE models SET removed_at = NULL WHERE id = ?", (old.id,))
            return old
        db.conn.execute(
            """INSERT INTO models(name, kind, source, adapter, quantize, endpoint, remote_name, parent, run, note)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (name, kind, source, adapter, quantize, endpoint, remote_name,
             get_model(db, parent).id if parent else None, run, note),
        )  # fmt: skip
        return get_model(db, name)


def find_model(db: Database, name: str) -> Model | None:
    """A model by name, removed ones too; or None."""
    row = db.conn.execute(f"{_MODEL} WHERE m.name = ?", (name,)).fetchone()
    return _model(row) if row else None


def get_model(db: Database, name: str) -> Model:
    """A model by name; NotFound lists what there is."""
    model = find_model(db, name)
    if model is None:
        names = one_of((m.name for m in list_models(db)), name)
        raise NotFound(f"there is no model {name!r}", f"add it with `models add`, or use one of: {names}")
    return model


def list_models(db: Database) -> list[Model]:
    """Every registered model, in order of arrival."""
    return [_model(r) for r in db.conn.execute(f"{_MODEL} WHERE m.removed_at IS NULL ORDER BY m.id")]


def remove_model(db: Database, name: str) -> None:
    """Take a model off the lists. Its responses and votes stay: figures must not change."""
    with transaction(db):
        model = get_model(db, name)
        used = db.conn.execute(
            """SELECT c.name FROM campaign_models m JOIN campaigns c ON c.id = m.campaign
            WHERE m.model = ? AND c.status IN ('open', 'paused') LIMIT 1""", (model.id,)).fetchone()  # fmt: skip
        if used:
            raise Conflict(f"{name!r} is in the running campaign {used[0]!r}", "close the campaign first")
        leads = db.conn.execute(
            "SELECT 1 FROM (SELECT model FROM standing_promotions ORDER BY id DESC LIMIT 1) WHERE model = ?",
            (model.id,),
        ).fetchone()
        if leads:
            raise Conflict(f"{name!r} is the champion", "promote another model first, or `rollback`")
        db.conn.execute(
            "UPDATE models SET removed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = ?", (model.id,)
        )


# -- responses and scores --------------------------------------------------------------------------------------

_RESPONSE = """SELECT r.id, r.prompt, m.name, r.text, r.sample, r.finish_reason, r.settings
  FROM responses r LEFT JOIN models m ON m.id = r.model"""


def _response(r: Sequence[object]) -> Response:
    return Response(str(r[0]), str(r[1]), _text(r[2]), _text(r[3]), int(str(r[4])), _text(r[5]),
                    json.loads(str(r[6])) if r[6] else None)  # fmt: skip


def add_responses(db: Database, responses: Iterable[Response]) -> Added:
    """Add responses of registered models to stored prompts."""
    ids: dict[str, int] = {}
    added = seen = 0
    with transaction(db):
        for response in responses:
            seen += 1
            if response.model is not None and response.model not in ids:
                ids[response.model] = get_model(db, response.model).id
            cursor = db.conn.execute(
                """INSERT INTO responses(id, prompt, model, text, sample, finish_reason, settings)
                VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING""",
                (response.id, response.prompt, ids[response.model] if response.model else None, response.text,
                 response.sample, response.finish_reason,
                 json.dumps(dict(response.settings), ensure_ascii=False) if response.settings else None),
            )  # fmt: skip
            added += cursor.rowcount
    return Added(added, seen - added)


def get_response(db: Database, response_id: str) -> Response:
    """One response by id; NotFound."""
    row = db.conn.execute(f"{_RESPONSE} WHERE r.id = ?", (response_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no response {response_id}")
    return _response(row)


def responses_to(db: Database, prompt: str) -> list[Response]:
    """The responses of models to one prompt, in order of arrival."""
    rows = db.conn.execute(
        f"{_RESPONSE} WHERE r.prompt = ? AND r.text IS NOT NULL AND m.name IS NOT NULL ORDER BY r.number",
        (prompt,),
    )
    return list(map(_response, rows))


def responses_of(db: Database, model: str, choice: str = "all") -> Iterator[Response]:
    """A model's responses to a set, or `all`, `train`, `heldout`, in the prompts' order."""
    where, values = prompt_filter(db, choice)
    rows = db.conn.execute(
        f"{_RESPONSE} JOIN prompts p ON p.id = r.prompt WHERE m.name = ? AND {where} ORDER BY p.number, r.sample",
        (model, *values),
    )
    return map(_response, rows)


def prompts_without_response(
    db: Database, model: str, choice: str, samples: int = 1
) -> list[tuple[Prompt, int]]:
    """(prompt, number of samples there are) for each prompt of the choice where the model has fewer than `samples`."""
    where, values = prompt_filter(db, choice)
    rows = db.conn.execute(
        f"""SELECT * FROM (SELECT p.id, p.messages, p.split,
          (SELECT json_group_array(tag) FROM prompt_tags WHERE prompt = p.id),
          (SELECT count(*) FROM responses r WHERE r.prompt = p.id AND r.model = ?) AS n, p.number
        FROM prompts p WHERE {where}) WHERE n < ? ORDER BY number""",
        (get_model(db, model).id, *values, samples),
    )
    return [(_prompt(r), int(r[4])) for r in rows]


def add_scores(db: Database, scores: Iterable[Score]) -> Added:
    """Store scores; one of each scorer a response, the first stays."""
    added = seen = 0
    with transaction(db):
        for s in scores:
            seen += 1
            cursor = db.conn.execute(
                "INSERT INTO scores(response, scorer, score, truncated) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (s.response, s.scorer, s.score, int(s.truncated)),
            )
            added += cursor.rowcount
    return Added(added, seen - added)


def scores_of_campaign(db: Database, campaign: int) -> Mapping[str, dict[str, Score]]:
    """{scorer: {response id: score}} over the responses of a campaign's battles, but for judges that are excluded."""
    found: dict[str, dict[str, Score]] = {}
    rows = db.conn.execute(
        """SELECT s.response, s.scorer, s.score, s.truncated FROM scores s WHERE s.response IN (
          SELECT response FROM campaign_responses WHERE campaign = ?1)
        AND s.scorer NOT IN (SELECT t.name FROM excluded_raters x JOIN raters t ON t.id = x.rater AND t.kind = 'judge')""",
        (campaign,),
    )
    for response, scorer, score, truncated in rows:
        found.setdefault(scorer, {})[response] = Score(response, scorer, score, bool(truncated))
    return found


def texts_of_campaign(db: Database, campaign: int) -> dict[str, str | None]:
    """{response id: text} over the responses of a campaign's battles."""
    rows = db.conn.execute(
        """SELECT id, text FROM responses WHERE id IN (
          SELECT response FROM campaign_responses WHERE campaign = ?1)""",
        (campaign,),
    )
    return {r[0]: r[1] for r in rows}


def scores_of_responses(db: Database, scorer: str, responses: Iterable[str]) -> dict[str, Score]:
    """{response: its score} for those the scorer has scored."""
    rows = db.conn.execute(
        """SELECT response, scorer, score, truncated FROM scores
        WHERE scorer = ? AND response IN (SELECT value FROM json_each(?))""",
        (scorer, json.dumps(list(responses))),
    )
    return {str(r[0]): Score(str(r[0]), str(r[1]), float(r[2]), bool(r[3])) for r in rows}


def responses_without_score(db: Database, scorer: str, campaign: int) -> list[tuple[Prompt, Response]]:
    """The distinct responses of a campaign's battles that the scorer has not scored, with their prompts."""
    rows = db.conn.execute(
        f"""{_RESPONSE} WHERE r.text IS NOT NULL AND r.id IN (
          SELECT response FROM campaign_responses WHERE campaign = ?1)
        AND NOT EXISTS (SELECT 1 FROM scores s WHERE s.response = r.id AND s.scorer = ?2) ORDER BY r.number""",
        (campaign, scorer),
    )
    return [(get_prompt(db, r.prompt), r) for r in map(_response, rows)]


def response_counts(db: Database) -> dict[str, int]:
    """{model: number of its stored responses}, removed models too."""
    rows = db.conn.execute(
        "SELECT m.name, count(*) FROM responses r JOIN models m ON m.id = r.model GROUP BY r.model"
    )
    return {str(r[0]): int(r[1]) for r in rows}


def get_setting(db: Database, name: str) -> str | None:
    """A value the program keeps for itself (which reward model scores, say); None where unset."""
    row = db.conn.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else None


def set_setting(db: Database, name: str, value: str) -> None:
    """Keep a value of the program's own."""
    with transaction(db):
        db.conn.execute(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (name, value),
        )
