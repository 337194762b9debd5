"""Ray reads splits directly from S3, and its reading task verifies them. Failures of the store become domain errors."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.parquet.files import SplitReader
from fmnist.adapters.parquet.storage import S3Settings, Storage
from fmnist.adapters.ray.cluster import join_cluster
from fmnist.adapters.ray.data import StoredSplit, read_split
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.domain.model.data.dataset import SplitFile
from fmnist.domain.model.errors import CorruptData, FmnistError, StoreUnavailable
from fmnist.testing.data import toy_splits
from stack.services import ObjectStore
from tests.integration.services import s3_settings
from tests.integration.support import make_dvc_registry

_CONTENT = toy_splits(train=101)


@pytest.fixture
def train(object_store: ObjectStore, bucket: str, tmp_path: Path) -> Sequence[SplitFile]:
    settings = make_dvc_registry(
        tmp_path, {"1.0.0": _CONTENT}, remote_url=f"s3://{bucket}", s3=s3_settings(object_store), files={"1.0.0": 3}
    )
    return DvcDataRegistry(settings).resolve("1.0.0").files("train")


def read(files: Sequence[SplitFile], s3: S3Settings) -> StoredSplit:
    join_cluster(ClusterSettings())
    return read_split(SplitReader(Storage(s3)), files)


@pytest.mark.usefixtures("compute")
def test_split_arrives_complete_and_in_order(train: Sequence[SplitFile], object_store: ObjectStore) -> None:
    found = read(train, s3_settings(object_store)).part(0, 1, None, equal=False)
    np.testing.assert_array_equal(found.images, _CONTENT["train"].images)
    np.testing.assert_array_equal(found.labels, _CONTENT["train"].labels)


@pytest.mark.usefixtures("compute")
@pytest.mark.parametrize(
    ("change", "wrong", "error", "complaint"),
    [
        ({"md5": "0" * 32}, {}, CorruptData, "'train' at s3://.* is damaged"),
        ({"uri": "s3://no-such-bucket/x"}, {}, StoreUnavailable, "bucket does not exist"),
        ({}, {"secret_access_key": "guessed"}, StoreUnavailable, "check AWS_ACCESS_KEY_ID"),
        ({}, {"endpoint_url": "http://127.0.0.1:9"}, StoreUnavailable, "check that the store runs"),
    ],
    ids=["damaged", "no bucket", "wrong secret", "dead"],
)
def test_failure_in_the_reading_task_becomes_a_domain_error(
    train: Sequence[SplitFile],
    object_store: ObjectStore,
    change: dict[str, str],
    wrong: dict[str, str],
    error: type[FmnistError],
    complaint: str,
) -> None:
    s3 = s3_settings(object_store)
    with pytest.raises(error, match=complaint) as failure:
        read([*train[:2], dataclasses.replace(train[2], **change)], dataclasses.replace(s3, **wrong))
    assert str(s3.secret_access_key) not in str(failure.value)
