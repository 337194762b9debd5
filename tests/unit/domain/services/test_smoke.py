"""The smoke test passes on the real application, and what goes wrong with a service fails the check that is for it."""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.adapters.pillow.encoding import encode_picture
from fmnist.domain.model.endpoint import Ask, Reply, Request
from fmnist.domain.model.errors import DataVersionNotFound, StoreUnavailable
from fmnist.domain.model.normalization import Normalization
from fmnist.domain.model.smoke_report import SmokePlan, SmokeReport
from fmnist.domain.services.smoke import SmokeTest
from tests.unit.domain.services.smoke_support import (
    Change,
    InProcess,
    ToyServing,
    document,
    failing,
    first_prediction,
    served,
    status,
    toy_registry,
)

PLAN = SmokePlan(max_images=20, timed_requests=5)
SETTINGS = HttpSettings(version="1.2.3", max_images=20)


@pytest.fixture(scope="module")
def registry() -> MemoryDataRegistry:
    return toy_registry()


@pytest.fixture
def serving(registry: MemoryDataRegistry) -> ToyServing:
    return ToyServing(served(registry))


@pytest.fixture
def ask(serving: ToyServing) -> Iterator[InProcess]:
    in_process = InProcess(serving, SETTINGS)
    yield in_process
    in_process.close()


def run(ask: Ask, registry: MemoryDataRegistry, plan: SmokePlan = PLAN, **how: Any) -> SmokeReport:
    return SmokeTest(ask, registry, encode_picture, plan, **how).run()


def failures(report: SmokeReport) -> dict[str, str]:
    return {check.name: check.reason for check in report.checks if not check.passed}


def test_service_that_keeps_its_contract_passes(serving: ToyServing) -> None:
    ask = InProcess(serving, replace(SETTINGS, max_images=100))
    report = run(ask, toy_registry(test=220), replace(PLAN, max_images=100))
    ask.close()
    assert failures(report) == {}
    assert report.passed
    assert report.models == ("models:/dev.toy/1",)
    assert report.data_version == "fashion-mnist-v1.0.0"
    assert [(latency.images, latency.requests) for latency in report.latencies] == [(1, 5), (100, 1)]
    reasons = {check.name: check.reason for check in report.checks}
    assert reasons["JSON 28x28"] == "batches of 1, 2, 16, 100, answered alike"
    assert reasons["accuracy"] == "100.0% of 200 are right"


def path(wanted: str) -> Callable[[Request], bool]:
    return lambda request: request.path == wanted


def predicts(content_type: str, count: int = 1) -> Callable[[Request], bool]:
    """Good requests alone, of so many images; pictures and bad ones are smaller."""

    def concerns(request: Request) -> bool:
        return request.path == "/predict" and request.content_type == content_type and len(request.body) >= count * 784

    return concerns


def anything(_: Request) -> bool:
    return True


def swapped_tensor(reply: Reply) -> Reply:
    outputs = json.loads(reply.body)["outputs"]
    shifted = [{**each, "data": each["data"][::-1]} for each in outputs]
    return document(outputs=shifted)(reply)


