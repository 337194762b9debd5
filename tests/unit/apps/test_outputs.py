"""Outputs that cannot be written are reported before the work, not after it."""

from pathlib import Path

import pytest

from fmnist.apps.outputs import check_output_dir, write_outputs
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable


@pytest.mark.parametrize("place", ["file", "file/below", "/proc"])
def test_unwritable_directory_is_refused_before_the_work(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidSetting, match=f"--output-dir {tmp_path / place} cannot be created or written: "):
        check_output_dir(tmp_path / place)


def test_directory_is_created_empty_for_the_outputs(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    for _ in range(2):
        check_output_dir(directory)
    assert list(directory.iterdir()) == []
    write_outputs(directory, {"decision": "promote"})
    assert (directory / "decision").read_text() == "promote"


def test_an_output_that_cannot_be_written_is_reported_with_its_directory(tmp_path: Path) -> None:
    (tmp_path / "decision").mkdir()
    with pytest.raises(StoreUnavailable, match=f"the outputs cannot be written to {tmp_path}: "):
        write_outputs(tmp_path, {"decision": "promote"})
