"""Versioned data: the list of versions, and the content of each."""

from abc import abstractmethod
from typing import Protocol

from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages


class DataRegistry(Protocol):
    """A store of immutable data versions, named by tags such as `fashion-mnist-v1.0.0`."""

    @abstractmethod
    def versions(self) -> list[str]:
        """Return the versions, newest first by semantic version; an empty list without versions.

        Raises:
            StoreUnavailable: the registry does not answer.
        """

    @abstractmethod
    def resolve(self, version: str | None = None) -> DatasetVersion:
        """Pin a version. None, `DEV` and `latest` mean the newest; `v1.0.0` and `1.0.0` mean the full tag.

        Raises:
            DataVersionNotFound: the version does not exist, or there is none; the message lists the versions.
            SplitNotFound: the version lacks `train` or `val`.
            CorruptData: its metadata is absent or unreadable.
            StoreUnavailable: the registry does not answer.
        """

    @abstractmethod
    def read(self, dataset: DatasetVersion, split: str) -> LabeledImages:
        """Return a split, after a check of its bytes against their hash.

        Raises:
            SplitNotFound: the version has no such split.
            CorruptData: the split is absent, or has other bytes, columns, dtypes or labels than promised.
            StoreUnavailable: the store does not answer.
        """
