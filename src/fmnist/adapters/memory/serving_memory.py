"""A serving memory in the process itself: what one replica, or a test of several of them, needs of one."""

import pickle
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from fmnist.ports.serving_memory import KeptModel, ServingMemory


@dataclass(frozen=True, slots=True)
class _Pin:
    desired: str
    uri: str
    at: float


class MemoryServingMemory(ServingMemory):
    """A `ServingMemory` that ends with its process; safe to call from many threads.

    It keeps a model as it would travel to another process, so that one which cannot is noticed here.

    Args:
        clock: seconds that only ever grow, for the age of a pin.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._expected: str | None = None
        self._pin: _Pin | None = None
        self._kept: tuple[str, bytes] | None = None

    def expect(self, desired: str) -> None:
        with self._lock:
            self._expected = desired
            if self._pin is not None and self._pin.desired != desired:
                self._pin = None

    def pinned(self, desired: str, max_age: float | None = None) -> str | None:
        with self._lock:
            pin = self._pin
            if pin is None or pin.desired != desired:
                return None
            return None if max_age is not None and self._clock() - pin.at >= max_age else pin.uri

    def pin(self, desired: str, uri: str) -> None:
        with self._lock:
            if self._expected in (None, desired):
                self._pin = _Pin(desired, uri, self._clock())

    def remember(self, model: KeptModel) -> None:
        packed = pickle.dumps(model)
        with self._lock:
            self._kept = model.package.version.uri, packed

    def last_good_uri(self) -> str | None:
        kept = self._kept
        return None if kept is None else kept[0]

    def last_good(self) -> KeptModel | None:
        kept = self._kept
        if kept is None:
            return None
        model: KeptModel = pickle.loads(kept[1])  # noqa: S301 - our own bytes, written by `remember`
        return model
