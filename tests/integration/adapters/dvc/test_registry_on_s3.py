"""The registry with its data in S3: the port's contract on a real store, and errors that only a store causes."""

import dataclasses
import re
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.dvc.settings import RegistrySettings
from fmnist.adapters.parquet import storage
from fmnist.domain.model.address import Address
from fmnist.domain.model.data.dataset import SplitFile
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.testing.contracts.data_registry import CONTENT, FILES, DataRegistryContract
from fmnist.testing.data import toy_splits
from stack.services import ObjectStore
from tests.integration.services import s3_settings
from tests.integration.support import git, make_dvc_registry

_TEMPLATE = "registry-template"


@pytest.fixture(scope="module")
def template(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> RegistrySettings:
    object_store.make_buckets([_TEMPLATE])
    directory, s3 = tmp_path_factory.mktemp("template"), s3_settings(object_store)
    return make_dvc_registry(directory, CONTENT, remote_url=f"s3://{_TEMPLATE}", s3=s3, files=FILES)


@pytest.fixture
def settings(template: RegistrySettings, object_store: ObjectStore, bucket: str) -> RegistrySettings:
    """The registry with its data in a bucket for this test, which the repository's configuration does not name."""
    client = object_store.client()
    for entry in client.list_objects_v2(Bucket=_TEMPLATE)["Contents"]:
        client.copy_object(Bucket=bucket, Key=entry["Key"], CopySource={"Bucket": _TEMPLATE, "Key": entry["Key"]})
    return dataclasses.replace(template, remote_url=f"s3://{bucket}")


class TestDvcDataRegistryOnS3(DataRegistryContract):
    @pytest.fixture(autouse=True)
    def store_of_the_test(self, object_store: ObjectStore) -> None:
        self._store = object_store

    @pytest.fixture
    def registry(self, settings: RegistrySettings) -> DvcDataRegistry:
        return DvcDataRegistry(settings)

    @pytest.fixture
    def empty_registry(self, tmp_path: Path, template: RegistrySettings) -> DvcDataRegistry:
        git(tmp_path, "init", "--quiet", "--bare", "empty.git")
        return DvcDataRegistry(dataclasses.replace(template, repo=Address(str(tmp_path / "empty.git"))))

    def damage(self, registry: DvcDataRegistry, file: SplitFile) -> None:
        client, place = self._store.client(), _place(file)
        content = bytearray(client.get_object(**place)["Body"].read())
        content[len(content) // 2] ^= 1
        client.put_object(**place, Body=bytes(content))

    def lose(self, registry: DvcDataRegistry, file: SplitFile) -> None:
        self._store.client().delete_object(**_place(file))


def test_legacy_version_with_metadata_in_s3_loads(object_store: ObjectStore, bucket: str, tmp_path: Path) -> None:
    content, s3 = {"1.0.0": toy_splits(test=0)}, s3_settings(object_store)
    registry = DvcDataRegistry(make_dvc_registry(tmp_path, content, ["1.0.0"], f"s3://{bucket}", s3))
    dataset = registry.resolve()
    assert len(registry.read(dataset, "val")) == len(content["1.0.0"]["val"])
    assert dataset.normalization.std > 0


def test_endpoint_of_the_repository_s_remote_is_used_without_a_setting(
    template: RegistrySettings, object_store: ObjectStore
) -> None:
    nowhere_named = dataclasses.replace(template.s3, endpoint_url=None)
    registry = DvcDataRegistry(dataclasses.replace(template, remote_url=None, s3=nowhere_named))
    dataset = registry.resolve()
    assert dataset.files("train")[0].endpoint == object_store.endpoint_url
    assert len(registry.read(dataset, "train")) == len(CONTENT["1.10.0"]["train"])


def test_endpoint_of_the_settings_overrides_the_repository_s(template: RegistrySettings) -> None:
    elsewhere = dataclasses.replace(template.s3, endpoint_url=f"http://127.0.0.1:{_closed_port()}")
    registry = DvcDataRegistry(dataclasses.replace(template, remote_url=None, s3=elsewhere))
    with pytest.raises(StoreUnavailable, match=f"endpoint {elsewhere.endpoint_url}"):
        registry.read(registry.resolve(), "train")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"secret_access_key": "guessed"}, "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"),
        ({"access_key_id": "nobody"}, "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"),
        ({"endpoint_url": "http://127.0.0.1:{closed}"}, "Could not connect .*check that the store runs"),
        ({"endpoint_url": "http://127.0.0.1:{silent}"}, "timeout .*check that the store runs"),
        ({"endpoint_url": "localhost:9000"}, "Invalid endpoint"),
    ],
)
def test_error_for_an_unreadable_store_comes_soon_and_without_the_secret(
    template: RegistrySettings, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str], complaint: str
) -> None:
    monkeypatch.setattr(storage, "READ_SECONDS", 1)
    dataset = DvcDataRegistry(template).resolve()
    with socket.create_server(("127.0.0.1", 0)) as takes_calls:
        ports = {"silent": takes_calls.getsockname()[1], "closed": _closed_port()}
        s3 = dataclasses.replace(template.s3, **{name: value.format(**ports) for name, value in wrong.items()})
        registry = DvcDataRegistry(dataclasses.replace(template, s3=s3))
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=complaint) as refusal:
            registry.read(dataset, "train")
        assert time.monotonic() - began < 20
    assert f"'train' at {dataset.files('train')[0].uri}" in str(refusal.value)
    assert str(s3.secret_access_key) not in str(refusal.value)


def test_missing_bucket_is_not_reported_as_damaged_data(template: RegistrySettings) -> None:
    registry = DvcDataRegistry(dataclasses.replace(template, remote_url="s3://no-such-bucket"))
    with pytest.raises(
        StoreUnavailable, match=r"s3://no-such-bucket/.*bucket does not exist; correct .*DVC_REMOTE_URL"
    ):
        registry.read(registry.resolve(), "train")


def _place(file: SplitFile) -> dict[str, str]:
    address = urlsplit(file.uri)
    assert re.fullmatch(r"/files/md5/../.{30}", address.path)
    return {"Bucket": address.netloc, "Key": address.path.lstrip("/")}


def _closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port
