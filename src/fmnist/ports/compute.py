"""Where training runs: fitting a network on a data version, and measuring what came of it."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fmnist.domain.model.data.dataset import DatasetVersion, Labels
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.training.run import Progress, TrainingSpec
from fmnist.ports.model_store import TrainedWeights

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class FitResult:
    """What training came back with.

    Attributes:
        weights: of the best epoch.
        history: metrics of each epoch, the index being the epoch.
        seconds: spent in epochs, over all attempts.
        device: that the first worker trained on: `cpu`, or a GPU's name.
    """

    weights: TrainedWeights
    history: Sequence[Mapping[str, float]]
    seconds: float
    device: str


@dataclass(frozen=True, slots=True)
class SplitPredictions:
    """One pass over a split, in the split's order.

    Attributes:
        images: uint8 (n, 28, 28), so that whoever looks at answers need not read the split again.
        labels: uint8 (n,).
        probabilities: float32 (n, classes).
        seconds: that answering took, without loading the classifier or reading the split.
    """

    images: Images
    labels: Labels
    probabilities: Probabilities
    seconds: float


class Compute(Protocol):
    """Trains on some hardware, and has fitted weights answer there."""

    @abstractmethod
    def prepare(self, spec: TrainingSpec, dataset: DatasetVersion) -> None:
        """Start what training runs on, and see that a fit by this spec on this data can begin.

        It reads no split, writes no record, and costs little the second time.

        Raises:
            InvalidSetting: the spec asks for what this compute or data cannot give.
            StoreUnavailable: checkpoints cannot be kept, or the cluster does not start or answer.
        """

    @abstractmethod
    def fit(self, spec: TrainingSpec, dataset: DatasetVersion, run_id: str, on_progress: OnProgress) -> FitResult:
        """Train on `train`, validate on `val` after each epoch, and return the best epoch's weights.

        The last report of each epoch has its metrics. Called again with the same run id, it goes on from the run's last
        checkpoint, and ends as if it had never stopped. It reads no other split, and refuses what `prepare` refuses.

        Raises:
            CorruptData: a split is not what the version promises.
            TrainingFailed: for what a retry cannot mend, and when retries are used up.
            InvalidSetting: the spec asks for what this compute or data cannot give.
            StoreUnavailable: checkpoints cannot be kept, or the data's store or the cluster does not answer.
        """

    @abstractmethod
    def close(self) -> None:
        """End what runs for a fit that failed or was interrupted, and wait until it has. The next call starts anew."""

    @abstractmethod
    def predict(self, weights: TrainedWeights, dataset: DatasetVersion, split: str) -> SplitPredictions:
        """Classify a split with fitted weights, before they are saved in a store. The split is read once.

        Raises:
            SplitNotFound: the version has no such split.
            CorruptData: the split is not what the version promises.
        """
