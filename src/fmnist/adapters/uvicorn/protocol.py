"""HTTP/1.1 with httptools, whose headers are bounded. On its own, httptools keeps headers of any size."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MAX_HEADER_BYTES = 64 * 2**10


class BoundedHttp(HttpToolsProtocol):
    """Refuses a request that sends more than 64 KiB without an end of its headers, or between pieces of its body."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unused = 0

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Parse bytes of the client."""
        self._unused += len(data)
        super().data_received(data)
        if self._unused > _MAX_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers are too long.")

    def on_headers_complete(self) -> None:
        """Start the request, if its headers were not too long."""
        self._check_headers()
        self._unused = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of the body."""
        self._unused = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of the request."""
        self._unused = 0
        super().on_message_complete()

    def _check_headers(self) -> None:
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > _MAX_HEADER_BYTES:
            raise ValueError("the headers are too long")  # the parser makes it a bad request
