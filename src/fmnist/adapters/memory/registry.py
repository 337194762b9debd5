"""`DataRegistry` as a dict, for tests of code that uses one.

It behaves like the real one: immutable versions, checked bytes, and the same errors.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from fmnist.domain.model.data.data_version import choose, full_tag, newest_first
from fmnist.domain.model.data.dataset import REQUIRED_SPLITS, DatasetVersion, LabeledImages, SplitFile
from fmnist.domain.model.data.metadata import describe
from fmnist.domain.model.errors import CorruptData, InvalidSetting, SplitNotFound
from fmnist.ports.data_registry import DataRegistry


class MemoryDataRegistry(DataRegistry):
    """A registry that starts empty. `add` adds versions.

    Example:
        >>> from fmnist.testing.data import toy_splits
        >>> registry = MemoryDataRegistry()
        >>> registry.add("1.0.0", toy_splits()).version
        'fashion-mnist-v1.0.0'
    """

    def __init__(self) -> None:
        self._versions: dict[str, DatasetVersion] = {}
        self._content: dict[str, LabeledImages] = {}

    def add(
        self,
        version: str,
        splits: Mapping[str, LabeledImages],
        metadata: Mapping[str, Any] | None = None,
        *,
        files: int = 1,
    ) -> DatasetVersion:
        """Add a version to the registry and return it. Without `metadata`, it is computed from the splits.

        The train split has `files` files.

        Raises:
            InvalidSetting: it is not a semantic version, or the registry has it already.
        """
        tag = full_tag(version)
        if tag in self._versions:
            raise InvalidSetting(f"{tag} is in the registry already, and versions never change: choose another")
        content = {
            SplitFile(name, f"memory://{tag}/{name}/{place}", _md5(rows)): rows
            for name, data in splits.items()
            for place, rows in enumerate(data.cut(files if name == "train" else 1))
        }
        listed = {name: tuple(file for file in content if file.split == name) for name in splits}
        dataset = DatasetVersion(
            version=tag,
            commit=hashlib.sha1(repr((tag, listed)).encode(), usedforsecurity=False).hexdigest(),
            splits=listed,
            metadata=describe(splits) if metadata is None else metadata,
            source="memory://",
            paths={**{name: f"{name}.parquet" for name in splits}, "metadata": "metadata.json"},
        )
        self._versions[tag] = dataset
        self._content.update({file.uri: rows for file, rows in content.items()})
        return dataset

    def versions(self) -> list[str]:
        return newest_first(self._versions)

    def resolve(self, version: str | None = None) -> DatasetVersion:
        dataset = self._versions[choose(version, self.versions())]
        for split in REQUIRED_SPLITS:
            if split not in dataset.splits:
                raise SplitNotFound(f"{dataset.version} has no split {split!r}")
        dataset.normalization  # noqa: B018 (parsing raises if it is damaged)
        dataset.class_names  # noqa: B018
        return dataset

    def read(self, dataset: DatasetVersion, split: str) -> LabeledImages:
        return LabeledImages.joined(self._read(file) for file in dataset.files(split))

    def _read(self, file: SplitFile) -> LabeledImages:
        data = self._content.get(file.uri)
        if data is None:
            raise CorruptData(f"split {file.split!r} is not at {file.uri}")
        if _md5(data) != file.md5:
            raise CorruptData(f"split {file.split!r} at {file.uri} is damaged: its MD5 is not {file.md5}")
        return data


def _md5(data: LabeledImages) -> str:
    return hashlib.md5(data.images.tobytes() + data.labels.tobytes(), usedforsecurity=False).hexdigest()
