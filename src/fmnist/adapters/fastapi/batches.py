"""Classifies the images of waiting requests in batches, and bounds how many images may wait."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from fmnist.adapters.fastapi.problems import Problem
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.services.bounded_calls import settle
from fmnist.domain.services.serving.load import ServedModel

Answer = tuple[ServedModel, Probabilities]
"""A model, and the probabilities float32 (n, classes) that it gave."""

_RETRY_SECONDS = "1"
# A hand-over to the thread and back costs about a tenth of a millisecond.
_SHORT_SECONDS = 0.0005


@dataclass(eq=False, slots=True)
class _Request:
    images: Images
    answer: "asyncio.Future[Answer]"


class BatchQueue:
    """A queue of images before one model. Use it from one event loop only.

    A batch starts as soon as the last one has ended, with the requests that wait by then. So a single client never
    waits for others, and many clients get large batches. A batch that takes less time than to hand it to a thread and
    back runs in the event loop.

    Args:
        classify: called with a uint8 batch (n, 28, 28) and the number of its requests.
        max_batch: most images in a batch. A larger request makes a batch of its own.
        max_waiting: most images that may wait. A request may exceed it if none waits.
    """

    def __init__(self, classify: Callable[[Images, int], Answer], *, max_batch: int, max_waiting: int) -> None:
        self._classify = classify
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inference")
        self._requests: deque[_Request] = deque()
        self._waiting = 0
        self._is_busy = False
        # Of the last batch. The first batch is no short one.
        self._seconds_per_image = 1.0

    def check_room(self, images: int = 1) -> None:
        """Check that so many images may wait.

        Raises:
            Problem: too many images wait already (429).
        """
        if self._waiting and self._waiting + images > self._max_waiting:
            detail = f"{self._waiting} images wait for the model, of at most {self._max_waiting}: try again in a moment"
            raise Problem(429, "too_many_requests", detail, {"retry-after": _RETRY_SECONDS})

    async def answer(self, images: Images) -> Answer:
        """Classify a uint8 batch (n, 28, 28), n >= 1. A cancelled call leaves the queue.

        Raises:
            Problem: too many images wait already (429).
        """
        self.check_room(len(images))
        request = _Request(images, asyncio.get_running_loop().create_future())
        self._requests.append(request)
        self._waiting += len(images)
        if not self._is_busy:
            self._is_busy = True
            # Not at once, so that requests which arrived together share a batch.
            asyncio.get_running_loop().call_soon(self._start_batch)
        try:
            return await request.answer
        except asyncio.CancelledError:
            if request in self._requests:
                self._requests.remove(request)
                self._waiting -= len(images)
            raise

    def _start_batch(self) -> None:
        batch: list[_Request] = []
        size = 0
        while self._requests and (not batch or size + len(self._requests[0].images) <= self._max_batch):
            request = self._requests.popleft()
            batch.append(request)
            size += len(request.images)
        self._waiting -= size
        self._is_busy = bool(batch)
        if not batch:
            return
        images = batch[0].images if len(batch) == 1 else np.concatenate([request.images for request in batch])
        loop = asyncio.get_running_loop()
        work: asyncio.Future[Answer]
        if size * self._seconds_per_image < _SHORT_SECONDS:
            work = loop.create_future()
            settle(work, partial(self._timed, images, len(batch)))
        else:
            work = loop.run_in_executor(self._thread, self._timed, images, len(batch))
        work.add_done_callback(partial(self._finish, batch))

    def _timed(self, images: Images, requests: int) -> Answer:
        started = time.perf_counter()
        answer = self._classify(images, requests)
        self._seconds_per_image = (time.perf_counter() - started) / len(images)
        return answer

    def _finish(self, batch: list[_Request], work: "asyncio.Future[Answer]") -> None:
        # The next batch first, so that the model works while answers are written.
        self._start_batch()
        end, error = 0, work.exception()
        for request in batch:
            start, end = end, end + len(request.images)
            if request.answer.done():  # its client has left
                continue
            if error is not None:
                request.answer.set_exception(error)
            else:
                model, probabilities = work.result()
                request.answer.set_result((model, probabilities[start:end]))
