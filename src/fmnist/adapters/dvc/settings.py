"""Settings with the location of a data registry. The default paths are those of the platform contract."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from fmnist.adapters.parquet.storage import S3Settings
from fmnist.domain.model.address import Address


@dataclass(frozen=True, slots=True)
class RegistryPaths:
    """Paths of the files in the registry, relative to its root. Older data versions have no `test` file.

    The path of a split may be a pattern. A `*` matches within one name of the path, not across `/`.
    """

    train: str = "data/fashion-mnist/processed/train/train.parquet"
    val: str = "data/fashion-mnist/processed/val/val.parquet"
    test: str = "data/fashion-mnist/processed/test/test.parquet"
    metadata: str = "data/fashion-mnist/metadata.json"

    def splits(self) -> Mapping[str, str]:
        """Return the paths of the splits, by split name."""
        return {"train": self.train, "val": self.val, "test": self.test}

    def candidates(self, split: str) -> tuple[str, ...]:
        """Return the paths and patterns by which to search for a split's files, in the order of precedence."""
        path = self.splits()[split]
        return (path, parts_pattern(path)) if path == RegistryPaths().splits()[split] else (path,)


def parts_pattern(path: str) -> str:
    """Return the pattern of the files that replace the one file at `path`."""
    return str(PurePosixPath(path).with_name("part-*.parquet"))


def part_paths(path: str, files: int) -> list[str]:
    """Return the paths of so many files of a split. One file is at `path` itself.

    Numbers have zeros in front, so that the order of the names is that of the rows.
    """
    if files == 1:
        return [path]
    return [str(PurePosixPath(path).with_name(f"part-{number:05d}.parquet")) for number in range(files)]


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """The location of a data registry.

    Attributes:
        repo: path or URL of the Git repository, bare or not.
        remote: name of the DVC remote; None means the default remote of the repository.
        remote_url: directory or `s3://...` URL of the data. It overrides the URL in the repository's configuration.
        paths: paths of the files in the repository.
        s3: S3 settings, for data in S3.
    """

    repo: Address
    remote: str | None = None
    remote_url: str | None = None
    paths: RegistryPaths = field(default_factory=RegistryPaths)
    s3: S3Settings = field(default_factory=S3Settings)
