"""Memory that clients can make the HTTP servers of both hosts hold: limited with a key, and none without a key."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

import httpx
import psutil
import pytest

KEY = "the-key"
MEGABYTE = 2**20
BOUND = 16 * MEGABYTE
UPLOAD = b"%s HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\n%scontent-length: 8388608\r\n\r\n"

SERVER = f"""
import json, socket, sys
import uvicorn
from fmnist.adapters.fastapi.app import create_app
from fmnist.adapters.fastapi.proxy import proxy_middleware
from fmnist.adapters.fastapi.settings import HttpSettings
from fmnist.adapters.uvicorn.protocol import EndingHttp
from tests.unit.adapters.fastapi.support import GreyServing, grey_model

settings = HttpSettings(version="1", api_keys=({KEY!r},), max_buffered_bytes={BOUND})
application = create_app(GreyServing(grey_model()), settings)
[proxy] = proxy_middleware(settings)
if sys.argv[1] == "proxy":
    served = proxy.cls(application, **proxy.kwargs)
    gate = served.gate
    parser = "auto"  # as Ray Serve's proxy, after its middleware is made
else:
    served = application
    parser = EndingHttp
    gate = application.user_middleware[0].kwargs["gate"]

async def counted(scope, receive, send):
    if scope["path"] != "/counter":
        return await served(scope, receive, send)
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    body = json.dumps({{"most": gate.most, "held": gate.held}}).encode()
    await send({{"type": "http.response.body", "body": body}})

listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
config = uvicorn.Config(counted, http=parser, lifespan="off", access_log=False, log_level=None, log_config=None)
uvicorn.Server(config).run([listening])
"""


class Server:
    """A server process, and its memory."""

    def __init__(self, process: psutil.Popen, port: int) -> None:
        self.process = process
        self.port = port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)
        for _ in range(20):
            self.predict()
        self.before = self.memory

    def close(self) -> None:
        self.client.close()

    @property
    def memory(self) -> int:
        size: int = self.process.memory_info().rss
        return size

    @property
    def added(self) -> float:
        """Return the growth in megabytes since the start. The request is answered after all earlier data is handled."""
        assert self.client.get("/health").status_code == 200
        return (self.memory - self.before) / MEGABYTE

    def counter(self) -> dict[str, int]:
        counted: dict[str, int] = json.loads(self.client.get("/counter").content)
        return counted

    def predict(self) -> int:
        headers = {"x-api-key": KEY, "content-type": "application/octet-stream"}
        return self.client.post("/predict", content=bytes(784), headers=headers).status_code

    @contextmanager
    def uploads(self, count: int, head: bytes, rest: bytes = bytes(MEGABYTE)) -> Iterator[list[socket.socket]]:
        """Open connections that send headers and the rest, as far as the server reads it, and then nothing."""
        with ExitStack() as opened:
            clients = []
            for _ in range(count):
                client = opened.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=30))
                client.sendall(head)
                clients.append(client)
            for client in clients:
                client.setblocking(False)
                left = memoryview(rest)
                for _ in range(20):
                    try:
                        left = left[client.send(left) :]
                    except OSError:
                        break
                    if not left:
                        break
                client.settimeout(30)
            yield clients


@pytest.fixture(scope="module", params=["proxy", "application"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    process = psutil.Popen([sys.executable, "-c", SERVER, request.param], stdout=subprocess.PIPE, text=True)
    try:
        with closing(Server(process, int(process.stdout.readline()))) as started:
            yield started
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("request_line", [b"POST /predict", b"GET /health", b"PUT /"])
def test_slow_uploads_without_a_key_cost_nothing(server: Server, request_line: bytes) -> None:
    with server.uploads(200, UPLOAD % (request_line, b"")) as clients:
        assert all(b" 401 " in client.recv(4096) for client in clients)
        assert server.added < 16
        assert server.counter() == {"most": 784, "held": 0}
        assert server.predict() == 200


def test_pipelined_requests_without_a_key_cost_nothing(server: Server) -> None:
    with server.uploads(200, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 16000):
        assert server.added < 16
        assert server.predict() == 200


def test_endless_headers_cost_nothing(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n")
        with suppress(OSError):
            for number in range(64):
                client.sendall(b"x-%d: " % number + b"x" * MEGABYTE + b"\r\n")
        assert server.added < 16


# This test is the last one, because the process does not return its memory to the system.
def test_slow_uploads_with_a_key_cost_no_more_than_the_limit(server: Server) -> None:
    with server.uploads(60, UPLOAD % (b"POST /predict", b"x-api-key: the-key\r\n")) as clients:
        refused = [client for client in clients if b" 503 " in received(client)]
        assert refused
        counter = server.counter()
        assert counter["most"] <= BOUND
        assert counter["held"] > BOUND / 2
        assert server.added < 3 * BOUND / MEGABYTE


def received(client: socket.socket) -> bytes:
    """Return what arrives within a moment, because a request with an incomplete body gets no answer."""
    client.settimeout(0.1)
    try:
        return client.recv(4096)
    except TimeoutError:
        return b""
