"""The protocol on Ray Serve, whose server has uvicorn's own defaults, and which watches for clients that leave."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from fmnist.adapters.listening import listen
from fmnist.adapters.uvicorn.protocol import BoundedHttp


class Watcher:
    """Waits for an answer and for the client, as a replica of Ray Serve does."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.end = ""
        self.ended = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/":
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await receive()
        left = asyncio.ensure_future(receive())
        answer = asyncio.ensure_future(asyncio.Event().wait())
        self.asked.set()
        try:
            await asyncio.wait({left, answer}, return_when=asyncio.FIRST_COMPLETED)
            self.end = "left" if left.done() else "answered"
        except asyncio.CancelledError:
            self.end = "cancelled"
            raise
        finally:
            answer.cancel()
            self.ended.set()


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def port(watcher: Watcher) -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(watcher, http=BoundedHttp, lifespan="off", log_config=None))
    with listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def test_host_that_watches_its_clients_hears_that_one_has_left(watcher: Watcher, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert watcher.asked.wait(30)
    assert watcher.ended.wait(30)
    assert watcher.end == "left"


def test_websocket_is_answered_as_a_plain_request_also_on_an_open_connection(port: int) -> None:
    upgrade = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for request in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", upgrade):
            connection.sendall(request)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_only_a_few_requests_wait_on_a_connection_and_the_others_are_left_to_a_new_one(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        answers = connection.makefile("rb").read()
    assert answers.count(b"HTTP/1.1 200 ") == 9
    assert answers.count(b"connection: close") == 1
    assert b" 400 " not in answers
