"""Makes the application. All of its parts belong to this one application; nothing is global."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from fmnist.adapters.fastapi import descriptions
from fmnist.adapters.fastapi.explain_route import explain_route
from fmnist.adapters.fastapi.feedback_route import feedback_route
from fmnist.adapters.fastapi.formats import ImageFormats
from fmnist.adapters.fastapi.gate import Gate
from fmnist.adapters.fastapi.guard import RequestGuard
from fmnist.adapters.fastapi.inference_routes import inference_routes, metadata_routes
from fmnist.adapters.fastapi.metrics import ExportedMeter, RequestMetrics
from fmnist.adapters.fastapi.metrics_route import metrics_route
from fmnist.adapters.fastapi.predict_route import predict_route
from fmnist.adapters.fastapi.problems import PROBLEM_HANDLERS
from fmnist.adapters.fastapi.service_routes import service_routes
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.adapters.fastapi.tracing import TracedServing, Tracer
from fmnist.adapters.fastapi.traffic_routes import traffic_routes

if TYPE_CHECKING:
    from fmnist.adapters.fastapi.pages.pages import Pages


def create_app(
    serving: Serving, settings: HttpSettings, meter: ExportedMeter | None = None, tracer: Tracer | None = None
) -> FastAPI:
    """Return the ASGI application over `serving`. It works with any `root_path` of its server.

    With a meter, it counts its requests and has the route `/metrics`. With a tracer, it traces predictions, and closes
    the tracer at its end.
    """
    if tracer is not None:
        serving = TracedServing(serving)
    guard = Middleware(
        RequestGuard,
        gate=Gate(settings),
        timeout_seconds=settings.request_timeout_seconds,
        metrics=None if meter is None else RequestMetrics(meter, settings.application),
        tracer=tracer,
    )
    app = FastAPI(
        title=descriptions.TITLE,
        description=descriptions.SERVICE,
        version=settings.version,
        openapi_tags=descriptions.TAGS,
        # `_pages` has its own, because FastAPI's loads Swagger UI from another host.
        docs_url=None,
        redoc_url=None,
        # A redirect would name our host and scheme, which may be wrong behind a proxy.
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        exception_handlers=dict(PROBLEM_HANDLERS),
        middleware=[guard],
        lifespan=None if tracer is None else partial(_closing, tracer),
    )
    # Not in a router to include: FastAPI would match each request twice.
    formats = ImageFormats(settings)
    app.router.routes.append(predict_route(serving, settings, formats))
    app.include_router(explain_route(serving, settings, formats))
    app.include_router(service_routes(serving, settings))
    app.include_router(inference_routes(serving, settings))
    app.include_router(metadata_routes(serving, settings))
    if settings.has_feedback:
        app.include_router(feedback_route(serving, settings))
    app.include_router(traffic_routes(serving, settings))
    if meter is not None:
        app.include_router(metrics_route(meter, settings))
    app.router.routes.extend(_pages(serving, settings))
    return app


def _pages(serving: Serving, settings: HttpSettings) -> list[BaseRoute]:
    """Return the routes of the pages for people. What is behind them is imported at the first request."""

    @cache
    def pages() -> "Pages":
        from fmnist.adapters.fastapi.pages.pages import Pages

        return Pages(serving, settings)

    async def docs(request: Request) -> Response:
        return await pages().docs(request)

    async def ui(request: Request) -> Response:
        return await pages().ui(request)

    async def energy(request: Request) -> Response:
        return await pages().energy(request)

    # Not Starlette's routes, which metrics could not name.
    route = partial(APIRoute, include_in_schema=False)
    routes: list[BaseRoute] = [route("/docs", docs), route("/docs/{name}", docs)]
    if settings.has_ui:
        # In the order of matching.
        routes += [route("/ui", ui), route("/ui/energy", energy, methods=["POST"]), route("/ui/{name:path}", ui)]
    return routes


@asynccontextmanager
async def _closing(tracer: Tracer, _: FastAPI) -> AsyncIterator[None]:
    yield
    tracer.close()


def _operation_id(route: APIRoute) -> str:
    return f"{route.name}{route.path_format.replace('/', '_').rstrip('_')}"
