"""Standard streams that survive a pipe without a reader, a full disk, and closed descriptors.

Writing to stderr never fails: what cannot be written is lost. If a result cannot be written to stdout, the process
ends. It says why, except on a closed pipe, where it ends silently as other programs do on SIGPIPE.
"""

import io
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

UNREAD = 128 + signal.SIGPIPE  # the exit code in a shell of a program that SIGPIPE ended


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Guard the standard streams for the rest of the process, and flush stdout at the end of the block.

    Streams that were replaced, as tests do, are left alone.
    """
    _fill_closed()
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Output(1, "w", closefd=False), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Output(2, "w", closefd=False), sys.stderr)
    try:
        yield
    finally:
        sys.stdout.flush()


class _Output(io.FileIO):
    """The file of stdout or stderr."""

    def write(self, data: Any) -> int:
        try:
            # Another program on the same terminal can have made it non-blocking.
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            if self.fileno() == 2:
                return len(data)
            # The rest of the buffer goes to /dev/null: it would fail again when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            if isinstance(error, BrokenPipeError):
                raise SystemExit(UNREAD) from None
            sys.stderr.write(f"error: the result cannot be written to stdout: {error.strerror}\n")
            raise SystemExit(1) from None
        return written


def _fill_closed() -> None:
    """Open closed standard streams on /dev/null: else the next opened file gets their number and their output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - it gets the lowest free number
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))


def _text(raw: io.FileIO, before: TextIO | None) -> io.TextIOWrapper:
    """Make a text stream like the one before, or like none if that was closed. It can write every character."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before else "utf-8",
        errors="backslashreplace",
        line_buffering=raw.fileno() == 2 or raw.isatty(),
        write_through=bool(getattr(before, "write_through", False)),
    )
