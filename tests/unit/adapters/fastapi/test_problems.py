"""Every error has one small form with a request id, and shows no data of the request and no internals."""

import asyncio
import logging
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from starlette.types import Receive, Scope, Send

from fmnist.adapters.fastapi.gate import Gate
from fmnist.adapters.fastapi.guard import RequestGuard
from tests.unit.adapters.fastapi.support import INFER, SETTINGS, GreyServing, Service, greys

IMAGES = {"images": greys(1).tolist()}


def test_an_unknown_route_gets_an_error_in_the_same_form(service: Service) -> None:
    reply = service.get("/secret")
    assert reply.problem == (404, "not_found")
    assert b"secret" not in reply.body
    assert service.get("/predict/").problem == (404, "not_found"), "no redirect to a host that may not be ours"


def test_a_wrong_method_gets_the_allowed_methods(service: Service) -> None:
    reply = service.get("/predict")
    assert reply.problem == (405, "method_not_allowed")
    assert reply.headers["allow"] == "POST"
    assert service.post("/health").problem == (405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/v2/secret", "/v2/models/x", INFER])
def test_errors_of_the_inference_protocol_have_its_key_error_too(serving: GreyServing, path: str) -> None:
    for root_path in ("", "/v2"):
        service = Service(serving, root_path=root_path)
        document = service.get(path).json()
        assert document["error"] == document["detail"]
    assert "error" not in service.get("/nothing").json()


@pytest.mark.parametrize("given", ["abc", "A-1_b.c", "0" * 64])
def test_the_caller_s_request_id_comes_back(service: Service, given: str) -> None:
    assert service.get("/health", x_request_id=given).headers["x-request-id"] == given
    assert service.predict(IMAGES, x_request_id=given).headers["x-request-id"] == given
    reply = service.get("/nothing", x_request_id=given)
    assert reply.headers["x-request-id"] == reply.json()["request_id"] == given


@pytest.mark.parametrize("given", ["", "0" * 65, "a b", "a\nb", "ä", "<script>", "a;b", '"'])
def test_a_request_id_that_could_do_harm_is_replaced(service: Service, given: str) -> None:
    reply = service.get("/nothing", x_request_id=given)
    assert reply.problem[0] == 404
    assert reply.json()["request_id"] != given
    assert len(reply.json()["request_id"]) == 32


def test_every_request_has_an_id_of_its_own(service: Service) -> None:
    assert len({service.get("/health").headers["x-request-id"] for _ in range(20)}) == 20


def test_an_unexpected_error_is_logged_and_not_shown_to_the_client(
    service: Service, serving: GreyServing, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("secret of the house")

    serving.before_answer = fail
    for path in ("/predict", INFER):
        caplog.clear()
        body = {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 28, 28], "data": greys(1).tolist()}]}
        reply = service.predict(IMAGES) if path == "/predict" else service.infer(body)
        assert reply.problem == (500, "internal_error")
        assert b"secret" not in reply.body
        [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert reply.json()["request_id"] in record.getMessage()
        assert record.exc_info is not None
        assert "secret of the house" in str(record.exc_info[1])


def test_an_answer_that_takes_too_long_times_out(serving: GreyServing) -> None:
    service = Service(serving, replace(SETTINGS, request_timeout_seconds=0.05))
    serving.before_answer = asyncio.Event().wait
    reply = service.predict(IMAGES, x_request_timeout_seconds="0")
    assert reply.problem == (503, "timeout")
    assert reply.detail == "no answer within 0.05 s: try again, or send fewer images at once"


def test_a_failure_after_the_answer_has_started_sends_no_second_answer() -> None:
    start = {"type": "http.response.start", "status": 200, "headers": []}

    async def broken(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(dict(start))
        raise RuntimeError("halfway")

    async def receive() -> NoReturn:
        raise AssertionError("the request has no body")

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message["type"])

    sent: list[str] = []
    scope = {"type": "http", "method": "GET", "path": "/health", "headers": []}
    with pytest.raises(RuntimeError, match="halfway"):
        asyncio.run(RequestGuard(broken, Gate(SETTINGS), 10)(scope, receive, send))
    assert sent == [start["type"]]


def test_a_timeout_error_from_elsewhere_is_a_500_and_not_our_timeout(service: Service, serving: GreyServing) -> None:
    def fail() -> None:
        raise TimeoutError

    serving.before_answer = fail
    assert service.predict(IMAGES).problem == (500, "internal_error")


def test_a_client_that_disconnects_stops_its_request(service: Service, serving: GreyServing) -> None:
    reached = asyncio.Event()

    async def wait() -> None:
        reached.set()
        await asyncio.Event().wait()

    async def cancel() -> None:
        serving.before_answer = wait
        message = {"type": "http.request", "body": greys(1).tobytes()}
        request = asyncio.create_task(
            service.exchange("POST", "/predict", [message], content_type="application/octet-stream")
        )
        await reached.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    asyncio.run(asyncio.wait_for(cancel(), 10))


def test_events_other_than_http_pass_through_the_guard(service: Service) -> None:
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive() -> dict[str, str]:
        return messages.pop(0)

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    asyncio.run(service.app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send))  # type: ignore[arg-type]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
