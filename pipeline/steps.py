"""Runs pipeline steps as commands, one after the other. Each has a directory for its log and its outputs."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

_LAST_LINES = 15


class StepFailed(Exception):
    """A step cannot run, or failed. The message has the end of its log."""


class Steps:
    """The commands of one pipeline.

    Args:
        home: parent of the directory for logs and outputs, which is named by the pipeline's uid.
        environment: environment of all commands.
    """

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self.uid = str(uuid.uuid4())
        self.directory = home / self.uid
        path = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
        self._environment = {**environment, "PATH": path, "ENVIRONMENT": "training", "ARGO_WORKFLOW_UID": self.uid}

    def run(self, name: str, *arguments: str, outputs: bool = True, **variables: str) -> dict[str, str]:
        """Run `fmnist` with these arguments; return its outputs by name.

        Args:
            name: name of the step, for the terminal and for its directory.
            outputs: whether the command has `--output-dir`.
            variables: further environment variables of this step.

        Raises:
            StepFailed: the exit code of the command is not 0.
        """
        directory = self.directory / name
        directory.mkdir(parents=True)
        command = ["fmnist", *arguments, *(["--output-dir", str(directory / "outputs")] if outputs else [])]
        print(f"{name:<14}", end="", flush=True)
        began = time.monotonic()
        code = self._execute(command, {**self._environment, **variables}, directory / "log")
        print(f"{'failed' if code else 'done':<8}{time.monotonic() - began:7.1f} s  ", end="")
        if code:
            print(flush=True)
            last = (directory / "log").read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
            raise StepFailed("\n".join([f"{name}: exit code {code}; the end of {directory / 'log'}:", *last]))
        found = {file.name: file.read_text(encoding="utf-8").rstrip("\n") for file in directory.glob("outputs/*")}
        print(found.get("message", ""), flush=True)
        return found

    def _execute(self, command: list[str], environment: Mapping[str, str], log: Path) -> int:
        with (
            log.open("wb") as output,
            # In its own session, so that Ctrl-C does not reach it twice: this process passes it on.
            subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            try:
                return process.wait()
            except BaseException:
                process.terminate()
                raise
