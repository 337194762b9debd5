from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from fmnist.adapters.dvc.registry import DvcDataRegistry
from fmnist.adapters.parquet.files import SplitReader
from fmnist.adapters.ray.compute import RayCompute
from fmnist.adapters.ray.settings import ClusterSettings
from fmnist.adapters.ray.storage import CheckpointStorage
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.testing.data import toy_splits
from tests.integration.support import make_dvc_registry


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> DvcDataRegistry:
    # 101 images cannot be divided equally between two workers.
    splits = toy_splits(train=320, val=101, test=100)
    versions, files = {"1.0.0": splits, "1.1.0": splits}, {"1.1.0": 3}
    return DvcDataRegistry(make_dvc_registry(tmp_path_factory.mktemp("registry"), versions, files=files))


@pytest.fixture(scope="session")
def dataset(registry: DvcDataRegistry) -> DatasetVersion:
    return registry.resolve()


@pytest.fixture(scope="session")
def damaged(dataset: DatasetVersion, tmp_path_factory: pytest.TempPathFactory) -> DatasetVersion:
    """The same version with one flipped bit in the train split's first file."""
    content = bytearray(Path(dataset.files("train")[0].uri).read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path_factory.mktemp("damaged") / "train.parquet"
    path.write_bytes(content)
    first, *others = dataset.files("train")
    return replace(dataset, splits={**dataset.splits, "train": (replace(first, uri=str(path)), *others)})


@pytest.fixture(scope="session")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCompute]:
    """One cluster for all tests: the first fit starts it."""
    compute = RayCompute(
        cluster=ClusterSettings(),
        reader=SplitReader(),
        storage=CheckpointStorage(str(tmp_path_factory.mktemp("checkpoints"))),
    )
    yield compute
    compute.close()
    assert not ray.is_initialized()
