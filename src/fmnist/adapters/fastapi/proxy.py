"""What stands before a service's replicas, in the HTTP proxy that hands requests to them (pure ASGI).

Serve's proxy hands a request on before its body is there, so that a slow client holds a replica up; it takes bodies of
any size, lets a client's header lift its timeout, and answers in plain text when it has no replica to ask. This lets a
request through the gate first, drops such headers, and answers in the form that the service uses. A service that stands
behind another proxy has the same gate by itself.
"""

from http import HTTPStatus

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import HTTP_PROTOCOLS

from fmnist.adapters.fastapi.gate import ClientGoneError, Gate
from fmnist.adapters.fastapi.guard import REQUEST_ID_HEADER, request_id_of
from fmnist.adapters.fastapi.problems import Problem, problem_reply
from fmnist.adapters.fastapi.settings import HttpSettings

# Ray Serve takes these from whoever sends them: no timeout, and work that goes on for a client that went away. Its
# request id it takes as well, whatever is in it.
_DROPPED = {b"x-request-timeout-seconds", b"x-request-disconnect-disabled", REQUEST_ID_HEADER}
_LONGEST_TEXT = 300


def proxy_middleware(settings: HttpSettings) -> list[Middleware]:
    """Return the proxy's middleware, for the keys and limits of the service behind it; called before it listens."""
    # The other parser keeps a request's headers without any bound, and so before anybody can ask for a key. This one
    # refuses more than 64 KiB of them. Ray Serve leaves the choice to uvicorn, and has no option for it.
    HTTP_PROTOCOLS["auto"] = HTTP_PROTOCOLS["h11"]
    return [Middleware(ProxyGuard, settings=settings)]


class ProxyGuard:
    """Wraps the proxy's application."""

    def __init__(self, app: ASGIApp, settings: HttpSettings) -> None:
        self._app = app
        self.gate = Gate(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        kept = [pair for pair in scope["headers"] if pair[0].lower() not in _DROPPED]
        scope = {**scope, "headers": [*kept, (REQUEST_ID_HEADER, request_id)]}
        answer = _Answer(scope, receive, self.gate.closing(scope, send), request_id)
        try:
            async with self.gate.admit(scope, receive) as admitted:
                await self._app(scope, admitted, answer.send)
        except ClientGoneError:
            return
        except Problem as problem:
            await answer.problem(problem)


class _Answer:
    """One answer on its way to the client, put into our form where it is the proxy's own."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: bytes) -> None:
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
            # Serve's proxy adds its own to that of the service.
            kept = [pair for pair in message["headers"] if pair[0].lower() != REQUEST_ID_HEADER]
            message = {**message, "headers": [*kept, (REQUEST_ID_HEADER, self._request_id)]}
        if self._error is None:
            await self._send(message)
        elif not message.get("more_body", False):
            status = self._error["status"]
            text = bytes(message.get("body", b"")).decode(errors="replace").partition("\n")[0]
            retry = {n.decode(): v.decode() for n, v in self._error["headers"] if n.lower() == b"retry-after"}
            error_type = HTTPStatus(status).phrase.lower().replace(" ", "_")
            await self.problem(Problem(status, error_type, text[:_LONGEST_TEXT], retry))

    async def problem(self, problem: Problem) -> None:
        reply = problem_reply({**self._scope, "state": {"request_id": self._request_id.decode()}}, problem)
        reply.raw_headers.append((REQUEST_ID_HEADER, self._request_id))
        await reply(self._scope, self._receive, self._send)


def _is_of_the_proxy(start: Message) -> bool:
    """Return whether an answer is an error in plain text, which the service itself never gives."""
    kind = next((value for name, value in start["headers"] if name.lower() == b"content-type"), b"")
    return start["status"] >= 400 and not kind.startswith(b"application/json")
