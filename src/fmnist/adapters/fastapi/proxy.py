"""What stands before a service's replicas, in the HTTP proxy that hands requests to them (pure ASGI).

The proxy takes a whole body in before a replica sees any of it, lets a client's header lift its timeout, and answers
in plain text when it has no replica to ask. This refuses what is too large, drops such headers, and answers in the form
that the service itself uses. A service that stands behind another proxy holds all limits by itself as well.
"""

from http import HTTPStatus

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fmnist.adapters.fastapi.replies import json_reply

# Ray Serve takes these from whoever sends them: no timeout, and work that goes on for a client that went away.
_LIFTING = {b"x-request-timeout-seconds", b"x-request-disconnect-disabled"}
_LONGEST_TEXT = 300


def proxy_middleware(max_bytes: int) -> list[Middleware]:
    """Return the proxy's middleware; a body may have `max_bytes`."""
    return [Middleware(ProxyGuard, max_bytes=max_bytes)]


class ProxyGuard:
    """Wraps the proxy's application."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in _LIFTING]
        exchange = _Exchange(scope, receive, send, self._max_bytes)
        length = dict(headers).get(b"content-length", b"")
        if length.isdigit() and int(length[:20]) > self._max_bytes:
            await exchange.refuse()
        else:
            await self._app({**scope, "headers": headers}, exchange.receive, exchange.send)


class _Exchange:
    """One request's messages on their way through, counted; and the answer's, put into our form."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, max_bytes: int) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._max_bytes = max_bytes
        self._left = max_bytes
        self._refused = False
        self._error: Message | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0 and not self._refused:
            await self.refuse()
        # To the replica it is as if the client had gone.
        return {"type": "http.disconnect"} if self._refused else message

    async def send(self, message: Message) -> None:
        if self._refused:
            return
        if message["type"] == "http.response.start" and _is_of_the_proxy(message):
            self._error = message
        elif self._error is None:
            await self._send(message)
        elif not message.get("more_body", False):
            text = bytes(message.get("body", b"")).decode(errors="replace").partition("\n")[0]
            headers = {
                name.decode("latin-1").lower(): value.decode("latin-1") for name, value in self._error["headers"]
            }
            kept = {name: headers[name] for name in ("retry-after", "x-request-id") if name in headers}
            await self._answer(self._error["status"], text[:_LONGEST_TEXT], kept)

    async def refuse(self) -> None:
        """Answer that the body is too large, whatever comes of the rest."""
        self._refused = True
        await self._answer(413, f"a request body may have {self._max_bytes} bytes", {"connection": "close"})

    async def _answer(self, status: int, detail: str, headers: dict[str, str]) -> None:
        content = {
            "detail": detail,
            "error_type": HTTPStatus(status).phrase.lower().replace(" ", "_"),
            "request_id": headers.get("x-request-id", ""),
        }
        await json_reply(content, status, headers)(self._scope, self._receive, self._send)


def _is_of_the_proxy(start: Message) -> bool:
    """Return whether an answer is an error in plain text, which the service itself never gives."""
    kind = next((value for name, value in start["headers"] if name.lower() == b"content-type"), b"")
    return start["status"] >= 400 and not kind.startswith(b"application/json")
