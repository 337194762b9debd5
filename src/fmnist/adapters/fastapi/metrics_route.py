"""`GET /metrics`, for a host without an exporter of its own. It needs a key where there are keys."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from fmnist.adapters.fastapi.documents import ErrorDocument
from fmnist.adapters.fastapi.keys import check_key, documented_keys
from fmnist.adapters.fastapi.metrics import ExportedMeter
from fmnist.adapters.fastapi.settings import HttpSettings

_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def metrics_route(meter: ExportedMeter, settings: HttpSettings) -> APIRouter:
    """Return the route over `meter`."""
    router = APIRouter(tags=["service"], dependencies=documented_keys(settings.api_keys))

    @router.get(
        "/metrics",
        summary="Metrics for Prometheus",
        response_class=PlainTextResponse,
        responses={401: {"model": ErrorDocument}} if settings.api_keys else {},
    )
    async def metrics(request: Request) -> Response:
        check_key(request.scope, settings.api_keys)
        return Response(meter.page(), media_type=_TEXT)

    return router
