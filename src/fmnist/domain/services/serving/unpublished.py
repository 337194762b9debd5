"""Counts of one replica that are not handed to all replicas yet. A store that is away loses none of them."""

import threading
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Unpublished(Generic[_K, _V]):
    """Adds up counts by key until they are handed over. Safe to call from many threads.

    Args:
        join: adds counts up.
    """

    def __init__(self, join: Callable[[Iterable[_V]], _V]) -> None:
        self._join = join
        self._lock = threading.Lock()
        self._waiting: dict[_K, _V] = {}

    def add(self, key: _K, counts: _V) -> None:
        """Add counts to those of this key."""
        with self._lock:
            before = self._waiting.pop(key, None)
            self._waiting[key] = counts if before is None else self._join([before, counts])

    def publish(self, hand_over: Callable[[_K, _V], object]) -> None:
        """Hand over the counts of each key. If that raises, they are kept for the next call."""
        with self._lock:
            ready = list(self._waiting)
        for key in ready:
            with self._lock:
                if key not in self._waiting:  # another thread publishes it
                    continue
                counts = self._waiting.pop(key)
            try:
                hand_over(key, counts)
            except BaseException:
                self.add(key, counts)
                raise

    def keep(self, most: int, order: Callable[[_K], int]) -> None:
        """Forget keys until at most this many are left, in this order."""
        with self._lock:
            while len(self._waiting) > most:
                del self._waiting[min(self._waiting, key=order)]
