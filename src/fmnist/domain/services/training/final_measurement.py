"""The one time that a run's chosen weights are measured: calibrated on `val`, then once, never before, on `test`."""

from dataclasses import dataclass, replace
from typing import Self

from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.calibration import Calibration, tempered
from fmnist.domain.model.evaluation.report import Measurement
from fmnist.domain.model.model import GOLDEN_IMAGES
from fmnist.domain.services.evaluation.evaluate import measure
from fmnist.ports.compute import Compute
from fmnist.ports.model_store import TrainedWeights


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalMeasurement:
    """What is known of a run's model before it is saved.

    Attributes:
        weights: the chosen ones, with the temperature that is applied.
        test: None when the data version has no test split.
        golden: the first images of `val`, uint8 (64, 28, 28) or fewer.
    """

    weights: TrainedWeights
    calibration: Calibration
    val: Measurement
    test: Measurement | None
    golden: Images

    @classmethod
    def of(cls, compute: Compute, weights: TrainedWeights, dataset: DatasetVersion) -> Self:
        """Have the weights answer for `val`, fit a temperature to that, and answer for `test` with it."""
        val = compute.predict(weights, dataset, "val")
        calibration = Calibration.of(val.labels, val.probabilities)
        weights = replace(weights, temperature=calibration.applied)
        val = replace(val, probabilities=tempered(val.probabilities, calibration.applied))
        test = None
        if "test" in dataset.splits:
            test = measure(compute.predict(weights, dataset, "test"), dataset, "test")
        return cls(
            weights=weights,
            calibration=calibration,
            val=measure(val, dataset, "val"),
            test=test,
            golden=val.images[:GOLDEN_IMAGES],
        )

    def metrics(self) -> dict[str, float]:
        """Name the figures as the platform does; calibration is measured on `test`, which it was not fitted to."""
        figures = self.val.evaluation.metrics("val")
        return figures | (self.test.evaluation.metrics("test", calibration=True) if self.test else {})
