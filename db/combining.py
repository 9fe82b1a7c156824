"""Bringing one home's prompts, answers, campaigns, raters, votes and runs into another.

Content goes by its id, a row of its own by its name: what is the same there and here is one; where only the name is the
same, the other's comes in as NAME@LABEL. The other database is attached; everything happens in one transaction.
"""

from collections.abc import Mapping
from pathlib import Path

from sqlite_utils import Database

from db.bringing import MAPS, TEXT_MAPS, Bringing, Combined, by, response_here
from db.combining_runs import Hashes, bring_runs, bring_snapshots
from db.connection import transaction
from db.entities.campaigns import FROZEN
from db.entities.catalog import content_id
from db.errors import Conflict
from db.imports import count_import
from db.upkeep import problems

COUNTED = ("prompts", "responses", "models", "campaigns", "battles", "raters", "votes", "snapshots", "runs")
STAYS = ("snapshots", "runs", "seats", "promotions", "owners", "chats")
"""of these some or all stay in the other home alone"""


def combine(db: Database, other: Path, label: str, places: Mapping[str, str], hashes: Hashes) -> Combined:
    """Bring in the database at `other`, of this very version. `places`: {where a model lies there: where it lies here}.

    Conflict where a prompt is held out in one home and may train in the other, or where afterwards something would
    contradict itself; nothing has changed then.
    """
    db.conn.execute("ATTACH DATABASE ? AS other", (str(other),))
    try:
        with transaction(db):
            _refuse_other_splits(db)
            before = {table: _count(db, table) for table in COUNTED}
            done = _Everything(db, label, places).bring_all(hashes)
            for table in COUNTED:
                done.added[table] = _count(db, table) - before[table]
                done.already_there[table] = (
                    _count(db, table, "other") - done.added[table] - done.left.get(table, 0)
                )
            if wrong := list(problems(db)):
                raise Conflict(f"together they would not be sound: {wrong[0]}", "run `check` on both homes")
    finally:
        for table in (*MAPS, *TEXT_MAPS):
            db.conn.execute(f"DROP TABLE IF EXISTS temp.map_{table}")
        db.conn.execute("DETACH DATABASE other")
    return done


def _count(db: Database, table: str, home: str = "main") -> int:
    return int(db.conn.execute(f"SELECT count(*) FROM {home}.{table}").fetchone()[0])


def _refuse_other_splits(db: Database) -> None:
    """A held-out prompt measures only because nothing learned from it, in either home."""
    rows = db.conn.execute(
        """SELECT p.text FROM main.prompts p JOIN other.prompts o ON o.id = p.id WHERE o.split <> p.split"""
    ).fetchall()
    if rows:
        raise Conflict(
            f"{len(rows)} prompts are held out in one home and train in the other, such as {rows[0][0][:60]!r}",
            "these homes cannot be combined: what one trained on, the other measures with",
        )


