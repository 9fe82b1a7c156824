"""The data files of an export: the bytes that the library writes of all rows at once, and never all rows in memory."""

import csv
import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import datasets
import pytest
from pyarrow import parquet

from db.connection import Home
from db.entities.votes import Vote
from labeling import dataset_files
from labeling.dataset_files import AT_ONCE, features_of, write_splits
from labeling.export_rows import CHUNK, rows_of
from labeling.exporting import ExportFormat, one_moment, order_of
from labeling.gathering import gather
from labeling.importing import ImportKind, import_file
from labeling.tables import Row

VOTES = 2 * CHUNK + 300
"""more than two chunks of votes, and four batches of rows"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Imported votes in both splits, some of them ties."""
    folder = tmp_path_factory.mktemp("many")
    answers, votes = folder / "answers.csv", folder / "votes.csv"
    with answers.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["prompt", "model", "response"])
        table.writerows(
            [f"Question {i}?", m, f"{m} says {i}, ünïcödé"] for i in range(VOTES // 10) for m in "xy"
        )
    with votes.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["rater", "prompt", "model_a", "model_b", "winner"])
        table.writerows(
            [f"r{i % 10}", f"Question {i // 10}?", "x", "y", ("model_a", "model_b", "tie")[i % 3]]
            for i in range(VOTES)
        )
    home = Home(folder / "home")
    home.root.mkdir()
    for part in (home.runs, home.exports, home.backups, home.logs):
        part.mkdir()
    assert import_file(home, ImportKind.RESPONSES, str(answers)).refused == 0
    assert import_file(home, ImportKind.VOTES, str(votes), campaign="many").added == VOTES
    return home


def exported(home: Home, shape: ExportFormat) -> list[tuple[str, Row]]:
    with one_moment(home) as db:
        return list(rows_of(db, gather(db, order_of("many", shape, None))))


# nobody wrote an answer here, so `sft` has no rows; its columns are those of `kto`
@pytest.mark.parametrize("shape", [s for s in ExportFormat if s is not ExportFormat.SFT])
def test_a_file_written_while_rows_come_has_the_bytes_of_all_at_once(
    many: Home, tmp_path: Path, shape: ExportFormat
) -> None:
    rows = exported(many, shape)
    counted = write_splits(tmp_path, shape, iter(rows))
    assert counted == {s: sum(split == s for split, _ in rows) for s in counted}
    assert set(counted) == {"train", "test"}
    features = features_of(shape)
    for split in counted:
        whole = datasets.Dataset.from_list(
            [{c: r[c] for c in features} for s, r in rows if s == split], features=features
        )
        if shape is ExportFormat.CSV:
            whole.to_csv(tmp_path / "whole", index=False, quoting=csv.QUOTE_NONNUMERIC)
        else:
            whole.to_parquet(tmp_path / "whole")
        assert (tmp_path / split).read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_large_split_has_several_row_groups_with_the_same_rows(
    many: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = exported(many, ExportFormat.VOTES)
    write_splits(tmp_path, ExportFormat.VOTES, iter(rows))
    (tmp_path / "parts").mkdir()
    monkeypatch.setattr(dataset_files, "GROUP", 100_000)
    write_splits(tmp_path / "parts", ExportFormat.VOTES, iter(rows))
    whole, parts = (parquet.read_table(f / "train") for f in (tmp_path, tmp_path / "parts"))
    assert parquet.ParquetFile(tmp_path / "parts" / "train").num_row_groups > 2
    assert parts.equals(whole)


class Watched(dict[str, object]):
    """A row that can be watched."""


def test_rows_are_let_go_while_they_are_written(many: Home, tmp_path: Path) -> None:
    alive: weakref.WeakSet[Watched] = weakref.WeakSet()
    most = 0
    once = exported(many, ExportFormat.VOTES)

    class Seen(Watched):
        __hash__ = object.__hash__  # type: ignore[assignment]
        __eq__ = object.__eq__

    def watched() -> Iterator[tuple[str, Row]]:
        nonlocal most
        for split, row in once:
            made = Seen(row)
            alive.add(made)
            most = max(most, len(alive))
            yield split, made

    write_splits(tmp_path, ExportFormat.VOTES, watched())
    assert most <= 2 * AT_ONCE + 2 < len(once)  # what waits of two splits


def held() -> int:
    """Votes in memory."""
    return sum(type(o) is Vote for o in gc.get_objects())


def test_votes_are_read_chunk_by_chunk_in_an_order_that_tells_nothing(many: Home) -> None:
    gc.collect()
    most, others, numbers = 0, held(), []
    with one_moment(many) as db:
        gathering = gather(db, order_of("many", ExportFormat.VOTES, None))
        for n, (_, row) in enumerate(rows_of(db, gathering)):
            numbers.append(row["vote_id"])
            if n % 500 == 0:
                most = max(most, held() - others)
    order = gathering.numbers.in_order(gathering.seen.taken).tolist()
    assert numbers == list(range(1, VOTES + 1))
    assert [gathering.numbers[int(v)] for v in order] == numbers
    assert sorted(order) != order
    assert 0 < most <= 2 * CHUNK < VOTES
