"""The gate asks for the key before the first byte of a body, and counts every byte that it lets in."""

import asyncio
import tracemalloc
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.adapters.fastapi.gate import Gate
from fmnist.adapters.fastapi.problems import Problem
from tests.unit.adapters.fastapi.support import (
    GONE,
    SETTINGS,
    SILENCE,
    GreyServing,
    Service,
    Untouchable,
    chunks,
    greys,
)

KEY = "the-key"
LIMIT = 1000
GUARDED = replace(SETTINGS, api_keys=(KEY,), max_bytes=400, max_buffered_bytes=LIMIT, body_timeout_seconds=5)
OUTCOMES = (None, 400, 401, 413, 415, 503)


@dataclass
class Client:
    """Sends pieces of a body, ends as configured, and keeps its request open for a while."""

    pieces: list[int]
    headers: list[tuple[bytes, bytes]]
    method: str
    ending: Any
    turns: int
    asked: int = 0

    @property
    def has_key(self) -> bool:
        return (b"x-api-key", KEY.encode()) in self.headers

    async def meet(self, gate: Gate) -> int | None:
        """Return the status of the refusal, or None if the request was admitted."""
        messages = iter(chunks(*map(bytes, self.pieces), last=self.ending))

        async def receive() -> Any:
            self.asked += 1
            await asyncio.sleep(0)
            message = next(messages, GONE)
            if message is SILENCE:
                await asyncio.Event().wait()
            return message

        scope = {"type": "http", "method": self.method, "headers": self.headers}
        try:
            async with gate.admit(scope, receive) as admitted:
                body = (await admitted()).get("body", b"")
                assert gate.held >= len(body)
                for _ in range(self.turns):
                    await asyncio.sleep(0)
        except Problem as problem:
            return problem.status
        return None


def test_handed_on_body_takes_no_memory_while_the_request_is_answered() -> None:
    body = bytes(2**22)
    messages = iter(chunks(body))
    gate = Gate(replace(SETTINGS, max_bytes=2**23, max_buffered_bytes=2**23))

    async def receive() -> Any:
        return next(messages)

    async def answer() -> int:
        async with gate.admit({"type": "http", "method": "POST", "headers": []}, receive) as admitted:
            assert (await admitted())["body"] == body
            assert gate.held == len(body)
            return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        assert asyncio.run(answer()) < len(body)
    finally:
        tracemalloc.stop()
    assert gate.held == 0


HEADERS = st.sampled_from(
    [
        (b"x-api-key", KEY.encode()),
        (b"x-api-key", b"wrong"),
        (b"authorization", b"Bearer wrong"),
        (b"transfer-encoding", b"chunked"),
        (b"content-length", b"0"),
        (b"content-length", b"100"),
        (b"content-length", b"99999"),
        (b"content-encoding", b"gzip"),
    ]
)
CLIENTS = st.builds(
    Client,
    pieces=st.lists(st.integers(0, 200), max_size=6),
    headers=st.lists(HEADERS, max_size=3, unique_by=lambda pair: pair[0]),
    method=st.sampled_from(["POST", "POST", "POST", "GET", "PUT", "HEAD"]),
    ending=st.sampled_from([None, GONE, SILENCE]),
    turns=st.integers(0, 30),
)


@given(st.lists(CLIENTS, min_size=1, max_size=20))
def test_bytes_of_all_bodies_stay_below_the_limit_and_are_released(clients: list[Client]) -> None:
    gate = Gate(GUARDED)

    async def meet_all() -> list[int | None]:
        tasks = [asyncio.create_task(client.meet(gate)) for client in clients]
        waiting = set(tasks)
        for _ in range(100):
            assert gate.held <= LIMIT
            await asyncio.sleep(0)
            waiting = {task for task in tasks if not task.done()}
        assert all(clients[tasks.index(task)].ending is SILENCE for task in waiting)
        for task in waiting:
            task.cancel()
        return await asyncio.gather(*(task for task in tasks if task not in waiting))

    assert set(asyncio.run(meet_all())) <= set(OUTCOMES)
    assert gate.held == 0
    assert gate.most <= LIMIT
    for client in clients:
        assert client.has_key or client.asked == 0


def test_full_buffers_answer_503_with_retry_after(serving: GreyServing) -> None:
    body = greys(1).tobytes()
    service = Service(serving, replace(SETTINGS, max_bytes=len(body), max_buffered_bytes=len(body)))
    post = {"content_type": "application/octet-stream", "content_length": str(len(body))}

    async def second_beside_a_slow_one() -> Any:
        slow = asyncio.create_task(service.exchange("POST", "/predict", chunks(body[:100], last=SILENCE), **post))
        while not service.gate.held:
            await asyncio.sleep(0)
        refused = await service.exchange("POST", "/predict", chunks(body), **post)
        assert service.gate.held == 100
        slow.cancel()
        return refused

    refused = asyncio.run(second_beside_a_slow_one())
    assert refused.problem == (503, "buffers_full")
    assert int(refused.headers["retry-after"]) >= 1
    assert service.request("POST", "/predict", chunks(body), **post).status == 200
    assert service.gate.held == 0


@pytest.fixture(scope="module")
def guarded(shared_serving: GreyServing) -> Service:
    return Service(shared_serving, GUARDED)


@pytest.mark.parametrize("method", ["POST", "PUT", "GET", "HEAD", "PATCH"])
@pytest.mark.parametrize("announced", [{"content_length": "8388608"}, {"transfer_encoding": "chunked"}])
@pytest.mark.parametrize("path", ["/predict", "/health", "/nothing"])
def test_no_byte_is_read_without_a_key(guarded: Service, method: str, announced: dict[str, str], path: str) -> None:
    reply = guarded.request(method, path, Untouchable(), x_api_key="wrong", **announced)
    assert reply.status == 401
    assert reply.headers["connection"] == "close", "what is still sent would be kept by the server"


@pytest.mark.parametrize("content_length", [{}, {"content_length": "0"}])
def test_probe_needs_no_key(guarded: Service, content_length: dict[str, str]) -> None:
    assert guarded.request("GET", "/health", Untouchable(), **content_length).status == 200
