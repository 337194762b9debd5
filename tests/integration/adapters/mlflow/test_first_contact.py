"""The first call of an MLflow server: one that is missing, starts, fails or is silent is named within half a minute."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from fmnist.adapters.mlflow import connection as connection_module
from fmnist.adapters.mlflow.connection import MlflowConnection
from fmnist.adapters.mlflow.tracker import MlflowTracker
from fmnist.domain.model.address import Address
from fmnist.domain.model.errors import StoreUnavailable


def answering(status: int) -> type[BaseHTTPRequestHandler]:
    """Return a handler that answers each GET with this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def test_missing_server_is_named_at_once_and_without_its_password() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    connection = MlflowConnection(Address(f"http://user:secret@127.0.0.1:{port}"))
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match=rf"127\.0\.0\.1:{port}.*MLFLOW_TRACKING_URI") as caught:
        MlflowTracker(connection).start("run", {})
    assert time.monotonic() - started < 10
    assert "secret" not in str(caught.value)


def test_client_waits_for_a_server_that_starts() -> None:
    def refuse_once_and_then_serve(door: socket.socket, server: HTTPServer) -> None:
        door.accept()[0].close()
        door.close()
        server.server_bind()
        server.server_activate()
        server.handle_request()

    door = socket.create_server(("127.0.0.1", 0), reuse_port=True)
    server = HTTPServer(door.getsockname(), answering(200), bind_and_activate=False)
    with ThreadPoolExecutor() as elsewhere:
        served = elsewhere.submit(refuse_once_and_then_serve, door, server)
        MlflowConnection(Address(f"http://127.0.0.1:{server.server_address[1]}")).client()
        served.result()
    server.server_close()


def test_server_that_fails_is_named() -> None:
    with HTTPServer(("127.0.0.1", 0), answering(501)) as server, ThreadPoolExecutor() as elsewhere:
        elsewhere.submit(server.handle_request)
        with pytest.raises(StoreUnavailable, match=r"501 Server Error.*check MLFLOW_TRACKING_URI, and that the server"):
            MlflowConnection(Address(f"http://127.0.0.1:{server.server_address[1]}")).client()


def test_server_that_never_answers_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection_module._PROBE, "timeout", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match=uri):
            MlflowTracker(MlflowConnection(Address(uri))).find({})
        assert time.monotonic() - started < 10
