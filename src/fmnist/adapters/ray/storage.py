"""Where Ray Train keeps checkpoints: a directory that all nodes share, or an S3-compatible store."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.fs

from fmnist.adapters.lightning.checkpoint import make_writable
from fmnist.adapters.parquet.storage import S3Settings, s3fs_options, unavailable, way_advice
from fmnist.domain.model.address import without_credentials
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.text import words_of
from fmnist.domain.services.bounded_calls import BoundedCalls

_ATTEMPTS = 6  # some 15 s of waiting in all: a store that restarts costs no epoch
_PROBE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class CheckpointStorage:
    """A path, and how to reach it.

    Attributes:
        path: an absolute directory, or `bucket/prefix` when `s3` is set.
        s3: None for a directory.
    """

    path: str
    s3: S3Settings | None = None

    def __str__(self) -> str:
        if self.s3 is None:
            return self.path
        return f"s3://{self.path} at {self.s3.endpoint_url or 'AWS'}"

    def filesystem(self) -> pyarrow.fs.FileSystem | None:
        """Return the S3 file system, or None for a directory, which Ray opens by itself.

        It is s3fs in pyarrow's clothes: pyarrow's own cannot leave a certificate unchecked.
        """
        if self.s3 is None:
            return None
        return pyarrow.fs.PyFileSystem(_Objects(fsspec.filesystem("s3", **s3fs_options(self.s3, _ATTEMPTS))))

    def prepare(self) -> None:
        """Write to the directory, which is made, or to the store, so that what cannot work is told before any start.

        Raises:
            StoreUnavailable: it cannot be written, or does not answer in time.
        """
        with self.in_use("cannot be kept", ValueError):  # boto's, for an address that is none
            if self.s3 is None:
                make_writable(Path(self.path))
            else:
                BoundedCalls().run(str(self), self._try_out, _PROBE_SECONDS)

    @contextmanager
    def in_use(self, what: str, *further: type[Exception]) -> Iterator[None]:
        """Translate the storage's errors, and `further` ones, inside of the block; `what` says what cannot be done.

        Raises:
            StoreUnavailable: names the storage, what is wrong with it, and what to look at.
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
            return f"make the bucket {self._bucket!r}, or correct RAY_STORAGE_PATH"
        if isinstance(error, PermissionError):
            return "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and what they may do there"
        advice = way_advice(self.s3, error)
        return advice or "check that the store runs, and the RAY_STORAGE_... and AWS_... variables"

    def _try_out(self) -> None:
        assert self.s3 is not None
        store = fsspec.filesystem("s3", **s3fs_options(self.s3))
        # Some stores make a bucket for whoever writes to it, so that a wrong name would work.
        store.call_s3("list_objects_v2", Bucket=self._bucket, MaxKeys=1)
        store.pipe_file(f"{self.path}/.fmnist", b"")


class _Objects(pyarrow.fs.FSSpecHandler):  # type: ignore[misc]  # pyarrow is not typed
    """A store of objects has no directories to make, and does not get a bucket because of a slip of the pen."""

    def __init__(self, store: fsspec.AbstractFileSystem) -> None:
        super().__init__(store)
        store.retries = 1  # s3fs would try five times what botocore has tried again already

    def __reduce__(self) -> tuple[Any, ...]:
        return _Objects, (self.fs,)

    def create_dir(self, path: str, recursive: bool) -> None:  # noqa: FBT001 - pyarrow's signature
        pass
