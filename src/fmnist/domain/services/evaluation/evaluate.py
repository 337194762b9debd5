"""Measures a registered model and reports on it. It changes no metric, tag or alias, neither of run nor of model."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from fmnist.domain.model.data.dataset import MEASURED_SPLITS, DatasetVersion
from fmnist.domain.model.data.metadata import split_sizes
from fmnist.domain.model.errors import CorruptData, FmnistError, InvalidSetting, Remedy, SplitNotFound
from fmnist.domain.model.evaluation.card import model_card
from fmnist.domain.model.evaluation.report import (
    DEVICE_TAG,
    SECONDS_METRIC,
    SPEED_METRIC,
    Measurement,
    ModelReport,
    RenderReport,
    TrainingStory,
)
from fmnist.domain.model.evaluation.robustness import Corrupt
from fmnist.domain.model.model import CARD_FILE, ModelVersion
from fmnist.domain.model.training.run import EPOCH_METRICS, best_epoch
from fmnist.domain.services.evaluation.robustness import OnCell, measure_robustness
from fmnist.domain.services.prediction import answer
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.model_store import ModelStore
from fmnist.ports.tracker import RunRecord, Tracker

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedModel:
    """A measured model and its report.

    Attributes:
        files: the report's files by relative path, with `report.html` and `model_card.md`.
        logged_to: folder of these files in the model's run; None if they could not be logged.
    """

    model: ModelVersion
    report: ModelReport
    files: Mapping[str, bytes]
    logged_to: str | None


@dataclass(frozen=True, slots=True)
class ModelEvaluation:
    """Evaluates any model of the store, also one that another tool registered."""

    store: ModelStore
    tracker: Tracker
    registry: DataRegistry
    render: RenderReport
    corrupt: Corrupt

    def evaluate(
        self, uri: str, *, split: str = "test", data_version: str | None = None, on_cell: OnCell | None = None
    ) -> EvaluatedModel:
        """Measure the model on a split of `data_version` (None: the version it was trained on), and report.

        With `on_cell`, the model's robustness is measured too. The report is logged to the model's run. If that fails,
        a warning says why.

        Raises:
            ModelNotFound, CorruptModel: the model does not exist, or does not load.
            SplitNotFound, DataVersionNotFound, InvalidSetting, CorruptData: as in `measured_dataset`.
        """
        model = self.store.resolve(uri)
        dataset = measured_dataset(self.registry, model, split, data_version)
        classifier = self.store.download(model).load()
        logger.info("evaluating %s on %s of %s", model.uri, split, dataset.version)
        data = self.registry.read(dataset, split)
        answers = answer(classifier, data)
        robustness = None
        if on_cell is not None:
            val = data if split == "val" else self.registry.read(dataset, "val")
            robustness = measure_robustness(classifier, data, val.images, self.corrupt, on_cell)
        report = ModelReport(
            info=classifier.info,
            measured=Measurement.of(split, dataset.version, dataset.digest, answers),
            story=training_story(self.tracker, model),
            source=dataset.source,
            counts=split_sizes(dataset.metadata),
            robustness=robustness,
        )
        files = report_files(self.render, model.uri, report)
        # A folder of its own, because a later report without it would leave its figure behind.
        folder = f"evaluations/{dataset.version}-{split}" + ("-robustness" if robustness else "")
        logged = self._log(model, folder, files)
        return EvaluatedModel(model=model, report=report, files=files, logged_to=folder if logged else None)

    def _log(self, model: ModelVersion, folder: str, files: Mapping[str, bytes]) -> bool:
        if not model.run_id:
            logger.warning("%s has no run, so its report is not logged", model.uri)
            return False
        try:
            for path, content in files.items():
                self.tracker.log_artifact(model.run_id, f"{folder}/{path}", content)
        except FmnistError as error:
            logger.warning("the report could not be logged to the model's run: %s", error)
            return False
        return True


def measured_dataset(
    registry: DataRegistry, model: ModelVersion, split: str, data_version: str | None = None
) -> DatasetVersion:
    """Resolve `data_version` (None: the version that the model was trained on) for a measurement on `split`.

    It refuses training data, and data that has changed.

    Raises:
        InvalidSetting: models learn from this split, or the model does not name its data version.
        SplitNotFound: the data version has no such split.
        DataVersionNotFound: the version does not exist.
        CorruptData: the version's data has changed since the model was trained on it.
    """
    if split not in MEASURED_SPLITS:
        allowed = " or ".join(MEASURED_SPLITS)
        raise InvalidSetting(f"split must be {allowed}, found {split!r}: models are not measured on training data")
    trained_on = model.tags.get("dvc_data_version")
    if data_version is None and trained_on is None:
        raise InvalidSetting(f"{model.uri} does not name its data version", Remedy.NAME_DATA_VERSION)
    dataset = registry.resolve(data_version or trained_on)
    digest = model.tags.get("data_digest")
    if dataset.version == trained_on and digest not in {None, dataset.digest}:
        raise CorruptData(
            f"the data of {dataset.version} has changed since {model.uri} was trained: expected digest {digest}, "
            f"found {dataset.digest}"
        )
    if split not in dataset.splits:
        there = ", ".join(dataset.splits)
        remedies = (Remedy.MEASURE_ON_VAL,) if split == "test" else ()
        raise SplitNotFound(f"{dataset.version} has no split {split!r}: it has {there}", *remedies)
    return dataset


def report_files(render: RenderReport, uri: str, report: ModelReport) -> dict[str, bytes]:
    """Draw the report, and add the model card to its files."""
    return {**render(uri, report), CARD_FILE: model_card(report).encode()}


def training_story(tracker: Tracker, model: ModelVersion) -> TrainingStory | None:
    """Return the training of the model; None, with a warning, if its run cannot be read."""
    if not model.run_id:
        return None
    try:
        return story_of(tracker.get(model.run_id))
    except FmnistError as error:
        logger.warning("the report has no learning curves: %s", error)
        return None


def story_of(record: RunRecord) -> TrainingStory | None:
    """Return the training of a recorded run; None if the run has no complete epochs."""
    by_name = {name: dict(record.history.get(name, ())) for name in EPOCH_METRICS}
    epochs = sorted(set.intersection(*(set(values) for values in by_name.values())))
    if not epochs or epochs != list(range(len(epochs))):
        return None
    history = [{name: values[epoch] for name, values in by_name.items()} for epoch in epochs]
    seconds, speed = (record.history.get(name, ((0, None),))[-1][1] for name in (SECONDS_METRIC, SPEED_METRIC))
    return TrainingStory(
        params=record.params,
        history=history,
        best_epoch=best_epoch(history),
        seconds=seconds,
        images_per_second=speed,
        device=record.tags.get(DEVICE_TAG),
    )
