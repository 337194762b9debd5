"""Every body holds the images that it was made of."""

import io
import json
from typing import Any

import numpy as np
import pytest

from fmnist.domain.model import request_bodies
from fmnist.domain.model.endpoint import Request
from fmnist.domain.model.images import Images, decode_images
from fmnist.testing.data import toy_images

IMAGES = toy_images(3).images


def read(request: Request) -> Images:
    match request.content_type:
        case "application/json":
            document: Any = json.loads(request.body)
            return decode_images(document["images"])
        case "application/x-npy":
            return decode_images(np.load(io.BytesIO(request.body), allow_pickle=False))
        case _:
            return decode_images(request.body)


@pytest.mark.parametrize("name", request_bodies.PREDICT_FORMATS)
def test_formats_of_predict_hold_the_images(name: str) -> None:
    request = request_bodies.PREDICT_FORMATS[name](IMAGES)
    assert (request.method, request.path, request.authorized) == ("POST", "/predict", True)
    assert np.array_equal(read(request), IMAGES)


def test_formats_of_predict_are_told_apart_by_layout_and_content_type() -> None:
    nested, flat = (
        json.loads(make(IMAGES).body)["images"] for make in (request_bodies.json_nested, request_bodies.json_flat)
    )
    assert (len(nested[0]), len(flat[0])) == (28, 784)
    assert len({make(IMAGES).content_type for make in request_bodies.PREDICT_FORMATS.values()}) == 3


def test_infer_has_the_shape_and_the_pixels_of_the_protocol() -> None:
    request = request_bodies.infer(IMAGES)
    (tensor,) = json.loads(request.body)["inputs"]
    assert request.path == "/v2/models/fashion-mnist-classifier/infer"
    assert (tensor["name"], tensor["datatype"], tensor["shape"]) == ("images", "UINT8", [3, 28, 28])
    assert np.array_equal(decode_images(np.array(tensor["data"]).reshape(tensor["shape"])), IMAGES)
