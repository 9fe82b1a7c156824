"""Write a home of every schema step as SQL: `python -m tests.eras.make`.

A file that is there is never written again: it is what homes of that time look like, whatever becomes of the migrations
since. Each holds what its step could hold: votes of every kind, undone, imported and cut off ones, a rater left out, a run.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlite_utils import Database

from db.connection import APPLICATION_ID
from db.entities.catalog import Prompt, Response, Split, content_id
from db.migrations import migrations

FOLDER = Path(__file__).parent
THEN = "2025-06-01T10:00:00.000Z"
LATER = "2999-01-01T00:00:00.000Z"


def asked() -> list[Prompt]:
    """Three prompts that train and one that does not."""
    texts = ("Why is the sky blue?", "Name a river.", "How long is a day?", "What is held out?")
    splits = (Split.TRAIN, Split.TRAIN, Split.TRAIN, Split.HELDOUT)
    return [Prompt.of([{"role": "user", "content": t}], s) for t, s in zip(texts, splits, strict=True)]


def answers(prompt: Prompt) -> tuple[Response, Response]:
    """What the two models said."""
    return (Response.of(prompt.id, "north", f"A long answer to {prompt.text}"),
            Response.of(prompt.id, "south", f"No. {prompt.text}"))  # fmt: skip


def m001(db: sqlite3.Connection) -> None:
    db.execute(
        "INSERT INTO imports(kind, source, read, added, started_at, finished_at) VALUES ('prompts', 'a.jsonl', 4, 4, ?, ?)",
        (THEN, THEN),
    )
    db.executemany(
        "INSERT INTO models(name, kind, created_at) VALUES (?, 'recorded', ?)",
        [("north", THEN), ("south", THEN)],
    )
    db.execute("INSERT INTO prompt_sets(name, created_at) VALUES ('asked', ?)", (THEN,))
    for p in asked():
        db.execute(
            "INSERT INTO prompts(id, messages, text, split, created_at) VALUES (?, ?, ?, ?, ?)",
            (p.id, json.dumps(p.messages), p.text, p.split, THEN),
        )
        db.execute("INSERT INTO prompt_tags VALUES (?, 'geography')", (p.id,))
        db.execute("INSERT INTO prompt_refs VALUES (?, ?)", (p.text[:5], p.id))
        db.execute("INSERT INTO prompt_set_members VALUES (1, ?)", (p.id,))
        for model, r in enumerate(answers(p), 1):
            db.execute(
                "INSERT INTO responses(id, prompt, model, text, created_at) VALUES (?, ?, ?, ?, ?)",
                (r.id, p.id, model, r.text, THEN),
            )
            db.execute(
                "INSERT INTO scores VALUES (?, 'judge of length', ?, 0, ?)", (r.id, len(r.text or ""), THEN)
            )
    db.execute("INSERT INTO settings VALUES ('reward_model', 'someone/model')")
    db.execute("INSERT INTO audit(at, who, what) VALUES (?, 'owner', 'began')", (THEN,))


def m002(db: sqlite3.Connection) -> None:
    db.execute(
        """INSERT INTO campaigns(name, prompts, status, purpose, overlap, criteria, lineage, created_at)
        VALUES ('first', 'asked', 'open', 'collect', 2, '["polite"]', 1, ?)""",
        (THEN,),
    )
    db.execute(
        "INSERT INTO campaigns(name, prompts, status, purpose, lineage, created_at) VALUES ('check', 'heldout', 'closed', 'evaluate', 2, ?)",
        (THEN,),
    )
    db.executemany(
        "INSERT INTO campaign_models VALUES (?, ?, ?)", [(1, 0, 1), (1, 1, 2), (2, 0, 1), (2, 1, 2)]
    )
    for p in asked():
        a, b = answers(p)
        campaigns = (2,) if p.split is Split.HELDOUT else (1,)
        for campaign in campaigns:
            db.execute(
                "INSERT INTO battles(campaign, prompt, response_a, response_b, model_a, model_b) VALUES (?, ?, ?, ?, 1, 2)",
                (campaign, p.id, a.id, b.id),
            )
    db.executemany(
        "INSERT INTO raters(name, kind, external, created_at) VALUES (?, ?, ?, ?)",
        [("owl", "person", None, THEN), ("fox", "simulated", None, THEN), ("elk", "person", "P-1", THEN)],
    )
    db.execute(
        "INSERT INTO rater_decisions(rater, counted, reason, at) VALUES (3, 0, 'answered blindly', ?)",
        (THEN,),
    )
    for rater in (1, 2, 3):
        db.execute(
            "INSERT INTO seats(rater, campaign, lineage, token_hash, token_used, created_at) VALUES (?, 1, 1, ?, 1, ?)",
            (rater, f"hash {rater}", THEN),
        )
        db.execute(
            "INSERT INTO sessions(token_hash, seat, role, created_at, expires_at) VALUES (?, ?, 'rater', ?, ?)",
            (f"session {rater}", rater, THEN, LATER),
        )
    db.execute("UPDATE seats SET session = id")
    db.execute(
        "INSERT INTO owner_tokens(token_hash, created_at, expires_at) VALUES ('token', ?, ?)", (THEN, LATER)
    )
    for n, (rater, battle) in enumerate([(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1), (2, 3)]):
        db.execute(
            "INSERT INTO assignments(id, battle, rater, left_is, lent_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
            (f"assignment-number-{n:04}", battle, rater, "ab"[n % 2], THEN, LATER),
        )


def m003(db: sqlite3.Connection) -> None:
    """Six of the seven ballots are voted on, one vote is undone; an import of two votes, and one that was cut off."""
    for n, (rater, battle, outcome) in enumerate(
        [(1, 1, "a"), (1, 2, "b"), (1, 3, "skip"), (2, 1, "tie"), (2, 2, "b"), (3, 1, "a")]
    ):
        db.execute(
            """INSERT INTO votes(receipt, assignment, campaign, battle, rater, outcome, key, body, strength, tags_a,
            comment, elapsed_ms, created_at) VALUES (?, ?, 1, ?, ?, ?, ?, '{}', 'clear', '["kind"]', 'as it is', 4200, ?)""",
            (f"receipt {n}", f"assignment-number-{n:04}", battle, rater, outcome, f"key {n}", THEN),
        )
    db.execute("INSERT INTO retractions(vote, created_at) VALUES (2, ?)", (THEN,))
    db.execute(
        "INSERT INTO imports(kind, source, campaign, read, added, started_at, finished_at) VALUES ('votes', 'v.jsonl', 2, 1, 1, ?, ?)",
        (THEN, THEN),
    )
    db.execute(
        "INSERT INTO imports(kind, source, campaign, started_at) VALUES ('votes', 'cut off.jsonl', 2, ?)",
        (THEN,),
    )
    for receipt, rater, source in (("imported", 1, 2), ("cut off", 2, 3)):
        db.execute(
            "INSERT INTO votes(receipt, campaign, battle, rater, outcome, import, created_at) VALUES (?, 2, 4, ?, 'a', ?, ?)",
            (receipt, rater, source, THEN),
        )
    db.execute("INSERT INTO vote_counts VALUES (2, 1, 2, 1, 'a', 1)")
    db.execute("UPDATE battle_cover SET votes = votes + 1 WHERE battle = 4")
    db.execute("UPDATE campaign_sizes SET votes = votes + 1 WHERE campaign = 2")


def m004(db: sqlite3.Connection) -> None:
    p = asked()[0]
    a, b = answers(p)
    pairs = [(p.id, a.id, b.id, (1,))]
    policy = {"kind": "vote"}
    snapshot = content_id("snapshot", policy, pairs)
    db.execute("INSERT INTO pair_sets(name, source, created_at) VALUES ('ranked', 'by length', ?)", (THEN,))
    db.execute(
        "INSERT INTO pairs(pair_set, prompt, chosen, rejected) VALUES (1, ?, ?, ?)", (p.id, a.id, b.id)
    )
    db.execute(
        "INSERT INTO snapshots VALUES (?, 'votes:first', ?, 1, 0, ?)", (snapshot, json.dumps(policy), THEN)
    )
    db.execute(
        """INSERT INTO snapshot_pairs(snapshot, position, part, prompt, chosen, rejected, votes, agreement)
        VALUES (?, 0, 'train', ?, ?, ?, '[1]', 1.0)""",
        (snapshot, p.id, a.id, b.id),
    )
    db.execute(
        "INSERT INTO jobs(command, status, exit_code, created_at, started_at, finished_at) VALUES ('[\"train\", \"dpo\"]', 'succeeded', 0, ?, ?, ?)",
        (THEN, THEN, THEN),
    )
    db.execute(
        """INSERT INTO runs(name, kind, parent, snapshot, campaign, job, status, folder, settings, metrics, started_at, finished_at)
        VALUES ('first-r1', 'dpo', 1, ?, 1, 1, 'succeeded', 'runs/first-r1', '{}', '{"loss": 0.6}', ?, ?)""",
        (snapshot, THEN, THEN),
    )
    db.execute(
        "INSERT INTO models(name, kind, parent, run, created_at) VALUES ('first-r1', 'recorded', 1, 1, ?)",
        (THEN,),
    )
    db.execute("INSERT INTO run_metrics VALUES (1, 1, 3, 'loss', 0.69)")
    db.execute("INSERT INTO promotions(model, reason, at) VALUES (3, 'better', ?)", (THEN,))


def m005(db: sqlite3.Connection) -> None:
    a, b = answers(asked()[1])
    db.execute("INSERT INTO item_refs VALUES ('item-1', ?, ?)", (a.id, b.id))


def m006(db: sqlite3.Connection) -> None:
    db.execute("UPDATE campaigns SET scanned_at = ?", (THEN,))
    p = Prompt.of([{"role": "user", "content": "Two and two?"}], Split.TRAIN)
    right, wrong = Response.of(p.id, "north", "Four."), Response.of(p.id, "south", "Five.")
    db.execute(
        "INSERT INTO prompts(id, messages, text, split, created_at) VALUES (?, ?, ?, 'train', ?)",
        (p.id, json.dumps(p.messages), p.text, THEN),
    )
    for model, r in ((1, right), (2, wrong)):
        db.execute(
            "INSERT INTO responses(id, prompt, model, text, created_at) VALUES (?, ?, ?, ?, ?)",
            (r.id, p.id, model, r.text, THEN),
        )
    db.execute(
        "INSERT INTO battles(campaign, prompt, response_a, response_b, model_a, model_b) VALUES (1, ?, ?, ?, 1, 2)",
        (p.id, right.id, wrong.id),
    )
    db.execute("INSERT INTO gold_pairs VALUES (5, 'a', 'file', ?)", (THEN,))
    db.execute(
        """INSERT INTO assignments(id, battle, rater, left_is, lent_at, expires_at, kind)
        VALUES ('assignment-that-checks', 5, 1, 'a', ?, ?, 'gold')""",
        (THEN, LATER),
    )
    db.execute(
        "INSERT INTO votes(receipt, assignment, campaign, battle, rater, outcome, created_at) VALUES ('checked', 'assignment-that-checks', 1, 5, 1, 'a', ?)",
        (THEN,),
    )
    db.execute(
        "INSERT INTO battle_findings(battle, slot, kind, what, found_at) VALUES (3, 'a', 'identity', 'north', ?)",
        (THEN,),
    )
    db.execute("INSERT INTO adjudications(battle, outcome, who, at) VALUES (1, 'a', 'owner', ?)", (THEN,))
    db.execute(
        "INSERT INTO open_links(campaign, token_hash, seats, created_at) VALUES (1, 'open', 5, ?)", (THEN,)
    )
    db.execute("INSERT INTO withdrawals VALUES (3, ?)", (THEN,))
    db.execute("UPDATE votes SET comment = NULL WHERE rater = 3")
    db.execute(
        "INSERT INTO notices(subject, kind, text, at) VALUES ('job:1', 'job_ended', 'done', ?)", (THEN,)
    )


def m007(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO run_jobs VALUES (1, 1)")


def m008(db: sqlite3.Connection) -> None:
    db.execute(
        "INSERT INTO promotions(model, reason, at, way, who) VALUES (1, 'again', ?, 'hand', 'owner')", (THEN,)
    )
    db.execute("INSERT INTO rollbacks(promotion, who, at) VALUES (2, 'owner', ?)", (THEN,))


def m009(db: sqlite3.Connection) -> None:
    db.execute(
        "INSERT INTO sweeps(name, kind, parent, snapshot, command, created_at) SELECT 'rates', 'dpo', 1, id, '[]', ? FROM snapshots",
        (THEN,),
    )
    db.execute("INSERT INTO sweep_runs VALUES (1, 0, 'first-r1', '{}', NULL)")


def m010(db: sqlite3.Connection) -> None:
    """A machine's comparison and its verdict on a battle that people meet too."""
    a, b = sorted(r.id for r in answers(asked()[2]))
    db.execute("INSERT INTO raters(name, kind, created_at) VALUES ('length', 'judge', ?)", (THEN,))
    db.execute("INSERT INTO judges(rater, kind, model) VALUES (4, 'length', 'length')")
    db.execute(
        "INSERT INTO comparisons(judge, prompt, response_a, response_b, outcome, details, created_at) VALUES (4, ?, ?, ?, 'a', '{}', ?)",
        (asked()[2].id, a, b, THEN),
    )
    db.execute(
        "INSERT INTO imports(kind, source, campaign, read, added, started_at, finished_at) VALUES ('verdicts', 'length', 1, 1, 1, ?, ?)",
        (THEN, THEN),
    )
    db.execute(
        "INSERT INTO votes(receipt, campaign, battle, rater, outcome, import, created_at) VALUES ('verdict', 1, 3, 4, 'a', 4, ?)",
        (THEN,),
    )
    db.execute("INSERT INTO vote_counts VALUES (1, 1, 2, 4, 'a', 1)")
    counts = "EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'covering_votes' AND sql NOT LIKE '%judge%')"
    db.execute(f"UPDATE battle_cover SET votes = votes + 1 WHERE battle = 3 AND {counts}")
    db.execute(f"UPDATE campaign_sizes SET votes = votes + 1 WHERE campaign = 1 AND {counts}")


