"""Training on some hardware: fits a network on a data version, and classifies with the result."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fmnist.domain.model.data.dataset import DatasetVersion
from fmnist.domain.model.evaluation.report import SplitPredictions
from fmnist.domain.model.training.run import Progress, TrainingSpec
from fmnist.ports.model_store import TrainedWeights

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class FitResult:
    """The result of training.

    Attributes:
        weights: weights of the best epoch.
        history: metrics of each epoch; the index is the epoch.
        seconds: time spent in epochs, in all attempts.
        device: device of the first worker: `cpu`, or the name of a GPU.
    """

    weights: TrainedWeights
    history: Sequence[Mapping[str, float]]
    seconds: float
    device: str


class Compute(Protocol):
    """Trains networks on some hardware, and classifies with their weights there."""

    @abstractmethod
    def prepare(self, spec: TrainingSpec, dataset: DatasetVersion) -> None:
        """Start the hardware or cluster, and check that a fit with this spec on this data can begin.

        It reads no split and writes no record. A second call is cheap.

        Raises:
            InvalidSetting: the compute or the data cannot satisfy the spec.
            StoreUnavailable: checkpoints cannot be stored, or the cluster does not start or answer.
        """

    @abstractmethod
    def fit(self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, on_progress: OnProgress) -> FitResult:
        """Train on `train`, validate on `val` after each epoch, and return the best epoch's weights.

        The last report of each epoch has its metrics. A second call with the same run id continues from the run's last
        checkpoint, to the result of an uninterrupted fit. It reads no other split, and refuses what `prepare` refuses.

        Raises:
            CorruptData: a split differs from what the version promises.
            TrainingFailed: a retry cannot help, or the retries are used up.
            InvalidSetting: the compute or the data cannot satisfy the spec.
            StoreUnavailable: checkpoints cannot be stored, or the data's store or the cluster does not answer.
        """

    @abstractmethod
    def close(self) -> None:
        """End the processes of a failed or interrupted fit, and wait for that. The next call starts new ones."""

    @abstractmethod
    def predict(self, weights: TrainedWeights, dataset: DatasetVersion, split: str) -> SplitPredictions:
        """Classify a split with fitted weights, before they are saved in a store. The split is read once.

        Raises:
            SplitNotFound: the version has no such split.
            CorruptData: the split differs from what the version promises.
        """
