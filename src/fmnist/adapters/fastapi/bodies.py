"""A request's body, read whole and no further than the limits allow; what it means is decided elsewhere."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request

from fmnist.adapters.fastapi.problems import Problem
from fmnist.adapters.fastapi.settings import HttpSettings


async def read_body(request: Request, settings: HttpSettings) -> bytearray:
    """Return the bytes that were sent.

    Raises:
        Problem: compressed (415), larger than `max_bytes` (413, before it is read as far as can be told), not sent in
            time (408), or not sent to its end (400).
    """
    for encoding in request.headers.getlist("content-encoding"):
        if encoding.strip().lower() not in ("", "identity"):
            raise Problem(415, "unsupported_encoding", "the body must not be compressed: send it without encoding")
    promised = _content_length(request)
    if promised is not None and promised > settings.max_bytes:
        raise too_large(settings)
    body = bytearray()
    try:
        async with asyncio.timeout(settings.body_timeout_seconds):
            async for chunk in _chunks(request):
                body += chunk
                if len(body) > settings.max_bytes:
                    raise too_large(settings)
    except TimeoutError as error:
        raise too_slow(settings) from error
    if promised is not None and len(body) != promised:
        raise _truncated()
    return body


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """Yield what is sent. A client that goes away shows in as many errors as there are servers."""
    try:
        async for chunk in request.stream():
            yield chunk
    except Exception as error:
        raise _truncated() from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            # Not the server's way to tell of its client: a deadline, or the server gives this request up.
            raise
        raise _truncated() from error


def _content_length(request: Request) -> int | None:
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Problem(400, "malformed_header", "content-length must be a number of bytes")
    return int(text)


def too_large(settings: HttpSettings) -> Problem:
    """Say that a body has more bytes than are taken."""
    detail = f"the body is larger than {settings.max_bytes} bytes: send fewer images, or application/octet-stream"
    return Problem(413, "body_too_large", detail, {"connection": "close"})


def too_slow(settings: HttpSettings) -> Problem:
    """Say that a body was not there in time."""
    detail = f"the body was not sent within {settings.body_timeout_seconds:g} s"
    return Problem(408, "body_timeout", detail, {"connection": "close"})


def _truncated() -> Problem:
    return Problem(400, "truncated_body", "the body ended before the length that content-length promised")
