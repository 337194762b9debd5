"""Name, health and model of the service: `/`, `/health`, `/info`. Open to all, and answered from memory.

The reason of a failure may contain addresses of stores. If there are API keys, only callers with a key get its text.
"""

import time
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from fmnist.adapters.fastapi import documents
from fmnist.adapters.fastapi.keys import may_predict
from fmnist.adapters.fastapi.problems import Problem
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.data.images import SIDE
from fmnist.domain.services.serving.reload import ServingStatus

# Replaces the reason, so that callers and probes without a key still see that there is one.
_HIDDEN = "send an API key to read it"
_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": documents.NotReadyDocument, "description": "No model is loaded. `detail` has the health."}
}


def service_routes(serving: Serving, settings: HttpSettings) -> APIRouter:
    """Return the routes over `serving`. The uptime starts now."""
    router = APIRouter(tags=["service"])
    started = time.monotonic()

    def standing(status: ServingStatus, request: Request) -> documents.ModelState:
        degraded, reload_error = status.served.degraded if status.served else None, status.reload_error
        if not may_predict(request.scope, settings.api_keys):
            degraded, reload_error = degraded and _HIDDEN, reload_error and _HIDDEN
        return {"desired_model": status.desired, "degraded": degraded, "reload_error": reload_error}

    def health_document(status: ServingStatus, request: Request) -> documents.Health:
        return {
            "status": "healthy" if status.served else "not_ready",
            "model_loaded": status.served is not None,
            "model_uri": status.served.version.uri if status.served else None,
            "uptime_seconds": round(time.monotonic() - started, 3),
            **standing(status, request),
        }

    def ready_status(request: Request) -> ServingStatus:
        status = serving.status()
        if status.served is None:
            raise Problem(503, "not_ready", health_document(status, request))
        return status

    @router.get("/", summary="Name and links", responses={200: {"model": documents.Service}})
    async def root(request: Request) -> Response:
        prefix = request.scope.get("root_path", "").rstrip("/")
        document = documents.Service(
            service=settings.model_name,
            version=settings.version,
            status="running",
            docs=f"{prefix}/docs",
            health=f"{prefix}/health",
        )
        return documents.json_reply(document)

    @router.get("/health/live", summary="Whether the process answers", responses={200: {"model": documents.Live}})
    async def live() -> Response:
        return documents.json_reply(documents.Live(status="alive"))

    @router.get("/health/ready", summary="Same as /health", responses={200: {"model": documents.Health}, **_NOT_READY})
    @router.get(
        "/health", summary="Whether a model answers", responses={200: {"model": documents.Health}, **_NOT_READY}
    )
    async def health(request: Request) -> Response:
        return documents.json_reply(health_document(ready_status(request), request))

    @router.get("/info", summary="The model that answers", responses={200: {"model": documents.Info}, **_NOT_READY})
    async def info(request: Request) -> Response:
        status = ready_status(request)
        return documents.json_reply(_info_document(status, standing(status, request)))

    return router


def _info_document(status: ServingStatus, standing: documents.ModelState) -> documents.Info:
    model = status.served
    assert model is not None
    info = model.prediction.info
    return {
        "model_uri": model.version.uri,
        "model_name": model.version.name,
        "model_uuid": model.uuid,
        "run_id": model.version.run_id,
        "model_signature": dict(model.signature),
        "data_version": info.data_version,
        "training_timestamp": datetime.fromtimestamp(model.created, UTC).isoformat(timespec="seconds"),
        "expected_input_shape": [-1, SIDE, SIDE],
        "output_classes": info.class_names,
        "normalization_params": {"mean": info.normalization.mean, "std": info.normalization.std},
        **standing,
    }
