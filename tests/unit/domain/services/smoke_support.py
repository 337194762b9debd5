"""The real HTTP application in this process over a model that knows toy pictures, and ways for it to go wrong."""

import asyncio
import dataclasses
import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np

from fmnist.adapters.fastapi.app import create_app
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.adapters.memory.classifier import MeanClassifier
from fmnist.adapters.memory.registry import MemoryDataRegistry
from fmnist.domain.model.dataset import DatasetVersion
from fmnist.domain.model.endpoint import Ask, Reply, Request
from fmnist.domain.model.images import CLASS_NAMES, PIXELS, Images
from fmnist.domain.model.metrics import Probabilities
from fmnist.domain.model.normalization import Normalization
from fmnist.domain.model.registry import ModelInfo, ModelVersion
from fmnist.domain.services.model_serving import ServedModel, ServingStatus
from fmnist.domain.services.prediction import Prediction
from fmnist.testing.data import toy_splits

Change = Callable[[Reply], Reply]


def toy_registry(test: int = 20) -> MemoryDataRegistry:
    registry = MemoryDataRegistry()
    registry.add("1.0.0", toy_splits(40, 20, test))
    return registry


def served(registry: MemoryDataRegistry, version: int = 1, normalization: Normalization | None = None) -> ServedModel:
    """A model that gets the registry's pictures right."""
    dataset = registry.resolve()
    info = ModelInfo(
        architecture="means",
        normalization=normalization or dataset.normalization,
        class_names=CLASS_NAMES,
        lineage={"dvc_data_version": dataset.version},
        metrics={},
    )
    return ServedModel(
        version=ModelVersion("dev.toy", version, "run-1", (), {}, 0.0),
        uuid="m-1",
        signature={"inputs": [], "outputs": []},
        created=0.0,
        prediction=Prediction(MeanClassifier(_class_means(registry, dataset), info)),
        degraded=None,
    )


def _class_means(registry: MemoryDataRegistry, dataset: DatasetVersion) -> Any:
    data = registry.read(dataset, "train")
    # Far apart, distances leave no class but one any probability; nearer, confidences differ.
    inputs = dataset.normalization.apply(data.images).reshape(-1, PIXELS) * np.float32(0.97)
    return np.stack([inputs[data.labels == label].mean(axis=0) for label in range(10)])


class ToyServing(Serving):
    """Serves what it is told to."""

    def __init__(self, model: ServedModel | None, reload_error: str | None = None) -> None:
        self.model = model
        self.reload_error = reload_error

    def status(self) -> ServingStatus:
        return ServingStatus(desired="models:/dev.toy@next", served=self.model, reload_error=self.reload_error)

    async def answer(self, images: Images) -> tuple[ServedModel, Probabilities]:
        assert self.model is not None
        return self.model, self.model.prediction.probabilities(images)


class InProcess:
    """Asks an application, one request after the other, without a socket. To be closed."""

    def __init__(self, serving: Serving, settings: HttpSettings, api_key: str | None = None) -> None:
        transport = httpx.ASGITransport(app=create_app(serving, settings))
        self._client = httpx.AsyncClient(transport=transport, base_url="http://service")
        self._runner = asyncio.Runner()
        self._key = {"authorization": f"Bearer {api_key}"} if api_key else {}

    def __call__(self, request: Request) -> Reply:
        headers = {"content-type": request.content_type} if request.content_type else {}
        if request.authorized:
            headers |= self._key
        asked = self._client.request(request.method, request.path, content=request.body, headers=headers)
        response = self._runner.run(asked)
        return Reply(request, response.status_code, response.content, 0.001)

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


def failing(ask: Ask, concerns: Callable[[Request], bool], change: Change) -> Ask:
    """Return what asks, and changes the replies to the requests that it concerns."""

    def asked(request: Request) -> Reply:
        reply = ask(request)
        return change(reply) if concerns(request) else reply

    return asked


def status(number: int) -> Change:
    return lambda reply: dataclasses.replace(reply, status=number)


def document(**values: Any) -> Change:
    """Set some values of a reply's document; None drops one."""

    def change(reply: Reply) -> Reply:
        found = {**json.loads(reply.body), **values}
        body = json.dumps({name: value for name, value in found.items() if value is not None}).encode()
        return dataclasses.replace(reply, body=body)

    return change


def first_prediction(**values: Any) -> Change:
    """Set some values of the first prediction."""

    def change(reply: Reply) -> Reply:
        predictions = json.loads(reply.body)["predictions"]
        return document(predictions=[{**predictions[0], **values}, *predictions[1:]])(reply)

    return change
