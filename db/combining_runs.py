"""Bringing another home's snapshots and runs: what was trained there, on which votes, with what it measured.

A snapshot's id is made of the numbers of its votes and the ids of its responses. Those are others here, so it gets the
id that it would have here; the same votes under the same policy are the same snapshot in both homes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from db.answers import SnapshotAnswer
from db.bringing import Bringing, by, response_here
from db.entities.catalog import Split
from db.entities.runs import RunStatus
from db.entities.votes import PreferencePair

Policy = Mapping[str, object]


class Hashes(NamedTuple):
    """What a snapshot's id is made by: of pairs, and of single answers."""

    of_pairs: Callable[[Sequence[PreferencePair], Policy], str]
    of_answers: Callable[[Sequence[SnapshotAnswer], Policy], str]


def bring_snapshots(home: Bringing, hashes: Hashes) -> None:
    """The snapshots whose every vote came along, each under its id here."""
    home.conn.execute(
        "INSERT INTO temp.map_votes SELECT x.id, h.id FROM other.votes x JOIN main.votes h ON h.receipt = x.receipt"
    )
    for old in home.rows("snapshots"):
        policy = json.loads(str(old["policy"]))
        pairs = _translated(home, "snapshot_pairs", ("chosen", "rejected"), old["id"])
        answers = _translated(home, "snapshot_answers", ("response",), old["id"])
        if pairs is None or answers is None:
            continue
        new = (
            hashes.of_answers([_answer(row) for row in answers], policy)
            if answers
            else hashes.of_pairs([_pair(row) for row in pairs], policy)
        )
        home.map("snapshots", old["id"], new)
        if home.conn.execute("SELECT 1 FROM main.snapshots WHERE id = ?", (new,)).fetchone():
            continue
        home.insert("snapshots", {**old, "id": new, "source": _source(home, str(old["source"]))})
        for table, rows in (("snapshot_pairs", pairs), ("snapshot_answers", answers)):
            for row in rows:
                home.insert(table, {**row, "snapshot": new})


def _translated(
    home: Bringing, table: str, responses: Sequence[str], snapshot: object
) -> list[dict[str, object]] | None:
    """The rows of a snapshot with the ids and numbers of here; None where a vote of theirs did not come along."""
    votes = dict(
        home.conn.execute(
            f"""SELECT DISTINCT j.value, k.new FROM other.{table} x JOIN json_each(x.votes) j
            LEFT JOIN temp.map_votes k ON k.old = j.value WHERE x.snapshot = ?""", (snapshot,),
        ).fetchall()
    )  # fmt: skip
    if None in votes.values():
        return None
    ids = ", ".join(f"{response_here(column)} AS {column}" for column in responses)
    kept = "part, prompt, votes" + (", agreement, margin" if table == "snapshot_pairs" else ", good")
    cursor = home.conn.execute(
        f"SELECT position, {kept}, {ids} FROM other.{table} x WHERE snapshot = ? ORDER BY position",
        (snapshot,),
    )
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return [{**row, "votes": json.dumps([votes[v] for v in json.loads(row["votes"])])} for row in rows]


def _pair(row: Mapping[str, object]) -> PreferencePair:
    votes = tuple(json.loads(str(row["votes"])))
    return PreferencePair(
        str(row["prompt"]), str(row["chosen"]), str(row["rejected"]), votes, 1.0, Split(str(row["part"]))
    )


def _answer(row: Mapping[str, object]) -> SnapshotAnswer:
    votes = tuple(json.loads(str(row["votes"])))
    return SnapshotAnswer(
        str(row["prompt"]), str(row["response"]), bool(row["good"]), votes, Split(str(row["part"]))
    )


def _source(home: Bringing, source: str) -> str:
    """Where a snapshot's rows come from, its campaigns by their names here."""
    kind, _, names = source.partition(":")
    if kind != "votes":
        return source
    return "votes:" + ",".join(str(_name_here(home, "campaigns", name)) for name in names.split(","))


def _name_here(home: Bringing, table: str, name: object) -> object:
    """What something of this name in the other home is called here; the name itself where it is nothing of the kind."""
    row = home.conn.execute(
        f"""SELECT h.name FROM other.{table} x JOIN temp.map_{table} k ON k.old = x.id
        JOIN main.{table} h ON h.id = k.new WHERE x.name = ?""", (name,),
    ).fetchone()  # fmt: skip
    return row[0] if row else name


def bring_runs(home: Bringing, new_campaigns: Sequence[object]) -> None:
    """The runs that ended there, with what they measured; models and campaigns then name the run they come from."""
    for old in home.rows("runs"):
        model = home.conn.execute(
            """SELECT h.id, h.run FROM other.models x JOIN temp.map_models k ON k.old = x.id
            JOIN main.models h ON h.id = k.new WHERE x.run = ?""", (old["id"],),
        ).fetchone()  # fmt: skip
        snapshot = home.new("snapshots", old["snapshot"])
        if old["status"] == RunStatus.RUNNING or snapshot is None:
            continue
        for name in home.names(old["name"]):
            here = home.here("runs", name)
            if here is None or (here["snapshot"], here["started_at"]) == (snapshot, old["started_at"]):
                break
        if here is not None:
            home.map("runs", old["id"], here["id"])
        elif model is None or model[1] is None:
            number = home.insert("runs", _run_here(home, old, name, snapshot))
            home.map("runs", old["id"], number)
            home.renamed("run", old, name)
            if model is not None:
                home.conn.execute("UPDATE main.models SET run = ? WHERE id = ?", (number, model[0]))
    home.bring(
        "run_metrics", {"run": by("runs", "run")}, where="x.run IN (SELECT old FROM temp.map_runs)", order="1"
    )
    home.conn.executemany(
        """UPDATE main.campaigns SET parent_run = (SELECT r.new FROM temp.map_campaigns k
        JOIN other.campaigns x ON x.id = k.old JOIN temp.map_runs r ON r.old = x.parent_run WHERE k.new = main.campaigns.id)
        WHERE id = ?""", ((number,) for number in new_campaigns),
    )  # fmt: skip


def _run_here(home: Bringing, old: Mapping[str, object], name: str, snapshot: object) -> dict[str, object]:
    """A run's row with what it names by the names and numbers of here; its process and its job are the other home's."""
    settings = json.loads(str(old["settings"]))
    for key, table in (("reference", "models"), ("against", "models"), ("like", "runs")):
        if key in settings:
            settings[key] = _name_here(home, table, settings[key])
    row = {k: v for k, v in old.items() if k != "id"}
    return row | {
        "name": name, "parent": home.new("models", old["parent"]), "snapshot": snapshot,
        "campaign": home.new("campaigns", old["campaign"]), "job": None, "pid": None, "pid_started": None,
        "rematch": old["rematch"] and _name_here(home, "campaigns", old["rematch"]),
        "folder": _folder_here(home, str(old["folder"]), name), "settings": json.dumps(settings),
    }  # fmt: skip


def _folder_here(home: Bringing, folder: str, name: str) -> str:
    """Where a run's folder lies here: around its model, where that was copied; else where a run of this name has it."""
    for there, here in home.places.items():
        inner = there.removeprefix(f"{folder}/")
        if inner != there and here.endswith(f"/{inner}"):
            return here.removesuffix(f"/{inner}")
    return f"runs/{name}"
