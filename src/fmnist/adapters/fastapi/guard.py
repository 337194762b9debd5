"""The outermost layer, in bare ASGI for any server: a request id, the gate, a time limit, an answer to all failures.

It answers `HEAD` as `GET`, without the body.
"""

import asyncio
import logging
import re
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fmnist.adapters.fastapi.gate import Gate
from fmnist.adapters.fastapi.problems import Problem, problem_reply

logger = logging.getLogger(__name__)

REQUEST_ID_HEADER = b"x-request-id"
# Longer, or of other characters, it could forge lines and fields in whatever log it is written to.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class RequestGuard:
    """Wraps an application; nothing that is raised in it leaves it, save when a response is already on its way."""

    def __init__(self, app: ASGIApp, gate: Gate, timeout_seconds: float) -> None:
        self._app = app
        self._gate = gate
        self._timeout_seconds = timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        scope = {**scope, "state": {**scope.get("state", {}), "request_id": request_id.decode()}}
        # The prefix alone, without a slash behind it, is the application's root as well.
        if scope["path"] == scope.get("root_path"):
            scope["path"] += "/"
        if head := scope["method"] == "HEAD":
            scope["method"] = "GET"
        send = self._gate.closing(scope, send)
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), (REQUEST_ID_HEADER, request_id)]
            elif head:
                message = {**message, "body": b""}
            await send(message)

        try:
            async with asyncio.timeout(self._timeout_seconds) as deadline, self._gate.admit(scope, receive) as admitted:
                await self._app(scope, admitted, send_with_id)
        except Exception as error:
            if started:
                raise
            problem = error if isinstance(error, Problem) else self._last_resort(scope, error, late=deadline.expired())
            await problem_reply(scope, problem)(scope, receive, send_with_id)

    def _last_resort(self, scope: Scope, error: Exception, *, late: bool) -> Problem:
        if late:
            detail = f"no answer within {self._timeout_seconds:g} s: try again, or send fewer images at once"
            return Problem(503, "timeout", detail)
        logger.error("request %s failed", scope["state"]["request_id"], exc_info=error)
        return Problem(500, "internal_error", "the service failed: its log has the reason under the request id")


def request_id_of(scope: Scope) -> bytes:
    """Return the id that came with a request, where it is fit for a log, or a new one."""
    for name, value in scope["headers"]:
        if name == REQUEST_ID_HEADER and _REQUEST_ID.fullmatch(value):
            return bytes(value)
    return uuid.uuid4().hex.encode()
