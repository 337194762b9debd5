"""Images as the bodies of requests, in every format that the service takes for many images at once."""

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fmnist.domain.model.endpoint import Request
from fmnist.domain.model.images import PIXELS, SIDE, Images

V2_MODEL = "fashion-mnist-classifier"
PREDICT = "/predict"
INFER = f"/v2/models/{V2_MODEL}/infer"

RequestOf = Callable[[Images], Request]


def json_nested(images: Images) -> Request:
    """Rows of rows, `{"images": [[28 x 28], ...]}`."""
    return predict_json({"images": images.tolist()})


def json_flat(images: Images) -> Request:
    """One row of 784 integers an image."""
    return predict_json({"images": images.reshape(-1, PIXELS).tolist()})


def octets(images: Images) -> Request:
    """The bare pixels, n x 784 bytes."""
    return Request("POST", PREDICT, images.tobytes(), "application/octet-stream")


def npy(images: Images) -> Request:
    """NumPy's own file format, which carries shape and dtype."""
    file = io.BytesIO()
    np.save(file, images, allow_pickle=False)
    return Request("POST", PREDICT, file.getvalue(), "application/x-npy")


def infer(images: Images) -> Request:
    """The Open Inference Protocol's JSON, pixels in one flat list."""
    tensor = {
        "name": "images",
        "shape": [len(images), SIDE, SIDE],
        "datatype": "UINT8",
        "data": images.ravel().tolist(),
    }
    return Request("POST", INFER, _compact({"inputs": [tensor]}), "application/json")


def predict_json(document: Any) -> Request:
    """Any document as the JSON body of `/predict`."""
    return Request("POST", PREDICT, _compact(document), "application/json")


PREDICT_FORMATS: Mapping[str, RequestOf] = {
    "JSON 28x28": json_nested,
    "JSON 784": json_flat,
    "octet-stream": octets,
    "npy": npy,
}


def _compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
