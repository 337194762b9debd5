"""An HTTP client for the service of fmnist. It reads predictions in every format, and checks refusals."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fmnist.adapters.http.endpoint import HttpEndpoint, Reply
from fmnist.adapters.pillow.files import encode_picture
from fmnist.domain.model.data.images import PIXELS, SIDE, Images
from fmnist.domain.model.errors import UnexpectedReply
from fmnist.domain.model.traffic.canary_report import CanaryReport
from fmnist.domain.model.traffic.report import DriftReport

_PREDICT = "/predict"
_INFER = "/v2/models/fashion-mnist-classifier/infer"
_OCTETS = "application/octet-stream"
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class ServedInfo:
    """The part of `/info` about the served model, the desired model, and the error of the last reload."""

    model_uri: str
    desired_model: str
    data_version: str | None
    reload_error: str | None


@dataclass(frozen=True, slots=True)
class Answers:
    """Predicted classes, the models that the replies name (not in every format), and the seconds per request."""

    class_ids: list[int]
    models: list[str]
    seconds: list[float]


@dataclass(frozen=True, slots=True)
class _Prediction:
    class_id: int


@dataclass(frozen=True, slots=True)
class _Predictions:
    predictions: list[_Prediction]
    model_uri: str


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    data: list[Any]


@dataclass(frozen=True, slots=True)
class _Inference:
    outputs: list[_Tensor]


def _predict_json(images: Images) -> bytes:
    return json.dumps({"images": images.tolist()}).encode()


def _npy(images: Images) -> bytes:
    file = io.BytesIO()
    np.save(file, images, allow_pickle=False)
    return file.getvalue()


def _infer_json(images: Images) -> bytes:
    shape = [len(images), SIDE, SIDE]
    tensor = {"name": "images", "shape": shape, "datatype": "UINT8", "data": images.ravel().tolist()}
    return json.dumps({"inputs": [tensor]}).encode()


# For each format: path, content type, and function that encodes the body. A PNG or JPEG body holds one image.
_FORMATS: Mapping[str, tuple[str, str, Callable[[Images], bytes]]] = {
    "octet-stream": (_PREDICT, _OCTETS, lambda images: images.tobytes()),
    "JSON 28x28": (_PREDICT, _JSON, _predict_json),
    "JSON 784": (_PREDICT, _JSON, lambda images: _predict_json(images.reshape(-1, PIXELS))),
    "npy": (_PREDICT, "application/x-npy", _npy),
    "V2 infer": (_INFER, _JSON, _infer_json),
    "PNG": (_PREDICT, "image/png", lambda images: encode_picture(images[0], "PNG")),
    "JPEG": (_PREDICT, "image/jpeg", lambda images: encode_picture(images[0], "JPEG")),
}


class HttpService(HttpEndpoint):
    """A client for the routes of the service. Every method can raise the errors of `ask` and `Reply`.

    Each check returns a short description of the reply.

    Attributes:
        formats: names of the image formats. Only JPEG is lossy.
    """

    formats = tuple(_FORMATS)

    def check_ready(self) -> str:
        """Check that the service is ready."""
        return f"{self.ask('GET', '/health/ready').expect(200).status}"

    def info(self) -> ServedInfo:
        """Return the served model, the desired model and the last reload error."""
        return self.ask("GET", "/info").expect(200).read(ServedInfo)

    def drift(self) -> DriftReport:
        """Return what the service says of its recent traffic."""
        return self.ask("GET", "/drift").expect(200).read(DriftReport)

    def canary(self) -> CanaryReport:
        """Return what the service says of its canary."""
        return self.ask("GET", "/canary").expect(200).read(CanaryReport)

    def answers(self, form: str, images: Images, batch: int) -> Answers:
        """Return the predicted classes. A request holds `batch` images, or one image for PNG and JPEG."""
        path, kind, encode = _FORMATS[form]
        size = 1 if kind.startswith("image/") else batch
        answers = Answers([], [], [])
        for start in range(0, len(images), size):
            sent = images[start : start + size]
            reply = self.ask("POST", path, encode(sent), kind).expect(200)
            class_ids, models = _read(reply, path)
            if len(class_ids) != len(sent):
                raise UnexpectedReply(f"{reply.request} returned {len(class_ids)} predictions for {len(sent)} images")
            answers.class_ids.extend(class_ids)
            answers.models.extend(models)
            answers.seconds.append(reply.seconds)
        return answers

    def check_refusal(self, image: Images) -> str:
        """Check that the service refuses a pixel value of 256, and gives a reason."""
        body = json.dumps({"images": [[256, *image.ravel().tolist()[1:]]]}).encode()
        reply = self.ask("POST", _PREDICT, body, _JSON).expect(400, 422)
        if not reply.detail:
            raise UnexpectedReply(f"{reply.request} returned {reply.status} without a reason in 'detail'")
        return f"refused with {reply.status}"

    def check_key(self, image: Images) -> str:
        """Check that the service refuses a request without the API key."""
        reply = self.ask("POST", _PREDICT, image.tobytes(), _OCTETS, key=False).expect(401, 403)
        return f"a request without the key is refused with {reply.status}"


def _read(reply: Reply, path: str) -> tuple[list[int], list[str]]:
    if path == _INFER:
        return next((each.data for each in reply.read(_Inference).outputs if each.name == "class_id"), []), []
    document = reply.read(_Predictions)
    return [each.class_id for each in document.predictions], [document.model_uri]
