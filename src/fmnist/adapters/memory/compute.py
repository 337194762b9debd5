"""A `Compute` without a neural network: it learns one mean image for each class, with numpy."""

from pathlib import Path

import numpy as np

from fmnist.adapters.memory.classifier import MeanClassifier, Means, load_means, save_means
from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.data.images import CLASS_NAMES, PIXELS
from fmnist.domain.model.data.metadata import split_sizes
from fmnist.domain.model.evaluation.metrics import Evaluation
from fmnist.domain.model.evaluation.report import SplitPredictions
from fmnist.domain.model.model import ModelInfo
from fmnist.domain.model.training.run import Progress, TrainingSpec, best_epoch
from fmnist.domain.services.prediction import Prediction, answer
from fmnist.ports.compute import Compute, FitResult, OnProgress
from fmnist.ports.data_registry import DataRegistry
from fmnist.ports.model_store import TrainedWeights


class MemoryCompute(Compute):
    """A deterministic toy. In epoch e of n it uses the first e/n of the train split, so it improves with each epoch.

    An interrupted run, for example by an `on_progress` that raises, resumes after its last complete epoch. Weights are
    written to `directory`.
    """

    def __init__(self, registry: DataRegistry, directory: Path) -> None:
        self._registry = registry
        self._checkpoints: dict[str, list[tuple[Means, dict[str, float]]]] = {}
        self._directory = directory

    def prepare(self, spec: TrainingSpec, dataset: DatasetVersion) -> None:
        spec.check_splits(split_sizes(dataset.metadata))

    def fit(self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, on_progress: OnProgress) -> FitResult:
        train = self._registry.read(dataset, "train").head(spec.limit_train)
        val = self._registry.read(dataset, "val").head(spec.limit_val)
        spec.check_splits({"train": len(train), "val": len(val)})
        epochs = spec.recipe.max_epochs
        steps = max(1, len(train) // spec.global_batch_size)
        kept = self._checkpoints.setdefault(run_id, [])
        info = _info(spec.recipe.architecture, dataset)
        for epoch in range(len(kept), epochs):
            on_progress(Progress(epoch, epochs, 0, steps))
            means = _class_means(train.head(max(1, len(train) * (epoch + 1) // epochs)), info)
            classifier = Prediction(MeanClassifier(means, info))
            metrics = {
                name: value
                for phase, data in (("train", train), ("val", val))
                for name, value in Evaluation.of(data.labels, classifier.probabilities(data.images))
                .metrics(phase)
                .items()
            }
            kept.append((means, metrics))
            on_progress(Progress(epoch, epochs, steps, steps, metrics=metrics))
        history = [metrics for _, metrics in kept]
        path = self._directory / f"{run_id}.npz"
        save_means(path, kept[best_epoch(history)][0])
        return FitResult(TrainedWeights(spec.recipe.architecture, str(path)), history, seconds=0.0, device="cpu")

    def close(self) -> None:
        """Do nothing, because `fit` leaves nothing open."""

    def predict(self, weights: TrainedWeights, dataset: DatasetVersion, split: str) -> SplitPredictions:
        info = _info(weights.architecture, dataset)
        classifier = MeanClassifier(load_means(weights.path), info, weights.temperature)
        return answer(classifier, self._registry.read(dataset, split))


def _class_means(data: LabeledImages, info: ModelInfo) -> Means:
    inputs = info.normalization.apply(data.images).reshape(len(data), PIXELS)
    means = np.zeros((len(CLASS_NAMES), PIXELS), dtype=np.float32)
    for label in np.unique(data.labels):
        means[label] = inputs[data.labels == label].mean(axis=0)
    return means


def _info(architecture: str, dataset: DatasetVersion) -> ModelInfo:
    return ModelInfo(
        architecture=architecture,
        normalization=dataset.normalization,
        class_names=dataset.class_names,
        lineage={},
        metrics={},
    )
