"""Texts and examples of the OpenAPI document. Many callers read nothing else about the service."""

from typing import Any

from fmnist.adapters.fastapi import documents
from fmnist.adapters.fastapi.example import example_image
from fmnist.adapters.fastapi.formats import JPEG, JSON, NPY, OCTETS, PNG
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.data.images import PIXELS, SIDE

Responses = dict[int | str, dict[str, Any]]

TITLE = "Fashion-MNIST classifier"
SERVICE = """
Send images of fashion articles, and get their classes: T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt,
Sneaker, Bag or Ankle boot.

An image has 28x28 grey pixels, 0-255, light on black. Every answer names the registered model version that made it.
Every error is `{detail, error_type, request_id}`. Send `x-request-id` to set the request's id yourself.

    curl -H 'content-type: image/png' --data-binary @shoe.png URL/predict
"""
TAGS = [
    {"name": "prediction", "description": "Classify images."},
    {"name": "service", "description": "Information about the service, and whether it is ready."},
    {"name": "inference protocol", "description": "Open Inference Protocol V2, REST with JSON or binary tensors."},
]
PREDICT = """
Returns one prediction for each image, in the same order. `content-type` names the format: JSON is easy to try, and
`application/octet-stream` is the fastest. A pixel must be an integer from 0 to 255; the error names the first bad one.
"""
EXPLAIN = """
Says which parts of one image speak for its class. `map` has, for each pixel, how far the probability of the class falls
when a patch of 4x4 pixels over it is covered, as a mean over its patches (occlusion, Zeiler and Fergus 2014).

The model answers the image and its covered copies; `images` says how many. They wait in the queue and are refused like
those of predictions. Drift, feedback and metrics of predictions do not count them.
"""

_PROBLEMS = {
    400: "The body is malformed: not valid JSON, not a file of its content type, or truncated.",
    401: "The API key is missing or unknown.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The content type is not supported, or the body is compressed.",
    422: "The body or a parameter has a wrong value; `detail` has the position of the first one.",
    503: "No model is ready, no answer came in time, or the service holds too many bytes (with `Retry-After`).",
}
_TOO_MANY = {"description": "Too many images wait: try again after `Retry-After` seconds."}


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
        200: {"model": documents.Predictions, "description": "One prediction for each image."},
        **problem_responses(settings),
    }


def images_body(max_images: int) -> dict[str, Any]:
    """Return a request body of 1 to `max_images` images for OpenAPI, in every format."""
    pixel = {"type": "integer", "minimum": 0, "maximum": 255}
    row = {"type": "array", "items": pixel, "minItems": SIDE, "maxItems": SIDE}
    image = {
        "anyOf": [
            {"title": "Rows", "type": "array", "items": row, "minItems": SIDE, "maxItems": SIDE},
            {"title": "Flat", "type": "array", "items": pixel, "minItems": PIXELS, "maxItems": PIXELS},
        ]
    }
    count = "1 image" if max_images == 1 else f"1 to {max_images} images"
    return {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "title": "Images",
                    "description": f"{count}, each as 28 rows of 28 pixels or as 784 pixels.",
                    "type": "object",
                    "properties": {"images": {"type": "array", "items": image, "minItems": 1, "maxItems": max_images}},
                    "required": ["images"],
                    "additionalProperties": False,
                },
                "example": {"images": [example_image()]},
            },
            OCTETS: _file(f"Raw pixels, row by row: n x {PIXELS} bytes, such as `images.tobytes()` of a uint8 array."),
            NPY: _file("A `.npy` file of dtype uint8 and shape (n, 28, 28) or (n, 784), as `numpy.save` writes it."),
            PNG: _file("One picture, converted to grey and scaled to 28x28. It must be light on black."),
            JPEG: _file("One picture, converted to grey and scaled to 28x28. It must be light on black."),
        },
    }


def _file(description: str) -> dict[str, Any]:
    return {"schema": {"type": "string", "format": "binary", "description": description}}
