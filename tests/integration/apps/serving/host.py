"""A running service over real HTTP, wherever it is hosted, and a load of requests."""

import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx
import psutil

PATIENCE_SECONDS = 300  # a start takes up to 20 s on idle cores, and several times that on busy ones


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_until(condition: Callable[[], bool], what: str, patience: float = PATIENCE_SECONDS) -> None:
    """Wait until the condition is true."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.1)  # between two checks
    raise AssertionError(f"not within {patience} s: {what}")


class Host(ABC):
    """What the tests of both hosts ask of a service."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @cached_property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def close(self) -> None:
        self.client.close()

    @abstractmethod
    def choose(self, version: int) -> str:
        """Make this version the desired model, and return the desired URI."""

    @abstractmethod
    def processes(self) -> list[psutil.Process]:
        """Return the processes that classify images."""

    @abstractmethod
    def logs(self) -> str:
        """Return the logs of these processes."""

    @abstractmethod
    def metrics(self) -> str:
        """Return the metrics page for Prometheus."""

    def metric(self, name: str) -> float:
        """Return the sum of all series of a metric."""
        values = [
            line.rpartition(" ")[2]
            for line in self.metrics().splitlines()
            if line.startswith((f"{name}{{", f"{name} "))
        ]
        return sum(map(float, values))

    def health(self) -> Any:
        answer = self.client.get("/health")
        document = answer.json()
        return document if answer.status_code == 200 else document["detail"]

    def is_well(self, model_uri: str) -> bool:
        """Return whether this model serves and is the desired one."""
        health = self.health()
        return bool(health["model_uri"] == model_uri and health["reload_error"] is None)

    def serves(self, model_uri: str) -> bool:
        """Return whether several answers all come from this model."""
        return all(self._asked().get("model_uri") == model_uri for _ in range(6))

    def _asked(self) -> Any:
        answer = self.client.get("/health")
        return answer.json() if answer.status_code == 200 else {}


@dataclass
class Load:
    """Send requests of one image on several connections until the end of the block."""

    url: str
    connections: int = 4
    headers: Mapping[str, str] = field(default_factory=dict)
    answers: list[tuple[int, str, int]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(self.connections)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        with httpx.Client(timeout=60, trust_env=False, headers=self.headers) as client:
            while not self._ended.is_set():
                try:
                    answer = client.post(
                        f"{self.url}/predict", content=bytes(784), headers={"Content-Type": "application/octet-stream"}
                    )
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                    continue
                if answer.status_code != 200:
                    self.failures.append(f"{answer.status_code} {answer.text}")
                    continue
                document = answer.json()
                self.answers.append((200, document["model_uri"], document["predictions"][0]["class_id"]))
