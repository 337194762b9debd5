"""The canonical table of a split in memory: `image: fixed_size_binary(784)` and `label: uint8`, without nulls.

It converts tables of files (the current layout, and that of data versions 1.x) and numpy arrays. It opens no file.
"""

import json

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.images import PIXELS, SIDE, Images
from fmnist.domain.model.errors import CorruptData

# The type fixed_size_binary(784) does not tell the image's shape and dtype.
_LAYOUT = {b"image.shape": json.dumps([SIDE, SIDE]).encode(), b"image.dtype": b"uint8"}

SCHEMA = pa.schema(
    [pa.field("image", pa.binary(PIXELS), nullable=False), pa.field("label", pa.uint8(), nullable=False)],
    metadata=_LAYOUT,
)


def to_table(data: LabeledImages) -> pa.Table:
    """Return images and labels as the canonical table."""
    pixels = pa.py_buffer(np.ascontiguousarray(data.images))
    images = pa.FixedSizeBinaryArray.from_buffers(pa.binary(PIXELS), len(data), [None, pixels])
    return pa.table([images, pa.array(data.labels)], schema=SCHEMA)


def to_labeled_images(table: pa.Table) -> LabeledImages:
    """Return the rows of a canonical table or of a slice. Do not write to them: they may share the table's memory.

    Raises:
        CorruptData: there is no row, or a label is outside 0-9.
    """
    labels = _in_one_piece(table.column("label")).to_numpy()
    return LabeledImages(to_images(_in_one_piece(table.column("image"))), labels)


def to_images(column: pa.Array) -> Images:
    """Return a canonical column `image` as uint8 (n, 28, 28), without a copy. A null has any value."""
    # A slice keeps its parent's buffer, so start and end count rows from the start of that buffer.
    pixels = np.frombuffer(column.buffers()[1] or b"", dtype=np.uint8)
    pixels = pixels[column.offset * PIXELS : (column.offset + len(column)) * PIXELS]
    return pixels.reshape(-1, SIDE, SIDE)


def canonical(table: pa.Table) -> pa.Table:
    """Convert a file's table, in the current layout or that of 1.x (`image: list<list<uint8>>`), to the canonical one.

    Raises:
        CorruptData: a column, type, shape or value fits neither layout, or there is no row.
    """
    for name in SCHEMA.names:
        if name not in table.column_names:
            raise CorruptData(f"no column {name!r}: found {', '.join(table.column_names) or 'none'}")
    _check_layout(table.schema)
    images, labels = (_in_one_piece(table.column(name)) for name in SCHEMA.names)
    result = pa.table([canonical_images(images), _labels(labels)], schema=SCHEMA)
    to_labeled_images(result)  # raises for no row, or for a label outside 0-9
    return result


def _in_one_piece(column: pa.ChunkedArray) -> pa.Array:
    # combine_chunks would copy even a single chunk.
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _check_layout(schema: pa.Schema) -> None:
    for key, expected in _LAYOUT.items():
        found = (schema.metadata or {}).get(key, expected)
        if found != expected:
            raise CorruptData(f"metadata {key.decode()} is {found.decode()}, expected {expected.decode()}")


def canonical_images(column: pa.Array) -> pa.Array:
    """Convert a column `image`, as `canonical` does. `CorruptData` tells a wrong type or length, or a null."""
    _refuse_nulls(column, "image")
    if column.type == pa.binary(PIXELS):
        return column
    if _is_list(column.type) and _is_list(column.type.value_type) and column.type.value_type.value_type == pa.uint8():
        pixels = _flatten(_flatten(column, "image"), "image row")
        return pa.FixedSizeBinaryArray.from_buffers(
            pa.binary(PIXELS), len(column), [None, pa.py_buffer(pixels.to_numpy())]
        )
    raise CorruptData(f"column 'image' is {column.type}, expected {pa.binary(PIXELS)} or list<list<uint8>>")


def _labels(column: pa.Array) -> pa.Array:
    _refuse_nulls(column, "label")
    if column.type not in {pa.uint8(), pa.int64()}:
        raise CorruptData(f"column 'label' is {column.type}, expected uint8 or int64")
    return pa.array(_narrow(column.to_numpy()))


def _narrow(labels: npt.NDArray[np.int64] | npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    narrow = labels.astype(np.uint8)
    if not np.array_equal(narrow, labels):
        row = int(np.argmax(narrow != labels))
        raise CorruptData(f"label {labels[row]} in row {row}: expected 0-9")
    return narrow


def _flatten(column: pa.Array, name: str) -> pa.Array:
    """Return the items of a column of lists. Each list must have 28 items."""
    lengths = pc.list_value_length(column).to_numpy()
    if (lengths != SIDE).any():
        item = int(np.argmax(lengths != SIDE))
        raise CorruptData(f"{name} {item} has {lengths[item]} items, expected {SIDE}")
    items = column.flatten()
    _refuse_nulls(items, name)
    return items


def _refuse_nulls(column: pa.Array, name: str) -> None:
    if column.null_count:
        raise CorruptData(f"{column.null_count} null values in {name}s, expected none")


def _is_list(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.ListType | pa.LargeListType)
