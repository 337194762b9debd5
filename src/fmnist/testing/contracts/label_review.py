"""The contract of every `LabelReview`."""

import numpy as np
import pytest

from fmnist.ports.label_review import LabelReview


class LabelReviewContract:
    """Subclass it as `Test...` and supply `review`."""

    @pytest.fixture
    def review(self) -> LabelReview:
        """The review."""
        raise NotImplementedError

    @pytest.mark.parametrize("classes", [10, 2])
    @pytest.mark.parametrize("wrong", [[], [50], [120, 50, 3]])
    def test_labels_that_clear_predictions_contradict_are_doubtful_the_clearest_first(
        self, review: LabelReview, classes: int, wrong: list[int]
    ) -> None:
        truth = np.arange(200, dtype=np.uint8) % classes
        certainty = np.full(200, 0.8, np.float32)
        certainty[wrong] = np.linspace(0.95, 0.9, len(wrong))
        probabilities = np.asarray(np.repeat((1 - certainty[:, np.newaxis]) / 9, 10, axis=1), np.float32)
        probabilities[np.arange(200), truth] = certainty
        labels = truth.copy()
        labels[wrong] = (labels[wrong] + 1) % classes
        found = review.doubtful(labels, probabilities)
        assert found.dtype == np.int64
        assert found.tolist() == wrong
