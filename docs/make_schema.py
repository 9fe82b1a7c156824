"""Write docs/schema.md from the migrations: `python -m docs.make_schema`. A test keeps it true."""

import re
from pathlib import Path

from sqlite_utils import Database

from db.migrations import migrations

TARGET = Path(__file__).parent / "schema.md"
HEAD = """# The database of a home

Made from the migrations by `python -m docs.make_schema`; do not edit. Any SQLite tool reads `arena.db`
(open it read-only while the server runs). The view most people want is `vote_pairs`.
"""


def schema_text() -> str:
    """The document: every table, view, index and trigger of a fresh database."""
    db = Database(memory=True)
    migrations.apply(db)
    rows = db.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' "
        "AND name NOT LIKE 'prompts_fts_%' ORDER BY rowid"
    ).fetchall()
    parts = [HEAD]
    for kind, title in (
        ("table", "Tables"),
        ("view", "Views"),
        ("index", "Indexes"),
        ("trigger", "Triggers"),
    ):
        parts.append(f"## {title}\n")
        for row_kind, name, _, sql in rows:
            if row_kind == kind:
                tidy = re.sub(r"\s+\n", "\n", sql.strip())
                parts.append(f"### {name}\n\n```sql\n{tidy}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(schema_text(), encoding="utf-8")
