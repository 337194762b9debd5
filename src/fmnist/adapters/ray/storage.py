"""Storage of Ray Train's checkpoints: a directory that all nodes share, or an S3-compatible store."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.fs

from fmnist.adapters.lightning.checkpoint import make_writable
from fmnist.adapters.parquet.storage import S3Settings, s3_filesystem, unavailable, way_advice
from fmnist.domain.model.address import without_credentials
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.text import words_of
from fmnist.domain.services.bounded_calls import BoundedCalls

_ATTEMPTS = 6  # about 15 s of waiting in all, so that no epoch is lost while a store restarts
_PROBE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class CheckpointStorage:
    """A path, and how to reach it.

    Attributes:
        path: an absolute directory, or `bucket/prefix` when `s3` is set.
        s3: settings of the S3 store; None for a directory.
    """

    path: str
    s3: S3Settings | None = None

    def __str__(self) -> str:
        if self.s3 is None:
            return self.path
        return f"s3://{self.path} at {self.s3.endpoint_url or 'AWS'}"

    def filesystem(self) -> pyarrow.fs.FileSystem | None:
        """Return the S3 file system, or None for a directory, which Ray opens by itself.

        It wraps s3fs for pyarrow, because pyarrow's own S3 file system cannot turn off certificate verification.
        """
        if self.s3 is None:
            return None
        return pyarrow.fs.PyFileSystem(_Objects(s3_filesystem(self.s3, _ATTEMPTS)))

    def prepare(self) -> None:
        """Create the directory, and write to it or to the store, so that a wrong setting fails before training.

        Raises:
            StoreUnavailable: it cannot be written, or does not answer in time.
        """
        with self.in_use("cannot be kept", ValueError):  # boto raises ValueError for an invalid URL
            if self.s3 is None:
                make_writable(Path(self.path))
            else:
                BoundedCalls().run(str(self), self._try_out, _PROBE_SECONDS)

    @contextmanager
    def in_use(self, what: str, *further: type[Exception]) -> Iterator[None]:
        """Translate errors of the storage, and `further` ones, inside of the block. `what` says what failed.

        Raises:
            StoreUnavailable: the message names the storage, the cause, and what to check.
        """
        try:
            yield
        except (*unavailable(), *further) as error:
            place, words = map(without_credentials, (str(self), words_of(error)))
            raise StoreUnavailable(f"checkpoints {what} in {place}: {words}; {self._advice(error)}") from error

    @property
    def _bucket(self) -> str:
        return self.path.partition("/")[0]

    def _advice(self, error: Exception) -> str:
        if self.s3 is None:
            return "check FMNIST_HOME, and that all nodes share it"
        if isinstance(error, FileNotFoundError):
            return f"create the bucket {self._bucket!r}, or correct RAY_STORAGE_PATH"
        if isinstance(error, PermissionError):
            return "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and the permissions of that key"
        advice = way_advice(self.s3, error)
        return advice or "check that the store runs, and the RAY_STORAGE_... and AWS_... variables"

    def _try_out(self) -> None:
        assert self.s3 is not None
        store = s3_filesystem(self.s3)
        # List first: some stores create a missing bucket at a write, and so would accept a wrong name.
        store.call_s3("list_objects_v2", Bucket=self._bucket, MaxKeys=1)
        store.pipe_file(f"{self.path}/.fmnist", b"")


class _Objects(pyarrow.fs.FSSpecHandler):  # type: ignore[misc]  # pyarrow is not typed
    """An object store, which needs no directories. `create_dir` must do nothing, or a wrong name makes a bucket."""

    def __init__(self, store: fsspec.AbstractFileSystem) -> None:
        super().__init__(store)
        store.retries = 1  # also after pickling, see `s3_filesystem`

    def __reduce__(self) -> tuple[Any, ...]:
        return _Objects, (self.fs,)

    def create_dir(self, path: str, recursive: bool) -> None:  # noqa: FBT001 - pyarrow's signature
        pass
