"""Metrics of a replica's answers and reloads, in addition to Ray Serve's own metrics of requests.

Ray exports them at the metrics port of each node, with the prefix `ray_`. Every metric has the label `model_uri`.
"""

import numpy as np
from ray.serve import metrics

from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.services.serving.load import ServedModel

_MILLISECONDS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000]
_IMAGES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
_CONFIDENCE_BINS = np.linspace(0, 1, 11)


class ServingMetrics:  # pragma: no cover - runs in a Ray worker
    """The metrics of one replica. Make it once, inside of the replica."""

    def __init__(self) -> None:
        model = ("model_uri",)
        self._requests = metrics.Counter("fmnist_predict_requests", "Requests answered with predictions.", model)
        self._images = metrics.Counter("fmnist_images", "Images classified.", model)
        self._batch = metrics.Histogram("fmnist_batch_images", "Images in one batch.", _IMAGES, model)
        self._milliseconds = metrics.Histogram(
            "fmnist_inference_milliseconds", "Time of a batch from pixels to probabilities.", _MILLISECONDS, model
        )
        self._classes = metrics.Counter("fmnist_class_images", "Images by predicted class.", (*model, "class_name"))
        # One counter for each bin, because Ray's histogram takes one value at a time.
        self._confidence = metrics.Counter(
            "fmnist_confidence_images", "Images by the confidence of their prediction.", (*model, "confidence")
        )
        self._reloads = metrics.Counter("fmnist_reloads", "Models brought into service, or not.", (*model, "outcome"))

    def batch(self, model: ServedModel, requests: int, probabilities: Probabilities, milliseconds: float) -> None:
        """Count one batch of `requests` requests, with its probabilities float32 (n, classes)."""
        tags = {"model_uri": model.version.uri}
        self._requests.inc(requests, tags)
        self._images.inc(len(probabilities), tags)
        self._batch.observe(len(probabilities), tags)
        self._milliseconds.observe(milliseconds, tags)
        names = model.prediction.info.class_names
        for label, images in zip(*np.unique(probabilities.argmax(axis=1), return_counts=True), strict=True):
            self._classes.inc(int(images), {**tags, "class_name": names[label]})
        counts, edges = np.histogram(probabilities.max(axis=1), _CONFIDENCE_BINS)
        for images, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
            if images:
                self._confidence.inc(int(images), {**tags, "confidence": f"{low:.1f}-{high:.1f}"})

    def reload(self, model_uri: str, error: str | None) -> None:
        """Count a reload of `model_uri`, which succeeded, or failed with `error`."""
        self._reloads.inc(1, {"model_uri": model_uri, "outcome": "failed" if error else "succeeded"})
