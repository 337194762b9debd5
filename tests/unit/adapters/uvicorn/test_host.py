"""The server of one process over real sockets: the limit of headers, and requests that are open at its end."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from fmnist.adapters.listening import listen
from fmnist.adapters.uvicorn import protocol
from fmnist.adapters.uvicorn.host import LocalHost
from fmnist.domain.model.errors import StoreUnavailable

LIMIT = 64 * 2**10


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the number of bytes of the body."""
    assert scope["type"] == "http"
    count, more = 0, True
    while more:
        message = await receive()
        count += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(count).encode()})


class NoReplica:
    """A replica that has nothing to load."""

    def deploy(self, uri: str | None, shadow_uri: str | None) -> None:
        assert (uri, shadow_uri) == (None, None)

    def keep_up(self) -> None:
        pass


def free_port() -> int:
    with listen("127.0.0.1", 0) as probe:
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    replica: Any = NoReplica()
    host, port = LocalHost(replica, echo, request_seconds=5), free_port()
    host.start(None, host="127.0.0.1", port=port, prefix="")
    yield port
    host.stop()
    with pytest.raises(StoreUnavailable, match="the server has ended"):
        host.wait()


def exchange(port: int, *pieces: bytes) -> bytes:
    """Send the pieces, each after the last has been sent, and return the first answer up to an empty line at its end.

    A head and a chunked body end with one, and may come one after the other.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
        answer = b""
        while not answer.endswith(b"\r\n\r\n") or (b"chunked" in answer and not answer.endswith(b"0\r\n\r\n")):
            if not (received := connection.recv(65536)):
                break
            answer += received
        return answer


def test_headers_below_the_limit_are_accepted(port: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * (LIMIT - 1000) + b"\r\n\r\n"
    assert exchange(port, head).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "pieces",
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 2 * LIMIT,),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * LIMIT + b"\r\n\r\n",),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Short: x\r\n" * LIMIT,),
        (b"GET /" + b"x" * 2 * LIMIT,),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n0\r\n",
            b"X-Trailer: " + b"x" * 16 * LIMIT,  # more than the server reads at once
        ),
    ],
    ids=["one header without an end", "one header", "many headers", "the path", "a trailer"],
)
def test_headers_above_the_limit_are_refused(port: int, pieces: tuple[bytes, ...]) -> None:
    # The answer may be lost, if the connection ends before the client has sent everything.
    with suppress(BrokenPipeError, ConnectionResetError):
        assert b"HTTP/1.1 400 " in exchange(port, *pieces)


def test_bodies_are_not_limited_by_the_headers(port: int) -> None:
    chunk = b"400\r\n" + bytes(1024) + b"\r\n"
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = exchange(port, head, chunk * 5000, b"0\r\n\r\n")
    assert str(5000 * 1024).encode() in answer


UPGRADE = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"


@pytest.mark.parametrize(
    "body", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
@pytest.mark.parametrize("whole", [True, False])
def test_upgrade_is_ignored_and_the_body_is_read(port: int, body: bytes, whole: bool) -> None:
    """Java's clients ask for HTTP/2 with each first request."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        if whole:
            connection.sendall(UPGRADE + body)
        else:
            head, _, rest = body.partition(b"\r\n\r\n")
            connection.sendall(UPGRADE + head + b"\r\n\r\n")
            connection.sendall(rest)
        assert answered(connection) == b"5"
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nyes")
        assert answered(connection) == b"3"


def answered(connection: socket.socket) -> bytes:
    """Read one chunked answer, and return its body."""
    answer = b""
    while not answer.endswith(b"\r\n0\r\n\r\n"):
        piece = connection.recv(65536)
        assert piece, answer
        answer += piece
    assert answer.startswith(b"HTTP/1.1 200 ")
    return answer.split(b"\r\n")[-4]


def test_connection_without_headers_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_HEADER_SECONDS", 0.1)
    for sent in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(sent)
            with suppress(ConnectionResetError):
                assert connection.recv(65536) == b""


def test_request_of_a_client_that_left_is_cancelled() -> None:
    cancelled, asked = threading.Event(), threading.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    replica: Any = NoReplica()
    host, port = LocalHost(replica, wait, request_seconds=5), free_port()
    host.start(None, host="127.0.0.1", port=port, prefix="")
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert asked.wait(30)
        assert cancelled.wait(30)
    finally:
        host.stop()


def test_all_interfaces_include_both_families() -> None:
    with listen("::", 0) as listening:
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, listening.getsockname()[1]), timeout=30).close()


def test_host_that_was_not_started_is_stopped_at_once() -> None:
    replica: Any = NoReplica()
    LocalHost(replica, echo, request_seconds=5).stop()


def test_requests_that_arrived_before_the_end_are_answered() -> None:
    """Also those on connections that the server has not accepted yet."""

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        time.sleep(0.01)  # nothing else is accepted or read meanwhile
        await echo(scope, receive, send)

    replica: Any = NoReplica()
    host, port = LocalHost(replica, slow, request_seconds=30), free_port()
    host.start(None, host="127.0.0.1", port=port, prefix="")
    with ExitStack() as opened:
        address = "127.0.0.1", port
        connections = [opened.enter_context(socket.create_connection(address, timeout=30)) for _ in range(50)]
        for connection in connections:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        host.stop()
        for connection in connections:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(address, timeout=30)
