"""The contract of every `Compute`, on any hardware."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar
from uuid import uuid4

import numpy as np
import pytest

from fmnist.domain.model.data.dataset import DatasetVersion, SplitFile
from fmnist.domain.model.errors import InvalidSetting, SplitNotFound
from fmnist.domain.model.training.recipe import Recipe
from fmnist.domain.model.training.run import EPOCH_METRICS, Progress, TrainingSpec
from fmnist.ports.compute import Compute, FitResult
from fmnist.ports.data_registry import DataRegistry

# It uses everything whose state a resumed training must restore. The validation images cannot be divided equally.
SPEC = TrainingSpec(
    recipe=Recipe(
        architecture="cnn",
        optimizer="sgd",
        schedule="one_cycle",
        lr=0.05,
        batch_size=32,
        max_epochs=3,
        flip=True,
        shift=1,
        erase=4,
    ),
    seed=3,
    limit_train=256,
    limit_val=51,
)


@dataclass(frozen=True, slots=True)
class FinishedFit:
    """An uninterrupted fit: its run id, its reports and its result."""

    run_id: str
    reports: list[Progress]
    result: FitResult


class ComputeContract:
    """Subclass it as `Test...` and supply the first three fixtures. Their scope is the class, to share one fit.

    `dataset` has toy images: more than 256 in `train`, more than 51 in `val`, some in `test`.

    Attributes:
        spec: what to fit. A subclass may have more workers with smaller batches.
    """

    spec: ClassVar[TrainingSpec] = SPEC

    @pytest.fixture(scope="class")
    @classmethod
    def compute(cls) -> Compute:
        """The compute under test."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def dataset(cls) -> DatasetVersion:
        """A version of toy data that the compute can read."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def registry(cls) -> DataRegistry:
        """The registry of `dataset`."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def finished(cls, compute: Compute, dataset: DatasetVersion) -> FinishedFit:
        """One fit by `spec`. It cannot read the test split."""
        run_id, reports = uuid4().hex, list[Progress]()
        nowhere = SplitFile(split="test", uri="/nowhere/test.parquet", md5="0" * 32)
        untested = replace(dataset, splits={**dataset.splits, "test": (nowhere,)})
        return FinishedFit(run_id, reports, compute.fit(cls.spec, untested, run_id, reports.append))

    def disturb(self, report: Progress) -> None:
        """Hear of the progress of a resumed fit. A subclass may kill one of its workers."""

    def test_fit_learns_and_reports_every_epoch_once(self, finished: FinishedFit) -> None:
        history = finished.result.history
        assert [set(metrics) for metrics in history] == [set(EPOCH_METRICS)] * 3
        assert history[-1]["val_acc"] > 0.9
        ended = [report for report in finished.reports if report.metrics is not None]
        assert [(report.epoch, report.metrics) for report in ended] == list(enumerate(history))
        assert finished.result.device

    def test_limits_take_the_first_rows_and_every_validation_image_counts_once(self, finished: FinishedFit) -> None:
        assert finished.reports[-1].steps == 256 // 32
        for metrics in finished.result.history:
            right = metrics["val_acc"] * 51
            assert right == pytest.approx(round(right))

    def test_fitted_weights_predict_a_split_in_its_order(
        self, compute: Compute, dataset: DatasetVersion, registry: DataRegistry, finished: FinishedFit
    ) -> None:
        predictions = compute.predict(finished.result.weights, dataset, "test")
        data = registry.read(dataset, "test")
        assert np.array_equal(predictions.labels, data.labels)
        assert np.array_equal(predictions.images, data.images)
        assert predictions.seconds > 0
        assert predictions.probabilities.dtype == np.float32
        assert np.allclose(predictions.probabilities.sum(axis=1), 1, atol=1e-5)
        assert (predictions.probabilities.argmax(axis=1) == predictions.labels).mean() > 0.9

    def test_temperature_of_weights_divides_their_logits(
        self, compute: Compute, dataset: DatasetVersion, finished: FinishedFit
    ) -> None:
        weights = finished.result.weights
        plain, tempered = (
            compute.predict(each, dataset, "val").probabilities for each in (weights, replace(weights, temperature=2.0))
        )
        # Halved logits give square roots of probabilities, up to a constant factor.
        expected = np.sqrt(plain)
        assert np.allclose(tempered, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)

    def test_interrupted_fit_goes_on_to_the_same_weights(
        self, compute: Compute, dataset: DatasetVersion, finished: FinishedFit
    ) -> None:
        run_id = uuid4().hex
        with pytest.raises(KeyboardInterrupt):
            compute.fit(self.spec, dataset, run_id, _interrupt_in_the_second_epoch)
        resumed = compute.fit(self.spec, dataset, run_id, self.disturb)

        assert list(resumed.history) == list(finished.result.history)
        whole, again = (
            compute.predict(result.weights, dataset, "val").probabilities for result in (finished.result, resumed)
        )
        assert np.array_equal(whole, again)

    def test_more_workers_than_images_are_refused(self, compute: Compute, dataset: DatasetVersion) -> None:
        spec = replace(SPEC, limit_train=1, num_workers=2)
        with pytest.raises(InvalidSetting, match="2"):
            compute.prepare(spec, dataset)
        with pytest.raises(InvalidSetting, match="2"):
            compute.fit(spec, dataset, uuid4().hex, _ignore)

    @pytest.mark.parametrize("few", [{"limit_train": 1}, {"recipe": Recipe(architecture="resnet18", batch_size=1)}])
    def test_single_image_is_refused_where_a_network_normalizes_over_the_batch(
        self, compute: Compute, dataset: DatasetVersion, few: dict[str, Any]
    ) -> None:
        spec = replace(SPEC, **{"recipe": SPEC.recipe.override(architecture="resnet18"), **few})
        expected = "resnet18 needs at least 2 images per worker and step, found 1"
        unknown = replace(dataset, metadata={name: part for name, part in dataset.metadata.items() if name != "splits"})
        for version in (dataset, unknown):
            with pytest.raises(InvalidSetting, match=expected):
                compute.prepare(spec, version)

    def test_what_can_be_trained_is_prepared_again_and_again(self, compute: Compute, dataset: DatasetVersion) -> None:
        nowhere = {
            split: tuple(replace(file, uri="/nowhere") for file in files) for split, files in dataset.splits.items()
        }
        for _ in range(2):
            compute.prepare(SPEC, replace(dataset, splits=nowhere))

    def test_predicting_an_absent_split_names_those_there_are(
        self, compute: Compute, dataset: DatasetVersion, finished: FinishedFit
    ) -> None:
        with pytest.raises(SplitNotFound, match="train, val, test"):
            compute.predict(finished.result.weights, dataset, "holdout")


def _ignore(_: Progress) -> None:
    """Take no notice of a report."""


def _interrupt_in_the_second_epoch(report: Progress) -> None:
    if report.epoch == 1:
        raise KeyboardInterrupt
