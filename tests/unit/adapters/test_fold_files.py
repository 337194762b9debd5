"""Predictions of folds on disk."""

from pathlib import Path

import numpy as np
import pytest

from fmnist.adapters.fold_files import FoldFiles
from fmnist.domain.model.errors import StoreUnavailable

KEPT = np.random.default_rng(0).random((5, 10), dtype=np.float32)


def test_what_is_kept_is_recalled(tmp_path: Path) -> None:
    files = FoldFiles(tmp_path / "new" / "folds")
    assert files.recall("a") is None
    files.keep("a", KEPT)
    recalled = files.recall("a")
    assert recalled is not None
    np.testing.assert_array_equal(recalled, KEPT)
    assert files.recall("b") is None
    assert [path.name for path in files.directory.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", None])
def test_damaged_file_counts_as_absent(tmp_path: Path, damage: bytes | None) -> None:
    files = FoldFiles(tmp_path)
    files.keep("a", KEPT)
    file = tmp_path / "a.npz"
    file.write_bytes(file.read_bytes()[:-30] if damage is None else damage)
    assert files.recall("a") is None


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=r"cannot keep the predictions of a fold in .*file/folds"):
        FoldFiles(tmp_path / "file" / "folds").keep("a", KEPT)
