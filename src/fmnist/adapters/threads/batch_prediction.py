"""Batch prediction in this process. One thread reads, one answers, and the caller writes, all at the same time."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fmnist.domain.model.batch.answers import AnsweredRows
from fmnist.domain.model.data.image_rows import InputPart
from fmnist.domain.services.batch.answer import Answering, pieces
from fmnist.ports.batch_prediction import BatchPrediction
from fmnist.ports.image_source import ImageSource
from fmnist.ports.model_store import ClassifierFactory

_T = TypeVar("_T")
_AHEAD = 4  # pieces; a thousand images take 0.8 MB
_END = object()


class LocalBatchPrediction(BatchPrediction):
    """Answers with one classifier in this process."""

    def answer(
        self, parts: Sequence[InputPart], source: ImageSource, classifier: ClassifierFactory
    ) -> Generator[AnsweredRows]:
        read = _ahead(piece for part in parts for piece in pieces(source, part))
        yield from _ahead(map(Answering(classifier), read))


def _ahead(items: Iterable[_T]) -> Iterator[_T]:
    """Yield the items, of which a thread takes the next few meanwhile."""
    iterator: Iterator[object] = iter(items)
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    try:
        waiting = deque(pool.submit(next, iterator, _END) for _ in range(_AHEAD))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(next, iterator, _END))
            yield item  # type: ignore[misc]
    finally:
        # Without a wait: a read from a store may take long, and nobody needs it any more.
        pool.shutdown(wait=False, cancel_futures=True)
