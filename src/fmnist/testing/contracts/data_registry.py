"""The contract of every `DataRegistry`. An adapter's tests subclass `DataRegistryContract` and supply its fixtures."""

import re
from abc import ABC, abstractmethod

import numpy as np
import pytest

from fmnist.domain.model.data.dataset import SplitFile
from fmnist.domain.model.data.metadata import check_split, describe
from fmnist.domain.model.errors import CorruptData, DataVersionNotFound, Remedy, SplitNotFound
from fmnist.ports.data_registry import DataRegistry
from fmnist.testing.data import toy_splits

CONTENT = {
    "1.2.0": toy_splits(test=0),
    "1.10.0": toy_splits(seed=1),
    "1.9.0": toy_splits(seed=2),
    "0.1.0": toy_splits(train=0, test=0),
}
"""The versions in the registry under test, in the order in which they were added."""

FILES = {"1.9.0": 3}
"""The number of files of the train split, if not 1. The first ones may have one row more than the others."""

NEWEST_FIRST = [f"fashion-mnist-v{number}" for number in ("1.10.0", "1.9.0", "1.2.0", "0.1.0")]


class DataRegistryContract(ABC):
    """The contract, as tests. Supply `registry` and `empty_registry` as fixtures, `damage` and `lose` as methods."""

    @pytest.fixture
    @abstractmethod
    def registry(self) -> DataRegistry:
        """A registry that holds `CONTENT` in as many files as `FILES` says. Tests may damage it."""

    @pytest.fixture
    @abstractmethod
    def empty_registry(self) -> DataRegistry:
        """A registry without a version."""

    @abstractmethod
    def damage(self, registry: DataRegistry, file: SplitFile) -> None:
        """Change a stored byte of the file, behind the registry's back."""

    @abstractmethod
    def lose(self, registry: DataRegistry, file: SplitFile) -> None:
        """Delete the file's content, behind the registry's back."""

    def test_versions_are_ordered_by_meaning_newest_first(self, registry: DataRegistry) -> None:
        assert registry.versions() == NEWEST_FIRST

    def test_an_empty_registry_has_no_versions(self, empty_registry: DataRegistry) -> None:
        assert empty_registry.versions() == []

    @pytest.mark.parametrize("version", [None, "DEV", "latest"])
    def test_nothing_dev_and_latest_mean_the_newest(self, registry: DataRegistry, version: str | None) -> None:
        assert registry.resolve(version).version == "fashion-mnist-v1.10.0"

    @pytest.mark.parametrize("version", ["fashion-mnist-v1.2.0", "v1.2.0", "1.2.0"])
    def test_a_version_may_be_named_short_or_in_full(self, registry: DataRegistry, version: str) -> None:
        assert registry.resolve(version).version == "fashion-mnist-v1.2.0"

    @pytest.mark.parametrize("version", ["2.0.0", "fashion-mnist-v1", "nonsense", "1.2"])
    def test_unknown_version_is_refused_and_those_there_are_listed(self, registry: DataRegistry, version: str) -> None:
        with pytest.raises(DataVersionNotFound, match=re.escape(version)) as refusal:
            registry.resolve(version)
        assert ", ".join(NEWEST_FIRST) in str(refusal.value)

    @pytest.mark.parametrize("version", [None, "1.2.0"])
    def test_an_empty_registry_says_how_to_fill_it(self, empty_registry: DataRegistry, version: str | None) -> None:
        with pytest.raises(DataVersionNotFound, match="has no version yet") as refusal:
            empty_registry.resolve(version)
        assert refusal.value.remedies == (Remedy.BUILD_DATA,)

    def test_a_version_is_pinned_to_one_commit(self, registry: DataRegistry) -> None:
        first, again = registry.resolve("1.2.0"), registry.resolve("1.2.0")
        assert re.fullmatch("[0-9a-f]{40}", first.commit)
        assert (first.commit, first.splits, first.digest) == (again.commit, again.splits, again.digest)

    def test_versions_with_other_content_differ_in_commit_and_digest(self, registry: DataRegistry) -> None:
        newer, older = registry.resolve("1.10.0"), registry.resolve("1.9.0")
        assert newer.commit != older.commit
        assert newer.digest != older.digest

    def test_metadata_comes_with_the_version(self, registry: DataRegistry) -> None:
        dataset = registry.resolve("1.9.0")
        assert dataset.metadata == describe(CONTENT["1.9.0"])
        assert dataset.normalization.mean == dataset.metadata["metrics"]["train"]["pixel_mean"]
        assert dataset.class_names[9] == "Ankle boot"

    @pytest.mark.parametrize("version", ["1.2.0", "1.10.0", "1.9.0"])
    def test_splits_are_read_back_as_they_were_put_there(self, registry: DataRegistry, version: str) -> None:
        dataset = registry.resolve(version)
        assert set(dataset.splits) == set(CONTENT[version])
        assert set(dataset.paths) == {*dataset.splits, "metadata"}
        assert len(dataset.files("train")) == FILES.get(version, 1)
        for split, expected in CONTENT[version].items():
            found = registry.read(dataset, split)
            np.testing.assert_array_equal(found.images, expected.images)
            np.testing.assert_array_equal(found.labels, expected.labels)
            check_split(dataset.metadata, split, found)

    def test_a_version_without_test_split_resolves_but_gives_none(self, registry: DataRegistry) -> None:
        dataset = registry.resolve("1.2.0")
        with pytest.raises(SplitNotFound, match=r"'test'.*train, val"):
            registry.read(dataset, "test")

    def test_a_version_without_train_split_is_refused(self, registry: DataRegistry) -> None:
        with pytest.raises(SplitNotFound, match="'train'"):
            registry.resolve("0.1.0")

    @pytest.mark.parametrize("version", ["1.10.0", "1.9.0"])
    def test_a_changed_byte_is_noticed_in_any_file(self, registry: DataRegistry, version: str) -> None:
        dataset = registry.resolve(version)
        self.damage(registry, last := dataset.files("train")[-1])
        with pytest.raises(CorruptData, match=rf"'train' at {re.escape(last.uri)}"):
            registry.read(dataset, "train")
        registry.read(dataset, "val")

    @pytest.mark.parametrize("split", ["train", "val"])
    def test_a_lost_file_is_named_with_its_address(self, registry: DataRegistry, split: str) -> None:
        dataset = registry.resolve("1.9.0")
        self.lose(registry, last := dataset.files(split)[-1])
        with pytest.raises(CorruptData, match=rf"{split!r} is not at {re.escape(last.uri)}"):
            registry.read(dataset, split)
