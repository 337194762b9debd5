"""A good service passes the smoke test, and each kind of fault fails its own check."""

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from fmnist.adapters.fastapi.batches import Watch
from fmnist.adapters.http.endpoint import Reply
from fmnist.adapters.http.service import HttpService
from fmnist.adapters.memory.classifier import MeanClassifier
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.apps.smoke_checks import SmokeReport, SmokeTest
from fmnist.domain.model.data.images import CLASS_NAMES, PIXELS, Images
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.model import ModelInfo, ModelVersion
from fmnist.domain.services.prediction import Prediction
from fmnist.domain.services.serving.load import ServedModel
from fmnist.ports.model_store import ModelPackage
from fmnist.testing.data import toy_splits
from tests.integration.apps.toy_service import SETTINGS, OneModel, service

FORMATS = {"octet-stream", "JSON 28x28", "JSON 784", "npy", "V2 infer", "PNG", "JPEG"}


def registry_of(splits: dict[str, Any]) -> MemoryDataRegistry:
    registry = MemoryDataRegistry()
    registry.add("1.0.0", splits)
    return registry


REGISTRY = registry_of(toy_splits(40, 20, 20))


def model(number: int = 1, shift: int = 0) -> ServedModel:
    """Version `number` of a model that classifies the registry's images correctly, or all wrongly by a shift."""
    dataset = REGISTRY.resolve()
    data = REGISTRY.read(dataset, "train")
    inputs = dataset.normalization.apply(data.images).reshape(-1, PIXELS)
    means = np.stack([inputs[data.labels == (label + shift) % 10].mean(axis=0) for label in range(10)])
    info = ModelInfo(
        architecture="means",
        normalization=dataset.normalization,
        class_names=CLASS_NAMES,
        lineage={"dvc_data_version": dataset.version},
        metrics={},
    )
    classifier = MeanClassifier(means, info)
    package = ModelPackage(
        version=ModelVersion("dev.toy", number, "run-1", (), {}, 0.0),
        uuid="m-1",
        signature={},
        created=0.0,
        factory=lambda: classifier,
    )
    return ServedModel(package, Prediction(classifier), degraded=None)


class Toy(OneModel):
    """Does something before its n-th answer."""

    def reset(self) -> None:
        self.model, self.reload_error = model(), None
        self.before: dict[int, Callable[[], Any]] = {}
        self.count = 0

    async def answer(
        self, images: Images, request_id: str | None = None, watch: Watch | None = None, *, is_traffic: bool = True
    ) -> tuple[ServedModel, Probabilities]:
        self.count += 1
        if self.count in self.before and (awaited := self.before[self.count]()):
            await awaited
        return await super().answer(images, request_id, watch, is_traffic=is_traffic)


class Altered(HttpService):
    """Reaches a service and alters its answers."""

    alter: Callable[[Reply], Reply] = staticmethod(lambda reply: reply)

    def ask(self, *arguments: Any, **options: Any) -> Reply:
        return self.alter(super().ask(*arguments, **options))


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Toy, str]]:
    toy = Toy(None)
    with service(toy) as url:
        yield toy, url


@pytest.fixture
def toy(running: tuple[Toy, str]) -> Toy:
    toy, _ = running
    toy.reset()
    return toy


@pytest.fixture
def client(running: tuple[Toy, str], toy: Toy) -> Iterator[Altered]:
    with Altered(running[1]) as client:
        yield client


def smoke(client: HttpService, wait: float = 0, registry: MemoryDataRegistry = REGISTRY, **asked: Any) -> SmokeReport:
    defaults = {"model_uri": None, "images": 10, "min_accuracy": 0.6, "batch": 4, "has_key": False}
    return SmokeTest(service=client, registry=registry, **defaults | asked).run(wait)


def failures(report: SmokeReport) -> dict[str, str]:
    return {check.name: check.reason for check in report.checks if not check.passed}


def document(**values: Any) -> Callable[[Reply], bytes]:
    return lambda reply: json.dumps(json.loads(reply.body) | values).encode()


def test_good_service_passes(client: Altered) -> None:
    report = smoke(client)
    assert report.failed == []
    assert {check.name for check in report.checks} == {
        *("ready", "model", "health", "bad input", "latency", "one model"),
        *FORMATS,
    }
    assert (report.models, report.data_version) == (("models:/dev.toy/1",), "fashion-mnist-v1.0.0")
    assert [(each["images"], each["requests"]) for each in report.latencies] == [(1, 50), (4, 10)]
    assert all(0 < each["p50"] <= each["p99"] <= each["longest"] for each in report.latencies)


def test_service_without_a_model_is_not_ready(client: Altered, toy: Toy) -> None:
    toy.model, toy.reload_error = None, "no golden batch"
    assert failures(smoke(client)) == {"ready": "GET /health/ready returned 503 (no golden batch), expected 200"}


def test_failed_reload_is_shown(client: Altered, toy: Toy) -> None:
    toy.reload_error = "no golden batch"
    told = "models:/dev.toy/1 is served, but a reload failed: no golden batch"
    assert failures(smoke(client, wait=60)) == {"health": told}


