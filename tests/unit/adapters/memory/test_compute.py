import pytest

from fmnist.adapters.memory.compute import MemoryCompute
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.testing.contracts.compute import ComputeContract
from fmnist.testing.data import toy_splits


class TestMemoryCompute(ComputeContract):
    @pytest.fixture(scope="class")
    @classmethod
    def registry(cls) -> MemoryDataRegistry:
        return MemoryDataRegistry()

    @pytest.fixture(scope="class")
    @classmethod
    def dataset(cls, registry: MemoryDataRegistry) -> DatasetVersion:
        return registry.add("1.0.0", toy_splits(train=320, val=100, test=100))

    @pytest.fixture(scope="class")
    @classmethod
    def compute(cls, registry: MemoryDataRegistry, tmp_path_factory: pytest.TempPathFactory) -> MemoryCompute:
        return MemoryCompute(registry, tmp_path_factory.mktemp("weights"))
