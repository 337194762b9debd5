"""A shadow compares what it can, drops the rest, delays nobody, and is switched off if it fails."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fmnist.adapters.memory.tallies import MemoryTallies
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.traffic.agreement import Agreement, Pair
from fmnist.domain.model.traffic.shadow_report import ShadowReport
from fmnist.domain.services.prediction import Prediction
from fmnist.domain.services.serving import shadow as module
from fmnist.domain.services.serving.load import ServedModel
from fmnist.domain.services.serving.reload import ServingStatus
from fmnist.domain.services.serving.shadow import Shadow, ShadowLimits
from fmnist.ports.model_store import Classifier
from fmnist.testing.data import toy_info
from tests.unit.adapters.fastapi.support import grey_model
from tests.unit.domain.services.serving_support import GONE, NAME, Deployment

URI = "models:/dev.greys/8"


class Answers(Classifier):
    """Gives one class to all images, after what a test lets it do."""

    def __init__(self, label: int = 3, **changes: Any) -> None:
        self.info_of = toy_info(**changes)
        self.label = label
        self.act: Callable[[], object] = lambda: None
        self.sizes: list[int] = []

    @property
    def info(self) -> Any:
        return self.info_of

    def logits(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self.sizes.append(len(inputs))
        self.act()
        logits = np.zeros((len(inputs), 10), np.float32)
        logits[:, self.label] = 5
        return logits


class Loaded:
    """Takes the place of `ModelServing`: loads at once."""

    def __init__(self, classifier: Classifier) -> None:
        package = replace(grey_model().package, version=replace(grey_model().version, version=8))
        model = ServedModel(package, Prediction(classifier), None)
        self.status = ServingStatus(desired=URI, served=model, reload_error=None)
        self.deployed: list[str] = []

    def deploy(self, uri: str) -> None:
        self.deployed.append(uri)


class House:
    """Makes shadows, and ends them."""

    def __init__(self) -> None:
        self.agreements = MemoryTallies(Agreement)
        self.observed: list[tuple[Pair, Agreement]] = []
        self.is_idle = True
        self.made: list[Shadow] = []

    def shadow(self, serving: Any, uri: str = URI, **limits: Any) -> Shadow:
        shadow = Shadow(
            serving,
            self.agreements,
            lambda: self.is_idle,
            lambda *piece: self.observed.append(piece),
            uri,
            ShadowLimits(**limits),
        )
        self.made.append(shadow)
        return shadow

    def running(self, classifier: Classifier, **limits: Any) -> Shadow:
        shadow = self.shadow(Loaded(classifier), **limits)
        shadow.start()
        until(lambda: shadow.is_running)
        return shadow


@pytest.fixture
def house() -> Iterator[House]:
    found = House()
    yield found
    for shadow in found.made:
        shadow.end()


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def note(shadow: Shadow, labels: list[int], *, version: int = 3, is_busy: bool = False) -> None:
    rows = np.full((len(labels), 10), 0.01, np.float32)
    rows[range(len(labels)), labels] = 0.91
    images = np.zeros((len(labels), 28, 28), np.uint8)
    shadow.note(grey_model(version), images, rows, 0.001 * len(labels), is_busy=is_busy)


def compared(shadow: Shadow, images: int, model: ServedModel | None = None) -> ShadowReport:
    until(lambda: shadow.report(model or grey_model()).images == images)
    return shadow.report(model or grey_model())


def test_both_answers_are_compared(house: House) -> None:
    shadow = house.running(Answers(3))
    note(shadow, [3, 3, 5])
    note(shadow, [3])
    found = compared(shadow, 4)
    assert (found.state, found.reason, found.faults, found.dropped) == ("running", None, (), 0)
    assert (found.model_uri, found.shadow_uri) == ("models:/dev.greys/3", URI)
    assert found.agreement is not None
    assert found.agreement.value == 0.75
    assert [(row.images, row.agreed) for row in found.classes if row.images] == [(3, 3), (1, 0)]
    assert found.model is not None
    assert found.model.milliseconds == pytest.approx(1)
    assert found.model.confidence == pytest.approx(0.91)
    assert Agreement.joined(piece for _, piece in house.observed) == house.agreements.total(
        Pair("models:/dev.greys/3", URI)
    )


def test_large_batches_are_answered_in_small_pieces(house: House) -> None:
    answers = Answers(0)
    shadow = house.running(answers)
    note(shadow, 150 * [0])
    assert compared(shadow, 150).dropped == 0
    assert answers.sizes == [64, 64, 22]


def test_images_of_several_requests_are_answered_together(house: House) -> None:
    answers = Answers(0)
    house.is_idle = False
    shadow = house.running(answers)
    for size in 10 * [3] + [30, 10]:
        note(shadow, size * [0])
    note(shadow, [0], version=4)  # another model serves
    house.is_idle = True
    compared(shadow, 1, grey_model(4))
    assert shadow.report(grey_model()).images == 70
    assert sum(answers.sizes) == 71
    assert len(answers.sizes) > 2
    assert len(answers.sizes) < 13


def test_shadow_waits_while_the_model_is_busy(house: House) -> None:
    answers = Answers()
    house.is_idle = False
    shadow = house.running(answers)
    note(shadow, [3])
    time.sleep(0.05)
    assert answers.sizes == []
    house.is_idle = True
    compared(shadow, 1)


def test_images_are_dropped_while_callers_wait(house: House) -> None:
    shadow = house.running(Answers(), judged=2)
    note(shadow, [3, 4], is_busy=True)
    found = shadow.report(grey_model())
    # It says nothing of the shadow's speed.
    assert (found.state, found.images, found.dropped) == ("running", 0, 2)


def test_full_queue_drops_images(house: House) -> None:
    answers, gate = Answers(), threading.Event()
    answers.act = gate.wait
    shadow = house.running(answers, queue=5)
    note(shadow, 6 * [3])  # one batch may be larger than the queue
    note(shadow, [3])
    assert shadow.report(grey_model()).dropped == 1
    gate.set()
    compared(shadow, 6)
    note(shadow, [3])
    assert compared(shadow, 7).dropped == 1


def test_shadow_that_hangs_delays_nobody_and_is_switched_off(house: House) -> None:
    answers, gate = Answers(), threading.Event()
    answers.act = gate.wait
    shadow = house.running(answers, queue=100, seconds=0.05)
    note(shadow, 64 * [3])
    until(lambda: answers.sizes)
    started = time.monotonic()
    for _ in range(1000):
        note(shadow, [3])
    assert len(shadow._batches) == 36
    assert time.monotonic() - started < 5
    until(lambda: shadow.report(grey_model()).state == "off")
    found = shadow.report(grey_model())
    assert found.reason == "it takes longer than 0.05 s for 64 images"
    assert (found.faults, found.images) == ((found.reason,), 0)
    assert found.dropped == 964
    assert not shadow._batches  # so that it holds no images for ever
    gate.set()
    until(lambda: not any(thread.name == "shadow" for thread in threading.enumerate()))
    note(shadow, [3])
    assert shadow.report(grey_model()).images == 0


def test_shadow_that_fails_is_switched_off_with_its_reason(house: House, caplog: pytest.LogCaptureFixture) -> None:
    answers = Answers()
    shadow = house.running(answers)
    note(shadow, [3])
    compared(shadow, 1)

    def fail() -> None:
        raise RuntimeError("no\nmemory")

    answers.act = fail
    note(shadow, [3])
    until(lambda: not shadow.is_running)
    found = shadow.report(grey_model())
    assert (found.state, found.reason, found.images) == ("off", "RuntimeError: no memory", 1)
    until(lambda: shadow.report(grey_model()).faults == ("RuntimeError: no memory",))
    assert f"shadow {URI} is switched off: RuntimeError: no memory" in caplog.text


def test_answers_that_are_not_finite_switch_it_off(house: House) -> None:
    answers = Answers()
    answers.logits = lambda inputs: np.full((len(inputs), 10), np.nan, np.float32)  # type: ignore[method-assign]
    shadow = house.running(answers)
    note(shadow, [3])
    until(lambda: shadow.report(grey_model()).reason == "it gives probabilities that are not finite")


def test_model_of_other_classes_is_not_compared(house: House) -> None:
    shadow = house.running(Answers(class_names=(*CLASS_NAMES[1:], "Hat")))
    note(shadow, [3])
    until(lambda: shadow.report(grey_model()).reason == "its class names differ from those of models:/dev.greys/3")


def test_shadow_that_is_too_slow_is_switched_off(house: House) -> None:
    answers, gate = Answers(), threading.Semaphore(0)
    answers.act = gate.acquire
    shadow = house.running(answers, queue=1, judged=10)
    for _ in range(3):  # as many are answered as dropped
        note(shadow, [3])
        until(lambda: shadow._began is not None)
        note(shadow, [3])
        gate.release()
        until(lambda: shadow._waiting == 0)
    assert (shadow.report(grey_model()).images, shadow.report(grey_model()).dropped) == (3, 3)
    note(shadow, [3])
    until(lambda: shadow._began is not None)
    for _ in range(4):
        note(shadow, [3])
    found = shadow.report(grey_model())
    assert (found.state, found.dropped) == ("off", 7)
    assert found.reason == "too slow: its queue refused more than it answered, of 10 images or more"
    gate.release()


def test_shadow_that_gets_no_turn_drops_images_and_is_not_called_slow(house: House) -> None:
    house.is_idle = False
    shadow = house.running(Answers(), queue=5, judged=10)
    for _ in range(30):
        note(shadow, 5 * [3])
    found = shadow.report(grey_model())
    assert (found.state, found.images) == ("running", 0)
    assert found.dropped >= 140
    house.is_idle = True
    until(lambda: shadow.report(grey_model()).images)


def test_each_model_that_serves_is_compared_anew(house: House) -> None:
    shadow = house.running(Answers())
    note(shadow, [3, 3])
    compared(shadow, 2)
    note(shadow, [4], version=4)
    found = compared(shadow, 1, grey_model(4))
    assert (found.model_uri, found.shadow_uri, found.agreement and found.agreement.value) == (
        "models:/dev.greys/4",
        URI,
        0,
    )


def test_replicas_add_up_and_name_the_faults_of_others(house: House) -> None:
    one, broken = house.running(Answers()), Answers()
    broken.act = lambda: 1 / 0
    other = house.running(broken)
    note(one, [3, 3])
    compared(one, 2)
    note(other, [3])
    until(lambda: not other.is_running)
    until(lambda: other.report(grey_model()).faults)
    found = one.report(grey_model())
    assert (found.state, found.reason, found.images) == ("running", None, 2)
    assert found.faults == ("ZeroDivisionError: division by zero",)


def test_counts_are_kept_while_the_agreements_are_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    shadow = house.running(Answers())
    note(shadow, [3, 3])
    until(lambda: house.observed)

    def fail(*_: object) -> None:
        raise StoreUnavailable("the head node is away")

    with monkeypatch.context() as away:
        away.setattr(house.agreements, "add", fail)
        with pytest.raises(StoreUnavailable):
            shadow.publish()
    assert compared(shadow, 2).images == 2


def test_without_a_serving_model_there_is_nothing_to_compare(house: House) -> None:
    found = house.running(Answers()).report(None)
    assert (found.state, found.model_uri, found.images) == ("running", None, 0)


def test_shadow_that_has_ended_does_not_start(house: House) -> None:
    loaded = Loaded(Answers())
    shadow = house.shadow(loaded)
    shadow.end()
    shadow.start()
    note(shadow, [3])
    time.sleep(0.05)
    assert loaded.deployed == []
    assert (shadow.report(grey_model()).state, shadow._waiting) == ("off", 0)


def test_deploy_is_loaded_like_a_model_that_serves(house: House, deployment: Deployment) -> None:
    deployment.add()
    uri = deployment.add("challenger")
    deployment.store.downloads.close()
    shadow = house.shadow(deployment.replica(), f"models:/{NAME}@challenger")
    shadow.start()
    assert deployment.store.downloads.entered.wait(30)
    note(shadow, [3])
    found = shadow.report(grey_model())
    assert (found.state, found.shadow_uri, found.dropped) == ("loading", f"models:/{NAME}@challenger", 0)
    deployment.store.downloads.open()
    until(lambda: shadow.is_running)
    assert shadow.uri == uri
    assert len(deployment.store.lookups.calls) == 1


def test_shadow_that_does_not_load_is_off_with_the_reason(house: House, deployment: Deployment) -> None:
    deployment.keep(deployment.add())  # the last good shadow loads, but is not the desired one
    uri = deployment.add(spoilt=True)
    shadow = house.shadow(deployment.replica(), uri)
    shadow.start()
    until(lambda: shadow.report(grey_model()).state == "off")
    found = shadow.report(grey_model())
    assert uri in str(found.reason)
    assert (found.shadow_uri, found.images) == (uri, 0)


def test_shadow_is_loaded_when_the_store_comes_back(
    house: House, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    uri = deployment.add()
    deployment.store.downloads.error = GONE
    shadow = house.shadow(deployment.replica(), uri)
    shadow.start()
    until(lambda: shadow.report(None).reason == "nobody answers")
    deployment.store.downloads.error = None
    until(lambda: shadow.is_running)
    assert shadow.report(None).reason is None
