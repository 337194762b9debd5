"""The standard streams of a process, whatever is at their other end: a pipe without a reader, a full disk, nothing.

What goes to stderr is told to whoever listens. It is no part of the work, so writing it never fails. A result that
cannot be written ends the process: quietly where its reader went away, as SIGPIPE ends other programs, else in a line.
"""

import io
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

UNREAD = 128 + signal.SIGPIPE  # what a shell shows of a program that SIGPIPE ended


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Guard the standard streams for the rest of the process; at the end of the block, all results are written.

    Streams that somebody has put in their place, as tests do, are left alone.
    """
    _fill_closed()
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Results(1, "w", closefd=False), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Remarks(2, "w", closefd=False), sys.stderr)
    try:
        yield
    finally:
        sys.stdout.flush()


class _Output(io.FileIO):
    def write(self, data: Any) -> int:
        # Another program can have made a terminal that we share with it non-blocking.
        while (written := super().write(data)) is None:
            select.select([], [self], [])
        return written


class _Remarks(_Output):
    """Progress, log and errors; what cannot be written is lost."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


class _Results(_Output):
    """What a command was run for."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            # What is still in a buffer goes nowhere, instead of failing again while the interpreter ends.
            _point_nowhere(self.fileno())
            if isinstance(error, BrokenPipeError):
                raise SystemExit(UNREAD) from None
            sys.stderr.write(f"error: the result cannot be written to stdout: {error.strerror}\n")
            raise SystemExit(1) from None


def _fill_closed() -> None:
    """Leave no standard stream closed: the next file that is opened would get its number, and what is written to it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _point_nowhere(number)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))


def _point_nowhere(number: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    if nothing == number:
        os.set_inheritable(number, True)  # noqa: FBT003
    else:
        os.dup2(nothing, number)
        os.close(nothing)


def _text(raw: io.FileIO, before: TextIO | None) -> io.TextIOWrapper:
    """Make a text stream like the one before, which is None where it was closed; it can write every character."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before else "utf-8",
        errors="backslashreplace",
        line_buffering=raw.fileno() == 2 or raw.isatty(),
        write_through=bool(getattr(before, "write_through", False)),
    )
