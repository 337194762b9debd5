"""A data version checks its metadata, and labelled images are checked once, when they are made."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages, SplitFile
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import CorruptData, SplitNotFound

CLASSES = {str(label): name for label, name in enumerate(CLASS_NAMES)}


def dataset(md5: str = "a" * 32, classes: Any = CLASSES) -> DatasetVersion:
    return DatasetVersion(
        version="fashion-mnist-v1.0.0",
        commit="0" * 40,
        splits={split: SplitFile(split, f"/{split}.parquet", md5) for split in ("train", "val")},
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
    assert dataset().file("val").uri == "/val.parquet"
    with pytest.raises(SplitNotFound, match="has no split 'test': it has train, val"):
        dataset().file("test")


def test_the_digest_depends_only_on_the_bytes_of_the_splits() -> None:
    one = dataset()
    moved = {split: dataclasses.replace(file, uri="s3://elsewhere") for split, file in reversed(one.splits.items())}
    assert dataclasses.replace(one, version="v2", splits=moved, metadata={}).digest == one.digest
    assert dataset(md5="b" * 32).digest != one.digest
    swapped = {
        "train": dataclasses.replace(one.file("train"), md5="1" * 32),
        "val": dataclasses.replace(one.file("val"), md5="2" * 32),
    }
    other = {
        "train": dataclasses.replace(one.file("train"), md5="2" * 32),
        "val": dataclasses.replace(one.file("val"), md5="1" * 32),
    }
    assert dataclasses.replace(one, splits=swapped).digest != dataclasses.replace(one, splits=other).digest


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
