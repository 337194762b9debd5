"""Requests are sent as given, below any prefix. An unanswered request is an error."""

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fmnist.adapters.http.endpoint import MAX_REPLY_BYTES, HttpEndpoint
from fmnist.domain.model.errors import InvalidSetting, StoreUnavailable, UnexpectedReply
from tests.endless import endless_server


class Server(ThreadingHTTPServer):
    """Records requests, and answers 418 with `a teapot`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.connections = 0
        self.encoding = "identity"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append({"method": self.command, "path": self.path, "body": body, "headers": headers})
        self.send_response(418)
        self.send_header("content-length", "8")
        self.send_header("content-encoding", self.server.encoding)
        self.end_headers()
        self.wfile.write(b"a teapot")

    do_POST = do_GET  # noqa: N815 - the base class's name

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        # Threads of open connections are daemons.
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_request_and_reply_are_not_changed(server: Server) -> None:
    with HttpEndpoint(server.url) as endpoint:
        reply = endpoint.ask("POST", "/predict", b"\x00\xff", "image/png")
    (asked,) = server.asked
    assert (asked["method"], asked["path"], asked["body"]) == ("POST", "/predict", b"\x00\xff")
    assert asked["headers"]["content-type"] == "image/png"
    assert "authorization" not in asked["headers"]
    assert (reply.status, reply.body) == (418, b"a teapot")
    assert 0 < reply.seconds < 10


@pytest.mark.parametrize("prefix", ["/a/b", "/a/b/"])
def test_route_prefix_goes_before_every_path(server: Server, prefix: str) -> None:
    with HttpEndpoint(server.url + prefix) as endpoint:
        endpoint.ask("GET", "/")
        endpoint.ask("GET", "/health/live")
    assert [asked["path"] for asked in server.asked] == ["/a/b/", "/a/b/health/live"]


def test_connection_stays_open(server: Server) -> None:
    with HttpEndpoint(server.url) as endpoint:
        for _ in range(3):
            endpoint.ask("GET", "/")
    assert (len(server.asked), server.connections) == (3, 1)


def test_key_is_sent_only_if_requested(server: Server) -> None:
    with HttpEndpoint(server.url, api_key="secret") as endpoint:
        endpoint.ask("GET", "/")
        endpoint.ask("GET", "/", key=False)
    assert [asked["headers"].get("authorization") for asked in server.asked] == ["Bearer secret", None]


def test_key_and_password_of_the_url_are_both_sent(server: Server) -> None:
    with HttpEndpoint(server.url.replace("//", "//bot:pw@"), api_key="secret") as endpoint:
        endpoint.ask("GET", "/")
        endpoint.ask("GET", "/", key=False)
    basic = f"Basic {base64.b64encode(b'bot:pw').decode()}"
    sent = [(asked["headers"]["authorization"], asked["headers"].get("x-api-key")) for asked in server.asked]
    assert sent == [(basic, "secret"), (basic, None)]


def test_answer_that_is_too_long_is_refused() -> None:
    with (
        endless_server() as server,
        HttpEndpoint(f"http://127.0.0.1:{server.port}") as endpoint,
        pytest.raises(UnexpectedReply, match=rf"GET /: .*more than {MAX_REPLY_BYTES} bytes"),
    ):
        endpoint.ask("GET", "/")
    assert server.sent < 2 * MAX_REPLY_BYTES


def test_answer_is_requested_uncompressed_and_never_decompressed(server: Server) -> None:
    server.encoding = "gzip"
    with HttpEndpoint(server.url) as endpoint, pytest.raises(UnexpectedReply, match=r"GET /: .*compressed \('gzip'\)"):
        endpoint.ask("GET", "/")
    (asked,) = server.asked
    assert asked["headers"]["accept-encoding"] == "identity"


def test_refused_connection_is_an_error() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        with (
            HttpEndpoint(f"http://127.0.0.1:{unheard.getsockname()[1]}") as endpoint,
            pytest.raises(StoreUnavailable, match=r"GET /: .*refused"),
        ):
            endpoint.ask("GET", "/")


def test_service_that_does_not_answer_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with (
            HttpEndpoint(f"http://127.0.0.1:{port}", timeout=0.05) as endpoint,
            pytest.raises(StoreUnavailable, match=r"GET /: no answer within 0\.0 s|GET /: no answer within 0\.1 s"),
        ):
            endpoint.ask("GET", "/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "localhost:8000",
        "ftp://host",
        "http://",
        "http:///path",
        "http://host:port",
        "http://host/?a=b",
        "http://host/#a",
        "http://[::1",
        "models:/a/1",
    ],
)
def test_unusable_url_is_bad_input(url: str) -> None:
    with pytest.raises(InvalidSetting):
        HttpEndpoint(url)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "schlüssel"])
def test_key_that_does_not_fit_into_a_header_is_bad_input_and_never_shown(key: str) -> None:
    with pytest.raises(InvalidSetting) as raised:
        HttpEndpoint("http://127.0.0.1", api_key=key)
    assert not key or key not in str(raised.value)


@pytest.mark.parametrize(("given", "sent"), [("p%40%2F", "p@/"), ("p/w", "p/w"), ("p w", "p w"), ("p'w", "p'w")])
def test_user_and_password_of_the_url_are_sent(server: Server, given: str, sent: str) -> None:
    with HttpEndpoint(server.url.replace("//", f"//bot:{given}@")) as endpoint:
        endpoint.ask("GET", "/")
    (asked,) = server.asked
    assert asked["headers"]["authorization"] == f"Basic {base64.b64encode(f'bot:{sent}'.encode()).decode()}"
    assert asked["headers"]["host"] == server.url.removeprefix("http://")


@pytest.mark.parametrize("url", ["ftp://bot:s3cret@host", "http://bot:s3cret@host:port", "http://bot:s3cret@host/?a=b"])
def test_password_of_an_unusable_url_is_not_shown(url: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        HttpEndpoint(url)
    assert "s3cret" not in str(refused.value)
