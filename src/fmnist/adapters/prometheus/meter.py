"""A `Meter` that keeps its metrics in this process, and writes them in Prometheus' text format."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from fmnist.adapters.fastapi.metrics import ExportedMeter, Metric

# Ray gives this prefix to all metrics, so that one dashboard fits both hosts.
_PREFIX = "ray_"


class PrometheusMeter(ExportedMeter):
    """The metrics of one service."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()

    def counter(self, name: str, description: str, labels: Sequence[str]) -> Metric:
        counter = Counter(f"{_PREFIX}{name}", description, labels, registry=self._registry)
        return _Metric(counter.labels, Counter.inc)

    def histogram(self, name: str, description: str, buckets: Sequence[float], labels: Sequence[str]) -> Metric:
        histogram = Histogram(f"{_PREFIX}{name}", description, labels, buckets=buckets, registry=self._registry)
        return _Metric(histogram.labels, Histogram.observe)

    def gauge(self, name: str, description: str, labels: Sequence[str]) -> Metric:
        gauge = Gauge(f"{_PREFIX}{name}", description, labels, registry=self._registry)
        return _Metric(gauge.labels, Gauge.set)

    def page(self) -> bytes:
        return generate_latest(self._registry)


class _Metric(Metric):
    def __init__(self, series: Callable[..., Any], add: Callable[[Any, float], None]) -> None:
        self._series = cache(series)  # prometheus_client checks the labels anew each time
        self._add = add

    def add(self, value: float, *labels: str) -> None:
        self._add(self._series(*labels), value)
