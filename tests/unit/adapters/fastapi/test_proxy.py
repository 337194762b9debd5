"""The guard of Serve's proxy, around a fake application that replaces the proxy."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fmnist.adapters.fastapi.proxy import ProxyGuard
from fmnist.adapters.fastapi.settings import HttpSettings

LIMIT = 1000


class Proxy:
    """Reads the whole body, as Serve's proxy does, and gives a configured answer. `routes` are those of `/-/routes`."""

    routes = b'{"/":"fmnist"}'

    def __init__(
        self, status: int = 200, kind: bytes = b"application/json", body: bytes = b"{}", **headers: str
    ) -> None:
        self.status, self.kind, self.body = status, kind, body
        self.headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        self.seen: dict[bytes, bytes] = {}
        self.read = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/-/routes":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": self.routes})
            return
        self.seen = dict(scope["headers"])
        more = True
        while more:
            message = await receive()
            self.read += len(message.get("body", b""))
            more = message.get("more_body", False)
        headers = [(b"content-type", self.kind), (b"x-request-id", self.seen[b"x-request-id"]), *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": [*headers, *headers[1:2]]})
        await send({"type": "http.response.body", "body": self.body})


def ask(proxy: ASGIApp, *, api_keys: tuple[str, ...] = (), **request: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        settings = HttpSettings(version="1", max_bytes=LIMIT, body_timeout_seconds=0.2, api_keys=api_keys)
        transport = httpx.ASGITransport(ProxyGuard(proxy, settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await client.post("/predict", **request)

    return anyio.run(send)


def test_answer_of_the_service_has_one_request_id() -> None:
    proxy = Proxy(body=b'{"predictions": []}')
    answer = ask(proxy, content=b"x" * LIMIT, headers={"X-Request-ID": "mine-1"})
    assert answer.json() == {"predictions": []}
    assert answer.headers.get_list("x-request-id") == ["mine-1"]
    assert proxy.read == LIMIT


@pytest.mark.parametrize("name", ["X-Request-Timeout-Seconds", "x-request-disconnect-disabled"])
def test_headers_that_turn_off_limits_do_not_reach_the_proxy(name: str) -> None:
    proxy = Proxy()
    ask(proxy, content=b"x", headers={name: "0"})
    assert name.lower().encode() not in proxy.seen


def test_request_id_that_could_forge_a_log_line_is_replaced() -> None:
    proxy = Proxy()
    answer = ask(proxy, content=b"x", headers={"X-Request-ID": "a b" * 100})
    assert answer.headers["x-request-id"] == proxy.seen[b"x-request-id"].decode()
    assert " " not in answer.headers["x-request-id"]


def test_body_with_a_too_large_content_length_is_not_read() -> None:
    proxy = Proxy()
    answer = ask(proxy, content=b"x" * (LIMIT + 1))
    assert answer.status_code == 413
    assert answer.json()["error_type"] == "body_too_large"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert proxy.seen == {}


def test_body_of_unknown_length_is_refused_when_it_grows_too_large() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    proxy = Proxy()
    answer = ask(proxy, content=pieces())
    assert answer.status_code == 413
    assert proxy.seen == {}


def test_slow_body_times_out_before_a_replica_waits_for_it() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"
        await anyio.sleep_forever()

    proxy = Proxy()
    answer = ask(proxy, content=pieces())
    assert answer.status_code == 408
    assert answer.json()["error_type"] == "body_timeout"
    assert proxy.seen == {}


def test_request_without_a_key_is_refused_before_its_body_and_reaches_no_replica() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    proxy = Proxy()
    answer = ask(proxy, content=pieces(), headers={"x-api-key": "wrong"}, api_keys=("right",))
    assert answer.status_code == 401
    assert answer.json()["error_type"] == "unauthorized"
    assert proxy.seen == {}
    assert ask(proxy, content=b"x", headers={"x-api-key": "right"}, api_keys=("right",)).status_code == 200


def test_client_that_disconnects_during_its_body_gets_no_answer() -> None:
    proxy, sent = Proxy(), []
    messages = iter([{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/predict", "headers": []}
    anyio.run(ProxyGuard(proxy, HttpSettings(version="1")), scope, receive, send)
    assert sent == []
    assert proxy.seen == {}


def test_plain_text_error_of_the_proxy_gets_the_form_of_all_errors() -> None:
    proxy = Proxy(429, b"text/plain", b"Request dropped due to backpressure\nTraceback ...", retry_after="1")
    answer = ask(proxy, content=b"x")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    document = answer.json()
    assert document.pop("request_id")
    assert document == {"detail": "Request dropped due to backpressure", "error_type": "too_many_requests"}


def test_path_of_no_application_is_not_found() -> None:
    answer = ask(Proxy(404, b"text/plain", b"Path '/predict' not found."), content=b"x")
    assert (answer.status_code, answer.json()["error_type"]) == (404, "not_found")


def test_without_an_application_the_client_is_told_to_try_again() -> None:
    proxy = Proxy(404, b"text/plain", b"Path '/predict' not found.")
    proxy.routes = b"{}"
    answer = ask(proxy, content=b"x")
    assert (answer.status_code, answer.json()["error_type"]) == (503, "not_ready")
    assert answer.headers["retry-after"] == "1"


def test_the_services_own_404_stays() -> None:
    proxy = Proxy(404, body=b'{"detail":"Not Found"}')
    proxy.routes = b"{}"
    assert ask(proxy, content=b"x").status_code == 404


def test_answer_for_a_client_that_has_left_passes_through() -> None:
    answer = ask(Proxy(499, b"text/plain", b"Client disconnected"), content=b"x")
    assert (answer.status_code, answer.text) == (499, "Client disconnected")


def test_events_other_than_http_pass_through_unchanged() -> None:
    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send(await receive())

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        seen.append(message)

    seen: list[object] = []
    anyio.run(ProxyGuard(proxy, HttpSettings(version="1")), {"type": "lifespan"}, receive, send)
    assert seen == [{"type": "lifespan"}, {"type": "lifespan.startup"}]