def m012(db: sqlite3.Connection) -> None:
    db.execute(
        """INSERT INTO live_turns(id, campaign, rater, messages, model_a, model_b, chance, among, seed, asked_at, ended)
        VALUES ('a-turn-that-was-given-up', 1, 1, '[]', 1, 2, 1.0, 1, 7, ?, 'given_up')""",
        (THEN,),
    )


FILLED: dict[str, Callable[[sqlite3.Connection], None]] = {
    step.__name__: step for step in (m001, m002, m003, m004, m005, m006, m007, m008, m009, m010, m012)
}


def names() -> list[str]:
    """Every schema step, in order."""
    return [m.name for m in migrations.pending(Database(memory=True))]


def dump(db: sqlite3.Connection) -> Iterator[str]:
    """The database as statements: tables, rows, then what would act on rows."""
    hidden = "name NOT LIKE 'prompts_fts_%' AND name NOT LIKE 'sqlite_%'"
    schema = db.execute(
        f"SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND {hidden} ORDER BY rowid"
    ).fetchall()
    for kind, name, sql in schema:
        if kind == "table":
            yield sql
            if name == "prompts_fts":
                continue
            for row in db.execute(f'SELECT * FROM "{name}"').fetchall():
                values = ", ".join(db.execute("SELECT quote(?)", (value,)).fetchone()[0] for value in row)
                yield f'INSERT INTO "{name}" VALUES ({values})'
    yield "INSERT INTO prompts_fts(prompts_fts) VALUES ('rebuild')"
    for kind in ("index", "view", "trigger"):
        yield from (sql for found, _, sql in schema if found == kind)
    yield f"PRAGMA application_id={APPLICATION_ID}"


def main() -> None:
    """Write the files that are missing: each step's rows go in through the schema of that step."""
    steps = names()
    for number, name in enumerate(steps):
        file = FOLDER / f"{name}.sql"
        if file.exists():
            continue
        db = Database(memory=True)
        db.conn.execute("PRAGMA recursive_triggers=ON")
        after = steps[number + 1] if number + 1 < len(steps) else None
        migrations.apply(db, **({"stop_before": after} if after else {}))
        for step in steps[: number + 1]:
            if fill := FILLED.get(step.partition("_")[0]):
                fill(db.conn)
        db.conn.commit()
        db.conn.execute("UPDATE _sqlite_migrations SET applied_at = ?", (THEN,))
        file.write_text(";\n--\n".join(dump(db.conn)) + ";\n", encoding="utf-8")
        print(file.name)


if __name__ == "__main__":
    main()
