"""Where input files are: on a disk, or in an S3 store. A place lists files, and opens them."""

import errno
import glob
import io
import os
import stat
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from fmnist.adapters.parquet.storage import S3Settings, s3_advice, s3_filesystem, unavailable
from fmnist.domain.model.address import without_credentials
from fmnist.domain.model.errors import InvalidImages, StoreUnavailable
from fmnist.domain.model.files import absolute, read_file
from fmnist.domain.model.text import words_of

_S3 = "s3://"
_WILD = frozenset("*?[")
_BLOCK = 8 << 20  # bytes of a request to S3
_OBJECTS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Found:
    """A file: its path or `s3://` URI, and what changes with its content."""

    uri: str
    stamp: str


class Place(Protocol):
    """Files by URI. Errors are those of the vendor: `reported` translates them."""

    @abstractmethod
    def find(self, text: str) -> tuple[str, list[Found]]:
        """Return a base, and the files of a file, a folder or a pattern, by name. Each URI begins with `base/`.

        Hidden files of a folder are left out.
        """

    @abstractmethod
    def stat(self, uri: str) -> Found:
        """Return one file."""

    @abstractmethod
    def open(self, uri: str) -> BinaryIO:
        """Open a file, in which one can seek."""

    @abstractmethod
    def contents(self, uris: Sequence[str], most: int) -> Iterator[bytes | OSError]:
        """Yield the bytes of each file, or the error if only this file cannot be read, or has more than `most`."""


def place_of(uri: str, s3: S3Settings) -> Place:
    """Return the place of a path or `s3://` URI."""
    if uri.startswith(_S3):
        if uri.removeprefix(_S3)[:1] in {"", "/"}:
            raise InvalidImages(f"no bucket is named: expected {_S3}BUCKET/PATH")
        return _Bucket(s3)
    if "://" in uri:
        raise InvalidImages(f"expected a path or an {_S3} address")
    return _Disk()


@contextmanager
def reported(uri: str, s3: S3Settings) -> Iterator[None]:
    """Translate errors of the place of `uri` inside of the block, and name `uri` in the reason of a refusal.

    Raises:
        InvalidImages: the file is refused, does not exist, or is not readable.
        StoreUnavailable: S3 does not answer, or denies access.
    """
    try:
        yield
    except InvalidImages as error:
        raise InvalidImages(f"{uri}: {error}") from error
    except FileNotFoundError as error:
        raise InvalidImages(f"{uri}: {os.strerror(errno.ENOENT)}") from error
    except _failures() as error:
        if uri.startswith(_S3):
            where, reason = s3.endpoint_url or "of AWS", words_of(error)
            raise StoreUnavailable(
                f"{uri} cannot be read (endpoint {without_credentials(where)}): {without_credentials(reason)}; "
                f"{s3_advice(s3, error)}"
            ) from error
        if isinstance(error, OSError):
            raise InvalidImages(f"{uri}: {error.strerror or error}") from error
        if "null byte" not in str(error):
            raise
        raise InvalidImages(f"{uri!r} is not a path: {error}") from error


def _failures() -> tuple[type[Exception], ...]:
    return *unavailable(), ValueError, ImportError


class _Disk(Place):
    def find(self, text: str) -> tuple[str, list[Found]]:
        path = absolute(text)
        if os.path.isdir(path):  # noqa: PTH112 - it also says no for a path that cannot be
            return path.rstrip("/"), [self._one_of(file) for file in sorted(_walk(path))]
        if not _WILD.intersection(path) or os.path.lexists(path):
            return path.rpartition("/")[0], [self.stat(path)]
        there = glob.glob(path, recursive=True)  # noqa: PTH207 - a path has no way to its own pattern
        found = sorted(file for file in there if not Path(file).is_dir())
        return _base_of(path), [self._one_of(file) for file in found]

    def _one_of(self, path: str) -> Found:
        try:
            return self.stat(path)
        except OSError as error:  # whose path is otherwise lost: the user named a folder or pattern
            raise InvalidImages(f"{path}: {error.strerror or error}") from error

    def stat(self, uri: str) -> Found:
        status = Path(uri).stat()
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", uri)
        return Found(uri, f"{status.st_size} {status.st_mtime_ns}")

    def open(self, uri: str) -> BinaryIO:
        return Path(uri).open("rb")

    def contents(self, uris: Sequence[str], most: int) -> Iterator[bytes | OSError]:
        for uri in uris:
            try:
                yield read_file(Path(uri), most)
            except OSError as error:
                yield error


class _Bucket(Place):
    def __init__(self, s3: S3Settings) -> None:
        self._store = s3_filesystem(s3)

    def find(self, text: str) -> tuple[str, list[Found]]:
        path = text.rstrip("/")
        if _WILD.intersection(path) and not self._store.exists(path):
            return _base_of(path), _listed(self._store.glob(path, detail=True))
        status = self._store.info(path)
        if status["type"] == "directory":
            return path, [file for file in _listed(self._store.find(path, detail=True)) if not _hidden(file.uri, path)]
        return path.rpartition("/")[0], _listed({path: status})

    def stat(self, uri: str) -> Found:
        (found,) = _listed({uri: self._store.info(uri)})
        return found

    def open(self, uri: str) -> BinaryIO:
        return cast("BinaryIO", io.BufferedReader(self._store.open(uri, "rb", block_size=_BLOCK), _BLOCK))

    def contents(self, uris: Sequence[str], most: int) -> Iterator[bytes | OSError]:
        for start in range(0, len(uris), _OBJECTS_AT_ONCE):
            some = list(uris[start : start + _OBJECTS_AT_ONCE])
            for content in self._store.cat_ranges(some, 0, most + 1, on_error="return"):
                yield _object(content, most)


def _object(content: bytes | Exception, most: int) -> bytes | OSError:
    if isinstance(content, OSError) and content.errno == errno.EINVAL:
        return b""  # an empty object has no range
    if isinstance(content, FileNotFoundError):
        return content
    if isinstance(content, Exception):
        raise content
    return content if len(content) <= most else OSError(errno.EFBIG, f"longer than {most} bytes")


def _listed(statuses: dict[str, dict[str, Any]]) -> list[Found]:
    return [
        Found(_S3 + status["name"], f"{status['size']} {status['ETag']}")
        for _, status in sorted(statuses.items())
        if status["type"] == "file" and not status["name"].endswith("/")
    ]


def _walk(folder: str) -> Iterator[str]:
    """Yield the files below a folder. Links are followed, but no folder is visited twice."""
    seen = set[str]()
    for path, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        if (real := str(Path(path).resolve())) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (f"{path.rstrip('/')}/{name}" for name in files if not name.startswith("."))


def _raise(error: OSError) -> None:
    raise error


def _hidden(uri: str, base: str) -> bool:
    return "/." in uri.removeprefix(base)


def _base_of(pattern: str) -> str:
    parts = pattern.split("/")
    return "/".join(parts[: next(place for place, part in enumerate(parts) if _WILD.intersection(part))])
