"""`Agreements` inside of a process: for the service in one process, for tests, and for the actor of a cluster."""

import threading

from fmnist.domain.model.traffic.agreement import Agreement, Pair
from fmnist.ports.agreements import Agreements

_MOST_PAIRS = 16


class MemoryAgreements(Agreements):
    """Comparisons of the last 16 pairs, which end with their process. Many threads may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[Pair, Agreement] = {}

    def add(self, pair: Pair, agreement: Agreement) -> None:
        with self._lock:
            self._found[pair] = Agreement.joined([agreement, *filter(None, [self._found.pop(pair, None)])])
            if len(self._found) > _MOST_PAIRS:
                del self._found[next(iter(self._found))]

    def total(self, pair: Pair) -> Agreement:
        with self._lock:
            return self._found.get(pair, Agreement())
