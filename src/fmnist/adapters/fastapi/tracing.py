"""Traces of predictions: one span of the request, and below it one of each phase. The tracer decides who gets them.

A request without a tracer does nothing here.
"""

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Protocol

from starlette.types import Scope

from fmnist.adapters.fastapi.batches import Answer, Watch
from fmnist.adapters.fastapi.serving import Serving
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.traffic.canary_report import CanaryReport
from fmnist.domain.model.traffic.drift import Drift
from fmnist.domain.model.traffic.feedback import Labelling, TrueClass
from fmnist.domain.model.traffic.shadow_report import ShadowReport
from fmnist.domain.services.serving.load import ServedModel
from fmnist.domain.services.serving.reload import ServingStatus


class Trace(Protocol):
    """The trace of one request. Its phases follow each other without a gap. Times are those of `time.perf_counter`."""

    @abstractmethod
    def phase(self, name: str, began: float) -> None:
        """End the last phase and begin the next one, at this time in seconds."""

    @abstractmethod
    def note(self, attributes: Mapping[str, str | int]) -> None:
        """Add attributes to the request and to its last phase."""

    @abstractmethod
    def end(self, route: str, status: int) -> None:
        """End the request and its last phase. Without a route, `route` is empty; without an answer, `status` is 0."""


class Tracer(Protocol):
    """Begins traces. It must not delay a request, whatever becomes of its traces."""

    @abstractmethod
    def begin(self, method: str, headers: Mapping[str, str], request_id: str) -> Trace:
        """Begin the trace of a request, in the trace of the caller if the headers name one."""

    @abstractmethod
    def close(self) -> None:
        """Send the last traces. It takes at most a few seconds."""


_PREDICTIONS = ("/predict", "/infer", "/explain")
_current: ContextVar[Trace] = ContextVar("trace")


def begin_trace(tracer: Tracer, scope: Scope) -> Trace | None:
    """Begin the trace of a prediction. Probes, scrapes and feedback would only fill the store of traces."""
    if scope["method"] != "POST" or not scope["path"].endswith(_PREDICTIONS):
        return None
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    trace = tracer.begin(scope["method"], headers, scope["state"]["request_id"])
    _current.set(trace)
    return trace


class TracedServing(Serving):
    """Adds phases to the current trace: `decode`, `wait`, `inference`, `encode`. The routes call it in this order."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def status(self) -> ServingStatus:
        return self._serving.status()

    def check_room(self) -> None:
        self._serving.check_room()
        if (trace := _current.get(None)) is not None:  # the energy of an image is not traced
            trace.phase("decode", time.perf_counter())

    async def answer(
        self, images: Images, request_id: str | None = None, watch: Watch | None = None, *, is_traffic: bool = True
    ) -> Answer:
        trace = _current.get()
        trace.note({"fmnist.images": len(images)})
        trace.phase("wait", time.perf_counter())

        def inferred(batch: Answer, began: float, ended: float) -> None:
            model, rows = batch
            trace.phase("inference", began)
            trace.note({"fmnist.model_uri": model.version.uri, "fmnist.model_version": model.version.version})
            trace.note({"fmnist.batch_images": len(rows)})
            trace.phase("encode", ended)

        return await self._serving.answer(images, request_id, inferred, is_traffic=is_traffic)

    async def drift(self) -> Drift:
        return await self._serving.drift()

    async def canary(self) -> CanaryReport:
        return await self._serving.canary()

    async def shadow(self) -> ShadowReport:
        return await self._serving.shadow()

    def note(self, request_id: str, model: ServedModel, rows: Probabilities) -> None:
        self._serving.note(request_id, model, rows)

    async def label(self, given: Sequence[TrueClass]) -> Labelling:
        return await self._serving.label(given)
