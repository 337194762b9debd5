"""A `Tracer` that sends spans by OTLP over HTTP. A thread of the SDK sends them, and drops them if it cannot.

The SDK reads the standard variables itself: endpoint, headers, sampler, service name and others.
"""

import threading
import time
from collections.abc import Mapping

from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace import Tracer as SdkTracer

from fmnist.adapters.fastapi.tracing import Trace, Tracer

# A collector that does not answer must not hold up the end of the process for longer.
_CLOSE_SECONDS = 3.0


class OtlpTracer(Tracer):
    """Traces of one service of this version. Without an exporter, the collector of the environment gets them."""

    def __init__(self, version: str, exporter: SpanExporter | None = None) -> None:
        ours = Resource.create({SERVICE_NAME: "fmnist", SERVICE_VERSION: version})
        # The SDK's own end of the process would wait for half a minute.
        self._provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("fmnist", version)

    def begin(self, method: str, headers: Mapping[str, str], request_id: str) -> Trace:
        attributes = {"http.request.method": method, "fmnist.request_id": request_id}
        parent = propagate.extract(headers)
        return _SpanTrace(self._tracer, self._tracer.start_span(method, parent, SpanKind.SERVER, attributes))

    def close(self) -> None:
        ending = threading.Thread(target=self._provider.shutdown, name="last traces", daemon=True)
        ending.start()
        ending.join(_CLOSE_SECONDS)


class _SpanTrace(Trace):
    def __init__(self, tracer: SdkTracer, request: Span) -> None:
        self._tracer = tracer
        self._request = request
        self._below = set_span_in_context(request)
        self._last: Span | None = None
        # Spans have the time since 1970.
        self._offset = time.time_ns() - time.perf_counter_ns()

    def phase(self, name: str, began: float) -> None:
        at = self._offset + int(1e9 * began)
        if self._last is not None:
            self._last.end(at)
        self._last = self._tracer.start_span(name, self._below, start_time=at)

    def note(self, attributes: Mapping[str, str | int]) -> None:
        for span in (self._request, self._last):
            if span is not None:
                span.set_attributes(attributes)

    def end(self, route: str, status: int) -> None:
        at = self._offset + time.perf_counter_ns()
        if self._last is not None:
            self._last.end(at)
        if route:
            self._request.update_name(f"POST {route}")
            self._request.set_attribute("http.route", route)
        if status:
            self._request.set_attribute("http.response.status_code", status)
        if not status or status >= 500:
            self._request.set_status(StatusCode.ERROR)
        self._request.end(at)
