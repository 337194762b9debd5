"""Bodies are limited in bytes, time and pixels, and are never decompressed."""

import asyncio
import gzip
import json
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.adapters.fastapi.support import (
    GONE,
    INFER,
    SETTINGS,
    SILENCE,
    GreyServing,
    Reply,
    Service,
    Untouchable,
    chunks,
    greys,
    picture,
)

OCTETS = "application/octet-stream"
SMALL = replace(
    SETTINGS, max_bytes=2000, body_timeout_seconds=0.05, request_timeout_seconds=2, max_picture_pixels=10_000
)
WHOLE = greys(3).tobytes()
NOISE = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def strict(shared_serving: GreyServing) -> Service:
    return Service(shared_serving, SMALL)


@pytest.mark.parametrize("path", ["/predict", INFER])
def test_a_body_that_says_it_is_too_large_is_refused_unread(strict: Service, path: str) -> None:
    reply = strict.request("POST", path, Untouchable(), content_type="application/json", content_length="2001")
    assert reply.problem == (413, "body_too_large")
    assert "2000 bytes" in reply.detail
    huge = strict.request("POST", path, Untouchable(), content_type="application/json", content_length="9" * 18)
    assert huge.status == 413


def test_a_body_of_unknown_length_is_read_up_to_the_limit(strict: Service) -> None:
    def endless() -> Iterator[Any]:
        for _ in range(3):
            yield {"type": "http.request", "body": bytes(1000), "more_body": True}
        raise AssertionError("more was read than is allowed")

    assert strict.request("POST", "/predict", endless(), content_type=OCTETS).problem == (413, "body_too_large")


def test_a_body_that_is_longer_than_it_says_is_refused(strict: Service) -> None:
    reply = strict.request("POST", "/predict", chunks(bytes(5000)), content_type=OCTETS, content_length="784")
    assert reply.problem == (413, "body_too_large")


def test_a_body_may_be_as_large_as_the_limit(serving: GreyServing) -> None:
    service = Service(serving, replace(SETTINGS, max_bytes=len(WHOLE)))
    assert service.post("/predict", WHOLE, OCTETS).status == 200
    assert service.post("/predict", WHOLE + b"\x00", OCTETS).status == 413


def test_a_body_may_come_in_pieces(strict: Service) -> None:
    pieces = chunks(WHOLE[:1], b"", WHOLE[1:500], WHOLE[500:])
    assert strict.request("POST", "/predict", pieces, content_type=OCTETS).status == 200


def test_a_body_that_does_not_arrive_times_out(strict: Service) -> None:
    for sent in ([SILENCE], chunks(WHOLE[:300], last=SILENCE)):
        reply = strict.request("POST", "/predict", sent, content_type=OCTETS)
        assert reply.problem == (408, "body_timeout")


def test_a_slow_client_does_not_delay_others(serving: GreyServing) -> None:
    service = Service(serving, replace(SMALL, body_timeout_seconds=20, request_timeout_seconds=20))

    async def beside_a_slow_one() -> int:
        slow = asyncio.create_task(service.exchange("POST", "/predict", [SILENCE], content_type=OCTETS))
        reply = await service.exchange("POST", "/predict", chunks(WHOLE), content_type=OCTETS)
        assert not slow.done()
        slow.cancel()
        return reply.status

    assert asyncio.run(asyncio.wait_for(beside_a_slow_one(), 10)) == 200


@pytest.mark.parametrize("messages", [[GONE], chunks(WHOLE[:300], last=GONE), chunks(WHOLE[:300])])
def test_a_truncated_body_is_refused(serving: GreyServing, strict: Service, messages: Any) -> None:
    reply = strict.request("POST", "/predict", messages, content_type=OCTETS, content_length="784")
    assert reply.problem == (400, "truncated_body")
    assert serving.asked == 0


class Abort(Exception):
    """An exception of a server that this service cannot know."""


@pytest.mark.parametrize("raised", [Abort("gone"), ConnectionResetError(), TimeoutError(), asyncio.CancelledError()])
@pytest.mark.parametrize("path", ["/predict", INFER])
def test_a_client_that_disconnects_is_not_an_error_of_the_service(
    strict: Service, caplog: pytest.LogCaptureFixture, path: str, raised: BaseException
) -> None:
    def cut_off() -> Iterator[Any]:
        yield {"type": "http.request", "body": WHOLE[:300], "more_body": True}
        raise raised

    reply = strict.request("POST", path, cut_off(), content_type="application/json")
    assert reply.problem == (400, "truncated_body")
    assert not caplog.records


