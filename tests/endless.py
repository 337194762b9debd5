"""A server that answers every request with endless bytes, like one that wants to fill memory and disks."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_MOST = 2**28  # so that a reader without a limit fails a test, and does not fill the machine
_PART = bytes(2**16)


class EndlessServer(socketserver.ThreadingTCPServer):
    """`sent` counts the bytes of all answers, `asked` holds the headers of all requests."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, status: str, *, chunked: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {2**40}"
        self.head = f"HTTP/1.1 {status}\r\n{framing}\r\n\r\n".encode()
        self.part = b"%x\r\n%b\r\n" % (len(_PART), _PART) if chunked else _PART
        self.sent, self.asked = 0, b""

    @property
    def port(self) -> int:
        """Its URL on 127.0.0.1."""
        return int(self.server_address[1])


class _Handler(socketserver.StreamRequestHandler):
    server: EndlessServer

    def handle(self) -> None:
        with suppress(OSError):
            method = self.rfile.readline().split()[0]
            while header := self.rfile.readline().strip():
                self.server.asked += header + b"\n"
            self.wfile.write(self.server.head)
            while method == b"GET" and self.server.sent < _MOST:
                self.wfile.write(self.server.part)
                self.server.sent += len(self.server.part)


@contextmanager
def endless_server(status: str = "200 OK", *, chunked: bool = True) -> Iterator[EndlessServer]:
    """Yield a server that listens."""
    with EndlessServer(status, chunked=chunked) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