class _Everything(Bringing):
    """One combination, table by table, parents first."""

    def bring_all(self, hashes: Hashes) -> Combined:
        """Bring what can be brought; the rest is counted."""
        self._prompts()
        self._models()
        self._responses()
        self._raters()
        self._campaigns()
        self._battles()
        self._votes()
        self._said_of_battles()
        self._machines()
        self._pair_sets()
        bring_snapshots(self, hashes)
        bring_runs(self, self._new_campaigns)
        came = {t: _count(self.db, f"map_{t}", "temp") for t in ("snapshots", "runs")}
        self.done.left = {t: _count(self.db, t, "other") - came.get(t, 0) for t in STAYS}
        return self.done

    # -- what is compared ----------------------------------------------------------------------------------------

    def _prompts(self) -> None:
        self.bring("prompts", order="x.number")
        for table in ("prompt_tags", "prompt_refs"):
            self.bring(table, order="1")
        self._by_name("prompt_sets")
        self.bring("prompt_set_members", {"prompt_set": by("prompt_sets", "prompt_set")}, order="1")

    def _by_name(self, table: str) -> None:
        """Sets of the same name are one."""
        self.bring(table)
        self.conn.execute(
            f"INSERT INTO temp.map_{table} SELECT x.id, h.id FROM other.{table} x JOIN main.{table} h ON h.name = x.name"
        )

    def _models(self) -> None:
        said = ("kind", "source", "adapter", "quantize", "endpoint", "remote_name")
        for old in self.rows("models"):
            row = {k: v for k, v in old.items() if k != "id"}
            row |= {k: self.places.get(str(old[k]), old[k]) for k in ("source", "adapter")}
            row |= {"parent": self.new("models", old["parent"]), "run": None}
            for name in self.names(old["name"]):
                here = self.here("models", name)
                if here is None or all(here[k] == row[k] for k in said):
                    break
            self.map(
                "models", old["id"], here["id"] if here else self.insert("models", {**row, "name": name})
            )
            self.renamed("model", old, name)

    def _responses(self) -> None:
        """A response's id is made of its model's name, so those of a model that took another name get another id."""
        rows = self.conn.execute(
            """SELECT r.id, r.prompt, h.name, r.sample, r.text FROM other.responses r JOIN other.models m ON m.id = r.model
            JOIN temp.map_models k ON k.old = m.id JOIN main.models h ON h.id = k.new WHERE h.name <> m.name"""
        ).fetchall()
        self.conn.executemany(
            "INSERT INTO temp.map_responses VALUES (?, ?)",
            ((old, content_id("response", *parts)) for old, *parts in rows),
        )
        self.bring(
            "responses",
            {"id": response_here("id"), "model": by("models", "model")},
            order="x.number",
        )
        both = {"response_a": response_here("response_a"), "response_b": response_here("response_b")}
        self.bring("item_refs", both, order="1")

    # -- who judged what -----------------------------------------------------------------------------------------

    def _raters(self) -> None:
        for old in self.rows("raters"):
            known = self._judge_here(old)
            for name in (known,) if known else self.names(old["name"]):
                here = self.here("raters", name)
                if here is None or self._same_rater(old, here):
                    break
            row = {k: v for k, v in old.items() if k != "id"} | {"name": name}
            self.map("raters", old["id"], here["id"] if here else self.insert("raters", row))
            if not known:
                self.renamed("rater", old, name)
        self.bring("rater_decisions", {"rater": by("raters", "rater")}, where=f"""NOT EXISTS (
            SELECT 1 FROM main.rater_decisions d WHERE d.rater = {by("raters", "rater")} AND d.at = x.at)""")  # fmt: skip

    def _same_rater(self, there: Mapping[str, object], here: Mapping[str, object]) -> bool:
        """Whether two raters of one name are one: the same row, the same machine, or a name that only files gave."""
        if there["kind"] != here["kind"]:
            return False
        if there["kind"] == "judge":
            return self._judge("other", there) == self._judge("main", here)
        if there["created_at"] == here["created_at"]:
            return True
        return not (self._rates("other", there) or self._rates("main", here))

    def _judge(self, home: str, rater: Mapping[str, object]) -> object:
        found = f"SELECT kind, model, prompt_version FROM {home}.judges WHERE rater = ?"
        return self.conn.execute(found, (rater["id"],)).fetchone()

    def _judge_here(self, rater: Mapping[str, object]) -> str | None:
        """What the very judge of the other home is called here, by what it is made of; None where it is not here."""
        found = """SELECT h.name FROM other.judges j JOIN main.judges m USING (kind, model, prompt_version)
            JOIN main.raters h ON h.id = m.rater WHERE j.rater = ?"""
        row = self.conn.execute(found, (rater["id"],)).fetchone()
        return str(row[0]) if row else None

    def _rates(self, home: str, rater: Mapping[str, object]) -> bool:
        """Whether a rater ever had a seat or a ballot in a home."""
        found = f"SELECT 1 FROM {home}.seats WHERE rater = ?1 UNION ALL SELECT 1 FROM {home}.assignments WHERE rater = ?1"
        return self.conn.execute(found, (rater["id"],)).fetchone() is not None

    def _campaigns(self) -> None:
        self._new_campaigns: list[object] = []
        for old in self.rows("campaigns"):
            for name in self.names(old["name"]):
                here = self.here("campaigns", name)
                if here is None or self._same_campaign(old, here):
                    break
            if here is None:
                row = {k: v for k, v in old.items() if k != "id"}
                row |= {"name": name, "parent_run": None, "lineage": None, "previous": None}
                row |= {"status": "paused" if old["status"] == "open" else old["status"]}
                number = self.insert("campaigns", row)
                self._new_campaigns.append(number)
            self.map("campaigns", old["id"], here["id"] if here else number)
            self.renamed("campaign", old, name)
        grown = {
            c: f"(SELECT k.new FROM temp.map_campaigns k WHERE k.old = x.{c})"
            for c in ("lineage", "previous")
        }
        self.conn.executemany(
            f"""UPDATE main.campaigns SET (lineage, previous) = (SELECT {grown["lineage"]}, {grown["previous"]}
            FROM temp.map_campaigns k JOIN other.campaigns x ON x.id = k.old WHERE k.new = main.campaigns.id)
            WHERE id = ?""", ((number,) for number in self._new_campaigns))  # fmt: skip
        self.bring("campaign_models", {"campaign": by("campaigns", "campaign"), "model": by("models", "model")},
                    order="x.campaign, x.position")  # fmt: skip

    def _same_campaign(self, there: Mapping[str, object], here: Mapping[str, object]) -> bool:
        """Whether two campaigns of one name ask the same of the same models, with no battle's slots the other way round."""
        if any(there[c] != here[c] for c in FROZEN):
            return False
        models = "SELECT {0} FROM {1}.campaign_models x WHERE campaign = ? ORDER BY position"
        ours = self.conn.execute(models.format("model", "main"), (here["id"],)).fetchall()
        theirs = self.conn.execute(models.format(by("models", "model"), "other"), (there["id"],)).fetchall()
        turned = self.conn.execute(
            f"""SELECT 1 FROM other.battles x JOIN main.battles h ON h.campaign = ?2
            AND h.response_a = {response_here("response_b")} AND h.response_b = {response_here("response_a")}
            WHERE x.campaign = ?1 LIMIT 1""", (there["id"], here["id"])).fetchone()  # fmt: skip
        return ours == theirs and turned is None

    def _battles(self) -> None:
        """The battles, then which of them are check questions."""
        both = {"response_a": response_here("response_a"), "response_b": response_here("response_b")}
        models = {slot: by("models", slot) for slot in ("model_a", "model_b")}
        self.bring("battles", {"campaign": by("campaigns", "campaign"), **both, **models})
        self.conn.execute(
            f"""INSERT INTO temp.map_battles SELECT x.id, h.id FROM other.battles x JOIN main.battles h
            ON h.campaign = {by("campaigns", "campaign")} AND h.response_a = {response_here("response_a")}
            AND h.response_b = {response_here("response_b")}"""
        )
        self.bring("gold_pairs", {"battle": by("battles", "battle")},
                    where=f"{by('battles', 'battle')} NOT IN (SELECT battle FROM main.gold_pairs)")  # fmt: skip
        names = {"campaign": by("campaigns", "campaign"), "rater": by("raters", "rater"), **models}
        self.bring("live_turns", {**names, "battle": by("battles", "battle")}, order="x.asked_at")

    def _votes(self) -> None:
        """Ballots, votes and what was undone. A rater's undone votes on a battle come before the one that stands."""
        imports = self._imports()
        ballot = {"battle": by("battles", "battle"), "rater": by("raters", "rater")}
        new = "x.receipt NOT IN (SELECT receipt FROM main.votes)"
        undone = "x.id IN (SELECT vote FROM other.retractions)"
        self._undo()
        self.bring("assignments", ballot, order="x.number", where="""x.id IN (
            SELECT assignment FROM other.votes x WHERE x.receipt NOT IN (SELECT receipt FROM main.votes))
            AND x.id NOT IN (SELECT id FROM main.assignments)""")  # fmt: skip
        vote = {**ballot, "campaign": by("campaigns", "campaign"), "import": by("imports", "import")}
        finished = "(x.import IS NULL OR x.import IN (SELECT old FROM temp.map_imports))"
        for (number,) in self.conn.execute(
            f"SELECT x.id FROM other.votes x WHERE {undone} AND {new} AND {finished} ORDER BY x.id"
        ).fetchall():
            self.bring("votes", vote, where=f"x.id = {number}")
            self._undo()
        self.bring("votes", vote, where=f"{new} AND NOT {undone} AND {finished}")
        for number in imports:
            count_import(self.db, number)
        self.bring("withdrawals", {"rater": by("raters", "rater")})
        self.bring(
            "reveals", {"rater": by("raters", "rater"), "campaign": by("campaigns", "campaign")}, order="1"
        )

    def _undo(self) -> None:
        """Undo here what is undone there."""
        self.conn.execute(
            """INSERT INTO main.retractions(vote, created_at) SELECT h.id, r.created_at FROM other.retractions r
            JOIN other.votes v ON v.id = r.vote JOIN main.votes h ON h.receipt = v.receipt
            WHERE h.id NOT IN (SELECT vote FROM main.retractions) ORDER BY r.id"""
        )

    def _imports(self) -> list[int]:
        """The finished imports of votes, by what they read and when; those that are new here, whose votes count at the end."""
        new = []
        for old in self.rows("imports"):
            if old["finished_at"] is None:
                continue
            row = {k: v for k, v in old.items() if k != "id"}
            row["campaign"] = self.new("campaigns", old["campaign"])
            here = self.conn.execute("SELECT id FROM main.imports WHERE (kind, source, started_at) = (?, ?, ?)",
                                     (old["kind"], old["source"], old["started_at"])).fetchone()  # fmt: skip
            number = here[0] if here else self.insert("imports", row)
            self.map("imports", old["id"], number)
            if here is None:
                new.append(int(number))
        return new

    # -- what was said besides -----------------------------------------------------------------------------------

    def _said_of_battles(self) -> None:
        """Findings of the guard and of owners, reports that were dismissed, rulings."""
        battle = {"battle": by("battles", "battle")}
        self.bring("battle_findings", battle, where="x.kind <> 'reported'", order="1")
        self.conn.execute(
            f"""UPDATE main.battle_findings SET dismissed_at = x.dismissed_at, dismissed_by = x.dismissed_by
            FROM other.battle_findings x WHERE x.kind = 'reported' AND x.dismissed_at IS NOT NULL
            AND main.battle_findings.kind = 'reported' AND main.battle_findings.dismissed_at IS NULL
            AND main.battle_findings.battle = {by("battles", "battle")}
            AND main.battle_findings.what = CAST((SELECT new FROM temp.map_raters WHERE old = CAST(x.what AS INTEGER)) AS TEXT)"""
        )
        self.bring("adjudications", battle, where=f"""NOT EXISTS (SELECT 1 FROM main.adjudications a
            WHERE a.battle = {by("battles", "battle")} AND (a.outcome, a.who, a.at) = (x.outcome, x.who, x.at))""")  # fmt: skip

    def _machines(self) -> None:
        """Judges with what they said of responses wherever they meet."""
        judge = {"judge": by("raters", "judge")}
        self.bring("judges", {"rater": by("raters", "rater")})
        # a judge's scores stand under its name, and that may be another one here
        named = """(SELECT h.name FROM other.raters t JOIN temp.map_raters k ON k.old = t.id
            JOIN main.raters h ON h.id = k.new WHERE t.kind = 'judge' AND t.name = x.scorer)"""
        self.bring(
            "scores",
            {"response": response_here("response"), "scorer": f"coalesce({named}, x.scorer)"},
            order="1",
        )
        both = {"response_a": response_here("response_a"), "response_b": response_here("response_b")}
        there = "(SELECT 1 FROM main.{0} c WHERE c.judge = {1} AND c.created_at = x.created_at AND {2})"
        pair = f"c.response_a = {both['response_a']} AND c.response_b = {both['response_b']}"
        # where a model took another name the two ids may change their order, which the table fixes: those stay behind
        sound = f"{both['response_a']} < {both['response_b']}"
        self.bring("comparisons", {**judge, **both},
                    where=f"{sound} AND NOT EXISTS {there.format('comparisons', judge['judge'], pair)}")  # fmt: skip
        one = {"response": response_here("response")}
        same = f"c.response = {one['response']}"
        self.bring(
            "grades", {**judge, **one}, where=f"NOT EXISTS {there.format('grades', judge['judge'], same)}"
        )

    def _pair_sets(self) -> None:
        self._by_name("pair_sets")
        self.bring("pairs", {"pair_set": by("pair_sets", "pair_set"), "chosen": response_here("chosen"),
                              "rejected": response_here("rejected")})  # fmt: skip
