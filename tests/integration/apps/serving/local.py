"""`fmnist serve` in one process, which follows an alias."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psutil

from tests.integration.apps.command import Command
from tests.integration.apps.serving.host import Host, free_port, wait_until
from tests.integration.apps.serving.models import NAME, Models

SERVED = f"models:/{NAME}@served"


class Served:
    """A running `fmnist serve`, and its output so far."""

    def __init__(self, command: Command, port: int, *arguments: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fmnist", "serve", "--port", str(port), *arguments],
            cwd=command.home,
            env=command.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def printed(self, text: str) -> bool:
        """Return whether a line starts with the text. Ray's log may contain the same words elsewhere."""
        found = any(line.startswith(text) for line in self.lines)
        assert found or self.process.poll() is None, "".join(self.lines)
        return found

    def end(self, number: int) -> int:
        os.killpg(self.process.pid, number)
        code = self.process.wait(300)
        self._reader.join()
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            self.lines.extend(self.process.stdout)


class Local(Host):
    """The service in one process."""

    def __init__(self, models: Models, served: Served, port: int) -> None:
        self.port = port
        self._models = models
        self._served = served

    def choose(self, version: int) -> str:
        self._models.point("served", version)
        return SERVED

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(self._served.process.pid)]

    def logs(self) -> str:
        return "".join(self._served.lines)

    def metrics(self) -> str:
        return self.client.get("/metrics").text


@contextmanager
def local(models: Models, first: int, *arguments: str) -> Iterator[Local]:
    """Serve the alias `served`, which stands for version `first`, with more arguments of the command."""
    models.point("served", first)
    port = free_port()
    served = Served(models.command, port, "--compute", "local", "--model", SERVED, *arguments)
    try:
        wait_until(lambda: served.printed("serving "), "the service is up")
        with closing(Local(models, served, port)) as started:
            yield started
    finally:
        served.end(signal.SIGKILL)