def test_a_request_that_the_server_cancels_while_reading_its_body_ends(strict: Service) -> None:
    async def given_up() -> None:
        sending = chunks(WHOLE[:300], last=SILENCE)
        request = asyncio.create_task(strict.exchange("POST", "/predict", sending, content_type=OCTETS))
        await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request

    asyncio.run(asyncio.wait_for(given_up(), 10))


@pytest.mark.parametrize("length", ["x", "-1", "1.5", "1e3", "²", "9" * 5000, ""])
def test_an_invalid_content_length_is_refused(strict: Service, length: str) -> None:
    reply = strict.request("POST", "/predict", Untouchable(), content_type=OCTETS, content_length=length)
    assert reply.problem == (400, "malformed_header")


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate", "zstd", "identity, gzip", "secret"])
@pytest.mark.parametrize("path", ["/predict", INFER])
def test_a_compressed_body_is_refused_unread(strict: Service, encoding: str, path: str) -> None:
    reply = strict.request(
        "POST", path, Untouchable(), content_type="application/json", content_length="100", content_encoding=encoding
    )
    assert reply.problem == (415, "unsupported_encoding")
    assert "secret" not in reply.detail


def test_content_encoding_identity_is_accepted(strict: Service) -> None:
    assert strict.post("/predict", WHOLE, OCTETS, content_encoding="identity").status == 200


def test_a_compressed_body_without_content_encoding_is_not_decompressed(service: Service) -> None:
    body = gzip.compress(json.dumps({"images": greys(1).tolist()}).encode())
    assert service.post("/predict", body).problem == (400, "malformed_json")


def test_pixels_of_a_picture_are_counted_before_they_are_decoded(strict: Service) -> None:
    assert strict.post("/predict", picture(np.zeros((100, 100), np.uint8), "PNG"), "image/png").status == 200
    reply = strict.post("/predict", picture(np.zeros((100, 101), np.uint8), "PNG"), "image/png")
    assert reply.problem == (422, "invalid_images")
    assert reply.detail == "a picture of 101x100 pixels, expected at most 10000 in all"


def test_other_formats_do_not_wait_for_pictures(service: Service) -> None:
    async def beside_a_busy_thread() -> int:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        done = threading.Event()
        busy = asyncio.create_task(asyncio.to_thread(done.wait, 20))
        try:
            sent = [{"type": "http.request", "body": picture(NOISE, "PNG")}]
            reply = await asyncio.wait_for(service.exchange("POST", "/predict", sent, content_type="image/png"), 10)
        finally:
            done.set()
            await busy
        return reply.status

    assert asyncio.run(beside_a_busy_thread()) == 200


def test_pictures_of_clients_that_left_are_not_decoded(service: Service) -> None:
    large = picture(np.zeros((4000, 4000), np.uint8), "PNG")

    def sent(body: bytes) -> asyncio.Task[Reply]:
        messages = [{"type": "http.request", "body": body}]
        return asyncio.create_task(service.exchange("POST", "/predict", messages, content_type="image/png"))

    async def one() -> int:
        return (await sent(large)).status

    async def one_after_many_that_were_given_up() -> int:
        for _ in range(12):
            given_up = sent(large)
            # Wait until it decodes, which cannot be seen from here.
            for _ in range(50):
                await asyncio.sleep(0)
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
        return (await sent(picture(NOISE, "PNG"))).status

    def processor_time(work: Coroutine[Any, Any, int]) -> float:
        started = time.process_time()
        assert asyncio.run(asyncio.wait_for(work, 60)) == 200
        return time.process_time() - started

    asyncio.run(one())
    assert processor_time(one_after_many_that_were_given_up()) < 4 * processor_time(one())


@pytest.mark.parametrize("content_type", ["image/png", "image/jpeg"])
@pytest.mark.parametrize("body", [b"", b"secret", picture(NOISE, "PNG")[:400], picture(NOISE, "JPEG")[:400]])
def test_a_body_that_is_not_a_picture_is_malformed(service: Service, body: bytes, content_type: str) -> None:
    reply = service.post("/predict", body, content_type)
    assert reply.problem == (400, "malformed_picture")
    assert reply.detail == "not a readable PNG or JPEG picture"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "no images: expected at least one"),
        (bytes(785), "785 bytes are not a whole number of images of 784 bytes"),
        (bytes(784 * 1001), "1001 images, expected at most 1000 in one request: send them in several"),
    ],
)
def test_raw_pixels_must_be_whole_images_and_not_too_many(service: Service, body: bytes, detail: str) -> None:
    reply = service.post("/predict", body, OCTETS)
    assert reply.problem == (422, "invalid_images")
    assert reply.detail == detail
