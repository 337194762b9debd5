"""Checks a request before the application sees it: first its API key, then that its body is whole and not too large.

The proxy and the application use the same gate. It refuses a request without a key from the headers alone.
"""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from fmnist.adapters.fastapi.keys import key_needed, may_predict
from fmnist.adapters.fastapi.problems import Problem
from fmnist.adapters.fastapi.settings import HttpSettings

_RETRY_SECONDS = "1"


class ClientGoneError(Problem):
    """The client ended its body early, and has most likely disconnected."""

    def __init__(self) -> None:
        super().__init__(400, "truncated_body", "the body is shorter than its content-length")


class Gate:
    """Admits requests by the rules of `settings`, and counts the bytes of their bodies.

    Each application of a process has one, in one event loop.

    Attributes:
        held: bytes of the requests that are not answered yet.
        most: the largest `held` so far.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self.held = 0
        self.most = 0

    @asynccontextmanager
    async def admit(self, scope: Scope, receive: Receive) -> AsyncIterator[Receive]:
        """Read the body of the request, and yield a `receive` that returns it. Its bytes count until the block ends.

        A request without a body, such as a probe, needs no key. With a body, the key is checked before a byte is read.

        Raises:
            Problem: no key (401), compressed (415), too large (413), too slow (408), or too many bytes held (503).
            ClientGoneError: the body ended early.
        """
        # Not a list: many small pieces would take far more memory than their bytes.
        body = io.BytesIO()
        try:
            headers = Headers(scope=scope)
            if scope["method"] == "POST" or _announces_body(headers):
                if not may_predict(scope, self._settings.api_keys):
                    raise key_needed()
                await self._read(headers, receive, body)
            handed_on = _handed_on(body.getvalue(), receive)
            body.truncate(0)  # frees the bytes; the position still tells how many there were
            yield handed_on
        finally:
            self.held -= body.tell()

    def closing(self, scope: Scope, send: Send) -> Send:
        """Return a `send` that closes the connection after the answer to a client without a key.

        On an open connection, the server would read the start of a next request before the key is checked.
        """
        if may_predict(scope, self._settings.api_keys):
            return send

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"connection"]
                message = {**message, "headers": [*kept, (b"connection", b"close")]}
            await send(message)

        return send_and_close

    async def _read(self, headers: Headers, receive: Receive, body: io.BytesIO) -> None:
        for encoding in headers.getlist("content-encoding"):
            if encoding.strip().lower() not in ("", "identity"):
                raise Problem(415, "unsupported_encoding", "the body must not be compressed: send it without encoding")
        promised = _content_length(headers)
        if promised is not None and promised > self._settings.max_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._settings.body_timeout_seconds):
                more = True
                while more:
                    message = await _next(receive)
                    piece = message.get("body", b"")
                    if body.tell() + len(piece) > self._settings.max_bytes:
                        raise self._too_large()
                    self._check_room(len(piece))
                    body.write(piece)
                    self.held += len(piece)
                    self.most = max(self.most, self.held)
                    more = message.get("more_body", False)
        except TimeoutError as error:
            detail = f"the body did not arrive within {self._settings.body_timeout_seconds:g} s"
            raise Problem(408, "body_timeout", detail, {"connection": "close"}) from error
        if promised is not None and body.tell() != promised:
            raise ClientGoneError

    def _check_room(self, size: int) -> None:
        limit = self._settings.max_buffered_bytes
        if self.held + size > limit:
            detail = f"the service already holds its limit of {limit} bytes of requests: try again in a moment"
            raise Problem(503, "buffers_full", detail, {"retry-after": _RETRY_SECONDS, "connection": "close"})

    def _too_large(self) -> Problem:
        limit = self._settings.max_bytes
        detail = f"the body is larger than {limit} bytes: send fewer images, or application/octet-stream"
        return Problem(413, "body_too_large", detail, {"connection": "close"})


async def _next(receive: Receive) -> Message:
    """Return the next piece of a body. Each server raises another exception when the client disconnects."""
    try:
        message = await receive()
    except Exception as error:
        raise ClientGoneError from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            # A real cancellation, by a deadline or by the server, and not a sign that the client left.
            raise
        raise ClientGoneError from error
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    return message


def _announces_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _content_length(headers: Headers) -> int | None:
    text = headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Problem(400, "malformed_header", "content-length must be a number of bytes")
    return int(text)


def _handed_on(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that first returns the whole body, and then reports when the client disconnects."""
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def hand_on() -> Message:
        return whole.pop() if whole else await receive()

    return hand_on
