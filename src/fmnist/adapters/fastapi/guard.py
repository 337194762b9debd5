"""The outermost layer, as ASGI middleware: a request id, the gate, a time limit, and an answer to every failure.

It answers `HEAD` like `GET`, but without the body.
"""

import asyncio
import logging
import random
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fmnist.adapters.fastapi.gate import Gate
from fmnist.adapters.fastapi.metrics import RequestMetrics
from fmnist.adapters.fastapi.problems import Problem, problem_reply
from fmnist.adapters.fastapi.tracing import Trace, Tracer, begin_trace

logger = logging.getLogger(__name__)

REQUEST_ID_HEADER = b"x-request-id"
# A longer id, or one with other characters, could forge lines and fields in a log.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class RequestGuard:
    """Wraps an application. It answers every exception, unless the response has already started.

    It logs the requests for debugging. With `metrics`, it counts them; with `tracer`, it traces predictions.
    """

    def __init__(
        self,
        app: ASGIApp,
        gate: Gate,
        timeout_seconds: float,
        metrics: RequestMetrics | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._app = app
        self._gate = gate
        self._timeout_seconds = timeout_seconds
        self._metrics = metrics
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        scope = {**scope, "state": {**scope.get("state", {}), "request_id": request_id.decode()}}
        # The route prefix without a slash at its end is the application's root, too.
        if scope["path"] == scope.get("root_path"):
            scope["path"] += "/"
        if head := scope["method"] == "HEAD":
            scope["method"] = "GET"
        send = self._gate.closing(scope, send)
        began, status = time.perf_counter(), 0
        trace = None if self._tracer is None else begin_trace(self._tracer, scope)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (REQUEST_ID_HEADER, request_id)]
            elif head:
                message = {**message, "body": b""}
            await send(message)

        try:
            async with asyncio.timeout(self._timeout_seconds) as deadline, self._gate.admit(scope, receive) as admitted:
                await self._app(scope, admitted, send_with_id)
        except Exception as error:
            if status:
                raise
            problem = error if isinstance(error, Problem) else self._last_resort(scope, error, late=deadline.expired())
            await problem_reply(scope, problem)(scope, receive, send_with_id)
        finally:
            self._note(scope, status, 1000 * (time.perf_counter() - began), trace)

    def _note(self, scope: Scope, status: int, milliseconds: float, trace: Trace | None) -> None:
        if trace is not None:
            trace.end(_route(scope), status)
        if not status:
            return
        method = scope["method"]
        if self._metrics is not None:
            self._metrics.request(_route(scope), method, status, milliseconds)
        request_id = scope["state"]["request_id"]
        logger.debug("%s %r %d %.1f ms %s", method, scope["path"], status, milliseconds, request_id)

    def _last_resort(self, scope: Scope, error: Exception, *, late: bool) -> Problem:
        if late:
            detail = f"no answer within {self._timeout_seconds:g} s: try again, or send fewer images at once"
            return Problem(503, "timeout", detail)
        logger.error("request %s failed", scope["state"]["request_id"], exc_info=error)
        return Problem(500, "internal_error", "the service failed: find the cause in its log by the request id")


def _route(scope: Scope) -> str:
    path = getattr(scope.get("route"), "path_format", None)
    return "" if path is None else f"{scope.get('root_path', '')}{path}"


def request_id_of(scope: Scope) -> bytes:
    """Return the id that the client sent, if it is safe for a log, or a new one."""
    for name, value in scope["headers"]:
        if name == REQUEST_ID_HEADER and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    # Not `uuid4`: its system call gives the GIL away, and another thread may keep it for milliseconds.
    return b"%032x" % random.getrandbits(128)
