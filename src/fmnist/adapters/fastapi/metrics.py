"""Metrics of requests, answers and reloads. The host of the service decides how they are exported."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.promotion.canary import Canary
from fmnist.domain.model.traffic.agreement import Agreement, Pair
from fmnist.domain.model.traffic.drift import Drift, Verdict
from fmnist.domain.model.traffic.feedback import RealizedAccuracy
from fmnist.domain.services.serving.load import ServedModel
from fmnist.domain.services.serving.shadow import Shadow

_MILLISECONDS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000]
_IMAGES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
_METHODS = ("GET", "POST", "OPTIONS")  # HEAD is counted as GET
_CONFIDENCES = [f"{low / 10:.1f}-{(low + 1) / 10:.1f}" for low in range(10)]


class Metric(Protocol):
    """A counter, histogram or gauge. Many threads may call it."""

    @abstractmethod
    def add(self, value: float, *labels: str) -> None:
        """Increase the counter by `value`, observe `value`, or set the gauge to it.

        Labels are in the order in which they were named.
        """


class Meter(Protocol):
    """Makes metrics. Both hosts export them under the same names: with the prefix `ray_`, counters end in `_total`."""

    @abstractmethod
    def counter(self, name: str, description: str, labels: Sequence[str]) -> Metric:
        """Return a new counter."""

    @abstractmethod
    def histogram(self, name: str, description: str, buckets: Sequence[float], labels: Sequence[str]) -> Metric:
        """Return a new histogram with these upper bounds."""

    @abstractmethod
    def gauge(self, name: str, description: str, labels: Sequence[str]) -> Metric:
        """Return a new gauge."""


class ExportedMeter(Meter, Protocol):
    """A meter whose metrics the service itself exports, at `/metrics`."""

    @abstractmethod
    def page(self) -> bytes:
        """Return all metrics in Prometheus' text format."""


class RequestMetrics:
    """Metrics of HTTP requests, with the names and labels of Ray Serve's own."""

    def __init__(self, meter: Meter, application: str) -> None:
        labels = ("route", "method", "application", "status_code")
        self._application = application
        self._requests = meter.counter("serve_num_http_requests", "HTTP requests answered.", labels)
        self._milliseconds = meter.histogram(
            "serve_http_request_latency_ms", "Time of a request, from its headers to its answer.", _MILLISECONDS, labels
        )

    def request(self, route: str, method: str, status: int, milliseconds: float) -> None:
        """Count an answer. `route` is the path of the route, without the values of its parameters."""
        # A client may send any method, on any route. Each would add its own series.
        labels = (route, method if method in _METHODS else "OTHER", self._application, str(status))
        self._requests.add(1, *labels)
        self._milliseconds.add(milliseconds, *labels)


class DriftMetrics:
    """Metrics of the window of recent traffic. All replicas of a service export the same values."""

    def __init__(self, meter: Meter) -> None:
        model = ("model_uri",)
        self._images = meter.gauge("fmnist_window_images", "Images in the window of recent traffic.", model)
        self._drifted = meter.gauge("fmnist_drifted", "Whether the window differs from the reference: 0 or 1.", model)
        self._expected = meter.gauge("fmnist_expected_accuracy", "Accuracy expected from the confidences.", model)
        statistic = ("model_uri", "statistic")
        self._distance = meter.gauge("fmnist_drift_distance", "Jensen-Shannon distance from the reference.", statistic)
        self._chance = meter.gauge("fmnist_drift_chance", "Distance that chance gives at this size.", statistic)
        self._model_uri: str | None = None

    def set(self, drift: Drift) -> None:
        """Set all metrics. Those of a model that served before fall to 0 images, without drift."""
        uri, sketch = drift.model_uri, drift.window.sketch
        if self._model_uri not in (None, uri):
            self._images.add(0, self._model_uri)
            self._drifted.add(0, self._model_uri)
        self._model_uri = uri
        self._images.add(sketch.images, uri)
        self._drifted.add(drift.verdict is Verdict.DRIFTED, uri)
        if sketch.images:
            self._expected.add(sketch.expected_accuracy()[0], uri)
        for statistic, distance in drift.distances.items():
            self._distance.add(distance.value, uri, statistic)
            self._chance.add(distance.chance, uri, statistic)


class FeedbackMetrics:
    """Metrics of the labelled images among the last answers. All replicas of a service export the same values."""

    def __init__(self, meter: Meter) -> None:
        model = ("model_uri",)
        self._labelled = meter.gauge("fmnist_labelled_images", "Images among the last answers with a label.", model)
        self._realized = meter.gauge("fmnist_realized_accuracy", "Accuracy on the labelled images.", model)
        self._model_uri: str | None = None

    def set(self, model_uri: str, accuracy: RealizedAccuracy | None) -> None:
        """Set both metrics. A model that served before falls to 0 images."""
        if self._model_uri not in (None, model_uri):
            self._labelled.add(0, self._model_uri)
        self._model_uri = model_uri
        self._labelled.add(accuracy.labelled if accuracy else 0, model_uri)
        if accuracy:
            self._realized.add(accuracy.value, model_uri)


