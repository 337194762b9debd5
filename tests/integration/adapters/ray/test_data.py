"""The task that reads a split in parts, called in this process."""

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from fmnist.adapters.parquet.files import SplitReader, write_split
from fmnist.adapters.ray.data import _read_parts
from fmnist.domain.model.data.dataset import SplitFile
from fmnist.domain.model.errors import InvalidSetting
from fmnist.testing.data import toy_images


@pytest.fixture
def file(tmp_path: Path) -> SplitFile:
    write_split(toy_images(11), path := tmp_path / "train.parquet")
    return SplitFile("train", str(path), hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest())


@pytest.mark.parametrize(
    ("limit", "equal", "sizes"), [(None, False, [4, 4, 3]), (None, True, [3, 3, 3]), (5, False, [2, 2, 1])]
)
def test_parts_are_the_first_rows_in_their_order(
    file: SplitFile, limit: int | None, sizes: list[int], *, equal: bool
) -> None:
    parts = _read_parts(SplitReader(), file, limit, 3, equal=equal)
    assert [part.num_rows for part in parts] == sizes
    assert pa.concat_tables(parts).equals(SplitReader().table(file).slice(0, sum(sizes)))


def test_one_part_is_no_list(file: SplitFile) -> None:
    assert _read_parts(SplitReader(), file, None, 1, equal=True).num_rows == 11


def test_more_parts_than_images_are_refused(file: SplitFile) -> None:
    with pytest.raises(InvalidSetting, match="12"):
        _read_parts(SplitReader(), file, None, 12, equal=True)
