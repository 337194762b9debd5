"""A review of labels: which of them contradict the predictions for their images."""

from abc import abstractmethod
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.dataset import Labels
from fmnist.domain.model.evaluation.metrics import Probabilities


class LabelReview(Protocol):
    """Finds labels that are probably wrong."""

    @abstractmethod
    def doubtful(self, labels: Labels, probabilities: Probabilities) -> npt.NDArray[np.int64]:
        """Return the rows with doubtful labels, int64 (m,), the most doubtful first.

        A row whose most probable class is its label is never doubtful. Equal input gives equal rows.

        Args:
            labels: uint8 (n,), with two classes or more.
            probabilities: float32 (n, 10), each row predicted by a model that was not trained on it.
        """
