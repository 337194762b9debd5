"""HTTP/1.1 with httptools, and what it lacks: limits of headers, and bodies of requests that ask for an upgrade."""

import asyncio
from contextlib import suppress
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_MAX_HEADER_BYTES = 64 * 2**10
# A client has this time to send its headers, from the connection or their first byte on.
_HEADER_SECONDS = 15.0
# Requests that may wait for the answer of an earlier one. Clients hardly ever send a request before that answer.
_MOST_WAITING = 8
_FRAMING = (b"content-length", b"transfer-encoding")


class _TooManyWait(Exception):
    """More requests wait on a connection than are allowed."""


class BoundedHttp(HttpToolsProtocol):
    """One connection. It refuses more than 64 KiB without an end of the headers, or between pieces of a body.

    If more than eight requests wait for an earlier one, it closes after these (RFC 9112, section 9.3.2). An upgrade is
    ignored: the request is answered as if nobody had asked for it. Ray Serve uses this class too, and itself ends the
    request of a client that has left.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unused = 0
        self._late: asyncio.TimerHandle | None = None
        self._is_repeated_head = False
        self._is_full = False

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the headers of the first request."""
        super().connection_made(transport)
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        super().connection_lost(exc)
        self._end_waiting()

    def data_received(self, data: bytes) -> None:
        """Parse bytes of the client."""
        if self._is_full:
            return
        self._unused += len(data)
        self._unset_keepalive_if_required()
        if self.is_idle and self._late is None:
            self._wait_for_headers()
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _TooManyWait):
                self._is_full = True
                self.cycle.keep_alive = False
            else:
                self.send_400_response("Invalid HTTP request received.")
        else:
            if self._unused > _MAX_HEADER_BYTES and not self.transport.is_closing():
                self.send_400_response("The headers are too long.")

    def on_message_begin(self) -> None:
        """Start a request, if not too many wait."""
        if self._is_repeated_head:
            return
        if len(self.pipeline) >= _MOST_WAITING:
            raise _TooManyWait  # it stops the parser
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Note the path."""
        if not self._is_repeated_head:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header."""
        if not self._is_repeated_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Answer the request, if its headers were not too long."""
        if self._is_repeated_head:
            self._is_repeated_head = False
            return
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > _MAX_HEADER_BYTES:
            raise ValueError("the headers are too long")  # the parser makes it a bad request
        self._unused = 0
        self._end_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of the body."""
        self._unused = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of the request. With an upgrade, the body is still to come."""
        self._unused = 0
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # httptools takes a body for bytes of another protocol. So the rest goes to a new parser, after a head that
            # has nothing but the length of the body.
            framing = b"".join(b"%b: %b\r\n" % pair for pair in self.headers if pair[0] in _FRAMING)
            self.parser = httptools.HttpRequestParser(self)
            self._is_repeated_head = True
            self._parse(b"POST / HTTP/1.1\r\n" + framing + b"\r\n" + data[upgrade.args[0] :])

    def _should_upgrade_to_ws(self) -> bool:
        return False

    def _wait_for_headers(self) -> None:
        self._late = self.loop.call_later(_HEADER_SECONDS, self.timeout_keep_alive_handler)

    def _end_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class EndingHttp(BoundedHttp):
    """One connection, whose request ends when the client leaves before the answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._task: asyncio.Task[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """End the request that is being answered."""
        is_answered = self.is_idle
        super().connection_lost(exc)
        if self._task is not None and not is_answered:
            self._task.cancel()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._task = self.loop.create_task(cycle.run_asgi(_cancellable(app)))
        self._task.add_done_callback(self.tasks.discard)
        self.tasks.add(self._task)


def _cancellable(app: Any) -> Any:
    async def cancellable(scope: Any, receive: Any, send: Any) -> None:
        # uvicorn would log the cancellation as a fault of the application.
        with suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return cancellable
