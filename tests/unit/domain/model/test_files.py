"""A file is read completely or refused by its size. tests/unit/apps/test_toml.py has other kinds of paths."""

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
