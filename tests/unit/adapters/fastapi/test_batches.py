"""The queue before the model: batches, answers in order, and the limit of images that wait."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.adapters.fastapi import batches
from fmnist.adapters.fastapi.batches import Answer, BatchQueue, Purpose
from fmnist.adapters.fastapi.problems import Problem
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import StoreUnavailable
from tests.unit.adapters.fastapi.support import grey_model

MODEL = grey_model()


class Model:
    """Answers with the first pixel of each image, once `go` is set, and records its batches."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go = threading.Event()
        self.batches: list[tuple[int, int]] = []
        self._error = error

    def __call__(self, images: Images, _: object = None) -> Answer:
        assert self.go.wait(30)
        if self._error is not None:
            raise self._error
        return MODEL, images[:, 0, :1].astype(np.float32)

    def observe(self, _: Images, answer: Answer, requests: int, seconds: float) -> None:
        assert seconds >= 0
        self.batches.append((len(answer[1]), requests))


def ignore(*_: object) -> None:
    """Observe nothing."""


def request(first: int, count: int) -> Images:
    """Images whose first pixels are `first`, `first + 1`, and so on."""
    images = np.zeros((count, 28, 28), np.uint8)
    images[:, 0, 0] = np.arange(first, first + count) % 256
    return images


async def all_waiting(queue: BatchQueue, requests: list[Images]) -> "list[asyncio.Task[Answer]]":
    """Ask for all, one after the other, and return when each is in a batch or in the queue."""
    asked = []
    for images in requests:
        asked.append(asyncio.ensure_future(queue.answer(images)))
        for _ in range(5):
            await asyncio.sleep(0)
    return asked


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 60))


@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=20), max_batch=st.integers(1, 12))
def test_each_request_gets_its_own_answers_in_batches_of_limited_size(sizes: list[int], max_batch: int) -> None:
    model = Model()
    queue = BatchQueue(model, model.observe, max_batch=max_batch, max_waiting=1000, max_seconds=60)
    requests = [request(7 * number, size) for number, size in enumerate(sizes)]

    async def work() -> None:
        asked = await all_waiting(queue, requests)
        model.go.set()
        for images, (_, found) in zip(requests, await asyncio.gather(*asked), strict=True):
            assert found[:, 0].tolist() == images[:, 0, 0].tolist()

    run(work)
    assert sum(images for images, _ in model.batches) == sum(sizes)
    assert sum(count for _, count in model.batches) == len(sizes)
    assert all(images <= max_batch or count == 1 for images, count in model.batches)


def test_requests_that_wait_share_the_next_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_LONG_SECONDS", 1e9)  # the model seems slow, because it waits for this test
    model = Model()
    queue = BatchQueue(model, model.observe, max_batch=100, max_waiting=1000, max_seconds=60)

    async def work() -> None:
        asked = await all_waiting(queue, [request(0, 2)] * 10)
        model.go.set()
        await asyncio.gather(*asked)

    run(work)
    assert model.batches == [(2, 1), (18, 9)]


def test_requests_that_arrive_together_share_a_batch() -> None:
    model = Model()
    model.go.set()
    queue = BatchQueue(model, model.observe, max_batch=100, max_waiting=1000, max_seconds=60)

    async def work() -> None:
        await asyncio.gather(*(queue.answer(request(0, 2)) for _ in range(10)))

    run(work)
    assert model.batches == [(20, 10)]


