"""A data version checks its metadata, and labelled images are checked once, when they are made."""

import dataclasses
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages, SplitFile, part_rows
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import CorruptData, SplitNotFound
from fmnist.testing.data import toy_images

CLASSES = {str(label): name for label, name in enumerate(CLASS_NAMES)}


def dataset(md5: str = "a" * 32, classes: Any = CLASSES) -> DatasetVersion:
    return DatasetVersion(
        version="fashion-mnist-v1.0.0",
        commit="0" * 40,
        splits={split: (SplitFile(split, f"/{split}.parquet", md5),) for split in ("train", "val")},
        metadata={
            "schema": {"features": {"label": {"classes": classes}}},
            "metrics": {"train": {"pixel_mean": 0.286, "pixel_std": 0.353}},
        },
        source="/registry",
        paths={},
    )


def rows(n: int) -> LabeledImages:
    images = np.arange(n, dtype=np.uint8).repeat(784).reshape(n, 28, 28)
    return LabeledImages(images, np.arange(n, dtype=np.uint8))


def test_normalization_and_class_names_come_from_the_metadata() -> None:
    assert dataset().normalization == Normalization(0.286, 0.353)
    assert dataset(classes=dict(reversed(CLASSES.items()))).class_names == CLASS_NAMES


@pytest.mark.parametrize(
    "classes",
    [{}, None, list(CLASS_NAMES), "T-shirt/top", {**CLASSES, "9": 9}, {k: v for k, v in CLASSES.items() if k != "4"}],
)
def test_metadata_that_does_not_name_ten_classes_is_corrupt(classes: object) -> None:
    with pytest.raises(CorruptData, match=r"fashion-mnist-v1\.0\.0"):
        _ = dataset(classes=classes).class_names


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("", "an empty"),
        (" \t", "an empty"),
        ("Shirt", "'Shirt' twice"),
        ("\ud800", "not valid Unicode"),
        ("x" * 201, "201 characters"),
    ],
)
def test_unprintable_or_equal_class_names_are_corrupt(name: str, complaint: str) -> None:
    with pytest.raises(CorruptData, match=complaint):
        _ = dataset(classes={**CLASSES, "9": name}).class_names


def test_class_names_may_be_any_text() -> None:
    assert dataset(classes={**CLASSES, "9": r"$\frac$"}).class_names[9] == r"$\frac$"


def test_error_for_a_missing_split_lists_the_existing_ones() -> None:
    assert [file.uri for file in dataset().files("val")] == ["/val.parquet"]
    with pytest.raises(SplitNotFound, match="has no split 'test': it has train, val"):
        dataset().files("test")


def test_the_digest_depends_only_on_the_bytes_of_the_splits() -> None:
    one = dataset()
    moved = {
        split: (dataclasses.replace(file, uri="s3://elsewhere"),) for split, (file,) in reversed(one.splits.items())
    }
    assert dataclasses.replace(one, version="v2", splits=moved, metadata={}).digest == one.digest
    assert dataset(md5="b" * 32).digest != one.digest


def test_the_digest_of_single_files_is_that_of_earlier_releases() -> None:
    assert dataset().digest == "2c49671d82c700858c04afb414a05fa5"


def test_the_digest_depends_on_the_split_the_order_and_the_number_of_files() -> None:
    versions = [
        (["1"], ["2"]),
        (["2"], ["1"]),
        (["1", "2"], ["3"]),
        (["2", "1"], ["3"]),
        (["1"], ["2", "3"]),
        (["1", "2", "3"], ["3"]),
        (["1", "2"], ["4"]),
    ]
    digests = {
        dataclasses.replace(
            dataset(),
            splits={
                split: tuple(SplitFile(split, "/file", digit * 32) for digit in digits)
                for split, digits in zip(("train", "val"), version, strict=True)
            },
        ).digest
        for version in versions
    }
    assert len(digests) == len(versions)


@given(st.integers(0, 300), st.integers(1, 40))
def test_parts_are_consecutive_and_almost_equal(total: int, parts: int) -> None:
    bounds = [part_rows(total, parts, part) for part in range(parts)]
    assert [row for start, stop in bounds for row in range(start, stop)] == list(range(total))
    sizes = [stop - start for start, stop in bounds]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 12))
def test_parts_that_are_joined_are_the_whole_again(parts: int) -> None:
    whole = rows(10) if parts <= 10 else toy_images(parts)
    again = LabeledImages.joined(iter(whole.cut(parts)))
    np.testing.assert_array_equal(again.images, whole.images)
    np.testing.assert_array_equal(again.labels, whole.labels)
    assert again.images.flags.c_contiguous


def test_parts_are_dropped_one_by_one_while_they_are_joined() -> None:
    made = list[weakref.ref[Any]]()

    def parts() -> Iterator[LabeledImages]:
        for _ in range(5):
            pixels = np.zeros((1, 28, 28), np.uint8)
            made.append(weakref.ref(pixels))
            yield LabeledImages(pixels, np.zeros(1, np.uint8))
            del pixels
            assert sum(reference() is not None for reference in made) == 1

    assert len(LabeledImages.joined(parts())) == 5


def test_joining_no_part_is_refused() -> None:
    with pytest.raises(CorruptData, match="no images"):
        LabeledImages.joined([])


def test_single_part_is_not_copied() -> None:
    whole = rows(3)
    assert LabeledImages.joined([whole]) is whole


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 28, 28)), np.zeros(2, np.uint8), "images must be uint8"),
        (np.zeros((2, 784), np.uint8), np.zeros(2, np.uint8), r"found uint8 \(2, 784\)"),
        (np.uint8(0), np.zeros(1, np.uint8), "images must be uint8"),
        (np.zeros((2, 28, 28), np.uint8), np.zeros(2, np.int64), "labels must be uint8"),
        (np.zeros((2, 28, 28), np.uint8), np.zeros(3, np.uint8), r"labels must be uint8 \(2,\), found uint8 \(3,\)"),
        (np.zeros((2, 28, 28), np.uint8), np.zeros((2, 1), np.uint8), "labels must be uint8"),
        (np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8), "no images"),
        (np.zeros((3, 28, 28), np.uint8), np.array([9, 10, 200], np.uint8), "label 10 in row 1: expected 0-9"),
    ],
)
def test_images_and_labels_that_do_not_match_are_corrupt(images: Any, labels: Any, message: str) -> None:
    with pytest.raises(CorruptData, match=message):
        LabeledImages(images, labels)


def test_head_returns_the_first_rows_or_all() -> None:
    whole = rows(5)
    assert len(whole) == 5
    assert whole.head(None) is whole
    np.testing.assert_array_equal(whole.head(2).labels, [0, 1])
    np.testing.assert_array_equal(whole.head(2).images[:, 0, 0], [0, 1])
    assert len(whole.head(99)) == 5
