"""`GET /drift`, `/shadow` and `/canary`: what the service says of its traffic. They need a key where there are keys."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from fmnist.adapters.fastapi.documents import ErrorDocument, json_reply
from fmnist.adapters.fastapi.keys import check_key, documented_keys
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.traffic.canary_report import CanaryReport
from fmnist.domain.model.traffic.report import DriftReport
from fmnist.domain.model.traffic.shadow_report import ShadowReport


def traffic_routes(serving: Serving, settings: HttpSettings) -> APIRouter:
    """Return the routes over `serving`. Without a window of traffic there is no `/drift`."""
    router = APIRouter(tags=["service"], dependencies=documented_keys(settings.api_keys))
    statuses = [401, 503] if settings.api_keys else [503]
    problems: dict[int | str, dict[str, Any]] = {status: {"model": ErrorDocument} for status in statuses}

    if settings.has_drift:

        @router.get("/drift", summary="Recent traffic", responses={200: {"model": DriftReport}, **problems})
        async def drift(request: Request) -> Response:
            check_key(request.scope, settings.api_keys)
            return json_reply(DriftReport.of(await serving.drift()))

    @router.get(
        "/shadow", summary="Comparison with a second model", responses={200: {"model": ShadowReport}, **problems}
    )
    async def shadow(request: Request) -> Response:
        check_key(request.scope, settings.api_keys)
        return json_reply(await serving.shadow())

    @router.get("/canary", summary="Champion and challenger", responses={200: {"model": CanaryReport}, **problems})
    async def canary(request: Request) -> Response:
        check_key(request.scope, settings.api_keys)
        return json_reply(await serving.canary())

    return router
