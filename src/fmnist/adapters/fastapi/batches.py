"""Classifies the images of waiting requests in batches, and bounds how many images may wait."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from fmnist.adapters.fastapi.problems import Problem
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.services.serving.load import ServedModel

Answer = tuple[ServedModel, Probabilities]
"""A model, and the probabilities float32 (n, classes) that it gave."""

Watch = Callable[[Answer, float, float], None]
"""Called with the answer of a whole batch, and when the model began and ended it, in seconds of `time.perf_counter`."""

_RETRY_SECONDS = "1"
_SHORT_SECONDS = 0.0005
_MOST_SLOWER = 1.25
# Requests share a batch up to this time, so that the first of them does not wait long for the last.
_LONG_SECONDS = 1.0


_Timed = tuple[Answer, float, float]


class Purpose(NamedTuple):
    """What images are for. Images of different purposes share the queue and its limit, but never a batch.

    Attributes:
        model: the model that must answer; None for the one that serves when the batch starts.
        is_traffic: whether they are counted. Those of an explanation are not.
    """

    model: ServedModel | None = None
    is_traffic: bool = True


TRAFFIC = Purpose()


@dataclass(eq=False, slots=True)
class _Request:
    images: Images
    answer: "asyncio.Future[Answer]"
    watch: Watch | None
    purpose: Purpose


class BatchQueue:
    """A queue of images before one model. Use it from one event loop only, but for `forget_speed`.

    A batch starts as soon as the last one has ended, with the requests that wait by then. So a client that is alone
    never waits, and many clients get large batches. A full batch is handed over while the last one still runs, so that
    the model never waits for the event loop. One request that should take less than half a millisecond is
    classified in the event loop, because handing it over would cost as much.

    Args:
        classify: called with a uint8 batch (n, 28, 28) and its purpose, by up to two threads. One prepares the next
            batch while the model is busy with the other's, and waits for the model then.
        observe: called with each batch of traffic, its answer, the number of its requests, and the seconds it took.
        max_batch: most images in a batch. A larger request makes a batch of its own.
        max_waiting: most images that may wait, beside the batches that are handed over. A request may exceed it if none
            waits.
        max_seconds: longest time that images should wait for that, by the speed of the last batches.
    """

    def __init__(
        self,
        classify: Callable[[Images, Purpose], Answer],
        observe: Callable[[Images, Answer, int, float], None],
        *,
        max_batch: int,
        max_waiting: int,
        max_seconds: float,
    ) -> None:
        self._classify = classify
        self._observe = observe
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._max_seconds = max_seconds
        self._thread = ThreadPoolExecutor(max_workers=2, thread_name_prefix="inference")
        self._requests: deque[_Request] = deque()
        self._waiting = 0
        self._running = 0  # batches that are handed over, and not answered yet
        self._working: ServedModel | None = None  # the model that they named
        self._is_scheduled = False
        self._seconds_per_image: float | None = None
        self._last_end = 0.0

    @property
    def has_waiting(self) -> bool:
        """Whether images wait for the model, beside the batches that are handed over. Any thread may ask."""
        return self._waiting > 0

    @property
    def is_idle(self) -> bool:
        """Whether the model has nothing to do. Any thread may ask."""
        return not self._waiting and not self._running

    def forget_speed(self) -> None:
        """Forget how fast the model is, because another one serves now."""
        self._seconds_per_image = None

    def check_room(self, images: int = 1) -> None:
        """Check that so many images may wait.

        Raises:
            Problem: too many images wait already (429).
        """
        if not self._waiting:
            return
        limit = self._max_waiting
        if self._seconds_per_image:
            limit = min(limit, int(self._max_seconds / self._seconds_per_image))
        if self._waiting + images > limit:
            detail = f"{self._waiting} images wait for the model, of at most {limit}: try again in a moment"
            raise Problem(429, "too_many_requests", detail, {"retry-after": _RETRY_SECONDS})

    async def answer(self, images: Images, watch: Watch | None = None, purpose: Purpose = TRAFFIC) -> Answer:
        """Classify a uint8 batch (n, 28, 28), n >= 1. A cancelled call leaves the queue.

        `watch` is called in the event loop, before this returns.

        Raises:
            Problem: too many images wait already (429).
        """
        self.check_room(len(images))
        request = _Request(images, asyncio.get_running_loop().create_future(), watch, purpose)
        self._requests.append(request)
        self._waiting += len(images)
        if self._may_start():
            self._start_soon()
        try:
            return await request.answer
        except asyncio.CancelledError:
            if request in self._requests:
                self._requests.remove(request)
                self._waiting -= len(images)
            raise

    def _may_start(self) -> bool:
        # A second one only if it is full: a later one may be larger. Two models at once would take two processors.
        is_next_full = self._running == 1 and self._waiting >= self._max_batch
        return not self._running or (is_next_full and self._requests[0].purpose.model is self._working)

    def _start_soon(self) -> None:
        # Not at once, so that requests which arrived together share a batch.
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._is_scheduled = False
        while self._requests and self._may_start():
            self._start_batch()

    def _start_batch(self) -> None:
        batch: list[_Request] = []
        others: list[_Request] = []
        size, purpose = 0, self._requests[0].purpose
        while self._requests and (not batch or self._fits(size + len(self._requests[0].images))):
            request = self._requests.popleft()
            if not _are_alike(request.purpose, purpose):
                others.append(request)
                continue
            batch.append(request)
            size += len(request.images)
        self._requests.extendleft(reversed(others))
        self._waiting -= size
        self._running += 1
        self._working = purpose.model
        loop = asyncio.get_running_loop()
        work: asyncio.Future[_Timed] = loop.create_future()
        try:
            images = batch[0].images if len(batch) == 1 else np.concatenate([request.images for request in batch])
            if self._running == 1 and self._is_short(batch):
                work.set_result(self._timed(images, purpose, len(batch)))
            else:
                work = loop.run_in_executor(self._thread, self._timed, images, purpose, len(batch))
        except Exception as error:  # noqa: BLE001 - such as no memory: the next batch must start all the same
            work.set_exception(error)
        work.add_done_callback(partial(self._finish, batch))

    def _fits(self, size: int) -> bool:
        return size <= self._max_batch and size * (self._seconds_per_image or 0) <= _LONG_SECONDS

    def _is_short(self, batch: Sequence[_Request]) -> bool:
        # The speed is that of the model that serves.
        if len(batch) != 1 or self._seconds_per_image is None or batch[0].purpose.model is not None:
            return False
        return len(batch[0].images) * self._seconds_per_image < _SHORT_SECONDS

    def _timed(self, images: Images, purpose: Purpose, requests: int) -> _Timed:
        started = time.perf_counter()
        answer = self._classify(images, purpose)
        # The model takes one batch after the other. The other thread may end meanwhile, so look at its end first.
        begin = max(started, self._last_end)
        self._last_end = end = time.perf_counter()
        seconds = end - begin
        if purpose.is_traffic:
            self._observe(images, answer, requests, seconds)
        if purpose.model is not None:
            return answer, begin, end
        found, before = seconds / len(images), self._seconds_per_image
        # One batch that was held up says little. A model that stays slow is known after a few batches.
        self._seconds_per_image = found if before is None else min(found, _MOST_SLOWER * before)
        return answer, begin, end

    def _finish(self, batch: list[_Request], work: "asyncio.Future[_Timed]") -> None:
        self._running -= 1
        is_next_short = not self._running and self._is_short(self._requests)
        if not is_next_short:  # the model works while the answers are written
            self._start()
        end, error = 0, work.exception()
        for request in batch:
            start, end = end, end + len(request.images)
            if request.answer.done():  # its client has left
                continue
            if error is not None:
                request.answer.set_exception(error)
            else:
                (model, probabilities), began, ended = work.result()
                if request.watch is not None:
                    request.watch((model, probabilities), began, ended)
                request.answer.set_result((model, probabilities[start:end]))
        if is_next_short:  # the answers come first
            self._start_soon()


def _are_alike(one: Purpose, other: Purpose) -> bool:
    return one.model is other.model and one.is_traffic == other.is_traffic
