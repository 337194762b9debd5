"""The contract of every `BatchOutput`, wherever it is stored."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from fmnist.domain.model.batch.answers import AnsweredRows
from fmnist.domain.model.batch.manifest import AnsweringModel, FinishedPart, Manifest
from fmnist.domain.model.data.image_rows import InputPart, UnreadableRow
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.errors import InvalidSetting
from fmnist.ports.batch_output import BatchOutput

MODEL = AnsweringModel("models:/dev.toy/3", 3, "m-1")
PART = InputPart("folder/a.csv", "/data/folder/a.csv", "f1")
DONE = FinishedPart("f1", rows=6, unreadable=1, labeled=True, seconds=0.5)


def answers(rows: int = 5, *, labeled: bool = True, part: str = PART.name) -> list[AnsweredRows]:
    """Return answers in two pieces: row by row the next class, and one unreadable row behind the last one."""
    whole = AnsweredRows(
        part=part,
        rows=np.arange(rows),
        paths=None,
        labels=np.arange(rows, dtype=np.uint8) % 10 if labeled else None,
        ids={},
        unreadable=(UnreadableRow(rows, "shoe.png", "damaged"),),
        probabilities=np.roll(np.eye(10, dtype=np.float32), 1, axis=1)[np.arange(rows) % 10],
        is_last=True,
    )
    first = replace(
        whole,
        rows=whole.rows[:2],
        labels=whole.labels[:2] if whole.labels is not None else None,
        unreadable=(),
        probabilities=whole.probabilities[:2],
        is_last=False,
    )
    rest = replace(
        whole,
        rows=whole.rows[2:],
        labels=whole.labels[2:] if whole.labels is not None else None,
        probabilities=whole.probabilities[2:],
    )
    return [first, rest]


def write(output: BatchOutput, given: Iterable[AnsweredRows], part: InputPart = PART) -> None:
    """Write answers of the model and the classes of this suite."""
    output.write_part(part, MODEL, CLASS_NAMES, given)


class BatchOutputContract:
    """Subclass it as `Test...` and supply `output`."""

    @pytest.fixture
    def output(self) -> BatchOutput:
        """An output that is empty or does not exist."""
        raise NotImplementedError

    def put(self, output: BatchOutput, name: str, content: bytes) -> None:
        """Write a file into the output as somebody else would."""
        raise NotImplementedError

    def remove(self, output: BatchOutput, name: str) -> None:
        """Remove a file of the output."""
        raise NotImplementedError

    def names(self, output: BatchOutput) -> set[str]:
        """Return the names of all files of the output, also of hidden ones."""
        raise NotImplementedError

    def test_new_output_has_no_manifest_and_looking_at_it_writes_nothing(self, output: BatchOutput) -> None:
        assert output.manifest() is None
        assert self.names(output) == set()

    def test_manifest_is_read_as_it_was_written(self, output: BatchOutput) -> None:
        manifest = Manifest(MODEL)
        output.record(manifest)
        assert output.manifest() == manifest
        write(output, answers())
        output.record(done := manifest.with_part(PART.name, DONE))
        assert output.manifest() == done
        assert self.names(output) == {"manifest.json", "folder/a.csv.parquet", "folder/a.csv.unreadable.jsonl"}

    def test_part_without_its_file_is_not_done(self, output: BatchOutput) -> None:
        write(output, answers())
        output.record(Manifest(MODEL).with_part(PART.name, DONE))
        self.remove(output, "folder/a.csv.parquet")
        assert output.manifest() == Manifest(MODEL)

    def test_labeled_answers_are_read_as_they_were_written(self, output: BatchOutput) -> None:
        write(output, answers(12))
        read = list(output.labeled_answers(PART.name))
        rows, labels, probabilities = (np.concatenate([piece[place] for piece in read]) for place in range(3))
        assert rows.tolist() == list(range(12))
        assert labels.dtype == np.uint8
        assert labels.tolist() == [row % 10 for row in range(12)]
        assert probabilities.dtype == np.float32
        assert probabilities.argmax(axis=1).tolist() == [(row + 1) % 10 for row in range(12)]

    def test_interrupted_part_leaves_nothing_and_an_earlier_one_stays(self, output: BatchOutput) -> None:
        output.record(Manifest(MODEL))

        def interrupted() -> Iterator[AnsweredRows]:
            yield answers()[0]
            raise KeyboardInterrupt

        before = self.names(output)
        with pytest.raises(KeyboardInterrupt):
            write(output, interrupted())
        assert self.names(output) == before
        write(output, answers(3))
        with pytest.raises(KeyboardInterrupt):
            write(output, interrupted())
        assert sum(len(rows) for rows, _, _ in output.labeled_answers(PART.name)) == 3

    def test_list_of_unreadable_rows_is_only_there_if_there_are_some(self, output: BatchOutput) -> None:
        write(output, answers())
        write(output, [replace(each, unreadable=()) for each in answers()])
        assert self.names(output) == {"folder/a.csv.parquet"}

    def test_part_without_rows_has_a_file_too(self, output: BatchOutput) -> None:
        empty = replace(
            answers(0, labeled=False)[1], unreadable=(), probabilities=np.empty((0, 10), np.float32), rows=np.arange(0)
        )
        write(output, [empty])
        assert self.names(output) == {"folder/a.csv.parquet"}

    def test_directory_of_something_else_is_refused(self, output: BatchOutput) -> None:
        self.put(output, "notes.txt", b"mine")
        with pytest.raises(InvalidSetting, match="is not empty"):
            output.manifest()

    @pytest.mark.parametrize("content", [b"", b"[]", b'{"format": "other"}', b"\xff", b'{"format": 1}'])
    def test_foreign_manifest_is_refused(self, output: BatchOutput, content: bytes) -> None:
        self.put(output, "manifest.json", content)
        with pytest.raises(InvalidSetting, match=r"manifest\.json is not one of predict-batch"):
            output.manifest()

    def test_small_files_are_written(self, output: BatchOutput) -> None:
        output.write_files({"report/report.html": b"page", "report/card.md": b"card"})
        assert self.names(output) == {"report/report.html", "report/card.md"}
