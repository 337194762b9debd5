"""Reads files that a person named. The path may also be a pipe without a writer, or a device without an end."""

import errno
import os
import tomllib
from pathlib import Path
from typing import Any

_MOST_BYTES = 20_000  # a TOML table of a dozen names takes 500


def absolute(path: str) -> str:
    """Return the path as an absolute one without `..`, so that a beginning of it is a folder around it."""
    return os.path.abspath(path)  # noqa: PTH100 - `Path.absolute` keeps `..`


def read_file(path: Path, most: int) -> bytes:
    """Return the bytes of a file that has at most `most` bytes.

    Raises:
        OSError: the file is absent, unreadable, not a regular file or too long; `strerror` says which.
    """
    # Checked before opening: opening a pipe would wait for a writer.
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"longer than {most} bytes", str(path))
    return content


def read_toml(path: Path) -> dict[str, Any]:
    """Return the top-level table of a recipe or policy file.

    Raises:
        OSError: as in `read_file`.
        ValueError: the file is not TOML.
    """
    try:
        return tomllib.loads(read_file(path, _MOST_BYTES).decode())
    except RecursionError as error:
        raise ValueError("values are nested too deeply") from error
