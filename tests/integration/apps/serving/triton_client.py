"""Asks a service with Triton's own HTTP client, and prints the answers as JSON. Only that client is installed here."""

import json
import sys
from typing import Any

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

MODEL = "fashion-mnist-classifier"
DTYPES = {"UINT8": np.uint8, "FP32": np.float32}
OUTPUTS = ("class_id", "probabilities")


def ask(client: Any, images: Any, datatype: str, is_binary: bool, wanted: Any) -> Any:
    tensor = InferInput("images", images.shape, datatype)
    tensor.set_data_from_numpy(images.astype(DTYPES[datatype]), binary_data=is_binary)
    return client.infer(MODEL, [tensor], outputs=wanted, request_id="7")


def answers(client: Any, images: Any) -> Any:
    """Every mix of JSON and bytes, both ways. Without wanted outputs, the client asks for all as bytes."""
    ways = [None, *([InferRequestedOutput(name, flag) for name in OUTPUTS] for flag in (True, False))]
    ways.append([InferRequestedOutput("probabilities", True), InferRequestedOutput("class_id", False)])
    for datatype in DTYPES:
        for is_binary in (True, False):
            for wanted in ways:
                result = ask(client, images, datatype, is_binary, wanted)
                arrays = {name: result.as_numpy(name) for name in OUTPUTS}
                yield {
                    "id": result.get_response()["id"],
                    "binary": [name for name in OUTPUTS if "data" not in result.get_output(name)],
                    "dtypes": {name: array.dtype.name for name, array in arrays.items()},
                    **{name: array.tolist() for name, array in arrays.items()},
                }


def refusal(client: Any, images: Any) -> str:
    try:
        ask(client, images, "FP32", True, None)
    except InferenceServerException as error:
        return str(error)
    raise AssertionError("it was answered")


client = InferenceServerClient(sys.argv[1])
images = np.random.default_rng(0).integers(0, 256, (3, 28, 28))
found = {
    "ready": client.is_model_ready(MODEL),
    "extensions": client.get_server_metadata()["extensions"],
    "datatypes": {each["name"]: each["datatype"] for each in client.get_model_metadata(MODEL)["outputs"]},
    "pixels": images.ravel().tolist(),
    "answers": list(answers(client, images)),
    "refusal": refusal(client, images / 255),
}
json.dump(found, sys.stdout)
