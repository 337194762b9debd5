"""`Feedback` inside of a process, for tests."""

import threading
from collections.abc import Sequence

from fmnist.domain.model.traffic.feedback import MOST_IMAGES, Answer, Labelling, RealizedAccuracy, TrueClass
from fmnist.domain.model.traffic.feedback_book import FeedbackBook
from fmnist.ports.feedback import Feedback


class MemoryFeedback(Feedback):
    """Feedback that ends with its process. Many threads may call it."""

    def __init__(self, most: int = MOST_IMAGES) -> None:
        self._lock = threading.Lock()
        self._book = FeedbackBook(most)

    def add(self, answers: Sequence[Answer]) -> None:
        with self._lock:
            self._book.merge(answers, [])

    def label(self, given: Sequence[TrueClass], milliseconds: int) -> Labelling:
        with self._lock:
            outcome, labels = self._book.decide(given, milliseconds)
            self._book.merge([], labels)
            return outcome

    def accuracy(self, model_uri: str, since: int = 0) -> RealizedAccuracy | None:
        with self._lock:
            return self._book.accuracy(model_uri, since)
