"""The last answers of a service and their labels. It must give the same accuracy in whatever order answers arrive."""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence

from fmnist.domain.model.traffic.feedback import (
    MOST_IMAGES,
    Answer,
    Label,
    Labelling,
    RealizedAccuracy,
    Refusal,
    TrueClass,
)


class FeedbackBook:
    """Keeps the newest answers, up to `most` images of them. For one thread at a time.

    An id that was given two answers has no labels, because nobody can say which answer a label means.
    """

    def __init__(self, most: int = MOST_IMAGES) -> None:
        self._most = most
        self._images = 0
        self._oldest: list[Answer] = []  # a heap
        self._known: set[Answer] = set()
        self._newest: dict[str, Answer] = {}
        self._times: Counter[str] = Counter()
        self._labels: dict[tuple[str, int], Label] = {}
        self._forgotten: Answer | None = None

    def unknown(self, answers: Iterable[Answer]) -> list[Answer]:
        """Return those answers that are neither known nor older than a forgotten one."""
        return [
            each
            for each in dict.fromkeys(answers)
            if each not in self._known and (self._forgotten is None or each > self._forgotten)
        ]

    def merge(self, answers: Iterable[Answer], labels: Iterable[Label]) -> None:
        """Add answers, and then labels. Those that are known already, or whose answer is not, change nothing."""
        for answer in self.unknown(answers):
            self._add(answer)
        while self._images > self._most:
            self._forget(heapq.heappop(self._oldest))
        for label in labels:
            key = label.request_id, label.index
            labelled = self._answer(*key)
            if labelled is not None and labelled.milliseconds == label.answered:
                self._labels[key] = min(label, self._labels.get(key, label))

    def decide(self, given: Sequence[TrueClass], milliseconds: int) -> tuple[Labelling, list[Label]]:
        """Return what becomes of the true classes, and the new labels to merge. It changes nothing."""
        labels: dict[tuple[str, int], Label] = {}
        for position, each in enumerate(given):
            key = each.request_id, each.index
            answer = self._answer(*key)
            if answer is None:
                repeated = self._times[each.request_id] > 1
                refusal = Refusal.REPEATED_ID if repeated else Refusal.UNKNOWN
                return Labelling(refusal=refusal, position=position), []
            if key not in self._labels:
                labels.setdefault(key, Label(milliseconds, *key, each.class_id, answer.milliseconds))
        return Labelling(len(labels), len(given) - len(labels)), list(labels.values())

    def accuracy(self, model_uri: str) -> RealizedAccuracy | None:
        """Return the accuracy of this version on its labelled images; None without any."""
        labelled = right = 0
        for (request_id, index), label in self._labels.items():
            answer = self._newest[request_id]
            if answer.model_uri == model_uri:
                labelled += 1
                right += answer.classes[index] == label.class_id
        return RealizedAccuracy.of(labelled, right)

    def content(self) -> tuple[list[Answer], list[Label]]:
        """Return all that is kept."""
        return list(self._known), list(self._labels.values())

    def _answer(self, request_id: str, index: int) -> Answer | None:
        answer = self._newest.get(request_id)
        is_clear = answer is not None and self._times[request_id] == 1 and 0 <= index < len(answer.classes)
        return answer if is_clear else None

    def _add(self, answer: Answer) -> None:
        name = answer.request_id
        heapq.heappush(self._oldest, answer)
        self._known.add(answer)
        self._images += len(answer.classes)
        if before := self._newest.get(name):
            self._unlabel(before)
        self._newest[name] = max(answer, before or answer)
        self._times[name] += 1

    def _forget(self, answer: Answer) -> None:
        self._forgotten = answer
        self._known.remove(answer)
        self._images -= len(answer.classes)
        self._times[answer.request_id] -= 1
        if not self._times[answer.request_id]:
            self._unlabel(answer)
            del self._newest[answer.request_id], self._times[answer.request_id]

    def _unlabel(self, answer: Answer) -> None:
        for index in range(len(answer.classes)):
            self._labels.pop((answer.request_id, index), None)
