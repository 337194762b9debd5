import dataclasses
import shutil
from pathlib import Path

import pytest

from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.domain.model.address import Address


@pytest.fixture
def copy(built_registry: RegistrySettings, tmp_path: Path) -> RegistrySettings:
    """A copy of the built registry and its store, which a test may change."""
    copied = shutil.copytree(Path(str(built_registry.repo)).parent, tmp_path / "copy")
    return dataclasses.replace(
        built_registry, repo=Address(str(copied / "registry.git")), remote_url=str(copied / "store")
    )
