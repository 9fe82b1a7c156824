"""What raters wrote in live sessions, which models were drawn to answer, and what came of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from sqlite_utils import Database

from db.catalog import get_model
from db.entities.catalog import Message, Response


class Ended(StrEnum):
    """What came of a turn."""

    BATTLE = "battle"
    """two answers that were lent as a ballot"""
    ALIKE = "alike"
    """answers that leave nothing to compare"""
    HELD = "held"
    """a battle that the blinding guard holds back"""
    GIVEN_UP = "given_up"
    """an answer that never came"""


@dataclass(frozen=True, slots=True)
class LiveTurn:
    """One message of a rater and the two models that answer it; it ends with the answers, or without.

    `messages` is the whole talk up to that message. `chance` is that of these two models among `among` twos.
    """

    id: str
    campaign: int
    rater: int
    messages: tuple[Message, ...]
    model_a: str
    model_b: str
    chance: float
    among: int
    seed: int
    asked_at: str
    battle: int | None = None
    ended: Ended | None = None


_TURN = """SELECT t.id, t.campaign, t.rater, t.messages, a.name, b.name, t.chance, t.among, t.seed, t.asked_at, t.battle,
  t.ended FROM live_turns t JOIN models a ON a.id = t.model_a JOIN models b ON b.id = t.model_b"""


def _turn(r: Sequence[object]) -> LiveTurn:
    return LiveTurn(
        str(r[0]), int(str(r[1])), int(str(r[2])), tuple(json.loads(str(r[3]))), str(r[4]), str(r[5]),
        float(str(r[6])), int(str(r[7])), int(str(r[8])), str(r[9]), None if r[10] is None else int(str(r[10])),
        Ended(str(r[11])) if r[11] else None,
    )  # fmt: skip


def add_turn(db: Database, turn: LiveTurn) -> None:
    """Remember what was asked, before any model answers."""
    db.conn.execute(
        """INSERT INTO live_turns(id, campaign, rater, messages, model_a, model_b, chance, among, seed, asked_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (turn.id, turn.campaign, turn.rater, json.dumps(turn.messages, ensure_ascii=False),
         get_model(db, turn.model_a).id, get_model(db, turn.model_b).id, turn.chance, turn.among, turn.seed,
         turn.asked_at),
    )  # fmt: skip


def find_turn(db: Database, turn: str) -> LiveTurn | None:
    """A turn by its random id, or None."""
    row = db.conn.execute(f"{_TURN} WHERE t.id = ?", (turn,)).fetchone()
    return _turn(row) if row else None


def newest_turn(db: Database, campaign: int, rater: int) -> LiveTurn | None:
    """What a rater asked last."""
    row = db.conn.execute(
        f"{_TURN} WHERE t.campaign = ? AND t.rater = ? ORDER BY t.rowid DESC LIMIT 1", (campaign, rater)
    ).fetchone()
    return _turn(row) if row else None


def end_turn(db: Database, turn: str, ended: Ended, battle: int | None = None) -> None:
    """Say what came of a turn; the first word stays."""
    db.conn.execute(
        "UPDATE live_turns SET ended = ?, battle = ? WHERE id = ? AND ended IS NULL", (ended, battle, turn)
    )


def turns_used(db: Database, campaign: int, rater: int) -> int:
    """How many turns count towards a rater's limit: all but those that no model answered."""
    row = db.conn.execute(
        "SELECT count(*) FROM live_turns WHERE campaign = ? AND rater = ? AND ended IS NOT 'given_up'",
        (campaign, rater),
    ).fetchone()
    return int(row[0])


def next_sample(db: Database, prompt: str, model: str) -> int:
    """The number of a model's next response to a prompt."""
    row = db.conn.execute(
        """SELECT coalesce(max(r.sample) + 1, 0) FROM responses r JOIN models m ON m.id = r.model
        WHERE r.prompt = ? AND m.name = ?""",
        (prompt, model),
    ).fetchone()
    return int(row[0])


