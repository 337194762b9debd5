"""The application in this process, called through ASGI, with a model that knows ten greys."""

import asyncio
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from fastapi import FastAPI
from PIL import Image

from fmnist.adapters.fastapi.app import create_app
from fmnist.adapters.fastapi.batches import Watch
from fmnist.adapters.fastapi.gate import Gate
from fmnist.adapters.fastapi.metrics import ExportedMeter
from fmnist.adapters.fastapi.problems import Problem
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.adapters.fastapi.tracing import Tracer
from fmnist.adapters.memory.classifier import MeanClassifier
from fmnist.adapters.memory.feedback import MemoryFeedback
from fmnist.domain.model.data.images import PIXELS, Images
from fmnist.domain.model.errors import StoreUnavailable
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.traffic.canary_report import CanaryReport
from fmnist.domain.model.traffic.drift import Drift
from fmnist.domain.model.traffic.feedback import Labelling, TrueClass
from fmnist.domain.model.traffic.shadow_report import ShadowReport
from fmnist.domain.model.traffic.sketch import Sketch, TrafficWindow
from fmnist.domain.services.prediction import Prediction
from fmnist.domain.services.serving.feedback import GivenAnswers
from fmnist.domain.services.serving.load import ServedModel
from fmnist.domain.services.serving.reload import ServingStatus
from fmnist.ports.model_store import ModelPackage
from fmnist.testing.data import toy_info

INFER = "/v2/models/fashion-mnist-classifier/infer"
JSON = "application/json"
SETTINGS = HttpSettings(version="1.2.3", has_feedback=True)
# A message of a client that sends nothing more and stays connected.
SILENCE = {"type": "silence"}
GONE = {"type": "http.disconnect"}


def greys(*labels: int) -> Images:
    """Images uint8 (n, 28, 28). Each has one grey, which is the mean of its class."""
    return np.stack([np.full((28, 28), 25 * label, np.uint8) for label in labels])


def grey_model(version: int = 3, degraded: str | None = None, reference: Sketch | None = None) -> ServedModel:
    info = toy_info()
    means = info.normalization.apply(greys(*range(10))).reshape(10, PIXELS)
    classifier = MeanClassifier(means, info)
    package = ModelPackage(
        version=ModelVersion("dev.greys", version, "run-1", (), {}, 0.0),
        uuid="m-1",
        signature={"inputs": [{"name": "images", "type": "float32"}], "outputs": []},
        created=1_700_000_000.0,
        factory=lambda: classifier,
        reference=reference,
    )
    return ServedModel(package, Prediction(classifier), degraded)


class GreyServing(Serving):
    """Serves `model`. A test sets `before_answer` to act while a request is being answered."""

    def __init__(self, model: ServedModel | None = None) -> None:
        self.restore(model)

    def restore(self, model: ServedModel | None) -> None:
        self.model = model
        self.reload_error: str | None = None
        self.is_full = False
        self.asked = 0
        self.before_answer: Callable[[], Any] | None = None
        self.traffic = Sketch.joined([])
        self.given = GivenAnswers(MemoryFeedback())
        self.compared = ShadowReport()
        self.trial = CanaryReport()
        self.request_ids: list[str | None] = []
        self.sizes: list[tuple[int, bool]] = []

    def status(self) -> ServingStatus:
        return ServingStatus(desired="models:/dev.greys@champion", served=self.model, reload_error=self.reload_error)

    def check_room(self) -> None:
        if self.is_full:
            raise Problem(429, "too_many_requests", "many images wait", {"retry-after": "1"})

    async def answer(
        self, images: Images, request_id: str | None = None, watch: Watch | None = None, *, is_traffic: bool = True
    ) -> tuple[ServedModel, Probabilities]:
        self.asked += 1
        self.request_ids.append(request_id)
        self.sizes.append((len(images), is_traffic))
        if self.before_answer is not None:
            waiting = self.before_answer()
            if waiting is not None:
                await waiting
        if self.model is None:
            raise StoreUnavailable("no model at store.internal:5000")
        return self.model, self.model.prediction.probabilities(images)

    def note(self, request_id: str, model: ServedModel, rows: Probabilities) -> None:
        self.given.note(request_id, model.version.uri, rows)

    async def label(self, given: Sequence[TrueClass]) -> Labelling:
        return self.given.label(given)

    async def drift(self) -> Drift:
        if self.model is None:
            raise StoreUnavailable("no model at store.internal:5000")
        reference = self.model.package.reference
        uri = self.model.version.uri
        drift = Drift.of(uri, TrafficWindow(self.traffic, 27_000_000, 27_000_005), reference)
        return replace(drift, realized=self.given.accuracy(uri))

    async def canary(self) -> CanaryReport:
        return self.trial

    async def shadow(self) -> ShadowReport:
        return self.compared


