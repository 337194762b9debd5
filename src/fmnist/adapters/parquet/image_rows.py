"""Streams Parquet files with a column `image`, in either of our layouts or in Hugging Face's, and perhaps `label`."""

from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fmnist.adapters.parquet.schema import canonical_images, to_images
from fmnist.adapters.pillow.files import MOST_PIXELS, decode_picture
from fmnist.domain.model.data.image_rows import MOST_ROWS, ImageRows, divide_rows, read_one_by_one
from fmnist.domain.model.data.images import Images, decode_images
from fmnist.domain.model.errors import CorruptData, InvalidImages

MAGIC = b"PAR1"
_IMAGE, _LABEL = "image", "label"
_PICTURES_AT_ONCE = 100  # a picture may be much larger than an image
_BUFFER = 1 << 20  # a part of a column, so that a large row group is never in memory as a whole


def open_parquet(file: BinaryIO) -> tuple[int, Iterator[ImageRows]]:
    """Open the file, and check its columns."""
    try:
        parquet = pq.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False)
        _check(parquet.schema_arrow)
    except (pa.ArrowException, CorruptData) as error:
        raise InvalidImages(str(error)) from error
    return parquet.metadata.num_rows, _rows(parquet)


def _check(schema: pa.Schema) -> None:
    if _IMAGE not in schema.names:
        raise InvalidImages(f"no column {_IMAGE!r}: found {', '.join(schema.names) or 'none'}")
    if repeated := sorted(name for name in set(schema.names) if schema.names.count(name) > 1):
        raise InvalidImages(f"several columns {repeated[0]!r}, expected different names")
    kind = schema.field(_IMAGE).type
    if not _has_pictures(kind):
        canonical_images(pa.array([], kind))
    if _LABEL in schema.names and not pa.types.is_integer(kind := schema.field(_LABEL).type):
        raise InvalidImages(f"column {_LABEL!r} is {kind}, expected integers")


def _rows(parquet: pq.ParquetFile) -> Iterator[ImageRows]:
    start, has_pictures = 0, _has_pictures(parquet.schema_arrow.field(_IMAGE).type)
    # Without threads, for the reason in `adapters.parquet.files`.
    batches = parquet.iter_batches(_PICTURES_AT_ONCE if has_pictures else MOST_ROWS, use_threads=False)
    while (batch := _next(batches)) is not None:
        columns = {name: batch.column(name) for name in batch.schema.names}
        image, label = columns.pop(_IMAGE), columns.pop(_LABEL, None)
        images, faults = _pictures(image) if has_pictures else _arrays(image)
        labels = None
        if label is not None:
            labels = label.fill_null(0).to_numpy()
            for row in np.flatnonzero(label.is_null()).tolist():
                faults.setdefault(row, "label is null")
        paths = (
            _values(f"{_IMAGE}.path", image.field("path")) if has_pictures and "path" in _fields(image.type) else None
        )
        ids = {name: _ids(name, column) for name, column in columns.items()}
        yield divide_rows(start, images, faults, labels, paths, ids)
        start += len(batch)


def _next(batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    try:
        return next(batches, None)
    except pa.ArrowException as error:
        raise InvalidImages(str(error)) from error
    except OSError as error:
        if type(error) is OSError and error.errno is None:  # Arrow's own error for damaged data
            raise InvalidImages(str(error)) from error
        raise


def _arrays(column: pa.Array) -> tuple[Images, dict[int, str]]:
    try:
        return to_images(canonical_images(column)), {}
    except CorruptData:
        return read_one_by_one(len(column), lambda row: _array(column[row].as_py()))


def _array(value: Any) -> Images:
    if value is None:
        raise InvalidImages("image is null")
    return decode_images(value if isinstance(value, bytes) else [value])


def _pictures(column: pa.StructArray) -> tuple[Images, dict[int, str]]:
    contents = _values(_IMAGE, column)
    return read_one_by_one(len(column), lambda row: _picture(contents[row]))


def _picture(value: dict[str, Any] | None) -> Images:
    if value is None or value["bytes"] is None:
        raise InvalidImages("image is null" if value is None else "image.bytes is null")
    return decode_picture(value["bytes"], MOST_PIXELS)


def _has_pictures(kind: pa.DataType) -> bool:
    field = _fields(kind).get("bytes")
    return field is not None and (pa.types.is_binary(field) or pa.types.is_large_binary(field))


def _fields(kind: pa.DataType) -> dict[str, pa.DataType]:
    return {field.name: field.type for field in kind} if pa.types.is_struct(kind) else {}


def _ids(name: str, column: pa.Array) -> list[object]:
    values = _values(name, column)
    if column.type == pa.uint64():  # Python's numbers do not tell the type, and half of these fit into no other
        return [value if value is None else np.uint64(value) for value in values]
    return [_plain(value) for value in values]


def _values(name: str, column: pa.Array) -> list[Any]:
    try:
        return cast("list[Any]", column.to_pylist())
    except (ValueError, OverflowError, KeyError) as error:  # text that is not UTF-8, or a time before the year 1
        raise InvalidImages(f"column {name!r} cannot be read: {error}; leave it out") from error


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, str | int | float | bytes) else str(value)
