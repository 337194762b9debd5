"""Any slice of the canonical table gives the same pixels. Legacy tables become canonical or are refused."""

import numpy as np
import pyarrow as pa
import pytest

from fmnist.adapters.parquet.schema import SCHEMA, canonical, to_labeled_images, to_table
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.errors import CorruptData
from fmnist.testing.data import toy_images

_DATA = toy_images(30)


def _same(found: LabeledImages, expected: LabeledImages) -> None:
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.labels, expected.labels)


def _rows(start: int, stop: int) -> LabeledImages:
    return LabeledImages(_DATA.images[start:stop], _DATA.labels[start:stop])


def test_table_has_the_schema_of_the_platform_contract() -> None:
    schema = to_table(_DATA).schema
    assert schema.equals(SCHEMA, check_metadata=True)
    assert (schema.field("image").type, schema.field("label").type) == (pa.binary(784), pa.uint8())
    assert schema.metadata == {b"image.shape": b"[28, 28]", b"image.dtype": b"uint8"}


def test_slices_and_chunks_give_only_their_own_rows() -> None:
    table = to_table(_DATA)
    _same(to_labeled_images(table), _DATA)
    _same(to_labeled_images(table.slice(7, 5)), _rows(7, 12))
    chunked = pa.concat_tables([table.slice(3, 4), table.slice(7, 1), table.slice(8, 20)])
    assert chunked.column("image").num_chunks == 3
    _same(to_labeled_images(chunked), _rows(3, 28))
    _same(to_labeled_images(chunked.slice(2, 9)), _rows(5, 14))


def test_images_are_a_view_of_the_table() -> None:
    table = to_table(_DATA)
    assert np.shares_memory(to_labeled_images(table).images, to_labeled_images(table.slice(2)).images)


def test_images_that_are_not_contiguous_are_stored_by_their_values() -> None:
    flipped = LabeledImages(_DATA.images[:, :, ::-1], _DATA.labels)
    _same(to_labeled_images(to_table(flipped)), flipped)


_LEGACY_IMAGES = pa.array(_DATA.images.tolist(), pa.list_(pa.list_(pa.uint8())))


@pytest.mark.parametrize("labels", [pa.uint8(), pa.int64()])
@pytest.mark.parametrize("images", [pa.list_(pa.list_(pa.uint8())), pa.large_list(pa.large_list(pa.uint8()))])
def test_legacy_table_becomes_canonical(images: pa.DataType, labels: pa.DataType) -> None:
    legacy = pa.table({"image": _LEGACY_IMAGES.cast(images), "label": pa.array(_DATA.labels).cast(labels)})
    assert canonical(legacy).equals(to_table(_DATA), check_metadata=True)
    _same(to_labeled_images(canonical(legacy.slice(4, 6))), _rows(4, 10))


def test_other_columns_are_left_out() -> None:
    extra = to_table(_DATA).append_column("source", pa.array(["x"] * len(_DATA)))
    assert canonical(extra).column_names == ["image", "label"]


_IMAGES, _LABELS = to_table(_DATA).columns
_ROW = _DATA.images[0].tolist()


def _legacy(image: object) -> pa.Array:
    return pa.array([_ROW, image], pa.list_(pa.list_(pa.uint8())))


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"image": _IMAGES}, "no column 'label': found image"),
        ({"pixels": _IMAGES, "label": _LABELS}, "no column 'image': found pixels, label"),
        ({"image": _IMAGES.cast(pa.binary()), "label": _LABELS}, "'image' is binary, expected"),
        ({"image": pa.array([b"x" * 783]), "label": [0]}, "'image' is binary, expected"),
        ({"image": pa.array([b"x" * 783], pa.binary(783)), "label": [0]}, r"fixed_size_binary\[783\], expected"),
        ({"image": _IMAGES, "label": _LABELS.cast(pa.float32())}, "'label' is float, expected uint8 or int64"),
        ({"image": _IMAGES, "label": _LABELS.cast(pa.string())}, "'label' is string, expected"),
        ({"image": _IMAGES[:2], "label": pa.array([3, 10], pa.uint8())}, "label 10 in row 1: expected 0-9"),
        ({"image": _IMAGES[:2], "label": pa.array([-1, 3], pa.int64())}, "label -1 in row 0: expected 0-9"),
        ({"image": _IMAGES[:2], "label": pa.array([3, 256], pa.int64())}, "label 256 in row 1: expected 0-9"),
        ({"image": _IMAGES[:2], "label": pa.array([3, None], pa.uint8())}, "1 null values in labels"),
        ({"image": pa.array([b"x" * 784, None], pa.binary(784)), "label": [0, 1]}, "1 null values in images"),
        ({"image": _IMAGES[:0], "label": _LABELS[:0]}, "no images: expected at least one"),
        ({"image": _LEGACY_IMAGES[:0], "label": _LABELS[:0]}, "no images: expected at least one"),
        ({"image": _legacy(None), "label": [0, 1]}, "1 null values in images"),
        ({"image": _legacy(_ROW[:27]), "label": [0, 1]}, "image 1 has 27 items, expected 28"),
        ({"image": _legacy([*_ROW[:27], _ROW[0][:5]]), "label": [0, 1]}, "image row 55 has 5 items, expected 28"),
        ({"image": _legacy([*_ROW[:27], None]), "label": [0, 1]}, "1 null values in images"),
        ({"image": _legacy([*_ROW[:27], [*_ROW[0][:27], None]]), "label": [0, 1]}, "1 null values in image rows"),
        (
            {"image": _legacy(_ROW).cast(pa.list_(pa.list_(pa.int64()))), "label": [0, 1]},
            "expected .*list<list<uint8>>",
        ),
    ],
)
def test_a_table_that_fits_neither_layout_is_refused(columns: dict[str, object], complaint: str) -> None:
    with pytest.raises(CorruptData, match=complaint):
        canonical(pa.table(columns))


@pytest.mark.parametrize(("key", "value"), [("image.shape", "[784]"), ("image.dtype", "int8")])
def test_metadata_of_another_layout_is_refused(key: str, value: str) -> None:
    table = to_table(_DATA)
    with pytest.raises(CorruptData, match=f"metadata {key} is "):
        canonical(table.replace_schema_metadata({**table.schema.metadata, key.encode(): value}))


def test_a_canonical_table_without_metadata_is_accepted() -> None:
    assert canonical(to_table(_DATA).replace_schema_metadata(None)).equals(to_table(_DATA), check_metadata=True)
