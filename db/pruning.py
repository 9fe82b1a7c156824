"""What of a home's files its database still needs: which folders hold models, which runs they belong to."""

from typing import NamedTuple

from sqlite_utils import Database

from db.entities.runs import RunStatus
from db.runs import champion


class ModelFiles(NamedTuple):
    """A model with weights: where they are as it is stored, and why they must stay (None: nothing uses them)."""

    name: str
    places: tuple[str, ...]
    used: str | None


def model_files(db: Database) -> list[ModelFiles]:
    """Every model with a source, removed ones too, each with the first thing that needs it."""
    leads, reward = (
        champion(db),
        db.conn.execute("SELECT value FROM settings WHERE name = 'reward_model'").fetchone(),
    )
    rows = db.conn.execute(
        """SELECT m.name, m.source, m.adapter, m.removed_at IS NULL,
          EXISTS (SELECT 1 FROM standing_promotions p WHERE p.model = m.id),
          (SELECT c.name FROM campaign_models k JOIN campaigns c ON c.id = k.campaign
           WHERE k.model = m.id AND c.status <> 'closed' LIMIT 1),
          (SELECT k.name FROM models k WHERE k.parent = m.id AND k.removed_at IS NULL LIMIT 1),
          (SELECT r.name FROM runs r WHERE r.parent = m.id AND r.status = 'running' LIMIT 1)
        FROM models m WHERE m.source IS NOT NULL ORDER BY m.id"""
    ).fetchall()
    found = []
    for name, source, adapter, listed, promoted, campaign, child, run in rows:
        places = tuple(filter(None, (source, adapter)))
        reasons = (
            (name == leads, "the champion"),
            (promoted, "a champion of before, which a rollback comes back to"),
            (campaign, f"in the campaign {campaign}"),
            (run, f"what {run} is trained from"),
            (child, f"what {child} was made from"),
            (reward is not None and reward[0] in (name, *places), "the reward model that scores"),
            (listed, "on the list of models"),
        )
        found.append(ModelFiles(name, places, next((why for so, why in reasons if so), None)))
    return found


def run_folders(db: Database) -> dict[str, tuple[str, RunStatus]]:
    """{folder as it is stored: (run, its status)}."""
    rows = db.conn.execute("SELECT folder, name, status FROM runs")
    return {str(r[0]): (str(r[1]), RunStatus(r[2])) for r in rows}


def sweep_folders(db: Database) -> set[str]:
    """Names of sweeps, each of which may keep its table in a folder of that name."""
    return {str(r[0]) for r in db.conn.execute("SELECT name FROM sweeps")}
