"""Health and metadata of the Open Inference Protocol V2."""

from fastapi import APIRouter
from starlette.responses import Response

from fmnist.adapters.fastapi import inference_documents as documents
from fmnist.adapters.fastapi.inference_model import InferenceModel, NameInPath, VersionInPath
from fmnist.adapters.fastapi.inference_request import INPUT
from fmnist.adapters.fastapi.replies import json_reply
from fmnist.domain.model.data.images import SIDE
from fmnist.domain.services.serving.load import ServedModel

_MODEL = "/v2/models/{name}"
_VERSION = "/v2/models/{name}/versions/{version}"
# The protocol's name for models in ONNX.
_PLATFORM = "onnx_onnxv1"


def metadata_routes(model: InferenceModel, software_version: str) -> APIRouter:
    """Return the routes; they are open to all."""
    router = APIRouter(tags=["inference protocol"])
    answers = documents.answers

    @router.get("/v2", summary="Server metadata", responses=answers(documents.Server))
    async def server() -> Response:
        return json_reply(documents.Server(name="fmnist", version=software_version, extensions=[]))

    @router.get("/v2/health/live", summary="Server live", responses=answers(documents.ServerLive))
    async def server_live() -> Response:
        return json_reply(documents.ServerLive(live=True))

    @router.get("/v2/health/ready", summary="Server ready", responses=answers(documents.ServerReady, 503))
    async def server_ready() -> Response:
        model.find()
        return json_reply(documents.ServerReady(ready=True))

    @router.get(_MODEL, summary="Model metadata", responses=answers(documents.Model, 404, 503))
    async def model_metadata(name: NameInPath) -> Response:
        return json_reply(_metadata(name, model.find(name)))

    @router.get(_VERSION, summary="Metadata of a version", responses=answers(documents.Model, 404, 503))
    async def version_metadata(name: NameInPath, version: VersionInPath) -> Response:
        return json_reply(_metadata(name, model.find(name, version)))

    @router.get(f"{_MODEL}/ready", summary="Model ready", responses=answers(documents.ModelReady, 404, 503))
    async def model_ready(name: NameInPath) -> Response:
        model.find(name)
        return json_reply(documents.ModelReady(name=name, ready=True))

    @router.get(f"{_VERSION}/ready", summary="Version ready", responses=answers(documents.ModelReady, 404, 503))
    async def version_ready(name: NameInPath, version: VersionInPath) -> Response:
        model.find(name, version)
        return json_reply(documents.ModelReady(name=name, ready=True))

    return router


def _metadata(name: str, model: ServedModel) -> documents.Model:
    classes = len(model.prediction.info.class_names)
    return {
        "name": name,
        "versions": [str(model.version.version)],
        "platform": _PLATFORM,
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, SIDE, SIDE]}],
        "outputs": [
            {"name": "class_id", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, classes]},
        ],
    }
