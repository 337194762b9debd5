"""An explanation marks what the answer depends on, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fmnist.adapters.memory.classifier import MeanClassifier
from fmnist.domain.model.data.images import PIXELS, Images
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.services.explanation import COPIES, PATCH, Explanation, covered_copies, explain, surroundings
from fmnist.domain.services.prediction import Prediction
from fmnist.testing.data import toy_images, toy_info

MEDIUM = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)


def answers(light: Images) -> Probabilities:
    """Probabilities of a model of two classes: the second is as probable as the mean of `light` pixels, 0-255."""
    second = light.reshape(len(light), -1).mean(axis=1) / 255
    return np.stack([1 - second, second], axis=1).astype(np.float32)


def test_pixels_that_the_answer_depends_on_are_marked_and_no_others() -> None:
    image = np.zeros((28, 28), np.uint8)
    image[8:14, 16:22] = 255
    found = Explanation.of(answers(covered_copies(image)[:, 8:14, 16:22]))
    assert (found.class_id, found.confidence, found.images) == (1, 1.0, 1 + COPIES)
    assert found.map[9:13, 17:21].min() > 0.1
    far = np.ones((28, 28), bool)
    far[8 - PATCH : 14 + PATCH, 16 - PATCH : 22 + PATCH] = False
    assert (found.map[far] == 0).all()


def test_what_speaks_against_the_class_is_below_zero() -> None:
    image = np.full((28, 28), 60, np.uint8)
    image[4:8, 4:8] = 180  # makes the first class, whose probability falls with light, less probable
    found = Explanation.of(answers(covered_copies(image)))
    assert found.class_id == 0
    assert found.map[5, 5] < 0


def test_a_fall_is_the_mean_over_the_patches_that_cover_the_pixel() -> None:
    rows = np.zeros((1 + COPIES, 2), np.float32)
    rows[:, 0] = 0.75
    rows[1, 0], rows[2, 0] = 0.25, 0.5  # the patches of columns 0-3 and 3-6, rows 0-3
    found = Explanation.of(rows).map
    assert found[0, :8].tolist() == [0.5, 0.5, 0.5, 0.375, 0.25, 0.25, 0.125, 0]
    assert found[3, 0] == 0.25  # two patches, one of which changes nothing
    assert (found.shape, found.dtype) == ((28, 28), np.float32)


@given(arrays(np.uint8, (28, 28)))
def test_every_pixel_is_covered_and_each_copy_differs_in_one_patch_only(image: Images) -> None:
    original, *copies = covered_copies(image)
    np.testing.assert_array_equal(original, image)
    fill = surroundings(image)
    seen = np.zeros((28, 28), bool)
    for copy in copies:
        rows, columns = np.nonzero(copy != image)
        assert not len(rows) or max(np.ptp(rows), np.ptp(columns)) < PATCH
        np.testing.assert_array_equal(copy[rows, columns], fill[rows, columns])
        seen |= copy != image
    np.testing.assert_array_equal(seen, fill != image)


@given(st.integers(0, 255))
def test_a_plain_image_stays_as_it_is(level: int) -> None:
    copies = covered_copies(np.full((28, 28), level, np.uint8))
    assert (copies == level).all()


@pytest.mark.parametrize(("row", "column"), [(0, 0), (13, 20), (27, 3)])
def test_surroundings_are_the_mean_of_the_pixels_within_seven_rows_and_columns(row: int, column: int) -> None:
    near = MEDIUM[max(0, row - 7) : row + 8, max(0, column - 7) : column + 8]
    assert abs(surroundings(MEDIUM)[row, column] - near.mean()) <= 0.5001


@pytest.mark.parametrize("cover", ["surroundings", "black", "grey"])
def test_covering_what_is_marked_lowers_the_answer_more_than_covering_as_much_elsewhere(cover: str) -> None:
    data, info = toy_images(200, seed=1), toy_info()
    means = info.normalization.apply(toy_images(10).images).reshape(10, PIXELS)
    prediction = Prediction(MeanClassifier(means, info, temperature=400))
    random, marked, elsewhere = np.random.default_rng(0), [], []
    for image in data.images:
        found = explain(prediction, image)
        fill = {"surroundings": surroundings(image), "black": 0, "grey": 73}[cover]
        most = np.argsort(-found.map, axis=None, kind="stable")
        for pixels, falls in ((most[:78], marked), (random.permutation(most[78:])[:78], elsewhere)):
            there = np.isin(np.arange(PIXELS), pixels).reshape(28, 28)
            covered = np.where(there, fill, image).astype(np.uint8)[np.newaxis]
            falls.append(found.confidence - prediction.probabilities(covered)[0, found.class_id])
    assert np.mean(marked) > 1.4 * np.mean(elsewhere) > 0
