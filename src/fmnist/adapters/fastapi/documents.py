"""The shapes of what goes out, for the OpenAPI document alone: no response is validated against them on its way."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """A body; its fields are named as the contract and the protocol name them, also where pydantic would warn."""

    model_config = ConfigDict(protected_namespaces=())


class Service(Document):
    """What this is, and where to go on."""

    service: str
    version: str
    status: str
    docs: str
    health: str


class Health(Document):
    """How the service stands.

    `status` is `healthy` while a model answers, also when what is desired could not be loaded (`reload_error`) or its
    normalization could not be compared with the data registry (`degraded`); each of them has the reason, or is null.
    Where there are API keys, the reason is for callers with a key.
    """

    status: str
    model_loaded: bool
    model_uri: str | None
    uptime_seconds: float
    desired_model: str
    degraded: str | None
    reload_error: str | None


class Live(Document):
    """The process answers."""

    status: str


class NormalizationParams(Document):
    """Of the train split's pixels, in [0, 1] units: the input is `(pixel / 255 - mean) / std`."""

    mean: float
    std: float


class Info(Document):
    """The model that answers, and where it comes from."""

    model_uri: str
    model_uuid: str
    run_id: str
    model_signature: dict[str, Any]
    data_version: str | None
    training_timestamp: str
    expected_input_shape: list[int]
    output_classes: list[str]
    normalization_params: NormalizationParams
    desired_model: str
    degraded: str | None
    reload_error: str | None


class ClassConfidence(Document):
    """A class, and its probability in [0, 1]."""

    class_id: int
    class_name: str
    confidence: float


class ImagePrediction(ClassConfidence):
    """The most probable class of one image; what else there is was asked for."""

    top_k: list[ClassConfidence] = []
    probabilities: list[float] = []


class Predictions(Document):
    """One prediction an image, in the order of the images, all of them by the one model that is named."""

    predictions: list[ImagePrediction]
    model_uri: str
    timestamp: str
    processing_time_ms: float


class ErrorDocument(Document):
    """What went wrong: `detail` for a person, `error_type` for a program, `request_id` to find it in the log."""

    detail: str
    error_type: str
    request_id: str


class NotReadyDocument(Document):
    """An error whose `detail` is the health of a service that has no model."""

    detail: Health
    error_type: str
    request_id: str
