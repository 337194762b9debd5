"""The traffic of a replica: sketched in any number of batches, published, and kept while the windows are away."""

import itertools
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fmnist.adapters.memory.traffic_windows import MemoryTrafficWindows
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.traffic.sketch import Sketch, features_of
from fmnist.domain.services.serving.traffic import Traffic
from fmnist.testing.data import toy_images, toy_sketch
from tests.unit.adapters.fastapi.support import grey_model

IMAGES = toy_images(2500).images
LOGITS = np.random.default_rng(0).normal(0, 3, (2500, 10)).astype(np.float32)
URI = "models:/dev.greys/3"


class Flaky(MemoryTrafficWindows):
    """Fails while `is_down`."""

    is_down = False

    def add(self, model_uri: str, minute: int, sketch: Sketch) -> None:
        if self.is_down:
            raise StoreUnavailable("the head node is away")
        super().add(model_uri, minute, sketch)


class Clock:
    now = 60_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def windows(clock: Clock) -> Flaky:
    return Flaky(60, clock)


@pytest.fixture
def traffic(windows: Flaky, clock: Clock) -> Traffic:
    return Traffic(windows, clock)


def note(traffic: Traffic, *cuts: int, version: int = 3) -> None:
    for start, stop in itertools.pairwise(cuts):
        traffic.note(grey_model(version), IMAGES[start:stop], LOGITS[start:stop])


def test_batches_of_any_size_give_the_window_of_all_images(traffic: Traffic, windows: Flaky) -> None:
    note(traffic, 0, 1, 2, 900, 1900, 2500)
    traffic.publish()
    traffic.publish()
    assert windows.window(URI).sketch == Sketch.of(features_of(IMAGES), LOGITS)


def test_versions_and_minutes_are_kept_apart(traffic: Traffic, windows: Flaky, clock: Clock) -> None:
    note(traffic, 0, 10)
    clock.now += 60
    note(traffic, 10, 30)
    note(traffic, 30, 60, version=4)
    traffic.publish()
    assert (windows.window(URI).since, windows.window(URI).until) == (1000, 1001)
    assert windows.window(URI).sketch.images == 30
    assert windows.window("models:/dev.greys/4").sketch.images == 30


def test_nothing_is_lost_while_the_windows_are_away(traffic: Traffic, windows: Flaky) -> None:
    windows.is_down = True
    for cuts in ((0, 10), (10, 1500)):
        note(traffic, *cuts)
        with pytest.raises(StoreUnavailable):
            traffic.publish()
    windows.is_down = False
    note(traffic, 1500, 2500)
    assert traffic.judge(grey_model()).window.sketch == Sketch.of(features_of(IMAGES), LOGITS)


def test_memory_is_bounded_while_the_windows_are_away(
    traffic: Traffic, windows: Flaky, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows.is_down = True
    for _ in range(300):
        note(traffic, 0, 1)
        clock.now += 60
    with pytest.raises(StoreUnavailable):
        traffic.publish()
    handed: list[int] = []
    monkeypatch.setattr(windows, "add", lambda _uri, minute, _sketch: handed.append(minute))
    traffic.publish()
    assert (len(handed), min(handed)) == (120, 1180)


def test_model_is_judged_with_its_own_reference(traffic: Traffic) -> None:
    note(traffic, 0, 200)
    model = grey_model(reference=toy_sketch(500))
    found = traffic.judge(model)
    assert (found.model_uri, found.reference) == (URI, toy_sketch(500))
    assert found.distances


def test_threads_may_publish_at_the_same_time(
    traffic: Traffic, windows: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = threading.Event(), threading.Event()
    add = Flaky.add

    def slow(self: Flaky, model_uri: str, minute: int, sketch: Sketch) -> None:
        entered.set()
        go_on.wait(30)
        add(self, model_uri, minute, sketch)

    note(traffic, 0, 10)
    note(traffic, 10, 30, version=4)
    monkeypatch.setattr(Flaky, "add", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(traffic.publish)  # it has listed both sketches, and added none
        assert entered.wait(30)
        monkeypatch.setattr(Flaky, "add", add)
        traffic.publish()
        go_on.set()
        first.result(30)
    assert windows.window(URI).sketch.images == 10
    assert windows.window("models:/dev.greys/4").sketch.images == 20


@pytest.mark.soak
def test_memory_stays_flat_over_a_million_updates(traffic: Traffic, windows: Flaky, clock: Clock) -> None:
    model, image, logits = grey_model(), IMAGES[:1], LOGITS[:1]

    def update(times: int) -> int:
        for done in range(times):
            traffic.note(model, image, logits)
            if done % 1000 == 0:
                clock.now += 5
                traffic.publish()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        first = update(100_000)
        assert update(900_000) < first + 2**20
    finally:
        tracemalloc.stop()
    assert windows.window(URI).sketch.images > 500_000
