"""A replica: what it asks of the domain's service, and what it counts."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fmnist.adapters.fastapi import feedback_desk, repeated
from fmnist.adapters.fastapi.batches import Purpose
from fmnist.adapters.fastapi.problems import Problem
from fmnist.adapters.fastapi.replica import Replica, ReplicaSettings
from fmnist.adapters.memory.feedback import MemoryFeedback
from fmnist.adapters.memory.tallies import MemoryTallies
from fmnist.adapters.memory.traffic_windows import MemoryTrafficWindows
from fmnist.adapters.prometheus.meter import PrometheusMeter
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import CorruptModel, StoreUnavailable
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.promotion.canary import Canary
from fmnist.domain.model.traffic.agreement import Agreement
from fmnist.domain.model.traffic.canary_report import CanaryReport
from fmnist.domain.model.traffic.drift import Drift
from fmnist.domain.model.traffic.feedback import Answer, Labelling, RealizedAccuracy, TrueClass
from fmnist.domain.model.traffic.shadow_report import ShadowReport, ShadowState
from fmnist.domain.model.traffic.sketch import Statistic
from fmnist.domain.model.traffic.trial import TrialCounts
from fmnist.domain.services.serving.challenger import Challenger
from fmnist.domain.services.serving.feedback import GivenAnswers
from fmnist.domain.services.serving.load import ServedModel
from fmnist.domain.services.serving.shadow import ShadowObserver
from fmnist.domain.services.serving.traffic import Traffic
from tests.unit.adapters.fastapi.support import grey_model, greys


class Domain:
    """Takes the place of `ModelServing`."""

    def __init__(self) -> None:
        self.current = grey_model()
        self.status = "the status"
        self.deployed: list[str | None] = []
        self.polled: list[float | None] = []
        self.polled_again = threading.Event()

    def expect(self, uri: str | None) -> Callable[[], None]:
        self.deployed.append(uri)
        return lambda: self.observe(uri, None)

    def poll(self, max_age: float | None) -> None:
        self.polled.append(max_age)
        if len(self.polled) == 1:
            raise RuntimeError("a fault of the first poll")
        self.polled_again.set()
        threading.Event().wait()  # no third one


class FakeShadow:
    """Takes the place of `Shadow`."""

    is_running = True

    def __init__(self, is_idle: Callable[[], bool], observe: ShadowObserver, uri: str) -> None:
        self.is_idle = is_idle
        self.observe = observe
        self.uri = uri
        self.events: list[str] = []
        self.noted: list[tuple[ServedModel, int, float, bool]] = []

    def start(self) -> None:
        self.events.append("start")

    def end(self) -> None:
        self.events.append("end")

    def note(self, model: ServedModel, images: Images, rows: Probabilities, seconds: float, *, is_busy: bool) -> None:
        assert images.shape == (len(rows), 28, 28)
        self.noted.append((model, len(rows), seconds, is_busy))

    def publish(self) -> None:
        self.events.append("publish")

    def report(self, model: ServedModel) -> ShadowReport:
        return ShadowReport(state="running", model_uri=model.version.uri, shadow_uri=self.uri)


@pytest.fixture
def domain() -> Domain:
    return Domain()


@pytest.fixture
def meter() -> PrometheusMeter:
    return PrometheusMeter()


class Flaky(MemoryFeedback):
    """Fails while `is_down`."""

    is_down = False

    def add(self, answers: Sequence[Answer]) -> None:
        self._check()
        super().add(answers)

    def accuracy(self, model_uri: str, since: int = 0) -> RealizedAccuracy | None:
        self._check()
        return super().accuracy(model_uri, since)

    def _check(self) -> None:
        if self.is_down:
            raise StoreUnavailable("the place is away")


@pytest.fixture
def feedback() -> Flaky:
    return Flaky()


@pytest.fixture
def replica(domain: Domain, meter: PrometheusMeter, feedback: Flaky) -> Replica:
    def serving(observe: Any) -> Any:
        domain.observe = observe  # type: ignore[attr-defined]
        return domain

    settings = ReplicaSettings(max_batch=10, max_waiting=10, max_seconds=10, poll_seconds=7)
    return Replica(serving, meter, settings, Traffic(MemoryTrafficWindows(60)), GivenAnswers(feedback), FakeShadow)  # type: ignore[arg-type]


def test_images_are_classified_by_the_current_model_and_counted(
    replica: Replica, domain: Domain, meter: PrometheusMeter
) -> None:
    replica.check_room()
    model, rows = asyncio.run(replica.answer(greys(3, 4)))
    assert model is domain.current
    assert rows.argmax(axis=1).tolist() == [3, 4]
    assert 'ray_fmnist_images_total{model_uri="models:/dev.greys/3"} 2.0' in meter.page().decode()


def test_without_a_model_there_is_no_answer(replica: Replica, domain: Domain) -> None:
    domain.current = None  # type: ignore[assignment]
    with pytest.raises(StoreUnavailable, match="no model serves yet"):
        asyncio.run(replica.answer(greys(3)))


def test_deploy_is_handed_on_and_its_reload_is_counted(
    replica: Replica, domain: Domain, meter: PrometheusMeter
) -> None:
    asyncio.run(replica.answer(greys(3)))
    assert replica._queue._seconds_per_image is not None
    replica.deploy("models:/dev.greys/4")
    assert domain.deployed == ["models:/dev.greys/4"]
    assert replica.status() == domain.status
    assert 'ray_fmnist_reloads_total{model_uri="models:/dev.greys/4",outcome="succeeded"} 1.0' in meter.page().decode()
    # The speed of the model before says nothing of the next one.
    assert replica._queue._seconds_per_image is None


def test_polls_go_on_after_an_error(
    replica: Replica, domain: Domain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        if threading.current_thread().name != "keep up":
            threading.Event().wait()
        pauses.append(seconds)

    monkeypatch.setattr(repeated, "time", SimpleNamespace(sleep=sleep))
    replica.keep_up()
    assert domain.polled_again.wait(30)
    assert (pauses, domain.polled) == ([7, 7], [7, 7])
    assert "checking for a newer model failed, and is tried every 7 s: RuntimeError: a fault" in caplog.text


def test_window_has_what_was_answered(replica: Replica) -> None:
    asyncio.run(replica.answer(greys(3, 4)))
    asyncio.run(replica.answer(greys(3)))
    found = asyncio.run(replica.drift())
    assert (found.model_uri, found.window.sketch.images) == ("models:/dev.greys/3", 3)
    assert found.window.sketch.counts[Statistic.CLASS][3:5] == (2, 1)


def test_traffic_is_published_and_judged_after_an_error(
    replica: Replica, domain: Domain, meter: PrometheusMeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(replica.answer(greys(3, 4)))
    publish, judged, ended = Traffic.publish, threading.Event(), threading.Event()

    def fail_once(_: Traffic) -> None:
        monkeypatch.setattr(Traffic, "publish", publish)
        raise StoreUnavailable("the head node is away")

    def sleep(_: float) -> None:
        if "window_images{" in meter.page().decode():
            judged.set()
        if judged.is_set() or threading.current_thread().name != "traffic":
            ended.wait()

    monkeypatch.setattr(Traffic, "publish", fail_once)
    monkeypatch.setattr(repeated, "time", SimpleNamespace(sleep=sleep))
    replica.keep_up()
    assert judged.wait(30)
    assert 'ray_fmnist_window_images{model_uri="models:/dev.greys/3"} 2.0' in meter.page().decode()
    ended.set()


async def answered(replica: Replica, request_id: str, *labels: int) -> None:
    replica.note(request_id, *await replica.answer(greys(*labels)))


def test_feedback_gives_the_realized_accuracy(replica: Replica) -> None:
    asyncio.run(answered(replica, "a", 3, 4))
    assert asyncio.run(replica.label([TrueClass("a", 0, 3), TrueClass("a", 1, 5)])) == Labelling(accepted=2)
    assert asyncio.run(replica.drift()).realized == RealizedAccuracy.of(2, 1)


def test_predictions_go_on_while_the_place_is_down(replica: Replica, feedback: Flaky) -> None:
    feedback.is_down = True
    asyncio.run(answered(replica, "a", 3))
    with pytest.raises(Problem) as refused:
        asyncio.run(replica.label([TrueClass("a", 0, 3)]))
    assert (refused.value.status, refused.value.headers) == (503, {"retry-after": "15"})
    drift = asyncio.run(replica.drift())
    assert (drift.window.sketch.images, drift.realized) == (1, None)
    feedback.is_down = False
    assert asyncio.run(replica.label([TrueClass("a", 0, 3)])) == Labelling(accepted=1)


def test_answers_are_handed_over_and_measured_after_an_error(
    replica: Replica, feedback: Flaky, meter: PrometheusMeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(answered(replica, "a", 3))
    asyncio.run(replica.label([TrueClass("a", 0, 3)]))
    asyncio.run(answered(replica, "b", 3))
    feedback.is_down = True
    measured, ended, pauses = threading.Event(), threading.Event(), list[float]()

    def sleep(seconds: float) -> None:
        if threading.current_thread().name == "answers" and not measured.is_set():
            pauses.append(seconds)
            feedback.is_down = len(pauses) < 3
            if "labelled_images{" not in meter.page().decode():
                return
            measured.set()
        ended.wait()

    monkeypatch.setattr(repeated, "time", SimpleNamespace(sleep=sleep))
    replica.keep_up()
    assert measured.wait(30)
    assert pauses == [5.0] * 7
    assert 'ray_fmnist_realized_accuracy{model_uri="models:/dev.greys/3"} 1.0' in meter.page().decode()
    assert feedback.label([TrueClass("b", 0, 3)], 0) == Labelling(accepted=1)
    ended.set()


def test_drift_does_not_wait_for_a_place_that_hangs(
    replica: Replica, feedback: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(answered(replica, "a", 3))
    ended = threading.Event()
    monkeypatch.setattr(feedback_desk, "_ACCURACY_SECONDS", 0.05)
    monkeypatch.setattr(feedback, "accuracy", lambda *_: ended.wait(30))

    async def ask() -> Drift:
        drift = await replica.drift()
        ended.set()
        return drift

    found = asyncio.run(ask())
    assert (found.window.sketch.images, found.realized) == (1, None)


def test_without_a_place_there_is_no_feedback(domain: Domain, meter: PrometheusMeter) -> None:
    settings = ReplicaSettings(max_batch=10, max_waiting=10, max_seconds=10, poll_seconds=7)
    replica = Replica(lambda _: domain, meter, settings, Traffic(MemoryTrafficWindows(60)))  # type: ignore[arg-type,return-value]
    asyncio.run(answered(replica, "a", 3))
    assert asyncio.run(replica.drift()).realized is None
    with pytest.raises(Problem, match="takes no feedback"):
        asyncio.run(replica.label([TrueClass("a", 0, 3)]))


SHADOW = "models:/dev.greys/8"


def test_images_that_are_no_traffic_are_answered_and_not_counted(replica: Replica, meter: PrometheusMeter) -> None:
    replica.deploy(None, SHADOW)
    shadow: Any = replica._shadow
    before = meter.page()

    async def work() -> None:
        _, rows = await replica.answer(greys(3, 4), is_traffic=False)
        assert rows.argmax(axis=1).tolist() == [3, 4]
        assert (await replica.drift()).window.sketch.images == 0
        assert (meter.page(), shadow.noted) == (before, [])
        await asyncio.gather(replica.answer(greys(3)), replica.answer(greys(3, 4), is_traffic=False))
        assert (await replica.drift()).window.sketch.images == 1

    asyncio.run(work())
    assert [images for _, images, _, _ in shadow.noted] == [1]
    assert 'ray_fmnist_images_total{model_uri="models:/dev.greys/3"} 1.0' in meter.page().decode()


def test_shadow_gets_the_images_and_the_answer(replica: Replica, domain: Domain) -> None:
    replica.deploy(None, SHADOW)
    shadow: Any = replica._shadow
    asyncio.run(replica.answer(greys(3, 4)))
    ((model, images, seconds, is_busy),) = shadow.noted
    assert (model, images, is_busy) == (domain.current, 2, False)
    assert 0 < seconds < 60
    assert asyncio.run(replica.shadow()).shadow_uri == SHADOW


def test_shadow_sees_whether_callers_wait(replica: Replica) -> None:
    replica.deploy(None, SHADOW)
    shadow: Any = replica._shadow
    assert shadow.is_idle()

    async def work() -> None:
        asked = [asyncio.create_task(replica.answer(greys(*count * [3]))) for count in (7, 3)]
        await asyncio.sleep(0)
        assert not shadow.is_idle()
        await asyncio.gather(*asked)

    asyncio.run(work())
    assert [(images, is_busy) for _, images, _, is_busy in shadow.noted] == [(10, False)]
    assert shadow.is_idle()


def test_shadow_is_told_that_callers_wait(replica: Replica, domain: Domain) -> None:
    replica.deploy(None, SHADOW)
    shadow: Any = replica._shadow
    replica._queue._waiting = 1
    replica._observe(greys(3), replica._classify(greys(3), Purpose()), 1, 0.5)
    assert shadow.noted == [(domain.current, 1, 0.5, True)]


def test_shadow_is_loaded_after_the_model_and_ends_with_the_next_deploy(replica: Replica, domain: Domain) -> None:
    before: list[str] = []

    def load() -> None:
        shadow: Any = replica._shadow
        before.extend(shadow.events if shadow else ["none"])

    domain.expect = lambda _: load  # type: ignore[method-assign,assignment]
    replica.deploy(None, SHADOW)
    shadow: Any = replica._shadow
    assert (before, shadow.events) == ([], ["start"])
    replica.deploy(None)
    assert (before, shadow.events) == (["none"], ["start", "end"])


def test_without_a_shadow_the_replica_says_so(replica: Replica, domain: Domain) -> None:
    domain.status = SimpleNamespace(served_uri="models:/dev.greys/3")  # type: ignore[assignment]
    found = asyncio.run(replica.shadow())
    assert (found.state, found.model_uri, found.shadow_uri) == ("none", "models:/dev.greys/3", None)


def rounds_of_traffic(monkeypatch: pytest.MonkeyPatch, rounds: int) -> threading.Event:
    """Let the thread that publishes the traffic do so many rounds, and no other thread any. The event is set then."""
    passes, ended = iter(range(rounds)), threading.Event()

    def sleep(_: float) -> None:
        if threading.current_thread().name != "traffic":
            threading.Event().wait()
        if next(passes, None) is None:
            ended.set()
            threading.Event().wait()

    monkeypatch.setattr(repeated, "time", SimpleNamespace(sleep=sleep))
    return ended


def test_comparison_is_published_and_an_error_keeps_no_window_from_it(
    replica: Replica, meter: PrometheusMeter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replica.deploy(None, SHADOW)
    asyncio.run(replica.answer(greys(3, 4)))

    def fail(_: Any) -> None:
        raise StoreUnavailable("the head node is away")

    monkeypatch.setattr(FakeShadow, "publish", fail)
    ended = rounds_of_traffic(monkeypatch, 6)
    replica.keep_up()
    assert ended.wait(30)
    page = meter.page().decode()
    assert f'ray_fmnist_shadow_runs{{shadow_uri="{SHADOW}"}} 1.0' in page
    assert 'ray_fmnist_window_images{model_uri="models:/dev.greys/3"} 2.0' in page
    assert "publishing the shadow failed, and is tried every 5 s: the head node is away" in caplog.text


CHALLENGER = "models:/dev.greys/9"


@pytest.fixture
def with_challenger(domain: Domain, meter: PrometheusMeter, feedback: Flaky) -> Replica:
    """A replica whose challenger, version 9, is loaded and gets all requests with an id that the canary takes."""
    model = grey_model()
    model = replace(model, package=replace(model.package, version=replace(model.version, version=9)))

    class Loaded(Domain):
        def __init__(self) -> None:
            super().__init__()
            self.observe = lambda *_: None
            self.current = model

    settings = ReplicaSettings(max_batch=10, max_waiting=10, max_seconds=10, poll_seconds=7)
    found = Replica(
        lambda _: domain,  # type: ignore[arg-type,return-value]
        meter,
        settings,
        Traffic(MemoryTrafficWindows(60)),
        GivenAnswers(feedback),
        FakeShadow,  # type: ignore[arg-type]
        Challenger(Loaded, MemoryTallies(TrialCounts)),  # type: ignore[arg-type]
    )
    domain.observe = lambda *_: None  # type: ignore[attr-defined]
    domain.status = SimpleNamespace(served_uri="models:/dev.greys/3")  # type: ignore[assignment]
    return found


def answering(replica: Replica, request_id: str | None, *labels: int) -> str:
    return asyncio.run(replica.answer(greys(*labels), request_id))[0].version.uri


def test_canary_answers_its_share_and_both_models_are_reported(with_challenger: Replica, domain: Domain) -> None:
    replica, canary = with_challenger, Canary(CHALLENGER, 50)
    replica.expect(None, CHALLENGER, canary)()
    shadow: Any = replica._shadow
    ids = [f"id {number}" for number in range(20)]
    taken = [canary.takes(each) for each in ids]
    uris = [answering(replica, each, 3, 4) for each in ids]
    assert uris == [CHALLENGER if each else "models:/dev.greys/3" for each in taken]
    assert answering(replica, None, 5) == "models:/dev.greys/3"
    assert len(shadow.noted) == 21 - sum(taken)  # a shadow compares with the champion only
    replica.note("x", domain.current, np.eye(10, dtype=np.float32)[3:4])
    asyncio.run(replica.label([TrueClass("x", 0, 3)]))

    found = asyncio.run(replica.canary())
    assert (found.state, found.percent, found.model_uri, found.challenger_uri) == (
        "running",
        50,
        "models:/dev.greys/3",
        CHALLENGER,
    )
    assert found.champion is not None
    assert found.challenger is not None
    assert (found.champion.calls, found.challenger.calls) == (21 - sum(taken), sum(taken))
    assert found.challenger.classes[3:5] == (sum(taken), 0)  # the first image of each call
    assert (found.champion.labelled, found.champion.right, found.challenger.labelled) == (1, 1, 0)
    assert (found.champion.drift, found.challenger.drift) == ("unknown", "unknown")


@pytest.mark.parametrize("canary", [None, Canary(CHALLENGER, 0)])
def test_canary_at_0_percent_equals_none(with_challenger: Replica, canary: Canary | None) -> None:
    with_challenger.expect(None, None, Canary(CHALLENGER, 100))()
    with_challenger.expect(None, None, canary)()
    assert {answering(with_challenger, f"id {number}", 3) for number in range(20)} == {"models:/dev.greys/3"}
    assert asyncio.run(with_challenger.canary()) == CanaryReport()


def test_failed_call_of_a_challenger_is_counted(with_challenger: Replica) -> None:
    with_challenger.expect(None, None, Canary(CHALLENGER, 100))()
    challenger: Any = with_challenger._challenger
    broken = challenger.choose("any")
    for logits, error in ((lambda _: 1 / 0, ZeroDivisionError), (lambda _: np.full((1, 10), np.nan), CorruptModel)):
        object.__setattr__(broken, "prediction", SimpleNamespace(logits=logits))
        with pytest.raises(error):
            answering(with_challenger, "any", 3)
    found = asyncio.run(with_challenger.canary())
    assert found.challenger is not None
    assert (found.challenger.calls, found.challenger.failed) == (2, 2)


def test_agreement_of_a_shadow_with_the_challengers_model_is_reported(
    with_challenger: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = Agreement.of(*np.eye(10, dtype=np.float32)[None, :8].repeat(2, 0), seconds=1, shadow_seconds=1)

    def report(shadow: FakeShadow, model: ServedModel) -> ShadowReport:
        state, uri = ShadowState.RUNNING, model.version.uri
        return ShadowReport.of(compared, state=state, reason=None, model_uri=uri, shadow_uri=shadow.uri)

    monkeypatch.setattr(FakeShadow, "report", report)
    for shadow, images in ((CHALLENGER, 8), ("models:/dev.greys/7", 0)):
        with_challenger.expect(None, shadow, Canary(CHALLENGER, 100))()
        found = asyncio.run(with_challenger.canary())
        assert (found.compared, found.agreed) == (images, images)


def test_share_is_exported_and_counts_are_published(
    with_challenger: Replica, meter: PrometheusMeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = rounds_of_traffic(monkeypatch, 3)
    with_challenger.expect(None, None, Canary(CHALLENGER, 25))()
    with_challenger.keep_up()
    assert ended.wait(30)
    assert f'ray_fmnist_canary_percent{{challenger_uri="{CHALLENGER}"}} 25.0' in meter.page().decode()