@pytest.mark.parametrize(
    ("concerns", "change", "failed", "reason"),
    [
        (path("/"), document(docs=None), {"service"}, "GET / gave no docs"),
        (path("/health/live"), status(500), {"live"}, "GET /health/live gave 500"),
        (path("/health"), document(status="degraded"), {"health"}, "status 'degraded'"),
        (path("/health"), document(model_loaded=False), {"health"}, "/health says 200"),
        (path("/health"), document(reload_error="golden batch"), {"health"}, "a reload failed: golden batch"),
        (path("/info"), document(run_id=None), {"info"}, "GET /info gave no run_id"),
        (path("/info"), document(model_uri=["models:/m/1"]), {"info"}, "must be strings"),
        (path("/info"), document(normalization_params={"mean": 0.5, "std": 0.5}), {"data"}, "mean=0.5"),
        (path("/info"), document(normalization_params=[]), {"data"}, "no usable normalization_params"),
        (path("/info"), document(output_classes=["Bag"]), {"data"}, "other output_classes"),
        (path("/v2"), document(extensions=None), {"V2 metadata"}, "GET /v2 gave no extensions"),
        (path("/v2/health/ready"), status(503), {"V2 metadata"}, "GET /v2/health/ready gave 503"),
        (predicts("application/json"), first_prediction(class_name="?"), {"JSON 28x28", "JSON 784", "latency"}, "[0]"),
        (predicts("application/x-npy"), first_prediction(confidence=0.5), {"npy"}, "confidence of image 0 differs"),
        (predicts("application/x-npy", 16), document(predictions=[]), {"npy"}, "gave 0 predictions for 16 images"),
        (predicts("image/png", 0), first_prediction(confidence=0.1), {"PNG"}, "confidence of image 0 differs"),
        (predicts("image/jpeg", 0), status(415), {"JPEG"}, "(image/jpeg) gave 415"),
        (path("/v2/models/fashion-mnist-classifier/infer"), swapped_tensor, {"V2 infer"}, "class_id[0] is not"),
    ],
)
def test_broken_answer_fails_the_check_that_is_for_it(
    ask: Ask,
    registry: MemoryDataRegistry,
    concerns: Callable[[Request], bool],
    change: Change,
    failed: set[str],
    reason: str,
) -> None:
    def only_good_ones(reply: Reply) -> Reply:
        return change(reply) if reply.status == 200 else reply

    report = run(failing(ask, concerns, only_good_ones), registry)
    found = failures(report)
    assert not report.passed
    assert set(found) == failed
    assert all(reason in text for text in found.values())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (status(200), "gave 200"),
        (status(500), "gave 500"),
        (document(detail=None), "gave no detail"),
        (document(error_type=None), "gave no error_type"),
        (document(request_id=None), "gave no request_id"),
        (document(detail=""), "its detail does not say"),
        (document(detail=["bad"]), "its detail does not say"),
        (document(extra="x" * 5000), "bytes, expected at most 4096"),
    ],
)
def test_refusal_that_is_none_or_says_too_little_fails(
    ask: Ask, registry: MemoryDataRegistry, change: Change, reason: str
) -> None:
    def only_refusals(reply: Reply) -> Reply:
        return reply if reply.status == 200 else change(reply)

    found = failures(run(failing(ask, anything, only_refusals), registry))
    assert len(found) == 12
    for name, said in found.items():
        assert name.startswith("refuses ")
        assert reason in said or "set REQUEST_MAX_LENGTH here" in said


def test_refusal_has_to_name_the_position_of_the_bad_pixel(ask: Ask, registry: MemoryDataRegistry) -> None:
    def unsaid(reply: Reply) -> Reply:
        return reply if reply.status == 200 else document(detail="bad pixel")(reply)

    found = failures(run(failing(ask, anything, unsaid), registry))
    assert set(found) == {"refuses pixel 256", "refuses pixel -1", "refuses decimal", "refuses short row"}
    assert found["refuses pixel -1"] == "422, but its detail does not say images[0][7][5]"


def test_limit_that_the_service_does_not_have_is_told_with_what_to_set(ask: Ask, registry: MemoryDataRegistry) -> None:
    found = failures(run(ask, registry, replace(PLAN, max_images=19)))
    assert found == {"refuses 20 images": "accepted: set REQUEST_MAX_LENGTH here to what the service has"}


def test_batches_are_no_larger_than_the_service_takes(registry: MemoryDataRegistry, serving: ToyServing) -> None:
    ask = InProcess(serving, replace(SETTINGS, max_images=10))
    report = run(ask, registry, replace(PLAN, max_images=10))
    ask.close()
    assert failures(report) == {}
    assert [latency.images for latency in report.latencies] == [1, 2]


def test_bad_model_fails_by_its_accuracy(registry: MemoryDataRegistry, ask: Ask, serving: ToyServing) -> None:
    good = served(registry)
    serving.model = replace(good, prediction=served(toy_registry_of_other_classes()).prediction)
    assert failures(run(ask, registry)) == {"accuracy": "0.0% of 20 are right, expected at least 60.0%"}
    assert failures(run(ask, registry, replace(PLAN, min_accuracy=0.0))) == {}


def toy_registry_of_other_classes() -> MemoryDataRegistry:
    data = toy_registry()
    dataset = data.resolve()
    splits = {name: data.read(dataset, name) for name in dataset.splits}
    turned = MemoryDataRegistry()
    turned.add("1.0.0", {name: replace(split, labels=(split.labels + 1) % 10) for name, split in splits.items()})
    return turned


def test_version_without_a_test_split_is_tested_with_its_validation_split(serving: ToyServing, ask: Ask) -> None:
    registry = toy_registry(test=0)
    report = run(ask, registry)
    assert report.passed
    assert next(check.reason for check in report.checks if check.name == "answers") == "to 20 val images"


