"""Ray Data reads the files of a split in parallel, and parts of it keep the order of the rows."""

import dataclasses
import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import ray

from fmnist.adapters.parquet.files import SplitReader, write_split
from fmnist.adapters.parquet.storage import Storage
from fmnist.adapters.ray.cluster import join_cluster
from fmnist.adapters.ray.compute import RayCompute
from fmnist.adapters.ray.data import StoredSplit, read_split
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.domain.model.data.dataset import LabeledImages, SplitFile
from fmnist.domain.model.errors import CorruptData
from fmnist.testing.data import toy_images

# The first file is much larger, so the others are read before it is.
SIZES = (20_000, 3, 1, 7)
FILES = [toy_images(size, seed) for seed, size in enumerate(SIZES)]
IMAGES = np.concatenate([part.images for part in FILES])
LABELS = np.concatenate([part.labels for part in FILES])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[SplitFile]:
    written, folder = [], tmp_path_factory.mktemp("split")
    for number, rows in enumerate(FILES):
        write_split(rows, path := folder / f"part-{number:05d}.parquet")
        md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        written.append(SplitFile("train", str(path), md5))
    return written


@pytest.fixture(scope="module", autouse=True)
def cluster(compute: RayCompute) -> None:
    """The folder's cluster. Its end is that of `compute`."""
    join_cluster(ClusterSettings())


@pytest.fixture(scope="module")
def stored(files: list[SplitFile], cluster: None) -> StoredSplit:
    return read_split(SplitReader(), files)


def assert_rows(found: LabeledImages, start: int, stop: int) -> None:
    np.testing.assert_array_equal(found.images, IMAGES[start:stop])
    np.testing.assert_array_equal(found.labels, LABELS[start:stop])


def test_split_has_the_rows_of_its_files_in_their_order(stored: StoredSplit) -> None:
    assert len(stored) == sum(SIZES)
    assert list(stored.sizes) == list(SIZES)
    assert_rows(stored.part(0, 1, None, equal=True), 0, sum(SIZES))


@pytest.mark.parametrize(
    ("limit", "equal", "bounds"),
    [
        (None, False, [0, 6671, 13341, 20011]),
        (None, True, [0, 6670, 13340, 20010]),
        (5, False, [0, 2, 4, 5]),
        (5, True, [0, 1, 2, 3]),
        (99_999, False, [0, 6671, 13341, 20011]),
    ],
)
def test_parts_are_consecutive_rows_whatever_the_files(
    stored: StoredSplit, limit: int | None, bounds: list[int], *, equal: bool
) -> None:
    for part in range(3):
        assert_rows(stored.part(part, 3, limit, equal=equal), bounds[part], bounds[part + 1])


def test_more_parts_than_rows_of_a_file_start_and_end_in_any_file(files: list[SplitFile]) -> None:
    small, rows = read_split(SplitReader(), files[1:]), sum(SIZES[1:])
    for part in range(rows):
        assert_rows(small.part(part, rows, None, equal=True), SIZES[0] + part, SIZES[0] + part + 1)


def test_part_fetches_only_the_blocks_of_its_rows(stored: StoredSplit) -> None:
    absent = [stored.blocks[0], *[ray.ObjectRef.from_random() for _ in stored.blocks[1:]]]
    assert_rows(StoredSplit(absent, stored.sizes).part(0, 3, None, equal=True), 0, 6670)


@pytest.mark.parametrize("place", [0, 2])
def test_damaged_file_is_named_and_the_message_is_ours_alone(files: list[SplitFile], place: int) -> None:
    damaged = list(files)
    damaged[place] = dataclasses.replace(files[place], md5="0" * 32)
    with pytest.raises(CorruptData) as failure:
        read_split(SplitReader(), damaged)
    with pytest.raises(CorruptData) as expected:
        SplitReader()(damaged)
    assert str(failure.value) == str(expected.value)
    assert damaged[place].uri in str(failure.value)


def test_missing_file_is_named(files: list[SplitFile], tmp_path: Path) -> None:
    lost = dataclasses.replace(files[1], uri=str(tmp_path / "absent"))
    with pytest.raises(CorruptData, match=f"'train' is not at {lost.uri}: push it"):
        read_split(SplitReader(), [files[0], lost, *files[2:]])


class Meeting(Storage):
    """A storage on whose disk two files lie at the ends of a pipe: neither can be opened without the other."""

    def read(self, file: SplitFile) -> bytes:
        with Path(file.uri).with_name("pipe").open("rb" if file.uri.endswith("0.parquet") else "wb"):
            return super().read(file)


def test_files_are_read_at_the_same_time(files: list[SplitFile], monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(Path(files[0].uri).with_name("pipe"))
    monkeypatch.setattr("fmnist.adapters.ray.data.free_cpus", lambda: [1.0, 1.0])
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    assert list(read_split(SplitReader(Meeting()), files[:2]).sizes) == list(SIZES[:2])
