"""Reads a file that a person named, which may be anything: a pipe that nobody writes to, a device without an end."""

import errno
import stat
from pathlib import Path


def check_file(path: Path) -> None:
    """Look at a path before it is opened, which for a pipe would wait for its writer.

    Raises:
        OSError: it is absent or no regular file; `strerror` says which.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def read_file(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file, at most so many.

    Raises:
        OSError: it is absent, no regular file, unreadable or longer; `strerror` says which.
    """
    check_file(path)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"longer than {most} bytes", str(path))
    return content