def test_key_has_to_be_insisted_on(registry: MemoryDataRegistry, ask: Ask, serving: ToyServing) -> None:
    locked = InProcess(serving, replace(SETTINGS, api_keys=("secret",)), api_key="secret")
    assert failures(run(locked, registry, replace(PLAN, has_key=True))) == {}
    locked.close()
    found = failures(run(ask, registry, replace(PLAN, has_key=True)))
    assert found == {"API key": "POST /predict (application/octet-stream) gave 200, expected 401 or 403"}


def test_missing_key_is_told(registry: MemoryDataRegistry, serving: ToyServing) -> None:
    locked = InProcess(serving, replace(SETTINGS, api_keys=("secret",)))
    found = failures(run(locked, registry))
    locked.close()
    assert "gave 401 (an API key is needed" in found["answers"]
    assert "no model answered" in found["one model"]


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[Callable[[], None]] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for happens in self.slept[:1]:
            happens()
        del self.slept[:1]


def test_service_that_is_not_ready_is_tested_no_further(
    registry: MemoryDataRegistry, serving: ToyServing, ask: Ask
) -> None:
    serving.model, serving.reload_error = None, "its golden batch does not replay"
    report = run(ask, registry)
    assert failures(report) == {"ready": "GET /health/ready gave 503 (its golden batch does not replay), expected 200"}
    assert len(report.checks) == 1


def test_service_that_does_not_answer_is_a_failed_check(registry: MemoryDataRegistry) -> None:
    def refused(_: Request) -> Reply:
        raise StoreUnavailable("connection refused")

    assert failures(run(refused, registry)) == {"ready": "connection refused"}


def test_it_is_waited_for_until_the_wanted_model_serves(
    registry: MemoryDataRegistry, serving: ToyServing, ask: Ask
) -> None:
    def become_ready() -> None:
        serving.model = served(registry, 1)

    def reload() -> None:
        serving.model = served(registry, 2)

    def nothing() -> None:
        pass

    plan = replace(PLAN, model_uri="models:/dev.toy/2", wait=60)
    serving.model, clock = None, Clock()
    clock.slept = [nothing, become_ready, nothing, reload]
    report = run(ask, registry, plan, sleep=clock.sleep, clock=clock)
    assert report.passed
    assert report.models == ("models:/dev.toy/2",)
    assert clock.now == pytest.approx(2)


def test_waiting_ends(registry: MemoryDataRegistry, ask: Ask) -> None:
    clock = Clock()
    plan = replace(PLAN, model_uri="models:/dev.toy/2", wait=60)
    report = run(ask, registry, plan, sleep=clock.sleep, clock=clock)
    assert failures(report) == {"ready": "models:/dev.toy/1 serves, expected models:/dev.toy/2"}
    assert clock.now == pytest.approx(60)


@pytest.mark.parametrize("wait", [0, 60])
def test_model_that_changes_meanwhile_is_told_or_tested_again(
    registry: MemoryDataRegistry, serving: ToyServing, ask: Ask, wait: float
) -> None:
    count = itertools.count()

    def reloading(request: Request) -> Reply:
        if next(count) == 25:
            serving.model = served(registry, 2)
        return ask(request)

    report = run(reloading, registry, replace(PLAN, wait=wait), clock=Clock())
    if wait:
        assert (report.passed, report.models) == (True, ("models:/dev.toy/2",))
    else:
        assert report.models == ("models:/dev.toy/1", "models:/dev.toy/2")
        assert failures(report) == {
            "one model": "models:/dev.toy/1, then models:/dev.toy/2: it was reloaded meanwhile, so test it again"
        }


def test_data_version_that_the_registry_lacks_is_no_fault_of_the_service(
    registry: MemoryDataRegistry, ask: Ask
) -> None:
    elsewhere = failing(ask, path("/info"), document(data_version="fashion-mnist-v9.0.0"))
    with pytest.raises(DataVersionNotFound, match="fashion-mnist-v9"):
        run(elsewhere, registry)


def test_other_normalization_than_the_registry_s_fails(
    registry: MemoryDataRegistry, ask: Ask, serving: ToyServing
) -> None:
    serving.model = served(registry, normalization=Normalization(0.5, 0.5))
    assert "Normalization(mean=0.5, std=0.5)" in failures(run(ask, registry))["data"]
