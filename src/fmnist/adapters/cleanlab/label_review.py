"""Confident learning (Northcutt, Jiang and Chuang 2021) by cleanlab."""

import warnings

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.dataset import Labels
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.ports.label_review import LabelReview


class CleanlabReview(LabelReview):
    """Doubts as many labels of each class as the estimated noise between the classes says."""

    def doubtful(self, labels: Labels, probabilities: Probabilities) -> npt.NDArray[np.int64]:
        from cleanlab.filter import find_label_issues

        with warnings.catch_warnings():
            # It doubts no label of a class with at most one image.
            warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)
            rows = find_label_issues(
                labels.astype(np.int64),
                probabilities.astype(np.float64),
                return_indices_ranked_by="self_confidence",
                n_jobs=1,  # processes of its own would not end with an interrupt
            )
        return np.asarray(rows, dtype=np.int64)
