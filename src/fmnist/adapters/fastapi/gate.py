"""What a request passes before anything of it is kept: first its API key, then its body, whole and within bounds.

The proxy and the application use the same gate. It needs a request's headers alone to refuse one without a key.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from fmnist.adapters.fastapi.keys import key_needed, may_predict
from fmnist.adapters.fastapi.problems import Problem
from fmnist.adapters.fastapi.settings import HttpSettings

_RETRY_SECONDS = "1"


class ClientGoneError(Problem):
    """The client ended its body early; most likely nobody is there to read this."""

    def __init__(self) -> None:
        super().__init__(400, "truncated_body", "the body ended before the length that content-length promised")


class Buffers:
    """Counts the bytes of bodies that one process holds. For one event loop.

    Attributes:
        limit: bytes that `held` never passes.
        held: bytes of the requests that are not answered yet.
        most: the largest `held` so far.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0
        self.most = 0

    @contextmanager
    def body(self) -> Iterator["Body"]:
        """Make room for one request's body, until the request is answered."""
        body = Body(self)
        try:
            yield body
        finally:
            self.held -= body.counted


class Body:
    """The body of one request as it grows."""

    def __init__(self, buffers: Buffers) -> None:
        self._buffers = buffers
        # Many small pieces would take far more memory than their bytes.
        self._bytes = io.BytesIO()
        self.counted = 0

    def add(self, piece: bytes) -> None:
        """Keep a piece, unless the process holds too much already.

        Raises:
            Problem: 503.
        """
        buffers = self._buffers
        if buffers.held + len(piece) > buffers.limit:
            detail = f"the requests at hand have {buffers.limit} bytes, which is the limit: try again in a moment"
            raise Problem(503, "buffers_full", detail, {"retry-after": _RETRY_SECONDS, "connection": "close"})
        buffers.held += len(piece)
        buffers.most = max(buffers.most, buffers.held)
        self.counted += len(piece)
        self._bytes.write(piece)

    def take(self) -> bytes:
        """Return all bytes, and keep none."""
        content = self._bytes.getvalue()
        self._bytes = io.BytesIO()
        return content


class Gate:
    """Lets requests in by the rules of `settings`; one for each application of a process."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self.buffers = Buffers(settings.max_buffered_bytes)

    @asynccontextmanager
    async def admit(self, scope: Scope, receive: Receive) -> AsyncIterator[Receive]:
        """Wait for the body of the request, and give what hands it on at once; its bytes count until the block ends.

        A request that has no body, as a probe's, needs no key. Of one that has, no byte is read before its key.

        Raises:
            Problem: no key (401), compressed (415), too large (413), too slow (408), or too many bytes at hand (503).
            ClientGoneError: the body ended early.
        """
        with self.buffers.body() as body:
            headers = Headers(scope=scope)
            if scope["method"] == "POST" or _announces_body(headers):
                if not may_predict(scope, self._settings.api_keys):
                    raise key_needed()
                await self._read(headers, receive, body)
            yield _handed_on(body.take(), receive)

    def closing(self, scope: Scope, send: Send) -> Send:
        """Return a `send` that closes the connection of a client without a key behind its answer.

        What a client sends after its first request is read before anybody can ask for a key.
        """
        if may_predict(scope, self._settings.api_keys):
            return send

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"connection"]
                message = {**message, "headers": [*kept, (b"connection", b"close")]}
            await send(message)

        return send_and_close

    async def _read(self, headers: Headers, receive: Receive, body: Body) -> None:
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
                    if body.counted + len(piece) > self._settings.max_bytes:
                        raise self._too_large()
                    body.add(piece)
                    more = message.get("more_body", False)
        except TimeoutError as error:
            detail = f"the body was not sent within {self._settings.body_timeout_seconds:g} s"
            raise Problem(408, "body_timeout", detail, {"connection": "close"}) from error
        if promised is not None and body.counted != promised:
            raise ClientGoneError

    def _too_large(self) -> Problem:
        limit = self._settings.max_bytes
        detail = f"the body is larger than {limit} bytes: send fewer images, or application/octet-stream"
        return Problem(413, "body_too_large", detail, {"connection": "close"})


async def _next(receive: Receive) -> Message:
    """Return the next piece of a body. A client that goes away shows in as many errors as there are servers."""
    try:
        message = await receive()
    except Exception as error:
        raise ClientGoneError from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            # Not the server's way to tell of its client: a deadline, or the server gives this request up.
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
    """Return what gives the whole body at once, and then tells when the client goes away."""
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def hand_on() -> Message:
        return whole.pop() if whole else await receive()

    return hand_on
