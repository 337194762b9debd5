"""Settings that locate a data registry, as plain values. The default paths come from the platform contract."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fmnist.adapters.parquet.storage import S3Settings
from fmnist.domain.model.address import Address


@dataclass(frozen=True, slots=True)
class RegistryPaths:
    """Paths of the registry's files, relative to its root. Older versions have no `test`."""

    train: str = "data/fashion-mnist/processed/train/train.parquet"
    val: str = "data/fashion-mnist/processed/val/val.parquet"
    test: str = "data/fashion-mnist/processed/test/test.parquet"
    metadata: str = "data/fashion-mnist/metadata.json"

    def splits(self) -> Mapping[str, str]:
        """Return the path of each split, by its name."""
        return {"train": self.train, "val": self.val, "test": self.test}


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """A data registry.

    Attributes:
        repo: path of the Git repository (bare or not), or its URL.
        remote: the DVC remote to use; None is the repository's default.
        remote_url: location of the data (a directory or `s3://...`). It overrides the repository's configuration.
        paths: paths of the files in the repository.
        s3: S3 settings, used when the data lies in S3.
    """

    repo: Address
    remote: str | None = None
    remote_url: str | None = None
    paths: RegistryPaths = field(default_factory=RegistryPaths)
    s3: S3Settings = field(default_factory=S3Settings)
