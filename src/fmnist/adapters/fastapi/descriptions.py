"""Texts and examples of the OpenAPI document. Many callers read no other documentation of the service."""

from typing import Any

from fmnist.adapters.fastapi import documents
from fmnist.adapters.fastapi.example import example_image
from fmnist.adapters.fastapi.formats import JPEG, JSON, NPY, OCTETS, PNG
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.data.images import PIXELS, SIDE

Responses = dict[int | str, dict[str, Any]]

TITLE = "Fashion-MNIST classifier"
SERVICE = """
Send pictures of fashion articles and get their classes: T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt,
Sneaker, Bag or Ankle boot.

A picture is 28x28 grey pixels, 0-255, light on black. Every answer names the registered model version that made it.
Every error is `{detail, error_type, request_id}`. Send `x-request-id` to choose the id of a request.

    curl -H 'content-type: image/png' --data-binary @shoe.png URL/predict
"""
TAGS = [
    {"name": "prediction", "description": "Images in, classes out."},
    {"name": "service", "description": "What the service is, and whether a model answers."},
    {"name": "inference protocol", "description": "Open Inference Protocol V2, REST with JSON tensors."},
]
PREDICT = """
Returns one prediction per image, in the order of the images. `content-type` gives the format: JSON is easy to try, and
`application/octet-stream` is fast. A pixel that is not an integer from 0 to 255 is refused, and the error has its
position.
"""

_PROBLEMS = {
    400: "The body is malformed: not JSON, not a file of its type, or incomplete.",
    401: "The API key is missing or unknown.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The content type is not accepted, or the body is compressed.",
    422: "The body or a parameter has a wrong value; `detail` has the position of the first one.",
    503: "No model answers yet, none answered in time, or requests fill the buffer (then with `Retry-After`).",
}
_TOO_MANY = {"description": "Too many requests are waiting: try again after `Retry-After` seconds."}


def problem_responses(settings: HttpSettings, model: type[Any] = documents.ErrorDocument) -> Responses:
    """Return the error responses of a route that predicts."""
    responses: Responses = {
        status: {"model": model, "description": text}
        for status, text in _PROBLEMS.items()
        if status != 401 or settings.api_keys
    }
    return {**responses, 429: _TOO_MANY}


def predict_responses(settings: HttpSettings) -> Responses:
    """Return the responses of `/predict`."""
    return {
        200: {"model": documents.Predictions, "description": "One prediction per image."},
        **problem_responses(settings),
    }


def predict_body(settings: HttpSettings) -> dict[str, Any]:
    """Return OpenAPI's request body of `/predict`, with every format."""
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
            OCTETS: _file(f"Raw pixels, row by row: n x {PIXELS} bytes, such as `images.tobytes()` of a uint8 array."),
            NPY: _file("A `.npy` file of dtype uint8 and shape (n, 28, 28) or (n, 784), as `numpy.save` writes it."),
            PNG: _file("One picture, light on black. It is made grey and scaled to 28x28, but not inverted."),
            JPEG: _file("One picture, light on black. It is made grey and scaled to 28x28, but not inverted."),
        },
    }


def _file(description: str) -> dict[str, Any]:
    return {"schema": {"type": "string", "format": "binary", "description": description}}
