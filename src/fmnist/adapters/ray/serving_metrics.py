"""Metrics of a replica, which Ray exports at the metrics port of each node, with the prefix `ray_`."""

from collections.abc import Sequence
from typing import Any

from ray.serve import metrics

from fmnist.adapters.fastapi.metrics import Meter, Metric


class RayMeter(Meter):  # pragma: no cover - runs in a Ray worker
    """Makes metrics of Ray. Use it inside of the replica, because Ray adds the replica's own labels."""

    def counter(self, name: str, description: str, labels: Sequence[str]) -> Metric:
        return _Metric(labels, metrics.Counter(name, description, tuple(labels)).inc)

    def histogram(self, name: str, description: str, buckets: Sequence[float], labels: Sequence[str]) -> Metric:
        return _Metric(labels, metrics.Histogram(name, description, list(buckets), tuple(labels)).observe)

    def gauge(self, name: str, description: str, labels: Sequence[str]) -> Metric:
        return _Metric(labels, metrics.Gauge(name, description, tuple(labels)).set)


class _Metric(Metric):  # pragma: no cover - runs in a Ray worker
    def __init__(self, names: Sequence[str], add: Any) -> None:
        self._names = names
        self._add = add

    def add(self, value: float, *labels: str) -> None:
        self._add(value, dict(zip(self._names, labels, strict=True)))
