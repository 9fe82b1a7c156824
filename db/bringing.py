"""What bringing one home's rows into another stands on: how a table is copied, which number is which, which names are free."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlite_utils import Database

MAPS = ("models", "campaigns", "raters", "battles", "imports", "prompt_sets", "pair_sets", "runs", "votes")
"""tables whose row numbers differ from home to home"""
TEXT_MAPS = ("responses", "snapshots")
"""tables whose ids are texts, which are another one here where what they are made of is"""


@dataclass
class Combined:
    """What came in, what was there already, what had to take another name (noun, old name, new name), what stays there."""

    added: dict[str, int] = field(default_factory=dict)
    already_there: dict[str, int] = field(default_factory=dict)
    renamed: list[tuple[str, str, str]] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)


def by(table: str, column: str) -> str:
    """The number here of what a column of the other home names."""
    return f"(SELECT new FROM temp.map_{table} WHERE old = x.{column})"


def response_here(column: str) -> str:
    """The id here of a response: another one only where its model took another name."""
    return f"coalesce((SELECT new FROM temp.map_responses WHERE old = x.{column}), x.{column})"


class Bringing:
    """One combination; the other database is attached as `other`."""

    def __init__(self, db: Database, label: str, places: Mapping[str, str]) -> None:
        self.conn, self.label, self.places = db.conn, label, places
        self.db, self.done = db, Combined()
        for table in MAPS:
            self.conn.execute(
                f"CREATE TEMP TABLE map_{table} (old INTEGER PRIMARY KEY, new INTEGER NOT NULL)"
            )
        for table in TEXT_MAPS:
            self.conn.execute(f"CREATE TEMP TABLE map_{table} (old TEXT PRIMARY KEY, new TEXT NOT NULL)")

    def bring(
        self, table: str, how: Mapping[str, str] | None = None, where: str = "1", order: str = "x.rowid"
    ) -> None:  # fmt: skip
        """Copy the rows of a table, `how` saying what stands in a column instead; those there already add nothing."""
        found = self.conn.execute(f"SELECT name, type FROM pragma_table_info('{table}', 'main')")
        columns = [str(name) for name, kind in found if not (name in ("id", "number") and kind == "INTEGER")]
        values = ", ".join((how or {}).get(column, f"x.{column}") for column in columns)
        self.conn.execute(
            f"INSERT INTO main.{table}({', '.join(columns)}) SELECT {values} FROM other.{table} x "
            f"WHERE {where} ORDER BY {order} ON CONFLICT DO NOTHING"
        )

    def insert(self, table: str, row: Mapping[str, object]) -> int:
        """Add a row here; its number."""
        marks = ", ".join("?" * len(row))
        made = self.conn.execute(
            f"INSERT INTO main.{table}({', '.join(row)}) VALUES ({marks})", [*row.values()]
        )
        return int(made.lastrowid or 0)

    def rows(self, table: str) -> Iterator[dict[str, object]]:
        """The other home's rows, oldest first."""
        cursor = self.conn.execute(f"SELECT * FROM other.{table} ORDER BY id")
        names = [column[0] for column in cursor.description]
        return (dict(zip(names, row, strict=True)) for row in cursor.fetchall())

    def here(self, table: str, name: str) -> dict[str, object] | None:
        """The row of this name here."""
        cursor = self.conn.execute(f"SELECT * FROM main.{table} WHERE name = ?", (name,))
        names, row = [column[0] for column in cursor.description], cursor.fetchone()
        return None if row is None else dict(zip(names, row, strict=True))

    def map(self, table: str, old: object, new: object) -> None:
        """Remember what a row of the other home is here."""
        self.conn.execute(f"INSERT INTO temp.map_{table} VALUES (?, ?)", (old, new))

    def new(self, table: str, old: object) -> object:
        """What a row of the other home is here; None where it did not come."""
        row = self.conn.execute(f"SELECT new FROM temp.map_{table} WHERE old IS ?", (old,)).fetchone()
        return row[0] if row else None

    def names(self, name: object) -> Iterator[str]:
        """What something of the other home may be called here, in order of preference."""
        yield str(name)
        yield f"{name}@{self.label}"
        number = 2
        while True:
            yield f"{name}@{self.label}-{number}"
            number += 1

    def renamed(self, noun: str, row: Mapping[str, object], name: str) -> None:
        """Tell of a name that another one has here."""
        if row["name"] != name:
            self.done.renamed.append((noun, str(row["name"]), name))