def live_campaigns(db: Database, lineage: int | None = None) -> list[int]:
    """The open campaigns (of a lineage) in which raters may write prompts and two models can answer, oldest first."""
    rows = db.conn.execute(
        """SELECT c.id FROM campaigns c WHERE c.live = 1 AND c.status = 'open' AND (?1 IS NULL OR c.lineage = ?1)
        AND (SELECT count(*) FROM campaign_models cm JOIN models m ON m.id = cm.model
             WHERE cm.campaign = c.id AND m.kind <> 'recorded' AND m.removed_at IS NULL) >= 2 ORDER BY c.id""",
        (lineage,),
    )
    return [int(r[0]) for r in rows]


def answering_models(db: Database, campaign: int) -> list[str]:
    """The models of a campaign that can answer, in its order."""
    rows = db.conn.execute(
        """SELECT m.name FROM campaign_models cm JOIN models m ON m.id = cm.model
        WHERE cm.campaign = ? AND m.kind <> 'recorded' AND m.removed_at IS NULL ORDER BY cm.position""",
        (campaign,),
    )
    return [str(r[0]) for r in rows]


class Fought(NamedTuple):
    """What is known between two models of a campaign: standing votes by outcome, skips left out."""

    wins_a: int
    wins_b: int
    others: int


def fought(db: Database, campaign: int) -> dict[tuple[str, str], Fought]:
    """{(model a, model b): standing votes}, from the kept counts; twos without votes are left out."""
    rows = db.conn.execute(
        """SELECT a.name, b.name, sum(CASE WHEN outcome = 'a' THEN n ELSE 0 END),
          sum(CASE WHEN outcome = 'b' THEN n ELSE 0 END),
          sum(CASE WHEN outcome IN ('tie', 'both_good', 'both_bad') THEN n ELSE 0 END)
        FROM vote_counts v JOIN models a ON a.id = v.model_a JOIN models b ON b.id = v.model_b
        WHERE v.campaign = ? GROUP BY v.model_a, v.model_b""",
        (campaign,),
    )
    return {(str(r[0]), str(r[1])): Fought(int(r[2]), int(r[3]), int(r[4])) for r in rows}


def is_held(db: Database, battle: int) -> bool:
    """Whether the blinding guard holds a battle back."""
    row = db.conn.execute("SELECT held FROM battle_cover WHERE battle = ?", (battle,)).fetchone()
    return bool(row and row[0])


def live_of(db: Database, battles: Sequence[int]) -> set[int]:
    """Which of these battles came of a live turn."""
    rows = db.conn.execute(
        "SELECT battle FROM live_turns WHERE battle IN (SELECT value FROM json_each(?))",
        (json.dumps(list(battles)),),
    )
    return {int(r[0]) for r in rows}


def answers_of(db: Database, battle: int) -> tuple[Response, Response]:
    """The two responses of a battle."""
    from db.campaigns import get_battle
    from db.catalog import get_response

    found = get_battle(db, battle)
    return get_response(db, found.response_a), get_response(db, found.response_b)


def forget_prompts(db: Database, rater: int) -> None:
    """Take the words of a rater who withdrew out of what they asked; a prompt that stands elsewhere too stays.

    Answers that are still being written are awaited no more: what comes of them is not kept.
    """
    db.conn.execute(
        """UPDATE prompts SET messages = '[]', text = '' WHERE id IN (
          SELECT b.prompt FROM live_turns t JOIN battles b ON b.id = t.battle WHERE t.rater = ?1)
        AND NOT EXISTS (SELECT 1 FROM prompt_set_members m WHERE m.prompt = prompts.id)
        AND NOT EXISTS (SELECT 1 FROM battles b WHERE b.prompt = prompts.id AND b.id NOT IN (
          SELECT battle FROM live_turns WHERE rater = ?1 AND battle IS NOT NULL))""",
        (rater,),
    )
    db.conn.execute(
        "UPDATE live_turns SET messages = '[]', ended = coalesce(ended, ?) WHERE rater = ?",
        (Ended.GIVEN_UP, rater),
    )
