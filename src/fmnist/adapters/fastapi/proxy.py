"""ASGI middleware for Ray Serve's HTTP proxy, which passes requests to the replicas.

Serve's proxy forwards a request before its body has arrived, so a slow client blocks a replica. It accepts bodies of
any size, lets a client's header turn off its timeout, and answers in plain text when it has no replica. This middleware
sends a request through the gate first, drops such headers, and turns plain text answers into the service's JSON form.
The service itself has the same gate, for when it runs behind another proxy. With HAProxy, replicas run this middleware.
"""

import json
from http import HTTPStatus

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import HTTP_PROTOCOLS

from fmnist.adapters.fastapi.gate import ClientGoneError, Gate
from fmnist.adapters.fastapi.guard import REQUEST_ID_HEADER, request_id_of
from fmnist.adapters.fastapi.problems import Problem, problem_reply
from fmnist.adapters.fastapi.settings import HttpSettings

# Ray Serve accepts these from any client: no timeout, work that continues after the client left, and any request id.
_DROPPED = {b"x-request-timeout-seconds", b"x-request-disconnect-disabled", REQUEST_ID_HEADER}
_LONGEST_TEXT = 300
# Serve's status for a client that has left. Nobody reads the answer.
_CLIENT_GONE = 499


def proxy_middleware(settings: HttpSettings) -> list[Middleware]:
    """Return the proxy's middleware, with the keys and limits of the service. Serve calls it before it listens."""
    # It bounds headers, which come before the check of the key. Of uvicorn's own parsers, httptools does not, and h11
    # is slow. Ray Serve has no option for the parser and leaves the choice to uvicorn.
    HTTP_PROTOCOLS["auto"] = "fmnist.adapters.uvicorn.protocol:BoundedHttp"
    return [Middleware(ProxyGuard, settings=settings)]


class ProxyGuard:
    """Wraps the proxy's application with the gate."""

    def __init__(self, app: ASGIApp, settings: HttpSettings) -> None:
        self._app = app
        self.gate = Gate(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        kept = [pair for pair in scope["headers"] if pair[0].lower() not in _DROPPED]
        scope = {**scope, "headers": [*kept, (REQUEST_ID_HEADER, request_id)]}
        answer = _Answer(self._app, scope, receive, self.gate.closing(scope, send), request_id)
        try:
            async with self.gate.admit(scope, receive) as admitted:
                await self._app(scope, admitted, answer.send)
        except ClientGoneError:
            return
        except Problem as problem:
            await answer.problem(problem)


class _Answer:
    """One answer to the client. If it is an error of the proxy itself, it is turned into the service's JSON form."""

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, request_id: bytes) -> None:
        self._app = app
        self._scope = scope
        self._receive = receive
        self._send = send
        self._request_id = request_id
        self._error: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if _is_of_the_proxy(message):
                self._error = message
                return
            # Serve's proxy adds a second request id to that of the service.
            kept = [pair for pair in message["headers"] if pair[0].lower() != REQUEST_ID_HEADER]
            message = {**message, "headers": [*kept, (REQUEST_ID_HEADER, self._request_id)]}
        if self._error is None:
            await self._send(message)
        elif not message.get("more_body", False):
            await self.problem(await self._problem_of(self._error, bytes(message.get("body", b""))))

    async def problem(self, problem: Problem) -> None:
        reply = problem_reply({**self._scope, "state": {"request_id": self._request_id.decode()}}, problem)
        reply.raw_headers.append((REQUEST_ID_HEADER, self._request_id))
        await reply(self._scope, self._receive, self._send)

    async def _problem_of(self, error: Message, body: bytes) -> Problem:
        status = error["status"]
        if status == HTTPStatus.NOT_FOUND and not await _has_application(self._app, self._scope):
            detail = "the proxy routes to no application now: none is deployed, or this node stops"
            return Problem(503, "not_ready", detail, {"retry-after": "1"})
        text = body.decode(errors="replace").partition("\n")[0]
        retry = {n.decode(): v.decode() for n, v in error["headers"] if n.lower() == b"retry-after"}
        return Problem(status, HTTPStatus(status).phrase.lower().replace(" ", "_"), text[:_LONGEST_TEXT], retry)


async def _has_application(app: ASGIApp, scope: Scope) -> bool:
    """Ask the proxy for its applications. Without one it answers every request with 404, during a drain too."""
    path = f"{scope.get('root_path', '')}/-/routes"
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}  # pragma: no cover - Serve's proxy does not read it

    async def send(message: Message) -> None:
        messages.append(message)

    await app({**scope, "method": "GET", "path": path, "raw_path": path.encode()}, receive, send)
    body = b"".join(message.get("body", b"") for message in messages)
    return messages[0]["status"] == HTTPStatus.OK and bool(json.loads(body))


def _is_of_the_proxy(start: Message) -> bool:
    """Return whether an answer is an error that is not JSON, which the service itself never sends."""
    kind = next((value for name, value in start["headers"] if name.lower() == b"content-type"), b"")
    return start["status"] >= 400 and start["status"] != _CLIENT_GONE and not kind.startswith(b"application/json")