def test_only_a_long_batch_leaves_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0, seconds_per_image=0.0001)
    monkeypatch.setattr(batches, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    in_loop = []

    def classify(images: Images, _: object) -> Answer:
        in_loop.append(threading.current_thread() is threading.main_thread())
        clock.now += clock.seconds_per_image * len(images)
        return MODEL, np.zeros((len(images), 10), np.float32)

    queue = BatchQueue(classify, ignore, max_batch=100, max_waiting=1000, max_seconds=60)

    async def work() -> None:
        for size in (1, 1, 4, 6):
            await queue.answer(request(0, size))
        clock.seconds_per_image = 0.001
        queue.forget_speed()  # a slower model serves now
        for size in (1, 1):
            await queue.answer(request(0, size))

    run(work)
    # Nothing is known before the first batch of a model.
    assert in_loop == [False, True, True, False, False, False]


def test_slow_model_is_not_asked_for_more_than_it_can_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(batches, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    model = Model()

    def classify(images: Images, _: object) -> Answer:
        clock.now += 0.1 * len(images)
        return model(images)

    queue = BatchQueue(classify, model.observe, max_batch=1000, max_waiting=1000, max_seconds=3)

    async def work() -> None:
        (first,) = await all_waiting(queue, [request(0, 1)])
        model.go.set()
        await first
        model.go.clear()
        asked = await all_waiting(queue, [request(0, 1), *[request(0, 6)] * 5])
        with pytest.raises(Problem, match="30 images wait for the model, of at most 30"):
            await queue.answer(request(0, 1))
        model.go.set()
        await asyncio.gather(*asked)

    run(work)
    # A batch takes at most a second.
    assert [images for images, _ in model.batches] == [1, 1, 6, 6, 6, 6, 6]


def test_time_of_a_batch_is_without_the_wait_for_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(batches, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    both, first_ended, order = threading.Barrier(2, timeout=30), threading.Event(), itertools.count()
    times: list[float] = []

    def classify(images: Images, _: object) -> Answer:
        is_second = next(order)
        both.wait()
        assert not is_second or first_ended.wait(30)  # the model takes one batch at a time
        clock.now += 3
        return MODEL, np.zeros((len(images), 10), np.float32)

    def observe(_: Images, answer: Answer, requests: int, seconds: float) -> None:
        times.append(seconds)
        first_ended.set()

    queue = BatchQueue(classify, observe, max_batch=10, max_waiting=20, max_seconds=60)

    async def work() -> None:
        await asyncio.gather(*await all_waiting(queue, [request(0, 10), request(0, 10)]))

    run(work)
    assert times == [3, 3]


def test_one_batch_that_is_held_up_does_not_shorten_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0, seconds=0.001)
    monkeypatch.setattr(batches, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def classify(images: Images, _: object) -> Answer:
        clock.now += clock.seconds
        return MODEL, np.zeros((len(images), 10), np.float32)

    queue = BatchQueue(classify, ignore, max_batch=1000, max_waiting=1000, max_seconds=1)

    async def accepted() -> int:
        """The number of images that may wait beside one."""
        queue._waiting = 1
        room = 0
        with suppress(Problem):
            while True:
                queue.check_room(room + 1)
                room += 1
        queue._waiting = 0
        return room

    async def work() -> None:
        await queue.answer(request(0, 1))
        assert await accepted() == 999
        clock.seconds = 1
        await queue.answer(request(0, 1))
        assert await accepted() == 799
        for _ in range(40):
            await queue.answer(request(0, 1))
        assert await accepted() == 0

    run(work)


def test_batch_that_cannot_start_fails_and_the_next_one_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model()
    model.go.set()
    queue = BatchQueue(model, model.observe, max_batch=100, max_waiting=1000, max_seconds=60)

    def fail(*_: object) -> NoReturn:
        raise RuntimeError("can't start new thread")

    async def work() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(queue._thread, "submit", fail)
            with pytest.raises(RuntimeError, match="can't start"):
                await queue.answer(request(0, 1))
        await queue.answer(request(0, 1))

    run(work)
    assert model.batches == [(1, 1)]


def test_request_past_the_limit_is_refused_and_the_others_are_answered() -> None:
    model = Model()
    queue = BatchQueue(model, model.observe, max_batch=20, max_waiting=10, max_seconds=60)

    async def work() -> None:
        # The first does not wait, because its batch has started.
        running, *waiting = await all_waiting(queue, [request(0, 9), request(0, 6), request(0, 4)])
        queue.check_room(0)
        with pytest.raises(Problem) as refused:
            await queue.answer(request(0, 1))
        assert (refused.value.status, refused.value.error_type) == (429, "too_many_requests")
        assert refused.value.headers == {"retry-after": "1"}
        assert refused.value.detail == "10 images wait for the model, of at most 10: try again in a moment"
        model.go.set()
        await asyncio.gather(running, *waiting)
        queue.check_room(10)

    run(work)


def test_one_full_batch_is_handed_over_while_another_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_LONG_SECONDS", 1e9)  # the model seems slow, because it waits for this test
    model = Model()
    queue = BatchQueue(model, model.observe, max_batch=10, max_waiting=20, max_seconds=60)

    async def work() -> None:
        asked = await all_waiting(queue, [request(0, 1), request(0, 6), request(0, 5)])
        queue.check_room(15)  # the request of 6 images no longer waits
        asked += await all_waiting(queue, [request(0, 5), request(0, 10)])
        with pytest.raises(Problem):  # two batches are handed over already, so 20 images wait
            queue.check_room(1)
        model.go.set()
        await asyncio.gather(*asked)

    run(work)
    assert sorted(model.batches) == [(1, 1), (6, 1), (10, 1), (10, 2)]


def test_request_of_more_than_the_limit_may_wait_alone() -> None:
    model = Model()
    queue = BatchQueue(model, model.observe, max_batch=10, max_waiting=10, max_seconds=60)

    async def work() -> None:
        asked = await all_waiting(queue, [request(0, 1), request(0, 50)])
        model.go.set()
        await asyncio.gather(*asked)

    run(work)
    assert sorted(model.batches) == [(1, 1), (50, 1)]


def test_request_whose_client_left_makes_room() -> None:
    model = Model()
    queue = BatchQueue(model, model.observe, max_batch=20, max_waiting=10, max_seconds=60)

    async def work() -> None:
        running, leaving = await all_waiting(queue, [request(0, 1), request(0, 10)])
        leaving.cancel()
        await asyncio.sleep(0)
        (staying,) = await all_waiting(queue, [request(5, 10)])
        running.cancel()
        model.go.set()
        _, found = await staying
        assert found[0, 0] == 5

    run(work)
    assert model.batches == [(1, 1), (10, 1)]


def test_failed_batch_fails_each_of_its_requests_and_no_later_one() -> None:
    model = Model(StoreUnavailable("no model serves yet"))
    queue = BatchQueue(model, model.observe, max_batch=10, max_waiting=100, max_seconds=60)

    async def work() -> None:
        asked = await all_waiting(queue, [request(0, 1)] * 3)
        model.go.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [str(each) for each in found] == ["no model serves yet"] * 3
        model._error = None
        await queue.answer(request(0, 1))

    run(work)


def test_requests_of_different_models_share_no_batch_and_keep_their_answers() -> None:
    other = grey_model()
    batches: list[tuple[object, list[int]]] = []
    go = threading.Event()

    def classify(images: Images, purpose: Purpose) -> Answer:
        assert go.wait(30)
        model = purpose.model
        batches.append((model, images[:, 0, 0].tolist()))
        return model or MODEL, images[:, 0, :1].astype(np.float32)

    queue = BatchQueue(classify, ignore, max_batch=100, max_waiting=1000, max_seconds=60)
    models = [None, other, None, other, other, None]

    async def work() -> list[Answer]:
        first = asyncio.ensure_future(queue.answer(request(100, 1)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asked = [
            asyncio.ensure_future(queue.answer(request(number, 1), purpose=Purpose(model)))
            for number, model in enumerate(models)
        ]
        await asyncio.sleep(0)
        go.set()
        await first
        return list(await asyncio.gather(*asked))

    found = asyncio.run(work())
    assert [model for model, _ in found] == [each or MODEL for each in models]
    assert [rows.item() for _, rows in found] == list(range(6))
    assert batches == [(None, [100]), (None, [0, 2, 5]), (other, [1, 3, 4])]


def test_images_that_are_no_traffic_share_no_batch_with_traffic_and_are_not_observed() -> None:
    found: list[tuple[list[int], bool]] = []
    observed: list[int] = []

    def classify(images: Images, purpose: Purpose) -> Answer:
        found.append((images[:, 0, 0].tolist(), purpose.is_traffic))
        return MODEL, np.zeros((len(images), 10), np.float32)

    def observe(images: Images, *_: object) -> None:
        observed.append(len(images))

    queue = BatchQueue(classify, observe, max_batch=100, max_waiting=1000, max_seconds=60)
    kinds = [True, True, False, False, True]

    async def work() -> None:
        asked = (queue.answer(request(row, 1), purpose=Purpose(is_traffic=kind)) for row, kind in enumerate(kinds))
        await asyncio.gather(*asked)

    run(work)
    assert found == [([0, 1, 4], True), ([2, 3], False)]
    assert observed == [3]


def test_images_that_are_no_traffic_are_refused_like_traffic() -> None:
    model = Model()
    queue = BatchQueue(model, model.observe, max_batch=10, max_waiting=20, max_seconds=60)

    async def work() -> None:
        asked = await all_waiting(queue, [request(0, 10)] * 4)
        with pytest.raises(Problem, match="20 images wait"):
            await queue.answer(request(0, 10), purpose=Purpose(is_traffic=False))
        model.go.set()
        await asyncio.gather(*asked)

    run(work)


def test_two_models_never_work_at_once_and_the_speed_is_that_of_the_one_that_serves() -> None:
    other, working, most = grey_model(), [0], [0]
    lock = threading.Lock()

    def classify(images: Images, purpose: Purpose) -> Answer:
        with lock:
            working[0] += 1
            most[0] = max(most[0], working[0])
        threading.Event().wait(0.01)
        with lock:
            working[0] -= 1
        return purpose.model or MODEL, np.zeros((len(images), 10), np.float32)

    queue = BatchQueue(classify, ignore, max_batch=2, max_waiting=1000, max_seconds=60)

    async def work() -> None:
        kinds = [Purpose(other if row % 2 else None) for row in range(16)]
        await asyncio.gather(*(queue.answer(request(row, 1), purpose=kind) for row, kind in enumerate(kinds)))
        served = queue._seconds_per_image
        await queue.answer(request(0, 2), purpose=Purpose(other))
        assert queue._seconds_per_image == served
        queue._seconds_per_image = 1e-6  # the model that serves is quick
        await queue.answer(request(0, 1), purpose=Purpose(other))

    run(work)
    assert most == [1]


def test_challenger_never_works_in_the_event_loop() -> None:
    other, threads = grey_model(), list[str]()

    def classify(images: Images, purpose: Purpose) -> Answer:
        threads.append(threading.current_thread().name)
        return purpose.model or MODEL, np.zeros((len(images), 10), np.float32)

    queue = BatchQueue(classify, ignore, max_batch=10, max_waiting=100, max_seconds=60)

    async def work() -> None:
        await queue.answer(request(0, 1))
        queue._seconds_per_image = 1e-6
        await queue.answer(request(0, 1))
        await queue.answer(request(0, 1), purpose=Purpose(other))

    run(work)
    assert ["inference" in name for name in threads] == [True, False, True]
