"""A build with its data in S3: all data arrives, no secret is committed, and a store that fails leaves no trace."""

import dataclasses
import time
from pathlib import Path

import pytest

from fmnist.adapters.dvc.builder import RegistryBuilder
from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.domain.model.address import Address
from fmnist.domain.model.data.metadata import check_split
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable
from stack.services import ObjectStore
from tests.integration.services import s3_settings
from tests.integration.support import git


@pytest.fixture
def settings(tmp_path: Path, object_store: ObjectStore, bucket: str) -> RegistrySettings:
    """A shared empty bare repository, as a platform team creates it, and a bucket for its data."""
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "registry.git")
    return RegistrySettings(
        repo=Address(f"file://{tmp_path}/registry.git"),
        remote="docker",
        remote_url=f"s3://{bucket}",
        s3=s3_settings(object_store),
    )


def test_version_is_built_into_s3_and_read_back_from_the_repository_s_remote(
    settings: RegistrySettings, official_files: Path, tmp_path: Path
) -> None:
    assert RegistryBuilder(settings, tmp_path / "unused", official_files).build("1.0.0").new
    as_others_read = dataclasses.replace(
        settings, remote=None, remote_url=None, s3=dataclasses.replace(settings.s3, endpoint_url=None)
    )
    registry = DvcDataRegistry(as_others_read)
    dataset = registry.resolve("1.0.0")
    for split in dataset.splits:
        assert dataset.files(split)[0].uri.startswith(f"{settings.remote_url}/files/md5/")
        check_split(dataset.metadata, split, registry.read(dataset, split))
    everything_committed = git(tmp_path / "registry.git", "log", "--patch", "--all")
    assert f"endpointurl = {settings.s3.endpoint_url}" in everything_committed
    assert str(settings.s3.secret_access_key) not in everything_committed
    assert str(settings.s3.access_key_id) not in everything_committed


@pytest.mark.soak
def test_unwritable_store_of_the_settings_does_not_change_the_registry(
    settings: RegistrySettings, official_files: Path, tmp_path: Path
) -> None:
    config = f"[core]\n    remote = docker\n['remote \"docker\"']\n    url = {settings.remote_url}\n"
    _start_registry(settings, tmp_path, f"{config}    endpointurl = {settings.s3.endpoint_url}\n")
    before = git(tmp_path / "registry.git", "for-each-ref")
    away = dataclasses.replace(settings.s3, endpoint_url="http://127.0.0.1:9")
    own_remote = dataclasses.replace(settings, remote=None, remote_url=None, s3=away)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"`dvc push` failed: (?s:.*)127\.0\.0\.1:9") as refusal:
        RegistryBuilder(own_remote, tmp_path / "unused", official_files).build("1.0.0")
    assert time.monotonic() - began < 90
    assert str(settings.s3.secret_access_key) not in str(refusal.value)
    assert git(tmp_path / "registry.git", "for-each-ref") == before


@pytest.mark.soak
def test_error_for_a_wrong_secret_does_not_show_it(
    settings: RegistrySettings, official_files: Path, tmp_path: Path
) -> None:
    failing = dataclasses.replace(settings, s3=dataclasses.replace(settings.s3, secret_access_key="guessed-secret"))  # noqa: S106 - not a real secret
    with pytest.raises(StoreUnavailable, match="`dvc push` failed: ") as refusal:
        RegistryBuilder(failing, tmp_path / "unused", official_files).build("1.0.0")
    assert "guessed-secret" not in str(refusal.value)
    assert git(tmp_path / "registry.git", "for-each-ref") == ""


@pytest.mark.parametrize("name", [None, "minikube"])
def test_missing_remote_of_the_registry_is_named_before_anything_is_built(
    settings: RegistrySettings, official_files: Path, tmp_path: Path, name: str | None
) -> None:
    _start_registry(settings, tmp_path, "")
    nowhere = dataclasses.replace(settings, remote=name, remote_url=None)
    with pytest.raises(InvalidSetting, match=r"has no DVC remote .*DVC_REMOTE_URL"):
        RegistryBuilder(nowhere, tmp_path / "unused", official_files).build("1.0.0")


def _start_registry(settings: RegistrySettings, tmp_path: Path, config: str) -> None:
    """Turn the empty repository into a DVC project with this configuration, in a first commit."""
    seed = tmp_path / "seed.git"
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgSign=false")
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(seed))
    (seed / ".dvc").mkdir()
    (seed / ".dvc/config").write_text(config, encoding="utf-8")
    git(seed, "add", "--all")
    git(seed, *author, "commit", "--quiet", "--message", "Start")
    git(seed, "push", "--quiet", str(settings.repo), "main")