def test_error_of_a_service_without_answers_says_so(client: Altered) -> None:
    client.alter = lambda reply: dataclasses.replace(reply, status=500) if "POST" in reply.request else reply
    report = smoke(client)
    assert failures(report)["one model"] == "no model answered"
    assert report.models == ()


def test_another_model_than_the_wanted_one_fails_after_the_wait(client: Altered) -> None:
    report = smoke(client, wait=0.01, model_uri="models:/dev.toy/2")
    assert failures(report) == {"model": "models:/dev.toy/1 is served, expected models:/dev.toy/2"}
    assert [check.name for check in report.checks] == ["ready", "model"]


def test_smoke_waits_for_the_wanted_model(client: Altered, toy: Toy) -> None:
    states = [None, model(1), model(1), model(2)]

    def advance(reply: Reply) -> Reply:
        toy.model = states.pop(0) if states else toy.model
        return reply

    client.alter = advance
    report = smoke(client, wait=60, model_uri="models:/dev.toy/2")
    assert (report.failed, report.models) == ([], ("models:/dev.toy/2",))


@pytest.mark.parametrize("wait", [0, 60])
def test_model_that_changes_during_the_test_is_reported_or_tested_again(client: Altered, toy: Toy, wait: float) -> None:
    def reload() -> None:
        toy.model = model(2)

    toy.before = {10: reload}
    report = smoke(client, wait)
    if wait:
        assert (report.failed, report.models) == ([], ("models:/dev.toy/2",))
    else:
        assert report.models == ("models:/dev.toy/1", "models:/dev.toy/2")
        assert report.failed == ["one model"]


def test_wrong_model_fails_by_its_accuracy_in_every_format(client: Altered, toy: Toy) -> None:
    toy.model = model(shift=1)
    assert failures(smoke(client)) == dict.fromkeys(FORMATS, "0.0% of 10 are right, expected at least 60.0%")
    assert smoke(client, min_accuracy=0.0).failed == []


@pytest.mark.parametrize(
    ("kind", "alter", "failed", "told"),
    [
        ("(application/x-npy)", document(predictions=[{"class_id": 0}] * 4), {"npy"}, "expected at least 60"),
        ("(application/x-npy)", document(predictions=[]), {"npy"}, "returned 0 predictions for 4 images"),
        ("(application/x-npy)", document(predictions=7), {"npy"}, ": predictions: Input should be a valid"),
        ("/infer", document(outputs=[]), {"V2 infer"}, "returned 0 predictions for 4 images"),
        ("(image/png)", document(predictions=[{"class_id": "0"}]), {"PNG"}, "class_id: Input should be a valid int"),
    ],
)
def test_wrong_answers_in_one_format_fail_it(
    client: Altered, kind: str, alter: Callable[[Reply], bytes], failed: set[str], told: str
) -> None:
    client.alter = lambda reply: dataclasses.replace(reply, body=alter(reply)) if kind in reply.request else reply
    found = failures(smoke(client, images=8))
    assert set(found) == failed
    assert told in found.popitem()[1]


def test_format_with_other_answers_than_the_rest_fails(client: Altered) -> None:
    def one_wrong(reply: Reply) -> Reply:
        rows = json.loads(reply.body)["predictions"] if "x-npy" in reply.request else [{"class_id": 1}]
        wrong = [{"class_id": 9}, *rows[1:]] if rows[0]["class_id"] == 0 else rows
        return reply if wrong == rows else dataclasses.replace(reply, body=document(predictions=wrong)(reply))

    client.alter = one_wrong
    assert failures(smoke(client)) == {"npy": "90.0% of 10 are right, but 1 have another answer than as octet-stream"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status": 200}, "POST /predict (application/json) returned 200 (images[0][0] must be an integer"),
        ({"body": b"no"}, "POST /predict (application/json) returned 422 without a reason in 'detail'"),
    ],
)
def test_service_must_refuse_bad_input_with_a_reason(client: Altered, changes: Any, told: str) -> None:
    client.alter = lambda reply: dataclasses.replace(reply, **changes) if reply.status == 422 else reply
    found = failures(smoke(client))
    assert list(found) == ["bad input"]
    assert told in found["bad input"]


def test_service_that_is_too_slow_fails(toy: Toy, running: tuple[Toy, str]) -> None:
    requests = 5 + 2  # formats, with one image each
    toy.before = {requests + 1: lambda: asyncio.sleep(3)}
    with HttpService(running[1], timeout=1) as client:
        found = failures(smoke(client, images=1))
    assert list(found) == ["latency"]
    assert "POST /predict (application/json): no answer within 1." in found["latency"]


def test_service_must_require_the_key(client: Altered, toy: Toy) -> None:
    assert "returned 200, expected 401 or 403" in failures(smoke(client, has_key=True))["API key"]
    locked = dataclasses.replace(SETTINGS, api_keys=("secret",))
    with service(toy, locked) as url, HttpService(url, api_key="secret") as authorized, HttpService(url) as other:
        assert smoke(authorized, has_key=True).failed == []
        assert "returned 401 (an API key is needed" in failures(smoke(other))["npy"]


def test_version_without_a_test_split_is_tested_with_its_validation_split(client: Altered) -> None:
    assert smoke(client, registry=registry_of(toy_splits(40, 20, 0))).failed == []
