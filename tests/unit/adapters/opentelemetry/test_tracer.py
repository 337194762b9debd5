"""The traces of predictions: spans, their parents and attributes. Only predictions are traced, if at all."""

import time
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from fmnist.adapters.fastapi.replica import Replica, ReplicaSettings
from fmnist.adapters.fastapi.serving import Serving
from fmnist.adapters.opentelemetry import tracer as module
from fmnist.adapters.opentelemetry.tracer import OtlpTracer
from fmnist.adapters.prometheus.meter import PrometheusMeter
from tests.unit.adapters.fastapi.support import SETTINGS, GreyServing, Service, grey_model, greys

OCTETS = "application/octet-stream"
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PHASES = ["decode", "wait", "inference", "encode"]


class Traced:
    """A service whose traces stay in memory."""

    def __init__(self, serving: Serving | None = None, **settings: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self._tracer = OtlpTracer("1.2.3", self._exporter)
        self.service = Service(serving or replica(), replace(SETTINGS, **settings), tracer=self._tracer)

    def spans(self) -> list[ReadableSpan]:
        """The spans, in the order of their begins."""
        self._tracer.close()
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)


def replica() -> Replica:
    domain: Any = SimpleNamespace(current=grey_model(), status=GreyServing(grey_model()).status())
    settings = ReplicaSettings(max_batch=10, max_waiting=10, max_seconds=10, poll_seconds=None)
    return Replica(lambda _: domain, PrometheusMeter(), settings, None)


def test_a_prediction_has_a_span_with_one_of_each_phase_below_it() -> None:
    traced = Traced()
    assert traced.service.post("/predict", greys(1, 2).tobytes(), OCTETS, x_request_id="who-asked-17").status == 200
    request, *phases = traced.spans()
    assert (request.name, request.kind) == ("POST /predict", SpanKind.SERVER)
    model = {"fmnist.model_uri": "models:/dev.greys/3", "fmnist.model_version": 3, "fmnist.batch_images": 2}
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "fmnist.request_id": "who-asked-17",
        "fmnist.images": 2,
        **model,
    }
    assert [span.name for span in phases] == PHASES
    assert all(span.parent == request.context for span in phases)
    assert dict(phases[2].attributes or {}) == model
    assert [phase.start_time for phase in phases[1:]] == [phase.end_time for phase in phases[:-1]]
    assert request.start_time <= phases[0].start_time  # type: ignore[operator]
    assert phases[-1].end_time == request.end_time


def test_the_open_inference_protocol_is_traced_too() -> None:
    traced = Traced()
    images = {"name": "images", "datatype": "UINT8", "shape": [1, 28, 28], "data": [0] * 784}
    assert traced.service.infer({"inputs": [images]}).status == 200
    request, *phases = traced.spans()
    assert request.name == "POST /v2/models/{name}/infer"
    assert [span.name for span in phases] == PHASES


def test_the_trace_of_the_caller_is_continued() -> None:
    traced = Traced()
    traced.service.post("/predict", greys(1).tobytes(), OCTETS, traceparent=f"00-{TRACE}-{CALLER}-01")
    request, *phases = traced.spans()
    assert request.parent is not None
    assert (f"{request.parent.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, CALLER)
    assert {f"{span.context.trace_id:032x}" for span in phases if span.context} == {TRACE}


def test_a_caller_that_samples_no_trace_gets_none() -> None:
    traced = Traced()
    traced.service.post("/predict", greys(1).tobytes(), OCTETS, traceparent=f"00-{TRACE}-{CALLER}-00")
    assert traced.spans() == []


@pytest.mark.parametrize("given", ["", "no trace", "00-" + "0" * 32 + f"-{CALLER}-01", "\xff" * 2000])
def test_a_bad_traceparent_starts_a_new_trace(given: str) -> None:
    traced = Traced()
    assert traced.service.post("/predict", greys(1).tobytes(), OCTETS, traceparent=given).status == 200
    assert traced.spans()[0].parent is None


def test_a_refused_request_has_a_span_with_its_status() -> None:
    traced = Traced(api_keys=("s3cr3t",))
    traced.service.post("/predict", greys(1).tobytes(), OCTETS)
    traced.service.post("/predict", b"no image", OCTETS, x_api_key="s3cr3t")
    unauthorized, unreadable, decode = traced.spans()
    assert unauthorized.attributes is not None
    assert unauthorized.attributes["http.response.status_code"] == 401
    assert unreadable.attributes is not None
    assert unreadable.attributes["http.response.status_code"] == 422
    assert (decode.name, decode.end_time) == ("decode", unreadable.end_time)
    assert {span.status.status_code for span in (unauthorized, unreadable)} == {StatusCode.UNSET}


def test_a_failed_request_is_marked_as_an_error() -> None:
    serving = GreyServing(grey_model())
    serving.before_answer = lambda: 1 / 0
    traced = Traced(serving)
    assert traced.service.post("/predict", greys(1).tobytes(), OCTETS).status == 500
    request, *phases = traced.spans()
    assert request.status.status_code == StatusCode.ERROR
    assert [span.name for span in phases] == ["decode", "wait"]


def test_probes_scrapes_and_feedback_are_not_traced() -> None:
    traced = Traced()
    traced.service.post("/feedback", b"{}")
    for path in ("/health", "/info", "/v2/health/ready"):
        assert traced.service.get(path).status == 200
    assert traced.spans() == []


def test_the_standard_variables_win_over_the_name_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    def resource() -> Any:
        traced = Traced()
        traced.service.post("/predict", greys(1).tobytes(), OCTETS)
        return traced.spans()[0].resource.attributes

    assert (resource()["service.name"], resource()["service.version"]) == ("fmnist", "1.2.3")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "boots")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=staging")
    assert (resource()["service.name"], resource()["deployment.environment"]) == ("boots", "staging")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    unsampled = Traced()
    unsampled.service.post("/predict", greys(1).tobytes(), OCTETS)
    assert unsampled.spans() == []


def test_a_collector_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            time.sleep(20)
            return SpanExportResult.FAILURE

    monkeypatch.setattr(module, "_CLOSE_SECONDS", 0.2)
    tracer = OtlpTracer("1.2.3", Hanging())
    assert Service(replica(), tracer=tracer).post("/predict", greys(1).tobytes(), OCTETS).status == 200
    began = time.monotonic()
    tracer.close()
    assert time.monotonic() - began < 10
