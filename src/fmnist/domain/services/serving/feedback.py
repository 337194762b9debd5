"""Notes what a replica answers, and hands the answers to the feedback of all replicas."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from sys import intern

import numpy as np

from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.traffic.feedback import MOST_IMAGES, Answer, Labelling, RealizedAccuracy, TrueClass
from fmnist.ports.feedback import Feedback

_DIGITS = 6  # of a confidence
_Given = tuple[int, str, str, Probabilities]


class GivenAnswers:
    """The answers of one replica. Safe to call from many threads.

    Args:
        clock: seconds since 1970 (UTC).
    """

    def __init__(self, feedback: Feedback, clock: Callable[[], float] = time.time) -> None:
        self._feedback = feedback
        self._clock = clock
        self._lock = threading.Lock()
        self._publishing = threading.Lock()
        self._waiting: deque[_Given] = deque()
        self._images = 0

    def note(self, request_id: str, model_uri: str, rows: Probabilities) -> None:
        """Note an answer with its probabilities float32 (n, classes), n >= 1. It waits for no store."""
        with self._lock:
            self._waiting.append((int(1000 * self._clock()), request_id, model_uri, rows))
            self._images += len(rows)
            self._bound()

    def publish(self) -> None:
        """Hand over all answers.

        Raises:
            StoreUnavailable: the feedback does not answer. The next call tries again.
        """
        # One thread at a time: whoever returns from here finds every answer that was noted before.
        with self._publishing:
            with self._lock:
                ready, self._waiting = self._waiting, deque()
                images, self._images = self._images, 0
            if not ready:
                return
            try:
                self._feedback.add(_answers(ready))
            except BaseException:
                with self._lock:
                    self._waiting.extendleft(reversed(ready))
                    self._images += images
                    self._bound()
                raise

    def label(self, given: Sequence[TrueClass]) -> Labelling:
        """Publish, and accept true classes; raises as `publish` does."""
        self.publish()
        return self._feedback.label(given, int(1000 * self._clock()))

    def accuracy(self, model_uri: str, since: int = 0) -> RealizedAccuracy | None:
        """Return the accuracy of a version on its labelled images since then; raises as `publish` does."""
        return self._feedback.accuracy(model_uri, since)

    def _bound(self) -> None:
        while self._images > MOST_IMAGES:  # feedback that stays away must not fill the memory
            self._images -= len(self._waiting.popleft()[-1])


def _answers(given: Iterable[_Given]) -> list[Answer]:
    # All at once, because numpy takes almost as long for one row as for many.
    rows = np.concatenate([each[-1] for each in given])
    classes = iter(rows.argmax(axis=1).tolist())
    confidences = iter(rows.max(axis=1).astype(np.float64).round(_DIGITS).tolist())
    return [
        Answer(when, request_id, intern(uri), tuple(islice(classes, len(own))), tuple(islice(confidences, len(own))))
        for when, request_id, uri, own in given
    ]
