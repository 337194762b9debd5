"""The real command in this process, through its own entry point.

A process of its own would spend ten seconds on imports to say one line.
"""

import os

import pytest

from fmnist.apps.main import main
from tests.integration.apps.command import Command


class Here:
    """The command in this process."""

    def __init__(self, command: Command, patch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]) -> None:
        self._command = command
        self._patch = patch
        self._captured = captured

    def __call__(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        """Return the exit code, and what was said on stdout and stderr."""
        with self._patch.context() as patch:
            for name in set(os.environ) - set(self._command.environment):
                patch.delenv(name)
            for name, value in {**self._command.environment, **variables}.items():
                patch.setenv(name, value)
            patch.chdir(self._command.home)
            with pytest.raises(SystemExit) as ended:
                main(list(arguments))
        said = self._captured.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return code, said.out, said.err

    def refused(self, *arguments: str, code: int = 2, **variables: str) -> str:
        """See that the command ends with `code` and one line of error, and return that line."""
        ended, out, err = self(*arguments, **variables)
        assert (ended, out) == (code, ""), err
        *before, line = err.splitlines()
        assert line.startswith("error: ")
        # A log line or an epoch's figures may precede it.
        assert not [text for text in before if "rror" in text or "Traceback" in text]
        return line.removeprefix("error: ")
