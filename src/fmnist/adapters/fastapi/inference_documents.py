"""The shapes of the Open Inference Protocol, like those in `documents`. The protocol defines names and keys."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from fmnist.adapters.fastapi.binary_tensors import LENGTH_HEADER
from fmnist.adapters.fastapi.documents import Numbers
from fmnist.adapters.fastapi.example import example_image
from fmnist.adapters.fastapi.formats import JSON, OCTETS


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
    """An input or output tensor. In `shape`, -1 means any number of images."""

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


class BinaryParameters(TypedDict):
    """How many bytes of the body, after the JSON object, are this tensor's."""

    binary_data_size: int


class OutputTensor(TypedDict):
    """A tensor. Its data is one flat list, row by row, or follows the JSON object as little-endian bytes."""

    name: str
    datatype: str
    shape: list[int]
    parameters: NotRequired[BinaryParameters]
    data: NotRequired[Numbers]


class Inference(TypedDict):
    """The requested outputs; by default both: `class_id` INT64 [n] and `probabilities` FP32 [n, 10].

    The parameter `model_uri` names the model, because versions of two registered models may have one number.
    """

    model_name: str
    model_version: str
    parameters: dict[str, str]
    id: NotRequired[str]
    outputs: list[OutputTensor]


class InferenceError(TypedDict):
    """The protocol's `error`, and the fields of every error of this service."""

    error: str
    detail: str
    error_type: str
    request_id: str


_PROBLEMS = {
    404: "The model does not exist, or another version of it serves.",
    503: "No model answers yet, or none answered in time.",
}


def answers(model: type[Any], *problems: int) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's responses of a route: `model` on success, else one of these problems."""
    described: dict[int | str, dict[str, Any]] = {200: {"model": model}}
    for status in problems:
        described[status] = {"model": InferenceError, "description": _PROBLEMS[status]}
    return {**described, "default": {"model": InferenceError, "description": "Any other error."}}


_SHAPE = {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3, "description": "[n, 28, 28]"}
_FLAG = {"type": "boolean", "default": False}
_TENSOR = {
    "type": "object",
    "properties": {
        "name": {"const": "images"},
        "datatype": {"enum": ["UINT8", "FP32"]},
        "shape": _SHAPE,
        "data": {"type": "array", "description": "Whole numbers 0-255, nested as the shape or flat."},
        "parameters": {
            "type": "object",
            "properties": {
                "binary_data_size": {"type": "integer", "description": "Bytes after the JSON object, instead of data."}
            },
        },
    },
    "required": ["name", "datatype", "shape"],
}
_OUTPUT = {
    "type": "object",
    "properties": {
        "name": {"enum": ["class_id", "probabilities"]},
        "parameters": {"type": "object", "properties": {"binary_data": _FLAG}},
    },
    "required": ["name"],
}
_REQUEST = {
    "title": "Inference request",
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "Returned in the response."},
        "inputs": {"type": "array", "items": _TENSOR, "minItems": 1, "maxItems": 1},
        "outputs": {"type": "array", "items": _OUTPUT, "description": "Requested outputs; both by default."},
        "parameters": {"type": "object", "properties": {"binary_data_output": _FLAG}},
    },
    "required": ["inputs"],
}
_EXAMPLE = {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 28, 28], "data": [example_image()]}]}
_BINARY = {
    "schema": {
        "type": "string",
        "format": "binary",
        "description": "The JSON object, and after it the little-endian bytes of tensors with `binary_data_size`.",
    }
}
_JSON_BYTES = {"description": "Length of the JSON object in bytes.", "schema": {"type": "integer", "minimum": 0}}
INFER_OPENAPI = {
    "parameters": [{"name": LENGTH_HEADER, "in": "header", **_JSON_BYTES}],
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": _REQUEST, "example": _EXAMPLE}, OCTETS: _BINARY},
    },
}
INFER_ANSWER = {"model": Inference, "content": {OCTETS: _BINARY}, "headers": {LENGTH_HEADER: _JSON_BYTES}}
