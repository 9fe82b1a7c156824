"""Rows of a file or a hub dataset, one after the other: JSONL, JSON, CSV and Parquet, also gzipped."""

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from db.errors import NotFound, UserError
from labeling.formats.records import Refusal, Row
from labeling.hub import dataset_rows

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+(:[\w.-]+){0,2}")
BOMS = {codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32",
        codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One row: its number for the person, and its fields, or the reason why it has none with what stood there."""

    line: int
    row: Row | None
    refusal: Refusal | None = None
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A file, or a dataset on a hub (`owner/name`, then `:split` or `:config:split` where wanted)."""

    label: str
    path: Path | None

    @property
    def stem(self) -> str:
        """What is named after it."""
        if self.path is None:
            return self.label.partition("/")[2].replace(":", "-")
        name = self.path.name.removesuffix(".gz")
        return next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), name) or "import"


def source_of(source: str) -> Source:
    """The file of this path, or else the hub dataset of this id; NotFound where it can be neither."""
    path = Path(source).expanduser()
    if path.is_dir():
        raise UserError(f"{source} is a folder", "name one file of it: JSONL, JSON, CSV or Parquet")
    if path.exists():
        return Source(source, path)
    is_file_name = path.name.removesuffix(".gz").endswith(SUFFIXES)
    if HUB_ID.fullmatch(source) and not is_file_name:
        return Source(source, None)
    raise NotFound(f"there is no file {source}", "check the path, or name a hub dataset as owner/name")


def read_rows(source: Source) -> Iterator[ReadRow]:
    """The rows in order, streamed; a row that cannot be read comes with its reason. UserError for the file as a whole."""
    if source.path is None:
        for line, row in enumerate(dataset_rows(source.label), 1):
            yield ReadRow(line, _present(row))
        return
    try:
        if source.path.stat().st_size == 0:
            raise UserError(f"{source.label} is empty", "give a file with at least one row")
        yield from _file(source.path, source.label)
    except OSError as error:  # also what gzip raises for a damaged file
        raise UserError(
            f"cannot read {source.label}: {error.strerror or error}", "check the file and its rights"
        ) from None
    except EOFError:
        raise UserError(f"{source.label} is cut off", "fetch it again") from None
    except zlib.error:
        raise UserError(f"{source.label} is damaged: it cannot be unpacked", "fetch it again") from None


def _file(path: Path, label: str) -> Iterator[ReadRow]:
    name = path.name.removesuffix(".gz").lower()
    if name.endswith(".parquet"):
        return _parquet(path, label)
    _check_utf8(path, label)
    if name.endswith((".csv", ".tsv")):
        return _csv(path, label, "\t" if name.endswith(".tsv") else ",")
    if name.endswith(".json"):
        return _json(path, label)
    if name.endswith((".jsonl", ".ndjson")):
        return _jsonl(path)
    raise UserError(
        f"{label} is none of {', '.join(SUFFIXES)}", "rename it after what it holds, or convert it"
    )


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _text(path: Path, newline: str | None = None) -> io.TextIOWrapper:
    return io.TextIOWrapper(_open(path), encoding="utf-8-sig", newline=newline)


def _check_utf8(path: Path, label: str) -> None:
    """Read it through once, so that a file in another encoding is refused before anything is stored."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    remedy = "save it as UTF-8 and import it again"
    line, blank = 1, True
    with _open(path) as file:
        start = file.read(4)
        if bom := next((name for mark, name in BOMS.items() if start.startswith(mark)), None):
            raise UserError(f"{label} is {bom}, not UTF-8", remedy)
        block = start
        while block:
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                raise UserError(
                    f"{label} is not UTF-8 (line {line}, byte 0x{error.object[error.start]:02x})", remedy
                ) from None
            line += block.count(b"\n")
            blank = blank and not block.removeprefix(codecs.BOM_UTF8).strip()
            block = file.read(1 << 20)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise UserError(f"{label} is not UTF-8 (it ends in the middle of a character)", remedy) from None
    if blank:
        raise UserError(f"{label} holds no rows", "give a file with at least one row")


def _jsonl(path: Path) -> Iterator[ReadRow]:
    with _text(path, newline="\n") as file:
        for line, raw in enumerate(file, 1):
            if raw.strip():
                yield _json_row(line, raw.strip())


def _json_row(line: int, raw: str) -> ReadRow:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        reason = (
            f"not JSON: {error.msg}"
            if isinstance(error, json.JSONDecodeError)
            else "not JSON that can be read"
        )
        return ReadRow(line, None, Refusal(line, reason), raw)
    return _row(line, value, raw)


def _row(line: int, value: object, raw: str = "") -> ReadRow:
    if not isinstance(value, Mapping):
        return ReadRow(line, None, Refusal(line, "not an object with named fields"), raw or _dump(value))
    return ReadRow(line, value, None, raw)


def _dump(value: object) -> str:
    return json.dumps(value, default=str)


def _json(path: Path, label: str) -> Iterator[ReadRow]:
    """A list of objects, or an object that holds one; JSON lines under a .json name are taken as such."""
    with _text(path) as file:
        content = file.read()
    try:
        value = json.loads(content)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and content[: error.pos].count("\n") <= 1:
            yield from (
                _json_row(i, raw.strip()) for i, raw in enumerate(content.split("\n"), 1) if raw.strip()
            )
            return
        raise UserError(
            f"{label} is not JSON (line {error.lineno}: {error.msg})", "mend it, or save it as JSONL"
        ) from None
    except (ValueError, RecursionError):
        raise UserError(f"{label} is not JSON that can be read", "save it as JSONL, one row a line") from None
    if isinstance(value, dict):
        lists = [v for v in value.values() if isinstance(v, list)]
        value = lists[0] if len(lists) == 1 and len(value) <= 3 else [value]
    if not isinstance(value, list) or not value:
        raise UserError(f"{label} holds no rows", "give a list of objects")
    yield from (_row(i, one) for i, one in enumerate(value, 1))


def _csv(path: Path, label: str, delimiter: str) -> Iterator[ReadRow]:
    """The first line names the columns; an empty cell is a missing field."""
    csv.field_size_limit(1 << 27)
    with _text(path, newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        try:
            columns = reader.fieldnames or []
            if len(set(columns)) < len(columns):
                raise UserError(f"{label} names a column twice", "give each column a name of its own")
            for row in reader:
                if None in row:
                    raw = _dump({str(k): v for k, v in row.items()})
                    yield ReadRow(
                        reader.line_num, None, Refusal(reader.line_num, "more cells than columns"), raw
                    )
                else:
                    yield ReadRow(reader.line_num, {k: v for k, v in row.items() if v not in (None, "")})
        except csv.Error as error:
            raise UserError(
                f"{label} is not CSV (line {reader.line_num}: {error})",
                "quote its texts, or save it as JSONL",
            ) from None


def _parquet(path: Path, label: str) -> Iterator[ReadRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            line = 0
            for batch in file.iter_batches(batch_size=500):
                for row in batch.to_pylist():
                    line += 1
                    yield ReadRow(line, _present(row))
    except pyarrow.ArrowException as error:
        raise UserError(
            f"{label} is not Parquet that can be read ({str(error).splitlines()[0]})",
            "fetch or write it again",
        ) from None


def _present(row: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in row.items() if value is not None}
