"""The shapes of the Open Inference Protocol, as in `documents`; names and keys are the protocol's."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from fmnist.adapters.fastapi.documents import Numbers
from fmnist.adapters.fastapi.example import example_image


class Server(TypedDict):
    """Server metadata."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(TypedDict):
    """The process answers."""

    live: bool


class ServerReady(TypedDict):
    """A model answers."""

    ready: bool


class ModelReady(TypedDict):
    """This model answers."""

    name: str
    ready: bool


class TensorMetadata(TypedDict):
    """A tensor that goes in or comes out; -1 is any number of images."""

    name: str
    datatype: str
    shape: list[int]


class Model(TypedDict):
    """Model metadata."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class OutputTensor(TypedDict):
    """A tensor, its data in one flat list, row by row."""

    name: str
    datatype: str
    shape: list[int]
    data: Numbers


class Inference(TypedDict):
    """The outputs that were asked for, or both: `class_id` INT64 [n] and `probabilities` FP32 [n, 10]."""

    model_name: str
    model_version: str
    id: NotRequired[str]
    outputs: list[OutputTensor]


class InferenceError(TypedDict):
    """The protocol's `error`, and beside it what every error of this service has."""

    error: str
    detail: str
    error_type: str
    request_id: str


_PROBLEMS = {
    404: "No such model, or another version of it serves.",
    503: "No model answers yet, or none did in time.",
}


def answers(model: type[Any], *problems: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's responses of a route that answers with `model`, or with one of these problems."""
    described: dict[int | str, dict[str, Any]] = {200: {"model": model}}
    for status in problems:
        described[status] = {"model": InferenceError, "description": _PROBLEMS[status]}
    return {**described, "default": {"model": InferenceError, "description": "Anything else that goes wrong."}}


INFER_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "title": "Inference request",
                "type": "object",
                "properties": {
                    "id": {"type": "string", "description": "Returned with the answer."},
                    "inputs": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 1,
                        "items": {
                            "type": "object",
                            "properties": {
                                "name": {"const": "images"},
                                "datatype": {"const": "UINT8"},
                                "shape": {
                                    "description": "[n, 28, 28]",
                                    "type": "array",
                                    "items": {"type": "integer"},
                                    "minItems": 3,
                                    "maxItems": 3,
                                },
                                "data": {
                                    "description": "Integers 0-255, nested as the shape or flat.",
                                    "type": "array",
                                },
                            },
                            "required": ["name", "datatype", "shape", "data"],
                        },
                    },
                    "outputs": {
                        "description": "Which outputs are wanted; both when left out.",
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"name": {"enum": ["class_id", "probabilities"]}},
                            "required": ["name"],
                        },
                    },
                },
                "required": ["inputs"],
            },
            "example": {
                "inputs": [
                    {"name": "images", "datatype": "UINT8", "shape": [1, 28, 28], "data": [example_image()]},
                ]
            },
        }
    },
}
