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
from fmnist.domain.services.serving.unpublished import Unpublished
from fmnist.ports.traffic_windows import TrafficWindows

# Images are sketched together, because numpy takes almost as long for one image as for many.
_TOGETHER = 1000
_MOST_UNPUBLISHED = 120

_Minute = tuple[str, int]


class Traffic:
    """The traffic of one replica, by model version and minute. It keeps no image. Safe to call from many threads.

    Args:
        clock: seconds since 1970 (UTC).
    """

    def __init__(self, windows: TrafficWindows, clock: Callable[[], float] = time.time) -> None:
        self._windows = windows
        self._clock = clock
        self._lock = threading.Lock()
        self._pieces: dict[_Minute, list[tuple[Features, npt.NDArray[np.float32]]]] = {}
        self._rows = 0
        self._unpublished = Unpublished[_Minute, Sketch](Sketch.joined)

    def note(self, model: ServedModel, images: Images, logits: npt.NDArray[np.float32]) -> None:
        """Note a batch uint8 (n, 28, 28), n >= 1, and the model's logits float32 (n, classes)."""
        features, minute = features_of(images), (model.version.uri, int(self._clock() // 60))
        with self._lock:
            self._pieces.setdefault(minute, []).append((features, logits))
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
        self._unpublished.publish(lambda minute, sketch: self._windows.add(*minute, sketch))

    def judge(self, model: ServedModel) -> Drift:
        """Publish, and compare the window of this model with its reference; raises as `publish` does."""
        self.publish()
        uri = model.version.uri
        return Drift.of(uri, self._windows.window(uri), model.package.reference)

    def _sketch(self) -> None:
        pieces, self._pieces, self._rows = self._pieces, {}, 0
        for minute, each in pieces.items():
            features, logits = zip(*each, strict=True)
            self._unpublished.add(minute, Sketch.of(np.concatenate(features), np.concatenate(logits)))
        # Windows that stay away must not fill the memory.
        self._unpublished.keep(_MOST_UNPUBLISHED, lambda minute: minute[1])
