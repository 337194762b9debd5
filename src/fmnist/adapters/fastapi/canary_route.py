"""`GET /canary`: what the model that serves and its canary did. It needs a key where there are keys."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from fmnist.adapters.fastapi.documents import ErrorDocument, json_reply
from fmnist.adapters.fastapi.keys import check_key, documented_keys
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.domain.model.traffic.canary_report import CanaryReport


def canary_route(serving: Serving, settings: HttpSettings) -> APIRouter:
    """Return the route over `serving`."""
    router = APIRouter(tags=["service"], dependencies=documented_keys(settings.api_keys))
    statuses = [401, 503] if settings.api_keys else [503]
    problems: dict[int | str, dict[str, Any]] = {status: {"model": ErrorDocument} for status in statuses}

    @router.get("/canary", summary="Champion and challenger", responses={200: {"model": CanaryReport}, **problems})
    async def canary(request: Request) -> Response:
        check_key(request.scope, settings.api_keys)
        return json_reply(await serving.canary())

    return router
