"""The Open Inference Protocol V2 (KServe, Triton), with tensors in JSON or as bytes: health, metadata and inference.

https://github.com/kserve/open-inference-protocol, `specification/protocol/inference_rest.md`
"""

from functools import partial
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from fmnist.adapters.fastapi import inference_documents as documents
from fmnist.adapters.fastapi.binary_tensors import (
    EXTENSION,
    LENGTH_HEADER,
    check_content_type,
    mixed_reply,
    split_body,
)
from fmnist.adapters.fastapi.descriptions import problem_responses
from fmnist.adapters.fastapi.documents import json_reply
from fmnist.adapters.fastapi.inference_documents import answers
from fmnist.adapters.fastapi.inference_request import INPUT, InferenceRequest
from fmnist.adapters.fastapi.keys import documented_keys
from fmnist.adapters.fastapi.problems import NO_MODEL, Problem
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.data.images import SIDE
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.services.serving.load import ServedModel

_MODEL = "/v2/models/{name}"
_VERSION = "/v2/models/{name}/versions/{version}"
# The protocol's name for models in ONNX.
_PLATFORM = "onnx_onnxv1"
_DATATYPES = {"class_id": "INT64", "probabilities": "FP32"}

_Name = Annotated[str, Path(description="The model's name. `/` shows it.", examples=["fashion-mnist-classifier"])]
_Version = Annotated[str, Path(description="The version that serves. The model's metadata shows it.", examples=["1"])]


def metadata_routes(serving: Serving, settings: HttpSettings) -> APIRouter:
    """Return the routes of health and metadata, which are open to all."""
    router = APIRouter(tags=["inference protocol"])
    find = partial(_find, serving, settings.model_name)

    @router.get("/v2", summary="Server metadata", responses=answers(documents.Server))
    async def server() -> Response:
        return json_reply(documents.Server(name="fmnist", version=settings.version, extensions=[EXTENSION]))

    @router.get("/v2/health/live", summary="Server live", responses=answers(documents.ServerLive))
    async def server_live() -> Response:
        return json_reply(documents.ServerLive(live=True))

    @router.get("/v2/health/ready", summary="Server ready", responses=answers(documents.ServerReady, 503))
    async def server_ready() -> Response:
        find()
        return json_reply(documents.ServerReady(ready=True))

    @router.get(_MODEL, summary="Model metadata", responses=answers(documents.Model, 404, 503))
    async def model_metadata(name: _Name) -> Response:
        return json_reply(_metadata(name, find(name)))

    @router.get(_VERSION, summary="Metadata of a version", responses=answers(documents.Model, 404, 503))
    async def version_metadata(name: _Name, version: _Version) -> Response:
        return json_reply(_metadata(name, find(name, version)))

    @router.get(f"{_MODEL}/ready", summary="Model ready", responses=answers(documents.ModelReady, 404, 503))
    async def model_ready(name: _Name) -> Response:
        find(name)
        return json_reply(documents.ModelReady(name=name, ready=True))

    @router.get(f"{_VERSION}/ready", summary="Version ready", responses=answers(documents.ModelReady, 404, 503))
    async def version_ready(name: _Name, version: _Version) -> Response:
        find(name, version)
        return json_reply(documents.ModelReady(name=name, ready=True))

    return router


def inference_routes(serving: Serving, settings: HttpSettings) -> APIRouter:
    """Return the routes of inference, with and without a version in the path."""
    router = APIRouter(tags=["inference protocol"], dependencies=documented_keys(settings.api_keys))

    async def infer(request: Request, name: str, version: str | None) -> Response:
        _find(serving, settings.model_name, name, version)
        check_content_type(request)
        serving.check_room()
        asked = InferenceRequest.parse(
            *split_body(await request.body(), request.headers.get(LENGTH_HEADER)), settings.max_images
        )
        # A version in the path is that of the model that serves, and never of a canary.
        served, rows = await serving.answer(asked.images, None if version else request.state.request_id)
        # A reload may have replaced the model in between.
        _check_version(served, version)
        serving.note(request.state.request_id, served, rows)
        arrays = {output: _array(output, rows) for output in asked.outputs}
        document = documents.Inference(
            model_name=name,
            model_version=str(served.version.version),
            parameters={"model_uri": served.version.uri},
            outputs=[_tensor(output, array, binary=asked.outputs[output]) for output, array in arrays.items()],
        )
        if asked.id is not None:
            document["id"] = asked.id
        return mixed_reply(document, [array.tobytes() for output, array in arrays.items() if asked.outputs[output]])

    options: dict[str, Any] = {
        "responses": {
            **problem_responses(settings, documents.InferenceError),
            **answers(documents.Inference, 404, 503),
            200: documents.INFER_ANSWER,
        },
        "openapi_extra": documents.INFER_OPENAPI,
    }

    @router.post(f"{_MODEL}/infer", summary="Infer", **options)
    async def model_infer(request: Request, name: _Name) -> Response:
        return await infer(request, name, None)

    @router.post(f"{_VERSION}/infer", summary="Infer with a version", **options)
    async def version_infer(request: Request, name: _Name, version: _Version) -> Response:
        return await infer(request, name, version)

    return router


def _find(serving: Serving, there: str, name: str | None = None, version: str | None = None) -> ServedModel:
    if name not in (None, there):
        raise Problem(404, "model_not_found", f"the only model here is {there!r}")
    model = serving.status().served
    if model is None:
        raise Problem(503, "not_ready", NO_MODEL)
    _check_version(model, version)
    return model


def _check_version(model: ServedModel, version: str | None) -> None:
    found = str(model.version.version)
    if version not in (None, found):
        raise Problem(404, "version_not_found", f"the only version that serves is {found!r}")


def _metadata(name: str, model: ServedModel) -> documents.Model:
    classes = len(model.prediction.info.class_names)
    return {
        "name": name,
        "versions": [str(model.version.version)],
        "platform": _PLATFORM,
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, SIDE, SIDE]}],
        "outputs": [
            {"name": "class_id", "datatype": _DATATYPES["class_id"], "shape": [-1]},
            {"name": "probabilities", "datatype": _DATATYPES["probabilities"], "shape": [-1, classes]},
        ],
    }


def _array(output: str, rows: Probabilities) -> npt.NDArray[Any]:
    """Return an output in the byte order of binary tensors."""
    return np.asarray(rows.argmax(axis=1), "<i8") if output == "class_id" else np.asarray(rows, "<f4")


def _tensor(name: str, array: npt.NDArray[Any], *, binary: bool) -> documents.OutputTensor:
    tensor = documents.OutputTensor(name=name, datatype=_DATATYPES[name], shape=list(array.shape))
    if binary:
        tensor["parameters"] = {"binary_data_size": array.nbytes}
    else:
        tensor["data"] = array.ravel()
    return tensor
