"""`TrafficWindows` inside of a process: for the service in one process, for tests, and for the actor of a cluster."""

import threading
import time
from collections.abc import Callable

from fmnist.domain.model.traffic.sketch import Sketch, TrafficWindow
from fmnist.ports.traffic_windows import TrafficWindows


class MemoryTrafficWindows(TrafficWindows):
    """Windows that end with their process. Many threads may call it.

    Args:
        minutes: length of the window.
        clock: seconds since 1970 (UTC).
    """

    def __init__(self, minutes: int, clock: Callable[[], float] = time.time) -> None:
        self._minutes = minutes
        self._clock = clock
        self._lock = threading.Lock()
        self._sketches: dict[tuple[str, int], Sketch] = {}

    def add(self, model_uri: str, minute: int, sketch: Sketch) -> None:
        key = model_uri, minute
        with self._lock:
            self._forget()
            self._sketches[key] = Sketch.joined([sketch, *filter(None, [self._sketches.get(key)])])

    def window(self, model_uri: str) -> TrafficWindow:
        with self._lock:
            self._forget()
            found = {minute: sketch for (uri, minute), sketch in self._sketches.items() if uri == model_uri}
        return TrafficWindow(Sketch.joined(found.values()), min(found, default=None), max(found, default=None))

    def _forget(self) -> None:
        oldest = int(self._clock() // 60) - self._minutes
        self._sketches = {key: sketch for key, sketch in self._sketches.items() if key[1] > oldest}