class ShadowMetrics:
    """Metrics of the shadow of one replica."""

    def __init__(self, meter: Meter) -> None:
        pair = ("model_uri", "shadow_uri")
        self._images = meter.counter("fmnist_shadow_images", "Images that the shadow answered too.", pair)
        self._agreed = meter.counter("fmnist_shadow_agreed", "Images with the same class from the shadow.", pair)
        self._dropped = meter.counter("fmnist_shadow_dropped", "Images that the shadow did not answer.", pair)
        self._milliseconds = meter.histogram(
            "fmnist_shadow_milliseconds", "Time of the shadow for at most 64 images.", _MILLISECONDS, pair
        )
        self._runs = meter.gauge("fmnist_shadow_runs", "Whether the shadow answers: 0 or 1.", ("shadow_uri",))
        self._shadow_uri: str | None = None

    def add(self, pair: Pair, found: Agreement) -> None:
        """Count a piece of a comparison."""
        labels = (pair.model_uri, pair.shadow_uri)
        images, agreed = sum(found.images), sum(found.agreed)
        for counter, count in ((self._images, images), (self._agreed, agreed), (self._dropped, found.dropped)):
            if count:  # Ray refuses to count 0
                counter.add(count, *labels)
        if images:
            self._milliseconds.add(found.shadow_microseconds / 1000, *labels)

    def set(self, shadow: Shadow | None) -> None:
        """Set whether the shadow runs. The gauge of an earlier one falls to 0."""
        uri = None if shadow is None else shadow.uri
        if self._shadow_uri not in (None, uri):
            self._runs.add(0, self._shadow_uri)
        self._shadow_uri = uri
        if shadow is not None:
            self._runs.add(shadow.is_running, shadow.uri)


class CanaryMetrics:
    """Metric of the canary of one replica."""

    def __init__(self, meter: Meter) -> None:
        name, label = "fmnist_canary_percent", ("challenger_uri",)
        self._percent = meter.gauge(name, "Percent of the requests that the challenger answers.", label)
        self._challenger_uri: str | None = None

    def set(self, canary: Canary | None) -> None:
        """Set the share. That of an earlier challenger falls to 0."""
        uri = None if canary is None else canary.model_uri
        if self._challenger_uri not in (None, uri):
            self._percent.add(0, self._challenger_uri)
        self._challenger_uri = uri
        if canary is not None:
            self._percent.add(canary.percent, canary.model_uri)


class ServingMetrics:
    """Metrics of answers and reloads, each with the label `model_uri`. Make it once for each meter."""

    def __init__(self, meter: Meter) -> None:
        model = ("model_uri",)
        self._requests = meter.counter("fmnist_predict_requests", "Requests answered with predictions.", model)
        self._images = meter.counter("fmnist_images", "Images classified.", model)
        self._batch = meter.histogram("fmnist_batch_images", "Images in one batch.", _IMAGES, model)
        self._milliseconds = meter.histogram(
            "fmnist_inference_milliseconds", "Time of a batch from pixels to probabilities.", _MILLISECONDS, model
        )
        self._classes = meter.counter("fmnist_class_images", "Images by predicted class.", (*model, "class_name"))
        # One counter for each bin, because Ray's histogram takes one value at a time.
        self._confidence = meter.counter(
            "fmnist_confidence_images", "Images by the confidence of their prediction.", (*model, "confidence")
        )
        self._reloads = meter.counter("fmnist_reloads", "Models brought into service, or not.", (*model, "outcome"))

    def batch(self, model: ServedModel, requests: int, probabilities: Probabilities, milliseconds: float) -> None:
        """Count one batch of `requests` requests, with its probabilities float32 (n, classes)."""
        uri, names = model.version.uri, model.prediction.info.class_names
        self._requests.add(requests, uri)
        self._images.add(len(probabilities), uri)
        self._batch.add(len(probabilities), uri)
        self._milliseconds.add(milliseconds, uri)
        bins = np.minimum(10 * probabilities.max(axis=1), 9).astype(np.intp)
        for metric, found, labels in (
            (self._classes, probabilities.argmax(axis=1), names),
            (self._confidence, bins, _CONFIDENCES),
        ):
            for label, images in zip(labels, np.bincount(found, minlength=len(labels)).tolist(), strict=True):
                if images:
                    metric.add(images, uri, label)

    def reload(self, model_uri: str, error: str | None) -> None:
        """Count a reload of `model_uri`, which succeeded, or failed with `error`."""
        self._reloads.add(1, model_uri, "failed" if error else "succeeded")
