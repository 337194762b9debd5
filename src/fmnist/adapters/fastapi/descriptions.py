"""The words and examples of the OpenAPI document, which is all that many a caller ever reads of this service."""

from typing import Any

from fmnist.adapters.fastapi import documents
from fmnist.adapters.fastapi.example import example_image
from fmnist.adapters.fastapi.formats import JPEG, JSON, NPY, OCTETS, PNG
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.data.images import PIXELS, SIDE

Responses = dict[int | str, dict[str, Any]]

TITLE = "Fashion-MNIST classifier"
SERVICE = """
Send pictures of fashion articles, get their classes: T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt,
Sneaker, Bag or Ankle boot.

A picture is 28x28 grey pixels, 0-255, light on black. Every answer names the registered model version that made it.
Every error is `{detail, error_type, request_id}`; send `x-request-id` to name a request yourself.

    curl -H 'content-type: image/png' --data-binary @shoe.png URL/predict
"""
TAGS = [
    {"name": "prediction", "description": "Images in, classes out."},
    {"name": "service", "description": "What the service is, and whether a model answers."},
    {"name": "inference protocol", "description": "Open Inference Protocol V2, REST with JSON tensors."},
]
PREDICT = """
One prediction an image, in the order of the images. Choose the format by `content-type`: JSON for a try, and
`application/octet-stream` where speed counts. A pixel that is no integer from 0 to 255 is refused, with its position.
"""

_PROBLEMS = {
    400: "The body is malformed: no JSON, no such file, or cut off.",
    401: "The API key is missing or unknown.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The content type is none of those that are accepted, or the body is compressed.",
    422: "The body or a parameter is well-formed and wrong; `detail` has the position of the first bad value.",
    503: "No model answers yet, none did in time, or too many bytes of requests are at hand (with `Retry-After`).",
}
_TOO_MANY = {"description": "Too many requests wait already: come back after `Retry-After` seconds."}


def problem_responses(settings: HttpSettings, model: type[Any] = documents.ErrorDocument) -> Responses:
    """Return the responses other than success of a route that predicts."""
    responses: Responses = {
        status: {"model": model, "description": text}
        for status, text in _PROBLEMS.items()
        if status != 401 or settings.api_keys
    }
    return {**responses, 429: _TOO_MANY}


def predict_responses(settings: HttpSettings) -> Responses:
    """Return the responses of `/predict`."""
    return {
        200: {"model": documents.Predictions, "description": "One prediction an image."},
        **problem_responses(settings),
    }


def predict_body(settings: HttpSettings) -> dict[str, Any]:
    """Return OpenAPI's request body of `/predict`, with each format."""
    pixel = {"type": "integer", "minimum": 0, "maximum": 255}
    row = {"type": "array", "items": pixel, "minItems": SIDE, "maxItems": SIDE}
    image = {
        "anyOf": [
            {"title": "Rows", "type": "array", "items": row, "minItems": SIDE, "maxItems": SIDE},
            {"title": "Flat", "type": "array", "items": pixel, "minItems": PIXELS, "maxItems": PIXELS},
        ]
    }
    return {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "title": "Images",
                    "description": f"1 to {settings.max_images} images, each of 28 rows of 28 pixels or of 784 pixels.",
                    "type": "object",
                    "properties": {
                        "images": {"type": "array", "items": image, "minItems": 1, "maxItems": settings.max_images}
                    },
                    "required": ["images"],
                    "additionalProperties": False,
                },
                "example": {"images": [example_image()]},
            },
            OCTETS: _file(f"The bare pixels, row by row: n x {PIXELS} bytes. `images.tobytes()` of a uint8 array."),
            NPY: _file("A `.npy` file of dtype uint8 and shape (n, 28, 28) or (n, 784), as `numpy.save` writes it."),
            PNG: _file("One picture, made grey and scaled to 28x28. Light on black, for it is not inverted."),
            JPEG: _file("One picture, made grey and scaled to 28x28. Light on black, for it is not inverted."),
        },
    }


def _file(description: str) -> dict[str, Any]:
    return {"schema": {"type": "string", "format": "binary", "description": description}}
