"""The real command in this process, through its own entry point.

A separate process would spend seconds on imports to print one line.
"""

import io
import json
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fmnist.__main__ import main
from tests.integration.apps.command import Command


@dataclass(frozen=True)
class Here:
    """The command in this process."""

    command: Command

    def __call__(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        """Return the exit code, stdout and stderr."""
        out, err = io.StringIO(), io.StringIO()
        with (
            self.surroundings(**variables),
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main(list(arguments))
        code = ended.value.code
        assert isinstance(code, int)
        return code, out.getvalue(), err.getvalue()

    def told(self, *arguments: str, **variables: str) -> str:
        """Check that the command succeeds, and return its stdout."""
        code, out, err = self(*arguments, **variables)
        assert code == 0, err
        return out

    def json(self, *arguments: str, **variables: str) -> Any:
        """Run with --json, and return the parsed stdout."""
        return json.loads(self.told(*arguments, "--json", **variables))

    def refused(self, *arguments: str, code: int = 2, **variables: str) -> str:
        """Check that the command ends with `code` and an error of one line, and return that line."""
        ended, out, err = self(*arguments, **variables)
        assert (ended, out) == (code, ""), err
        *before, line = err.splitlines()
        assert line.startswith("error: ")
        # A log line or an epoch's metrics may come before it.
        assert not [text for text in before if "rror" in text or "Traceback" in text]
        return line.removeprefix("error: ")

    @contextmanager
    def surroundings(self, **variables: str) -> Iterator[None]:
        """Enter the command's directory and environment. At the end, restore them, signal handlers and logging."""
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        root, ours = logging.getLogger(), logging.getLogger("fmnist")
        levels, log_handlers = (root.level, ours.level), list(root.handlers)
        environment, directory = dict(os.environ), Path.cwd()
        try:
            os.environ.clear()
            os.environ.update(self.command.environment | variables)
            os.chdir(self.command.home)
            yield
        finally:
            os.chdir(directory)
            os.environ.clear()
            os.environ.update(environment)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            root.handlers[:] = log_handlers
            root.setLevel(levels[0])
            ours.setLevel(levels[1])
