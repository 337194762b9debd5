"""The shapes of the response bodies. Routes build them, a type checker checks them, and OpenAPI shows them.

They are typed dictionaries, not dataclasses: a field that was not requested is absent, not null. Responses are encoded
fast and not validated, because this service made their content.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NotRequired

import orjson
from pydantic import WithJsonSchema
from starlette.responses import Response
from typing_extensions import TypedDict

from fmnist.domain.model.data.images import SIDE
from fmnist.domain.model.data.photograph import Done, Prepared
from fmnist.domain.services.prediction import ClassPrediction

Numbers = Annotated[Any, WithJsonSchema({"type": "array", "items": {"type": "number"}})]
"""A C-contiguous array, which becomes a flat list in JSON."""

Rows = Annotated[
    Any, WithJsonSchema({"type": "array", "items": {"type": "array", "items": {"type": "number"}}, "maxItems": SIDE})
]
"""A C-contiguous array (28, 28), which becomes 28 lists of 28 in JSON."""


class Service(TypedDict):
    """Name and version of the service, and links."""

    service: str
    version: str
    status: str
    docs: str
    health: str


class ModelState(TypedDict):
    """The model that the service should serve, and why it does not, or not fully."""

    desired_model: str
    degraded: str | None
    reload_error: str | None


class Health(ModelState):
    """Health of the service. `status` is `healthy` while any model answers.

    `reload_error` is the reason why the desired model could not be loaded, or null. `degraded` is the reason why the
    normalization could not be compared with the data registry's, or null. If there are API keys, a caller without
    a key sees that there is a reason, but not its text.
    """

    status: str
    model_loaded: bool
    model_uri: str | None
    uptime_seconds: float


class Live(TypedDict):
    """The process answers."""

    status: str


class NormalizationParams(TypedDict):
    """Mean and standard deviation of the train split, in [0, 1] units: the input is `(pixel / 255 - mean) / std`."""

    mean: float
    std: float


class Info(ModelState):
    """The model that answers, and where it comes from."""

    model_uri: str
    model_name: str
    model_uuid: str
    run_id: str
    model_signature: Mapping[str, Any]
    data_version: str | None
    training_timestamp: str
    expected_input_shape: list[int]
    output_classes: Sequence[str]
    normalization_params: NormalizationParams


class ImagePrediction(TypedDict):
    """The most probable class of one image, with its probability in [0, 1]. Other fields are present if requested."""

    class_id: int
    class_name: str
    confidence: float
    top_k: NotRequired[list[ClassPrediction]]
    probabilities: NotRequired[Numbers]


class Preparation(TypedDict):
    """A prepared photograph: 784 pixels in 0-255, row by row, and what each step did."""

    image: list[int]
    steps: list[Done]


def preparation_of(prepared: Prepared) -> Preparation:
    """Return what a prepared photograph has become."""
    return {"image": prepared.image.ravel().tolist(), "steps": list(prepared.steps)}


class Predictions(TypedDict):
    """One prediction per image, in the order of the images. `model_uri` names the model of all predictions."""

    predictions: list[ImagePrediction]
    preparation: NotRequired[Preparation]
    model_uri: str
    timestamp: str
    processing_time_ms: float


class ImageExplanation(TypedDict):
    """What speaks for the class of one image: a map of 28x28 pixels, each in [-1, 1], from `images` answered images."""

    class_id: int
    class_name: str
    confidence: float
    map: Rows
    images: int
    preparation: NotRequired[Preparation]
    model_uri: str
    timestamp: str
    processing_time_ms: float


class ErrorDocument(TypedDict):
    """What went wrong: `detail` for a person, `error_type` for a program, `request_id` to find it in the log."""

    detail: str
    error_type: str
    request_id: str


class NotReadyDocument(TypedDict):
    """An error whose `detail` is the health of a service without a model."""

    detail: Health
    error_type: str
    request_id: str


def json_reply(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response. Dataclasses become objects, and C-contiguous arrays become lists."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, headers, media_type="application/json")
