"""How often each of many things was seen, counted in a file of its own that is gone when the program ends."""

import sqlite3

CACHE = 16 * 1024
"""KiB of the counts that are held in memory"""


class Times:
    """Counts keys of hexadecimal digits: in bounded memory, however many there are."""

    def __init__(self) -> None:
        self._conn = sqlite3.connect("", isolation_level=None)  # SQLite's own temporary file
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{CACHE}"):
            self._conn.execute(f"PRAGMA {pragma}")
        self._conn.execute(
            "CREATE TABLE seen(key BLOB PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID"
        )
        self._conn.execute("BEGIN")  # never ended: nothing of it is kept

    def nth(self, key: str) -> int:
        """How often this key was asked for, this time included."""
        row = self._conn.execute(
            "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n",
            (bytes.fromhex(key),),
        ).fetchone()
        return int(row[0])

    def close(self) -> None:
        """Forget everything."""
        self._conn.close()
