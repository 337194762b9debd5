"""Sketches what a replica classifies, hands the sketches to the windows of all replicas, and judges a window."""

import threading
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.images import Images
from fmnist.domain.model.traffic.drift import Drift
from fmnist.domain.model.traffic.sketch import Features, Sketch, features_of
from fmnist.domain.services.serving.load import ServedModel
from fmnist.ports.traffic_windows import TrafficWindows

# Images are sketched together, because numpy takes almost as long for one image as for many.
_TOGETHER = 1000
_MOST_UNPUBLISHED = 120


class Traffic:
    """The traffic of one replica. It keeps no image. Safe to call from many threads.

    Args:
        clock: seconds since 1970 (UTC).
    """

    def __init__(self, windows: TrafficWindows, clock: Callable[[], float] = time.time) -> None:
        self._windows = windows
        self._clock = clock
        self._lock = threading.Lock()
        self._minute = ("", 0)
        self._features: list[Features] = []
        self._logits: list[npt.NDArray[np.float32]] = []
        self._rows = 0
        self._unpublished: dict[tuple[str, int], Sketch] = {}

    def note(self, model: ServedModel, images: Images, logits: npt.NDArray[np.float32]) -> None:
        """Note a batch uint8 (n, 28, 28), n >= 1, and the model's logits float32 (n, classes)."""
        features, minute = features_of(images), (model.version.uri, int(self._clock() // 60))
        with self._lock:
            if minute != self._minute:
                self._sketch()
                self._minute = minute
            self._features.append(features)
            self._logits.append(logits)
            self._rows += len(images)
            if self._rows >= _TOGETHER:
                self._sketch()

    def publish(self) -> None:
        """Hand all sketches to the windows.

        Raises:
            StoreUnavailable: the windows do not answer. The next call tries again.
        """
        with self._lock:
            self._sketch()
            ready = list(self._unpublished)
        for key in ready:
            with self._lock:
                sketch = self._unpublished.pop(key, None)
            if sketch is None:  # another thread publishes it
                continue
            try:
                self._windows.add(*key, sketch)
            except BaseException:
                self._keep(key, sketch)
                raise

    def judge(self, model: ServedModel) -> Drift:
        """Publish, and compare the window of this model with its reference; raises as `publish` does."""
        self.publish()
        uri = model.version.uri
        return Drift.of(uri, self._windows.window(uri), model.package.reference)

    def _sketch(self) -> None:
        if self._rows:
            made = Sketch.of(np.concatenate(self._features), np.concatenate(self._logits))
            self._features, self._logits, self._rows = [], [], 0
            self._add(self._minute, made)

    def _keep(self, key: tuple[str, int], sketch: Sketch) -> None:
        with self._lock:
            self._add(key, sketch)

    def _add(self, key: tuple[str, int], sketch: Sketch) -> None:
        before = self._unpublished.pop(key, None)
        self._unpublished[key] = sketch if before is None else Sketch.joined([before, sketch])
        if len(self._unpublished) > _MOST_UNPUBLISHED:  # windows that stay away must not fill the memory
            del self._unpublished[min(self._unpublished, key=lambda each: each[1])]
