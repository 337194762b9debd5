"""Prediction normalizes as in training, and returns class names."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.adapters.memory.classifier import MeanClassifier
from fmnist.domain.model.data.images import CLASS_NAMES, PIXELS, SIDE
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import InvalidImages, InvalidSetting
from fmnist.domain.model.model import ModelInfo
from fmnist.domain.services.prediction import Prediction

NORMALIZATION = Normalization(0.286, 0.353)
INFO = ModelInfo(architecture="means", normalization=NORMALIZATION, class_names=CLASS_NAMES, lineage={}, metrics={})


def level(label: int) -> npt.NDArray[np.uint8]:
    """An image of one grey, which is the mean of class `label`."""
    return np.full((SIDE, SIDE), 25 * label, np.uint8)


@pytest.fixture
def prediction() -> Prediction:
    means = NORMALIZATION.apply(np.stack([level(label) for label in range(10)])).reshape(10, PIXELS)
    return Prediction(MeanClassifier(means, INFO))


def test_each_image_gets_its_own_class(prediction: Prediction) -> None:
    answers = prediction(np.stack([level(7), level(0), level(9)]))
    assert [(answer.class_id, answer.class_name) for answer in answers] == [
        (7, "Sneaker"),
        (0, "T-shirt/top"),
        (9, "Ankle boot"),
    ]
    assert all(answer.confidence == pytest.approx(1) for answer in answers)


def test_any_layout_gives_the_same_prediction(prediction: Prediction) -> None:
    image = level(4)
    layouts = (image, image.ravel(), image.tobytes(), [image.tolist()], [image.ravel().tolist()])
    assert [prediction(layout) for layout in layouts] == [prediction(image)] * len(layouts)


def test_bad_pixels_never_reach_the_network() -> None:
    class Untouchable(MeanClassifier):
        def logits(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            raise AssertionError(f"the network was asked about {len(inputs)} images")

    with pytest.raises(InvalidImages, match="256"):
        Prediction(Untouchable(np.zeros((10, PIXELS), np.float32), INFO))([[256] * PIXELS])


@given(st.integers(0, 2**32 - 1), st.integers(1, 10))
def test_classes_are_ranked_by_probability(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    prediction = Prediction(MeanClassifier(rng.standard_normal((10, PIXELS)).astype(np.float32) / 10, INFO))
    images = rng.integers(0, 256, (3, SIDE, SIDE), dtype=np.uint8)
    probabilities = prediction.probabilities(images)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    for row, ranked in zip(probabilities, prediction.top_k(images, k), strict=True):
        assert [answer.confidence for answer in ranked] == sorted(row.tolist(), reverse=True)[:k]
        assert [answer.class_name for answer in ranked] == [CLASS_NAMES[answer.class_id] for answer in ranked]
        assert all(answer.confidence == row[answer.class_id] for answer in ranked)


def test_many_images_are_classified_in_batches_with_the_same_result(prediction: Prediction) -> None:
    sizes: list[int] = []

    class Counting(MeanClassifier):
        def logits(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            sizes.append(len(inputs))
            return super().logits(inputs)

    images = np.stack([level(label) for label in np.arange(2500) % 10])
    means = NORMALIZATION.apply(images[:10]).reshape(10, PIXELS)
    probabilities = Prediction(Counting(means, INFO)).probabilities(images)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), np.arange(2500) % 10)
    assert sum(sizes) == 2500
    assert max(sizes) <= 1000


@pytest.mark.parametrize("k", [0, -1])
def test_fewer_classes_than_one_are_refused(k: int) -> None:
    means = np.zeros((10, PIXELS), dtype=np.float32)
    with pytest.raises(InvalidSetting, match="at least 1"):
        Prediction(MeanClassifier(means, INFO)).top_k(np.zeros((1, 28, 28), dtype=np.uint8), k)
