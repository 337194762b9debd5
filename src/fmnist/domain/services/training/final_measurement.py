"""The final measurement of a run's chosen weights: calibration on `val`, then the only evaluation on `test`."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.calibration import Calibration
from fmnist.domain.model.evaluation.report import Measurement
from fmnist.domain.model.model import GOLDEN_IMAGES
from fmnist.domain.model.traffic.sketch import Sketch, features_of
from fmnist.ports.compute import Compute
from fmnist.ports.model_store import TrainedWeights


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalMeasurement:
    """The measurements of a run's model before it is saved.

    Attributes:
        weights: the chosen weights, with the temperature in use.
        test: None if the data version has no test split.
        golden: the first images of `val`, uint8 (64, 28, 28) or fewer.
        reference: sketch of `val`, with which the traffic of the served model is compared.
    """

    weights: TrainedWeights
    calibration: Calibration
    val: Measurement
    test: Measurement | None
    golden: Images
    reference: Sketch

    @classmethod
    def of(cls, compute: Compute, weights: TrainedWeights, dataset: DatasetVersion) -> Self:
        """Classify `val`, fit a temperature to the answers, and classify `test` with it."""
        val = compute.predict(weights, dataset, "val")
        calibration = Calibration.of(val.labels, val.probabilities)
        weights = replace(weights, temperature=calibration.applied)
        val = replace(val, logits=val.logits / np.float32(calibration.applied))
        test = None
        if "test" in dataset.splits:
            test = Measurement.of("test", dataset.version, dataset.digest, compute.predict(weights, dataset, "test"))
        return cls(
            weights=weights,
            calibration=calibration,
            val=Measurement.of("val", dataset.version, dataset.digest, val),
            test=test,
            golden=val.images[:GOLDEN_IMAGES],
            reference=Sketch.of(features_of(val.images), val.logits),
        )

    def metrics(self) -> dict[str, float]:
        """Return the platform's metrics. Calibration is measured on `test`, because it was fitted to `val`."""
        figures = self.val.evaluation.metrics("val")
        return figures | (self.test.evaluation.metrics("test", calibration=True) if self.test else {})
