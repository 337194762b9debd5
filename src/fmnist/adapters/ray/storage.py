"""Where Ray Train keeps checkpoints: a directory that all nodes share, or an S3-compatible store."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.fs

from fmnist.adapters.parquet.storage import S3Settings
from fmnist.domain.model.errors import StoreUnavailable


@dataclass(frozen=True, slots=True)
class CheckpointStorage:
    """A path, and how to reach it.

    Attributes:
        path: an absolute directory, or `bucket/prefix` when `s3` is set.
        s3: None for a directory.
    """

    path: str
    s3: S3Settings | None = None

    def filesystem(self) -> pyarrow.fs.FileSystem | None:
        """Return the S3 file system, or None for a directory, which Ray opens by itself."""
        if self.s3 is None:
            return None
        endpoint = urlsplit(self.s3.endpoint_url or "https://s3.amazonaws.com")
        return pyarrow.fs.S3FileSystem(
            access_key=self.s3.access_key_id,
            secret_key=self.s3.secret_access_key,
            endpoint_override=endpoint.netloc,
            scheme=endpoint.scheme,
            connect_timeout=5,
        )

    def prepare(self) -> None:
        """Make the directory, so that a place that cannot be written is told before anything is started.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        if self.s3 is None:
            try:
                Path(self.path).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreUnavailable(f"cannot write checkpoints to {self.path}: {error}") from error
