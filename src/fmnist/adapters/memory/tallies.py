"""`Tallies` inside of a process: for the service in one process, for tests, and for the actor of a cluster."""

import threading
from collections.abc import Hashable

from fmnist.ports.tallies import AnyTally, Tallies

_MOST_KEYS = 16


class MemoryTallies(Tallies[AnyTally]):
    """Counts of the type `kind` for the last 16 keys, which end with their process. Many threads may call it."""

    def __init__(self, kind: type[AnyTally]) -> None:
        self._kind = kind
        self._lock = threading.Lock()
        self._found: dict[Hashable, AnyTally] = {}

    def add(self, key: Hashable, tally: AnyTally) -> None:
        with self._lock:
            self._found[key] = self._kind.joined([tally, *filter(None, [self._found.pop(key, None)])])
            if len(self._found) > _MOST_KEYS:
                del self._found[next(iter(self._found))]

    def total(self, key: Hashable) -> AnyTally:
        with self._lock:
            found = self._found.get(key)
        return self._kind.joined([]) if found is None else found
