"""`Compute` in this process, on one device: for quick work, for tests, and wherever no cluster is wanted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fmnist.adapters.lightning.checkpoint import BEST, History, KeptCheckpoints
from fmnist.domain.model.data.dataset import DatasetVersion, LabeledImages
from fmnist.domain.model.data.metadata import split_sizes
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.evaluation.report import SplitPredictions
from fmnist.domain.model.training.run import TrainingSpec
from fmnist.domain.services.prediction import answer
from fmnist.ports.compute import Compute, FitResult, OnProgress
from fmnist.ports.model_store import TrainedWeights


@dataclass(frozen=True, slots=True)
class LocalCompute(Compute):
    """Trains and predicts in this process, with one worker, on the GPU if there is one.

    Args:
        read: reads a split, as a `DataRegistry` does. Each one is read once, because a study trains on it many times.
        checkpoints: a directory. Each run keeps its newest checkpoint in a subdirectory named by the run's id.
        threads: CPU threads of torch.
    """

    read: Callable[[DatasetVersion, str], LabeledImages]
    checkpoints: Path
    threads: int
    _kept: dict[tuple[str, str], LabeledImages] = field(default_factory=dict, init=False, repr=False)

    def prepare(self, spec: TrainingSpec, dataset: DatasetVersion) -> None:
        if spec.num_workers != 1:
            raise InvalidSetting(f"in-process compute has one worker, found num_workers {spec.num_workers}: use Ray")
        spec.check_splits(split_sizes(dataset.metadata))
        KeptCheckpoints(self.checkpoints).prepare()

    def fit(self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, on_progress: OnProgress) -> FitResult:
        # Imported here, because Lightning takes 2 s, and the train app imports this module even to train on Ray.
        import torch

        from fmnist.adapters.lightning.fitting import fit_network

        self.prepare(spec, dataset)
        train = self._split(dataset, "train").head(spec.limit_train)
        val = self._split(dataset, "val").head(spec.limit_val)
        kept = KeptCheckpoints(self.checkpoints / run_id)
        kept.prepare()

        def save(directory: Path, history: History) -> None:
            kept.add(directory, epoch=len(history.epochs) - 1)

        torch.set_num_threads(self.threads)
        with torch.random.fork_rng():
            history = fit_network(
                spec,
                dataset.normalization,
                train,
                val,
                resume_from=kept.newest(),
                save=save,
                on_progress=on_progress,
                trainer_options={"accelerator": "gpu" if torch.cuda.is_available() else "cpu", "devices": 1},
            )
        newest = kept.newest()
        assert newest is not None, "every epoch keeps a checkpoint"
        weights = TrainedWeights(spec.recipe.architecture, str(newest / BEST))
        return FitResult(weights, history.epochs, history.seconds, history.device)

    def _split(self, dataset: DatasetVersion, split: str) -> LabeledImages:
        key = (dataset.digest, split)
        if key not in self._kept:
            self._kept[key] = self.read(dataset, split)
        return self._kept[key]

    def close(self) -> None:
        """Do nothing, because `fit` leaves nothing open."""

    def predict(self, weights: TrainedWeights, dataset: DatasetVersion, split: str) -> SplitPredictions:
        from fmnist.adapters.torch.weights import WeightsClassifier

        return answer(WeightsClassifier.of(weights, dataset)(), self._split(dataset, split))
