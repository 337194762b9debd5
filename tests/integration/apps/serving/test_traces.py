"""Traces of a running service, as a collector receives them by OTLP, on both hosts."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.integration.apps.serving.cluster import Cluster
from tests.integration.apps.serving.collector import ENDPOINT, Collector, attributes
from tests.integration.apps.serving.host import free_port, wait_until
from tests.integration.apps.serving.local import Served
from tests.integration.apps.serving.models import GOOD, Models, uri

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = {
    "Content-Type": "application/octet-stream",
    "X-Request-ID": "who-asked-17",
    "traceparent": f"00-{TRACE}-{CALLER}-01",
}
CLOSE_SECONDS = 30  # `fmnist serve` ends in a second, and gives a collector three more; busy cores take longer


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector().running() as receiver:
        yield receiver


def of_trace(collector: Collector) -> dict[str, Any]:
    """Return the spans of the caller's trace, by name."""
    return {span.name: span for span in collector.spans if span.trace_id.hex() == TRACE}


@contextmanager
def tracing(models: Models, endpoint: str, *arguments: str) -> Iterator[Served]:
    """`fmnist serve`, which sends its traces to this endpoint."""
    command = replace(models.command, variables={**models.command.variables, ENDPOINT: endpoint})
    served = Served(command, free_port(), "--compute", "local", "--model", uri(GOOD[0]), *arguments)
    try:
        wait_until(lambda: served.printed("serving "), "the service is up")
        yield served
    finally:
        if served.process.poll() is None:
            served.end(signal.SIGKILL)


def ask(url: str) -> httpx.Response:
    return httpx.post(f"{url}/predict", content=bytes(2 * 784), headers=HEADERS, timeout=60, trust_env=False)


def check(found: dict[str, Any], route: str) -> None:
    assert found.keys() == {f"POST {route}", "decode", "wait", "inference", "encode"}
    request = found.pop(f"POST {route}")
    assert request.parent_span_id.hex() == CALLER
    assert all(span.parent_span_id == request.span_id for span in found.values())
    model = {"fmnist.model_uri": uri(GOOD[0]), "fmnist.model_version": GOOD[0]}
    expected = {"fmnist.request_id": "who-asked-17", "fmnist.images": 2, "http.response.status_code": 200, **model}
    assert attributes(request).items() >= expected.items()
    assert attributes(found["inference"]).items() >= model.items()
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano for span in found.values())


def test_one_process_sends_its_traces_and_the_last_ones_at_its_end(models: Models, collector: Collector) -> None:
    collector.spans.clear()
    with tracing(models, collector.url, "--route-prefix", "/fashion") as served:
        assert ask(f"{served.url}/fashion").status_code == 200
        # At once: the SDK's thread would send them some seconds later.
        assert served.end(signal.SIGTERM) == 143
    check(of_trace(collector), "/fashion/predict")
    assert collector.services == {"fmnist"}


def test_a_replica_of_ray_serve_sends_its_traces(on_ray: Cluster, collector: Collector) -> None:
    collector.spans.clear()
    variables = {"runtime_env": {"env_vars": {ENDPOINT: collector.url}}}
    on_ray.deploy(uri(GOOD[0]), ray_actor_options={"num_cpus": 0.5, **variables})
    wait_until(lambda: on_ray.serves(uri(GOOD[0])), "the first model serves")
    assert ask(on_ray.url).status_code == 200
    wait_until(lambda: "POST /predict" in of_trace(collector), "the collector has the request")
    check(of_trace(collector), "/predict")


@pytest.mark.parametrize("how", ["refuses", "is silent"])
def test_a_collector_that_does_not_answer_costs_requests_nothing(models: Models, how: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if how == "is silent":
            silent.listen()
        with tracing(models, f"http://127.0.0.1:{silent.getsockname()[1]}") as served:
            answers = [ask(served.url) for _ in range(50)]
            assert {answer.status_code for answer in answers} == {200}
            assert sorted(answer.elapsed.total_seconds() for answer in answers)[25] < 0.5
            began = time.monotonic()
            assert served.end(signal.SIGTERM) == 143
            assert time.monotonic() - began < CLOSE_SECONDS
