"""Answers in Parquet files: what a reader finds in them, and what a killed process leaves."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fmnist.adapters.parquet import answer_table
from fmnist.adapters.parquet.batch_output import ParquetBatchOutput
from fmnist.adapters.parquet.storage import S3Settings
from fmnist.domain.model.batch.answers import AnsweredRows
from fmnist.domain.model.batch.manifest import Manifest
from fmnist.domain.model.errors import CorruptData, InvalidSetting, StoreUnavailable
from fmnist.ports.batch_output import BatchOutput
from fmnist.testing.contracts.batch_output import MODEL, PART, BatchOutputContract, answers, write


class TestParquetBatchOutput(BatchOutputContract):
    @pytest.fixture
    def output(self, tmp_path: Path) -> ParquetBatchOutput:
        return ParquetBatchOutput(str(tmp_path / "new" / "answers"), S3Settings())

    def put(self, output: BatchOutput, name: str, content: bytes) -> None:
        Path(output.place).mkdir(parents=True, exist_ok=True)
        (Path(output.place) / name).write_bytes(content)

    def remove(self, output: BatchOutput, name: str) -> None:
        (Path(output.place) / name).unlink()

    def names(self, output: BatchOutput) -> set[str]:
        root = Path(output.place)
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def output(tmp_path: Path) -> ParquetBatchOutput:
    return ParquetBatchOutput(str(tmp_path), S3Settings())


def read(output: ParquetBatchOutput) -> pa.Table:
    return pq.read_table(f"{output.place}/folder/a.csv.parquet")


def with_ids(**ids: Any) -> list[AnsweredRows]:
    """Answers for one row a piece, with these values of id columns."""
    pieces = [
        replace(
            answers(len(next(iter(ids.values()))))[1],
            rows=np.array([row]),
            labels=None,
            probabilities=np.eye(1, 10, dtype=np.float32),
            unreadable=(),
            ids={name: (values[row],) for name, values in ids.items()},
        )
        for row in range(len(next(iter(ids.values()))))
    ]
    return [replace(each, is_last=each is pieces[-1]) for each in pieces]


def test_each_row_says_where_it_came_from_and_what_the_model_said(output: ParquetBatchOutput) -> None:
    given = [replace(each, paths=tuple(f"{row}.png" for row in each.rows)) for each in answers(3)]
    write(output, [replace(each, ids={"sku": tuple(f"sku-{row}" for row in each.rows)}) for each in given])
    table = read(output)
    assert dict(zip(table.schema.names, map(str, table.schema.types), strict=True)) == {
        "file": "string",
        "row": "int64",
        "path": "string",
        "sku": "string",
        "label": "uint8",
        "class_id": "uint8",
        "class_name": "string",
        "confidence": "float",
        "probabilities": "fixed_size_list<element: float>[10]",
        "model_uri": "string",
        "model_version": "int32",
    }
    second = table.to_pylist()[1]
    assert second.pop("probabilities") == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    assert second == {
        "file": "/data/folder/a.csv",
        "row": 1,
        "path": "1.png",
        "sku": "sku-1",
        "label": 1,
        "class_id": 2,
        "class_name": "Pullover",
        "confidence": 1.0,
        "model_uri": "models:/dev.toy/3",
        "model_version": 3,
    }
    listed = (Path(output.place) / "folder/a.csv.unreadable.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in listed] == [{"row": 3, "path": "shoe.png", "reason": "damaged"}]


def test_own_column_with_a_name_of_ours_gets_another_one(output: ParquetBatchOutput) -> None:
    write(output, with_ids(row=["x"], confidence=[1], input_row=["y"]))
    (row,) = read(output).to_pylist()
    assert (row["row"], row["input_input_row"], row["input_row"], row["input_confidence"]) == (0, "x", "y", 1)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([None, None, "a", None], "string"),
        ([None, None, None, None], "null"),
        ([1, None, 2.5, 3], "double"),
        ([None, b"a", None, b"b"], "binary"),
    ],
)
@pytest.mark.parametrize("group", [1, 2, 50_000])
def test_missing_values_take_the_type_of_the_others_also_of_later_ones(
    output: ParquetBatchOutput, values: list[object], kind: str, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_table, "_GROUP", group)
    write(output, with_ids(extra=values))
    column = read(output)["extra"]
    assert (str(column.type), column.to_pylist()) == (kind, values)
    assert not list(Path(output.place).rglob(".*"))


def test_missing_values_alone_do_not_write_the_file_again(
    output: ParquetBatchOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(answer_table, "_GROUP", 1)
    monkeypatch.setattr(answer_table.AnswerFile, "_widen", again)
    write(output, with_ids(extra=["a", None, "b", None]))
    assert read(output)["extra"].to_pylist() == ["a", None, "b", None]


@pytest.mark.parametrize("group", [1, 50_000])
def test_column_of_text_and_numbers_is_refused(
    output: ParquetBatchOutput, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_table, "_GROUP", group)
    with pytest.raises(CorruptData, match=r"/data/folder/a\.csv has a column of several types"):
        write(output, with_ids(extra=[1, "a"]))
    assert not [path for path in Path(output.place).rglob("*") if path.is_file()]


def test_path_that_is_not_unicode_is_escaped(output: ParquetBatchOutput) -> None:
    write(output, [replace(each, paths=tuple("\udcff" for _ in each.rows)) for each in answers(3)])
    assert read(output)["path"].to_pylist() == ["\\udcff"] * 3


def test_what_a_killed_process_left_is_removed_and_not_taken_for_anothers(output: ParquetBatchOutput) -> None:
    left = Path(output.place) / ".unfinished" / "answers"
    left.parent.mkdir()
    left.write_bytes(b"half")
    assert output.manifest() is None
    output.record(Manifest(MODEL))
    assert [path.name for path in Path(output.place).iterdir()] == ["manifest.json"]


def test_a_file_that_lost_rows_on_its_way_is_not_published(
    output: ParquetBatchOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table = pq.ParquetWriter.write_table
    monkeypatch.setattr(pq.ParquetWriter, "write_table", lambda writer, table: write_table(writer, table.slice(1)))
    with pytest.raises(CorruptData, match=r"are 5 rows, but 4 were written"):
        write(output, answers())
    assert not [path for path in Path(output.place).rglob("*") if path.is_file()]


def test_rows_are_not_kept_until_the_end(output: ParquetBatchOutput, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_table, "_GROUP", 10)
    unfinished = Path(output.place) / ".unfinished" / "answers"
    sizes = []

    def growing() -> Iterator[AnsweredRows]:
        for start in range(0, 100, 5):
            piece = answers(7, labeled=False)[1]
            yield replace(piece, rows=piece.rows + start, unreadable=(), is_last=start == 95)
            sizes.append(unfinished.stat().st_size if unfinished.exists() else 0)

    write(output, growing())
    assert sizes[-1] > sizes[len(sizes) // 2] > sizes[0]
    assert pq.ParquetFile(f"{output.place}/folder/a.csv.parquet").num_row_groups == 10


@pytest.mark.parametrize("place", ["gs://bucket/a", "file:///tmp/a", "http://host/a", "s3://", "s3:///a"])
def test_uri_of_another_kind_is_refused(place: str) -> None:
    with pytest.raises(InvalidSetting, match=f"the output {place}: expected a path or s3://BUCKET/PATH"):
        ParquetBatchOutput(place, S3Settings())


def test_place_has_no_way_back(tmp_path: Path) -> None:
    assert ParquetBatchOutput(f"{tmp_path}/in/../out", S3Settings()).place == f"{tmp_path}/out"


def test_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("mine")
    with pytest.raises(InvalidSetting, match="is a file: name a directory"):
        ParquetBatchOutput(str(tmp_path / "answers"), S3Settings()).manifest()


def test_directory_that_cannot_be_written_is_named() -> None:
    with pytest.raises(StoreUnavailable, match="the output /proc/answers cannot be written"):
        ParquetBatchOutput("/proc/answers", S3Settings()).record(Manifest(MODEL))


def test_output_of_part_is_named_after_it(output: ParquetBatchOutput) -> None:
    write(output, answers(part="b.parquet"), replace(PART, name="b.parquet"))
    assert {path.name for path in Path(output.place).iterdir()} == {"b.parquet", "b.unreadable.jsonl"}


def test_large_numbers_are_written(output: ParquetBatchOutput) -> None:
    write(output, with_ids(extra=[np.uint64(1), None, np.uint64(2**64 - 1)]))
    column = read(output)["extra"]
    assert (str(column.type), column.to_pylist()) == ("uint64", [1, None, 2**64 - 1])
