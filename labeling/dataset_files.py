"""The data files of an export, written while their rows come: a Parquet or CSV file a split, as `datasets` would write it.

The bytes are those of `Dataset.to_parquet` and `to_csv` on all rows at once; only where a split is larger than one row group
(GROUP bytes) do the groups end elsewhere, for the library sizes them by the whole.
"""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from labeling.tables import MESSAGES, SCORES, ExportFormat, Row, columns

AT_ONCE = 1000
"""rows that become columns together"""
GROUP = 100_000_000
"""bytes of a row group before they are packed, as in `datasets`"""


class _File(Protocol):
    """A data file that is being written."""

    def add(self, table: Any) -> None: ...  # noqa: ANN401 - a pyarrow table, which has no types

    def close(self) -> None: ...


def write_splits(folder: Path, shape: ExportFormat, rows: Iterable[tuple[str, Row]]) -> dict[str, int]:
    """One file a split, named after it, in the order in which the rows come: {split: rows}. Holds one row group at most."""
    from pyarrow import Table

    features, files = features_of(shape), dict[str, _File]()
    waiting: dict[str, list[Row]] = {}
    counted: dict[str, int] = {}

    def put(split: str) -> None:
        if split not in files:
            files[split] = _file(folder / split, shape, features)
        files[split].add(Table.from_pylist(waiting.pop(split), schema=features.arrow_schema))

    try:
        for split, row in rows:
            held = waiting.setdefault(split, [])
            held.append(row)
            counted[split] = counted.get(split, 0) + 1
            if len(held) == AT_ONCE:
                put(split)
        for split in list(waiting):
            put(split)
    finally:
        for file in files.values():
            file.close()
    return counted


def _file(path: Path, shape: ExportFormat, features: Any) -> _File:  # noqa: ANN401 - datasets has no types
    return _Csv(path) if shape is ExportFormat.CSV else _Parquet(path, features)


class _Parquet:
    """Tables are gathered until they fill a row group."""

    def __init__(self, path: Path, features: Any) -> None:  # noqa: ANN401
        from datasets.arrow_writer import get_parquet_column_options
        from datasets.config import DEFAULT_CDC_OPTIONS
        from pyarrow import parquet

        schema = features.arrow_schema
        self._writer = parquet.ParquetWriter(
            path, schema=schema, use_content_defined_chunking=DEFAULT_CDC_OPTIONS, write_page_index=True,
            **get_parquet_column_options(features, schema),
        )  # fmt: skip
        self._chunking = json.dumps(DEFAULT_CDC_OPTIONS)
        self._tables: list[Any] = []
        self._bytes = 0

    def add(self, table: Any) -> None:  # noqa: ANN401
        self._tables.append(table)
        self._bytes += table.nbytes
        if self._bytes >= GROUP:
            self._put()

    def _put(self) -> None:
        from pyarrow import concat_tables

        if self._tables:
            self._writer.write_table(concat_tables(self._tables))
        self._tables, self._bytes = [], 0

    def close(self) -> None:
        self._put()
        self._writer.add_key_value_metadata({"content_defined_chunking": self._chunking})
        self._writer.close()


class _Csv:
    """Each table goes out at once; the first one with the names of the columns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def add(self, table: Any) -> None:  # noqa: ANN401
        frame = table.to_pandas(integer_object_nulls=True)
        begins = self._file.tell() == 0
        self._file.write(
            frame.to_csv(None, header=begins, index=False, quoting=csv.QUOTE_NONNUMERIC).encode()
        )

    def close(self) -> None:
        self._file.close()


def features_of(shape: ExportFormat):  # type: ignore[no-untyped-def]  # noqa: ANN201 - datasets has no types
    """The columns of a format with their types."""
    import datasets

    def feature(kind: str) -> object:
        if kind == MESSAGES:
            return datasets.List({"role": datasets.Value("string"), "content": datasets.Value("string")})
        if kind == SCORES:
            return datasets.List(
                {"judge": datasets.Value("string"), "scores": datasets.List(datasets.Value("float64"))}
            )
        return datasets.List(datasets.Value(kind[:-2])) if kind.endswith("[]") else datasets.Value(kind)

    return datasets.Features({name: feature(kind) for name, kind in columns(shape).items()})
