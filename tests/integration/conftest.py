"""Fixtures that several integration suites share: the official files, a data registry built from them, and the
platform's services. Each is made once per session.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmnist.adapters.dvc.builder import RegistryBuilder
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.idx import debian
from fmnist.adapters.idx.sources import raw_directory
from fmnist.domain.model.address import Address
from stack.services import HOST, ObjectStore, free_ports, tracking_server
from tests.integration.services import new_object_store, running


@pytest.fixture(scope="session")
def official_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the four official files: FMNIST_RAW_DIR, else the Debian package."""
    given = os.environ.get("FMNIST_RAW_DIR")
    downloads = tmp_path_factory.mktemp("raw")
    return raw_directory(downloads, Path(given) if given else None, fetches={"the Debian package": debian.fetch})


@pytest.fixture(scope="session")
def built_registry(official_files: Path, tmp_path_factory: pytest.TempPathFactory) -> RegistrySettings:
    """A data registry with version 1.0.0 of the real data. A test must not change it.

    It is built by a user without a Git identity, whose settings would break a build.
    """
    directory = tmp_path_factory.mktemp("built")
    settings = RegistrySettings(repo=Address(str(directory / "registry.git")), remote_url=str(directory / "store"))
    nobody = directory / "gitconfig"
    nobody.write_text("[user]\n    useConfigOnly = true\n[push]\n    gpgSign = true\n[commit]\n    gpgSign = true\n")
    for name, content in {
        "git/ignore": "*.json\n*.yaml\n*.lock\n",
        "git/attributes": "* filter=odd\n",
        "dvc/config": "[core]\n    remote = odd\n    autostage = true\n    site_cache_dir = /proc/odd\n"
        "[cache]\n    dir = /proc/odd\n    type = symlink\n['remote \"odd\"']\n    url = /proc/odd\n",
    }.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(nobody))
        patch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
        patch.setenv("XDG_CONFIG_HOME", str(directory))
        for name in ("DVC_ROOT", "DVC_GLOBAL_CONFIG_DIR", "DVC_SITE_CACHE_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR"):
            patch.setenv(name, "/proc/odd")
        patch.setenv("DVC_STAGE", "odd")
        patch.setenv("GIT_DEFAULT_HASH", "sha256")
        patch.setenv("SHELL", "/bin/false")
        patch.setenv("BASH_ENV", "/proc/odd")
        patch.setenv("PYTHONWARNINGS", "error")
        assert RegistryBuilder(settings, downloads=directory / "unused", source=official_files).build("1.0.0").new
    return settings


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A real S3 store for all tests. Each test uses its own buckets, and must not stop the store."""
    directory, store = tmp_path_factory.mktemp("s3"), new_object_store()
    with running(store.service(directory / "data"), directory):
        yield store


@pytest.fixture
def bucket(object_store: ObjectStore) -> str:
    """A new bucket of the shared store."""
    name = f"test-{uuid.uuid4().hex}"
    object_store.make_buckets([name])
    return name


@pytest.fixture(scope="session")
def tracking_uri(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server for all tests, which keeps artifacts in the shared S3 store."""
    directory = tmp_path_factory.mktemp("mlflow-server")
    object_store.make_buckets(["mlflow"])
    (port,) = free_ports(1)
    with running(tracking_server(port, directory, object_store, "s3://mlflow/artifacts"), directory):
        yield f"http://{HOST}:{port}"
