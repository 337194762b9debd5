"""An official file is parsed completely, or refused with its name."""

import gzip
import hashlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fmnist.adapters.idx.files import RAW_FILES, TEST_LABELS, RawFile, check_file, parse_idx, read_labeled_images
from fmnist.domain.model.errors import CorruptData
from fmnist.testing.data import toy_images
from tests.unit.adapters.idx.support import idx_images, idx_labels


def test_images_and_labels_come_back_as_they_were_written(tmp_path: Path) -> None:
    data = toy_images(12)
    images, labels = tmp_path / "images.gz", tmp_path / "labels.gz"
    images.write_bytes(gzip.compress(idx_images(data.images)))
    labels.write_bytes(gzip.compress(idx_labels(data.labels)))
    found = read_labeled_images(images, labels)
    np.testing.assert_array_equal(found.images, data.images)
    np.testing.assert_array_equal(found.labels, data.labels)


_LABELS = idx_labels(np.array([1, 2, 3], dtype=np.uint8))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "0 bytes long, too short for its header of 8"),
        (_LABELS[:7], "7 bytes long, too short for its header of 8"),
        (b"\x00\x00\x08\x03" + _LABELS[4:], "magic number 0x00000803, expected 0x00000801"),
        (b"\x00\x00\x0d\x01" + _LABELS[4:], "magic number 0x00000d01, expected 0x00000801"),
        (_LABELS[:-1], "must have 3 = 3 bytes of data by its header, found 2"),
        (_LABELS + b"\x00", "must have 3 = 3 bytes of data by its header, found 4"),
    ],
)
def test_content_that_does_not_match_its_header_is_refused_by_name(content: bytes, complaint: str) -> None:
    with pytest.raises(CorruptData, match=f"labels.gz .*{complaint}"):
        parse_idx(content, "labels.gz", dimensions=1)


def test_a_header_of_huge_numbers_is_refused_without_allocating() -> None:
    with pytest.raises(CorruptData, match="found 0"):
        parse_idx(b"\x00\x00\x08\x03" + b"\xff" * 12, "images.gz", dimensions=3)


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (np.zeros((2, 28, 28), np.uint8), "has 2 images, but labels.gz has 3 labels"),
        (np.zeros((3, 28, 27), np.uint8), r"images of \(28, 27\) pixels, expected 28x28"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(
    tmp_path: Path, images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], complaint: str
) -> None:
    (tmp_path / "images.gz").write_bytes(gzip.compress(idx_images(images)))
    (tmp_path / "labels.gz").write_bytes(gzip.compress(_LABELS))
    with pytest.raises(CorruptData, match=complaint):
        read_labeled_images(tmp_path / "images.gz", tmp_path / "labels.gz")


def test_a_file_is_recognized_by_its_content_with_any_compression(tmp_path: Path) -> None:
    file = RawFile("labels.gz", len(_LABELS), hashlib.sha256(_LABELS).hexdigest())
    for level in (1, 9):
        (tmp_path / file.name).write_bytes(gzip.compress(_LABELS, level))
        check_file(tmp_path / file.name, file)


_PACKED = gzip.compress(_LABELS, mtime=0)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (gzip.compress(_LABELS + b"x", mtime=0), "is not the official labels.gz: it holds more than 11 bytes"),
        (gzip.compress(_LABELS[:-1] + b"x", mtime=0), "is not the official labels.gz: its 11 bytes"),
        (_PACKED[:-1], "is not a complete gzip file"),
        (_PACKED[:10], "is not a complete gzip file"),
        (_PACKED[:14] + b"\xff\xff" + _PACKED[16:], "is not a complete gzip file"),
        (_PACKED + b"more", "is not a complete gzip file"),
        (b"<html>not found</html>", "is not a complete gzip file"),
        (b"", "is not the official labels.gz: its 0 bytes"),
    ],
)
def test_a_wrong_short_or_longer_file_is_refused_by_name(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "labels.gz"
    path.write_bytes(content)
    with pytest.raises(CorruptData, match=f"{path} {complaint}"):
        check_file(path, RawFile("labels.gz", len(_LABELS), hashlib.sha256(_LABELS).hexdigest()))


def test_the_four_official_files_are_named_once_with_a_sha256_each() -> None:
    assert len({file.name for file in RAW_FILES}) == 4
    assert all(len(bytes.fromhex(file.sha256)) == 32 for file in RAW_FILES)


@pytest.mark.parametrize(
    "read", [lambda path: check_file(path, TEST_LABELS), lambda path: read_labeled_images(path, path)]
)
def test_a_small_file_that_decompresses_to_gigabytes_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    bomb = tmp_path / TEST_LABELS.name
    with gzip.open(bomb, "wb", compresslevel=1) as file:
        for _ in range(200):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(CorruptData, match=f"{bomb} is not the official .*: it holds more than"):
            read(bomb)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 3 * max(file.size for file in RAW_FILES)


def test_every_official_file_is_smaller_than_the_download_limit() -> None:
    content = np.random.default_rng(0).bytes(TEST_LABELS.size)  # cannot be compressed
    assert len(gzip.compress(content)) <= TEST_LABELS.most_packed
