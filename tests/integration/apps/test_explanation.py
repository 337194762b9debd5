"""What an explanation marks matters to a trained model."""

import numpy as np

from benchmarks.explanation import falls
from fmnist.domain.services.explanation import explain
from fmnist.domain.services.serving.load import ServedModel
from fmnist.testing.data import toy_images


def test_covering_what_is_marked_lowers_the_answer_more_than_covering_as_much_elsewhere(model: ServedModel) -> None:
    marked, others = falls(model.prediction, toy_images(200, seed=9).images).mean(axis=0)
    assert marked > 2 * max(others, 0.01), (marked, others)


def test_explanation_is_repeatable(model: ServedModel) -> None:
    image = toy_images(1, seed=3).images[0]
    first, second = explain(model.prediction, image), explain(model.prediction, image)
    np.testing.assert_array_equal(first.map, second.map)
