"""Debian's package gives the official files, even with old or missing package lists."""

from pathlib import Path

import pytest

from fmnist.adapters.idx import debian
from fmnist.adapters.idx.files import RAW_FILES, TEST_LABELS, check_file
from fmnist.domain.model.errors import StoreUnavailable


def test_the_package_contains_the_four_official_files(official_files: Path) -> None:
    for file in RAW_FILES:
        check_file(official_files / file.name, file)


def test_a_machine_without_package_lists_uses_private_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # apt reads its configuration from here, before any option of ours.
    configuration = tmp_path / "apt.conf"
    configuration.write_text(f'Dir::State "{tmp_path}/empty-state";\nDir::Cache "{tmp_path}/empty-cache";\n')
    (tmp_path / "empty-state/lists/partial").mkdir(parents=True)
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    debian.fetch([TEST_LABELS], tmp_path, installed=tmp_path / "not installed")
    check_file(tmp_path / TEST_LABELS.name, TEST_LABELS)
    assert list((tmp_path / "empty-state/lists/partial").iterdir()) == []


def test_a_download_without_a_package_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apt-get").write_text("#!/bin/sh\n")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreUnavailable, match="apt-get download dataset-fashion-mnist wrote no package"):
        debian.fetch([TEST_LABELS], tmp_path, installed=tmp_path / "not installed")
