"""A `ServingMemory` inside of a process: enough for a single replica, for tests, and for the actor of a cluster."""

import threading
import time
from collections.abc import Callable

from fmnist.ports.serving_memory import KeptModel, ServingMemory


class MemoryServingMemory(ServingMemory):
    """A `ServingMemory` that ends with its process. Many threads may call it.

    Args:
        clock: monotonic clock in seconds, for the age of a pin.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._expected: str | None = None
        self._pin: tuple[str, str, float] | None = None
        self._kept: KeptModel | None = None

    def expect(self, desired: str) -> None:
        with self._lock:
            self._expected = desired
            if self._pin is not None and self._pin[0] != desired:
                self._pin = None

    def pinned(self, desired: str, max_age: float | None = None) -> str | None:
        pin = self._pin
        if pin is None or pin[0] != desired:
            return None
        return pin[1] if max_age is None or self._clock() - pin[2] < max_age else None

    def pin(self, desired: str, uri: str) -> None:
        with self._lock:
            if self._expected in (None, desired):
                self._pin = (desired, uri, self._clock())

    def remember(self, model: KeptModel) -> None:
        self._kept = model

    def last_good_id(self) -> tuple[str, bool] | None:
        kept = self._kept
        return None if kept is None else (kept.uri, kept.compared)

    def last_good(self, uri: str | None = None) -> KeptModel | None:
        kept = self._kept
        return kept if kept is not None and uri in (None, kept.uri) else None
