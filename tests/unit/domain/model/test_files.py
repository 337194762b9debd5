"""A file is read completely, or refused by its kind or size, and reading never blocks."""

import os
from pathlib import Path

import pytest

from fmnist.domain.model.files import read_file


def test_a_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    link = tmp_path / "link"
    link.symlink_to(path)
    assert read_file(path, 5) == read_file(link, 5) == b"12345"
    with pytest.raises(OSError, match="longer than 4 bytes"):
        read_file(path, 4)


def test_a_path_that_is_not_a_file_is_refused_without_blocking(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read_file(path, 5)
    with pytest.raises(IsADirectoryError):
        read_file(tmp_path, 5)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "absent", 5)
