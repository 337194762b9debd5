"""Inference by the Open Inference Protocol V2 (KServe, Triton), with tensors in JSON.

https://github.com/kserve/open-inference-protocol, `specification/protocol/inference_rest.md`
"""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from fmnist.adapters.fastapi import inference_documents as documents
from fmnist.adapters.fastapi.descriptions import problem_responses
from fmnist.adapters.fastapi.formats import JSON, media_type_of
from fmnist.adapters.fastapi.inference_model import InferenceModel, NameInPath, VersionInPath, check_version
from fmnist.adapters.fastapi.inference_request import InferenceRequest
from fmnist.adapters.fastapi.keys import documented_keys
from fmnist.adapters.fastapi.problems import Problem
from fmnist.adapters.fastapi.replies import json_reply
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.evaluation.metrics import Probabilities


def inference_route(serving: Serving, settings: HttpSettings, model: InferenceModel) -> APIRouter:
    """Return the route over `serving`, with and without a version in its path."""
    router = APIRouter(tags=["inference protocol"], dependencies=documented_keys(settings.api_keys))

    async def infer(request: Request, name: str, version: str | None) -> Response:
        model.find(name, version)
        _check_json(request)
        asked = InferenceRequest.parse(await request.body(), settings.max_images)
        served, rows = await serving.answer(asked.images)
        # A reload may have replaced the model in between.
        check_version(served, version)
        document = documents.Inference(
            model_name=name,
            model_version=str(served.version.version),
            outputs=[_tensor(output, rows) for output in asked.outputs],
        )
        if asked.id is not None:
            document["id"] = asked.id
        return json_reply(document)

    options: dict[str, Any] = {
        "responses": {
            **problem_responses(settings, documents.InferenceError),
            **documents.answers(documents.Inference, 404, 503),
        },
        "openapi_extra": {"requestBody": documents.INFER_BODY},
    }

    @router.post("/v2/models/{name}/infer", summary="Infer", **options)
    async def model_infer(request: Request, name: NameInPath) -> Response:
        return await infer(request, name, None)

    @router.post("/v2/models/{name}/versions/{version}/infer", summary="Infer with a version", **options)
    async def version_infer(request: Request, name: NameInPath, version: VersionInPath) -> Response:
        return await infer(request, name, version)

    return router


def _check_json(request: Request) -> None:
    """Refuse a body that is not JSON. Some clients of the protocol send JSON without a content type."""
    media_type = media_type_of(request.headers.get("content-type", JSON))
    if media_type != JSON or "inference-header-content-length" in request.headers:
        detail = "only JSON tensors are accepted, as application/json: switch off the client's binary data"
        raise Problem(415, "unsupported_media_type", detail)


def _tensor(name: str, rows: Probabilities) -> documents.OutputTensor:
    if name == "class_id":
        return {"name": name, "datatype": "INT64", "shape": [len(rows)], "data": rows.argmax(axis=1)}
    return {"name": name, "datatype": "FP32", "shape": list(rows.shape), "data": rows.ravel()}
