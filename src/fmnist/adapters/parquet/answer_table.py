"""The table of answers: a row for each image that was read, with its place in the input, and the model's answer."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from fmnist.domain.model.batch.answers import AnsweredRows
from fmnist.domain.model.batch.manifest import AnsweringModel
from fmnist.domain.model.data.dataset import Labels
from fmnist.domain.model.data.image_rows import InputPart
from fmnist.domain.model.errors import CorruptData
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.text import one_line

_GROUP = 50_000  # rows of a row group: about 5 MB in memory
_OURS = (
    *("file", "row", "path", "label", "class_id", "class_name", "confidence", "probabilities"),
    *("model_uri", "model_version"),
)
_NOT_REPEATED = {"row", "confidence", "probabilities"}  # a dictionary of their values would save nothing


class AnswerFile:
    """Writes the answers of one part to a new file. Use it in a `with` block; `add` takes the rows in order.

    An id column has the name of the input's column; if it is one of ours, `input_` precedes it.
    """

    def __init__(self, path: Path, part: InputPart, model: AnsweringModel, class_names: Sequence[str]) -> None:
        self._path = path
        self._part = part
        self._model = model
        self._names = pa.array(class_names)
        self._waiting: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._waiting:
            self._write()
        if self._writer is not None:
            self._writer.close()

    def add(self, answered: AnsweredRows) -> None:
        """Add rows of the part.

        Raises:
            CorruptData: an id column has values of different types, such as text and numbers.
        """
        try:
            self._waiting.append(self._table(answered))
        except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
            raise CorruptData(f"{self._part.uri} has a column of several types: {error}") from error
        if sum(map(len, self._waiting)) >= _GROUP:
            self._write()

    def _table(self, answered: AnsweredRows) -> pa.Table:
        n, probabilities = len(answered.rows), answered.probabilities
        answer = probabilities.argmax(axis=1)
        columns = {
            "file": pa.repeat(one_line(self._part.uri), n),
            "row": pa.array(answered.rows),
            "path": answered.paths and pa.array([path and one_line(path) for path in answered.paths], pa.string()),
            **_ids(answered.ids),
            "label": None if answered.labels is None else pa.array(answered.labels),
            "class_id": pa.array(answer.astype(np.uint8)),
            "class_name": self._names.take(pa.array(answer)),
            "confidence": pa.array(probabilities[np.arange(n), answer]),
            "probabilities": pa.FixedSizeListArray.from_arrays(pa.array(probabilities.reshape(-1)), len(self._names)),
            "model_uri": pa.repeat(self._model.uri, n),
            "model_version": pa.repeat(pa.scalar(self._model.version, pa.int32()), n),
        }
        return pa.table({name: column for name, column in columns.items() if column is not None})

    def _write(self) -> None:
        """Write the waiting rows as a row group. Columns of None get the type of the first other value."""
        waiting, self._waiting = self._waiting, []
        try:
            table = pa.concat_tables(waiting, promote_options="permissive")
            if self._writer is None:
                self._writer = self._open(self._path, table.schema)
            elif table.schema != self._writer.schema:
                wider = pa.unify_schemas([self._writer.schema, table.schema], promote_options="permissive")
                if wider != self._writer.schema:
                    self._widen(wider)
                table = pa.concat_tables([table, wider.empty_table()], promote_options="permissive")
        except pa.ArrowTypeError as error:
            raise CorruptData(f"{self._part.uri} has a column of several types: {error}") from error
        self._writer.write_table(table.select(self._writer.schema.names))

    def _open(self, path: Path, schema: pa.Schema) -> pq.ParquetWriter:
        repeated = [name for name in schema.names if name not in _NOT_REPEATED]
        return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=repeated, write_statistics=repeated)

    def _widen(self, schema: pa.Schema) -> None:
        """Write the file again with wider types. This is rare: the first 50,000 values would have to be None."""
        assert self._writer is not None
        self._writer.close()
        before = self._path.with_suffix(".before")
        self._path.rename(before)
        self._writer = self._open(self._path, schema)
        with pq.ParquetFile(before) as written:
            for group in range(written.num_row_groups):
                table = pa.concat_tables(
                    [written.read_row_group(group), schema.empty_table()], promote_options="permissive"
                )
                self._writer.write_table(table.select(schema.names))
        before.unlink()


def labeled_columns(file: pq.ParquetFile) -> Iterator[tuple[npt.NDArray[np.int64], Labels, Probabilities]]:
    """Yield rows, labels and probabilities of a file with labels, row group by row group."""
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, ["row", "label", "probabilities"], use_threads=False)
        rows, labels, lists = (table[name].combine_chunks() for name in ("row", "label", "probabilities"))
        yield rows.to_numpy(), labels.to_numpy(), lists.flatten().to_numpy().reshape(len(lists), -1)


def _ids(ids: Mapping[str, tuple[object, ...]]) -> dict[str, pa.Array]:
    taken, named = {*_OURS, *ids}, {}
    for name, values in ids.items():
        column = name
        while column in _OURS or (column != name and column in taken):
            column = f"input_{column}"
        named[column] = pa.array(values)
    return named
