"""Reads a file that a person named, which may be anything: a pipe that nobody writes to, a device without an end."""

import errno
from pathlib import Path


def read_file(path: Path, most: int) -> bytes:
    """Return the bytes of a file, at most so many.

    Raises:
        OSError: it is absent, unreadable, no file or longer; `strerror` says which.
    """
    # Asked before it is opened: opening a pipe would wait for whoever writes to it.
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"longer than {most} bytes", str(path))
    return content
