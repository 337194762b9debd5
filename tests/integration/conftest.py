"""What several integration suites share: the official files, and a data registry built from them, once a session."""

import os
from pathlib import Path

import pytest

from fmnist.adapters.dvc.builder import RegistryBuilder
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.idx import debian
from fmnist.adapters.idx.sources import raw_directory


@pytest.fixture(scope="session")
def official_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the four official files: that of FMNIST_RAW_DIR, else from Debian's package."""
    given = os.environ.get("FMNIST_RAW_DIR")
    downloads = tmp_path_factory.mktemp("raw")
    return raw_directory(downloads, Path(given) if given else None, fetches={"Debian's package": debian.fetch})


@pytest.fixture(scope="session")
def built_registry(official_files: Path, tmp_path_factory: pytest.TempPathFactory) -> RegistrySettings:
    """A data registry with version 1.0.0 of the real data, built where Git knows nobody. A test must not change it."""
    directory = tmp_path_factory.mktemp("built")
    settings = RegistrySettings(repo=str(directory / "registry.git"), remote_url=str(directory / "store"))
    nobody = directory / "gitconfig"
    nobody.write_text("[user]\n    useConfigOnly = true\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(nobody))
        patch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
        assert RegistryBuilder(settings, downloads=directory / "unused", source=official_files).build("1.0.0").new
    return settings
