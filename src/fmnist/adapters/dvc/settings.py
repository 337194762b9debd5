"""What it takes to find a data registry, as plain values; the paths are the platform contract's."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fmnist.adapters.parquet.storage import S3Settings
from fmnist.domain.model.address import Address


@dataclass(frozen=True, slots=True)
class RegistryPaths:
    """Where the registry keeps its files, relative to its root. Older versions lack `test`."""

    train: str = "data/fashion-mnist/processed/train/train.parquet"
    val: str = "data/fashion-mnist/processed/val/val.parquet"
    test: str = "data/fashion-mnist/processed/test/test.parquet"
    metadata: str = "data/fashion-mnist/metadata.json"

    def splits(self) -> Mapping[str, str]:
        """The splits' paths by split name."""
        return {"train": self.train, "val": self.val, "test": self.test}


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """A data registry.

    Attributes:
        repo: path of the Git repository (bare or not), or its URL.
        remote: the DVC remote to use; None is the repository's default.
        remote_url: where the data lies (a directory or `s3://...`), whatever the repository's own configuration says.
        paths: where the files are in it.
        s3: how S3 is reached, when the data lies there.
    """

    repo: Address
    remote: str | None = None
    remote_url: str | None = None
    paths: RegistryPaths = field(default_factory=RegistryPaths)
    s3: S3Settings = field(default_factory=S3Settings)
