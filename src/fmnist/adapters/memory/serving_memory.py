"""A serving memory in the process itself: what one replica, or a test of several of them, needs of one."""

import pickle
import threading
import time
from collections.abc import Callable

from fmnist.domain.model.serving_notes import ServingNotes
from fmnist.ports.serving_memory import KeptModel, ServingMemory


class MemoryServingMemory(ServingMemory):
    """A `ServingMemory` that ends with its process; safe to call from many threads.

    It keeps a model as it would travel to another process, so that one which cannot is noticed here.

    Args:
        clock: seconds that only ever grow, for the age of a pin.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._notes = ServingNotes(clock)

    def expect(self, desired: str) -> None:
        with self._lock:
            self._notes.expect(desired)

    def pinned(self, desired: str, max_age: float | None = None) -> str | None:
        with self._lock:
            return self._notes.pinned(desired, max_age)

    def pin(self, desired: str, uri: str) -> None:
        with self._lock:
            self._notes.pin(desired, uri)

    def remember(self, model: KeptModel) -> None:
        packed = pickle.dumps(model)
        with self._lock:
            self._notes.remember(model.package.version.uri, packed)

    def last_good_uri(self) -> str | None:
        with self._lock:
            return self._notes.last_good_uri()

    def last_good(self) -> KeptModel | None:
        with self._lock:
            packed = self._notes.last_good()
        if packed is None:
            return None
        model: KeptModel = pickle.loads(packed)  # noqa: S301 - our own bytes, written by `remember`
        return model
