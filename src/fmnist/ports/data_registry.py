"""Versioned data: which versions there are, and what one of them holds."""

from abc import abstractmethod
from typing import Protocol

from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages


class DataRegistry(Protocol):
    """A store of immutable data versions, named by tags such as `fashion-mnist-v1.0.0`."""

    @abstractmethod
    def versions(self) -> list[str]:
        """Return the versions, newest first by semantic version; an empty list when there is none.

        Raises:
            StoreUnavailable: the registry does not answer.
        """

    @abstractmethod
    def resolve(self, version: str | None = None) -> DatasetVersion:
        """Pin a version; None, `DEV` and `latest` mean the newest, and `v1.0.0` or `1.0.0` is short for the full tag.

        Raises:
            DataVersionNotFound: no such version, or none at all; the message lists those there are.
            SplitNotFound: the version lacks `train` or `val`.
            CorruptData: its metadata is absent or unreadable.
            StoreUnavailable: the registry does not answer.
        """

    @abstractmethod
    def read(self, dataset: DatasetVersion, split: str) -> LabeledImages:
        """Return a split whose bytes were checked against their hash.

        Raises:
            SplitNotFound: the version has no such split.
            CorruptData: absent, or other bytes, columns, dtypes or labels than promised.
            StoreUnavailable: the store does not answer.
        """
