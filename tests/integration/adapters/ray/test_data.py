"""Ray Data reads the files of a split in parallel, and parts of it keep the order of the rows."""

import dataclasses
import hashlib
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import ray

from fmnist.adapters.parquet.files import SplitReader, write_split
from fmnist.adapters.parquet.storage import Storage
from fmnist.adapters.ray.cluster import cluster_in_use, join_cluster
from fmnist.adapters.ray.compute import RayCompute
from fmnist.adapters.ray.data import StoredSplit, _tables, read_split
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.domain.model.data.dataset import LabeledImages, SplitFile
from fmnist.domain.model.errors import CorruptData, StoreUnavailable
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


def test_file_of_several_blocks_keeps_the_order_of_its_rows(
    files: list[SplitFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray.data.DataContext.get_current(), "target_max_block_size", 2**20)
    cut = read_split(SplitReader(), files)
    assert len(cut.blocks) > 10
    for part in range(3):
        assert_rows(cut.part(part, 3, None, equal=True), 6670 * part, 6670 * (part + 1))


def test_limit_keeps_other_rows_out_of_the_store(files: list[SplitFile]) -> None:
    limited = read_split(SplitReader(), files[:2], 500)
    assert list(limited.sizes) == [500, 3]
    assert_rows(limited.part(0, 1, 500, equal=False), 0, 500)
    (place,) = ray.experimental.get_object_locations(limited.blocks[:1]).values()
    assert place["object_size"] < 2 * 500 * 785


def test_error_of_a_lost_block_that_is_read_again_keeps_its_type(files: list[SplitFile]) -> None:
    damaged = dataclasses.replace(files[0], md5="0" * 32)
    again = ray.remote(_tables).remote(SplitReader(), damaged, None)
    with pytest.raises(CorruptData, match="is damaged") as failure:
        StoredSplit([again], [SIZES[0]]).part(0, 1, None, equal=True)
    assert damaged.uri in str(failure.value)


@pytest.fixture
def sent_by_value() -> Iterator[None]:
    """Sends the classes below to Ray's workers, which cannot import them."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


class Meeting(Storage):
    """A storage that gives no file before the readers of all files with a pipe are there."""

    def read(self, file: SplitFile) -> bytes:
        own = Path(file.uri).with_suffix(".pipe")
        with ExitStack() as opened:
            pipes = {path: opened.enter_context(path.open("r+b", buffering=0)) for path in own.parent.glob("*.pipe")}
            pipes.pop(own).write(b".")
            for pipe in pipes.values():
                assert select.select([pipe], [], [], 60)[0], "nobody reads the other file"
            return super().read(file)


@pytest.mark.usefixtures("sent_by_value")
def test_files_are_read_at_the_same_time(files: list[SplitFile]) -> None:
    for file in files[:2]:
        os.mkfifo(Path(file.uri).with_suffix(".pipe"))
    assert list(read_split(SplitReader(Meeting()), files[:2]).sizes) == list(SIZES[:2])


class Deadly(Storage):
    """A storage that ends the process of its reader."""

    def read(self, file: SplitFile) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@pytest.mark.usefixtures("sent_by_value")
def test_file_whose_reading_always_ends_its_process_is_given_up(files: list[SplitFile]) -> None:
    with pytest.raises(StoreUnavailable, match="was lost"), cluster_in_use(ClusterSettings()):
        read_split(SplitReader(Deadly()), files[1:2])