@dataclass(frozen=True)
class Reply:
    """A response, its headers by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> tuple[int, str]:
        """Check the form that every error has, and return its status and kind."""
        document = self.json()
        assert document.keys() - {"error"} == {"detail", "error_type", "request_id"}
        assert self.headers["content-type"] == JSON
        assert self.headers["x-request-id"] == document["request_id"]
        assert len(self.body) < 600
        return self.status, document["error_type"]

    @property
    def detail(self) -> str:
        text = self.json()["detail"]
        assert isinstance(text, str)
        return text


class Service:
    """Calls an application as a server does, one request after the other."""

    def __init__(
        self,
        serving: Serving,
        settings: HttpSettings = SETTINGS,
        root_path: str = "",
        meter: ExportedMeter | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.app: FastAPI = create_app(serving, settings, meter, tracer)
        self.gate: Gate = self.app.user_middleware[0].kwargs["gate"]  # type: ignore[assignment]
        self._root_path = root_path

    def get(self, path: str, **headers: str) -> Reply:
        return self.request("GET", path, **headers)

    def post(self, path: str, body: bytes = b"", content_type: str | None = JSON, **headers: str) -> Reply:
        """Send a body. Underscores in header names become hyphens."""
        if content_type is not None:
            headers["content_type"] = content_type
        headers.setdefault("content_length", str(len(body)))
        return self.request("POST", path, [{"type": "http.request", "body": body}], **headers)

    def predict(self, document: Any, query: str = "", **headers: str) -> Reply:
        return self.post(f"/predict{query}", json.dumps(document).encode(), **headers)

    def infer(self, document: Any) -> Reply:
        return self.post(INFER, json.dumps(document).encode())

    def request(self, method: str, path: str, messages: Iterable[Any] = (), **headers: str) -> Reply:
        return asyncio.run(asyncio.wait_for(self.exchange(method, path, messages, **headers), 30))

    async def exchange(self, method: str, path: str, messages: Iterable[Any] = (), **headers: str) -> Reply:
        """Let the application read messages of a client, and return what it sent."""
        coming, sent = iter(messages), []

        async def receive() -> Any:
            message = next(coming, GONE)
            if message is SILENCE:
                await asyncio.Event().wait()
            return message

        async def send(message: Any) -> None:
            sent.append(message)

        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": self._root_path + path,
            "raw_path": (self._root_path + path).encode(),
            "root_path": self._root_path,
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("service", 80),
        }
        await self.app(scope, receive, send)
        start, *rest = sent
        return Reply(
            status=start["status"],
            headers={name.decode().lower(): value.decode() for name, value in start["headers"]},
            body=b"".join(message.get("body", b"") for message in rest),
        )


class Untouchable:
    """Messages of a body that must not be read."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        raise AssertionError("the body was read")


def chunks(*bodies: bytes, last: Any = None) -> list[Any]:
    """Messages of a client that sends a body in pieces, and then `last` instead of its end."""
    pieces = [{"type": "http.request", "body": body, "more_body": True} for body in bodies]
    return [*pieces, last or {"type": "http.request", "body": b""}]


def npy(array: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def npy_header(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """A `.npy` file whose header is any text."""
    length = len(header).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return b"\x93NUMPY" + version + length + header.encode() + content


def picture(image: Any, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def bodies(images: Images) -> dict[str, tuple[bytes, str]]:
    """Body and content type of the images, by name, in every format of `/predict` that takes several images."""
    return {
        "JSON, rows": (json.dumps({"images": images.tolist()}).encode(), JSON),
        "JSON, flat": (json.dumps({"images": images.reshape(-1, PIXELS).tolist()}).encode(), JSON),
        "octet-stream": (images.tobytes(), "application/octet-stream"),
        "npy": (npy(images), "application/x-npy"),
        "npy, Fortran order": (npy(np.asfortranarray(images)), "application/x-npy"),
        "npy, flat": (npy(images.reshape(-1, PIXELS)), "application/x-npy"),
    }
