"""The in-memory registry follows the port's contract, and never changes a version."""

import dataclasses

import pytest

from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.domain.model.data.dataset import LabeledImages, SplitFile
from fmnist.domain.model.errors import CorruptData, InvalidSetting
from fmnist.testing.contracts.data_registry import CONTENT, FILES, DataRegistryContract
from fmnist.testing.data import toy_splits


class TestMemoryDataRegistry(DataRegistryContract):
    @pytest.fixture
    def registry(self) -> MemoryDataRegistry:
        registry = MemoryDataRegistry()
        for version, splits in CONTENT.items():
            registry.add(version, splits, files=FILES.get(version, 1))
        return registry

    @pytest.fixture
    def empty_registry(self) -> MemoryDataRegistry:
        return MemoryDataRegistry()

    def damage(self, registry: MemoryDataRegistry, file: SplitFile) -> None:
        data = registry._content[file.uri]
        registry._content[file.uri] = LabeledImages(data.images ^ 1, data.labels)

    def lose(self, registry: MemoryDataRegistry, file: SplitFile) -> None:
        del registry._content[file.uri]


def test_a_version_never_changes() -> None:
    registry = MemoryDataRegistry()
    registry.add("1.0.0", toy_splits())
    with pytest.raises(InvalidSetting, match=r"fashion-mnist-v1.0.0 is in the registry already"):
        registry.add("v1.0.0", toy_splits(seed=1))


@pytest.mark.parametrize("version", ["1.0", "newest", "", "v", "1.0.0-", "fashion-mnist-1.0.0"])
def test_a_version_needs_a_semantic_number(version: str) -> None:
    with pytest.raises(InvalidSetting, match="expected three numbers"):
        MemoryDataRegistry().add(version, toy_splits())


def test_given_metadata_is_kept_and_refused_if_unusable() -> None:
    registry = MemoryDataRegistry()
    assert registry.add("1.0.0", toy_splits(), metadata={"mine": 1}).metadata == {"mine": 1}
    with pytest.raises(CorruptData, match="pixel_mean"):
        registry.resolve("1.0.0")


def test_equal_content_has_an_equal_digest_in_any_version() -> None:
    registry = MemoryDataRegistry()
    first, second = registry.add("1.0.0", toy_splits()), registry.add("2.0.0", toy_splits())
    assert first.digest == second.digest
    assert first.commit != second.commit


def test_a_dataset_of_another_registry_is_not_read() -> None:
    registry = MemoryDataRegistry()
    dataset = registry.add("1.0.0", toy_splits())
    elsewhere = dataclasses.replace(dataset.files("train")[0], uri="memory://elsewhere")
    with pytest.raises(CorruptData, match="memory://elsewhere"):
        registry.read(dataclasses.replace(dataset, splits={"train": (elsewhere,)}), "train")
