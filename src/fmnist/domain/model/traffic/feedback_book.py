"""The last answers of a service and their labels. It must give the same accuracy in whatever order answers arrive."""

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
        self._kept: list[Answer] = []  # ascending
        self._newest: dict[str, Answer] = {}
        self._older: dict[str, set[Answer]] = {}  # of ids with more than one answer
        self._labels: dict[str, dict[int, Label]] = {}
        self._forgotten: Answer | None = None

    def unknown(self, answers: Iterable[Answer]) -> list[Answer]:
        """Return those answers that are neither known nor older than a forgotten one."""
        newest, older, forgotten = self._newest, self._older, self._forgotten
        return [
            each
            for each in dict.fromkeys(answers)
            if each != newest.get(each.request_id)
            and each not in older.get(each.request_id, ())
            and (forgotten is None or each > forgotten)
        ]

    def merge(self, answers: Iterable[Answer], labels: Iterable[Label]) -> None:
        """Add answers, and then labels. Those that are known already, or whose answer is not, change nothing."""
        self._add(self.unknown(answers))
        self._forget()
        for label in labels:
            labelled = self._answer(label.request_id, label.index)
            if labelled is not None and labelled.milliseconds == label.answered:
                own = self._labels.setdefault(label.request_id, {})
                own[label.index] = min(label, own.get(label.index, label))

    def decide(self, given: Sequence[TrueClass], milliseconds: int) -> tuple[Labelling, list[Label]]:
        """Return what becomes of the true classes, and the new labels to merge. It changes nothing."""
        labels: dict[tuple[str, int], Label] = {}
        for position, each in enumerate(given):
            key = each.request_id, each.index
            answer = self._answer(*key)
            if answer is None:
                refusal = Refusal.REPEATED_ID if each.request_id in self._older else Refusal.UNKNOWN
                return Labelling(refusal=refusal, position=position), []
            if each.index not in self._labels.get(each.request_id, ()):
                labels.setdefault(key, Label(milliseconds, *key, each.class_id, answer.milliseconds))
        return Labelling(len(labels), len(given) - len(labels)), list(labels.values())

    def accuracy(self, model_uri: str, since: int = 0) -> RealizedAccuracy | None:
        """Return the accuracy of this version on labelled images of answers from `since` on; None without any."""
        labelled = right = 0
        for request_id, own in self._labels.items():
            answer = self._newest[request_id]
            if answer.model_uri == model_uri and answer.milliseconds >= since:
                labelled += len(own)
                right += sum(answer.classes[index] == label.class_id for index, label in own.items())
        return RealizedAccuracy.of(labelled, right)

    def content(self) -> tuple[list[Answer], list[Label]]:
        """Return all that is kept."""
        return list(self._kept), [label for own in self._labels.values() for label in own.values()]

    def _answer(self, request_id: str, index: int) -> Answer | None:
        answer = self._newest.get(request_id)
        is_clear = answer is not None and request_id not in self._older and 0 <= index < len(answer.classes)
        return answer if is_clear else None

    def _add(self, answers: list[Answer]) -> None:
        is_in_order = True
        for answer in answers:
            name = answer.request_id
            self._images += len(answer.classes)
            is_in_order = is_in_order and (not self._kept or self._kept[-1] < answer)
            self._kept.append(answer)
            before = self._newest.get(name)
            if before is None:
                self._newest[name] = answer
            else:
                self._newest[name] = max(answer, before)
                self._older.setdefault(name, set()).add(min(answer, before))
                self._labels.pop(name, None)
        if not is_in_order:
            self._kept.sort()

    def _forget(self) -> None:
        """Forget the oldest answers. The newest one of an id is the last to go."""
        count = 0
        while self._images > self._most:
            answer = self._kept[count]
            count += 1
            name = answer.request_id
            self._images -= len(answer.classes)
            self._forgotten = answer
            if older := self._older.get(name):
                older.remove(answer)
                if not older:
                    del self._older[name]
            else:
                del self._newest[name]
                self._labels.pop(name, None)
        del self._kept[:count]
