"""Drift: distances, what chance gives, and verdicts on windows of every kind."""

import numpy as np
import numpy.typing as npt
import pytest

from fmnist.adapters.memory.classifier import MeanClassifier
from fmnist.adapters.pillow.corruptions import corrupt
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.robustness import Corruption
from fmnist.domain.model.traffic.drift import (
    FALSE_ALARMS,
    LEAST_IMAGES,
    Drift,
    Verdict,
    chances,
    jensen_shannon,
    size_for_chance,
)
from fmnist.domain.model.traffic.sketch import Sketch, Statistic, TrafficWindow, features_of
from fmnist.domain.services.prediction import Prediction
from fmnist.testing.data import toy_images, toy_info, toy_sketch

URI = "models:/dev.toy/1"
INFO = toy_info()
MODEL = Prediction(
    MeanClassifier(INFO.normalization.apply(toy_images(10, seed=9).images).reshape(10, -1), INFO, temperature=100)
)
VAL, TEST = toy_images(3000, seed=1), toy_images(4000, seed=2)


def sketch(images: Images) -> Sketch:
    return Sketch.of(features_of(images), MODEL.logits(images))


REFERENCE = sketch(VAL.images)


def judged(window: Sketch, reference: Sketch | None = REFERENCE) -> Drift:
    return Drift.of(URI, TrafficWindow(window, 1, 2), reference)


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [([1, 1], [5, 5], 0), ([1, 0], [0, 1], 1), ([3, 1], [1, 3], np.sqrt(1 - 0.8112781))],
)
def test_jensen_shannon_distance_of_known_histograms(first: list[int], second: list[int], distance: float) -> None:
    assert jensen_shannon(np.array(first), np.array(second)) == pytest.approx(distance, abs=1e-6)


def test_windows_like_the_reference_alarm_no_more_often_than_stated() -> None:
    features, logits = features_of(TEST.images), MODEL.logits(TEST.images)
    random = np.random.default_rng(0)

    def alarms(size: int) -> bool:
        rows: npt.NDArray[np.int64] = random.permutation(len(features))[:size]
        return judged(Sketch.of(features[rows], logits[rows])).verdict is Verdict.DRIFTED

    found = sum(alarms(size) for size in [LEAST_IMAGES, 300, 1000] * 40)
    # With a rate of 1 %, 120 windows have more than 5 alarms once in 250 times.
    assert found <= 5
    assert FALSE_ALARMS == 0.01


@pytest.mark.parametrize(
    "corruption", [Corruption.SHIFT, Corruption.INVERSION, Corruption.NOISE, Corruption.BRIGHTNESS, Corruption.CONTRAST]
)
def test_corrupted_traffic_alarms_within_500_images(corruption: Corruption) -> None:
    assert judged(sketch(corrupt(TEST.images[:500], corruption, 3))).verdict is Verdict.DRIFTED


def test_traffic_of_one_class_alarms_within_500_images() -> None:
    found = judged(sketch(TEST.images[TEST.labels == 3][:100]))
    assert found.verdict is Verdict.DRIFTED
    assert found.distances[Statistic.CLASS].drifted


def test_small_windows_and_models_without_a_reference_have_no_verdict() -> None:
    small = judged(toy_sketch(LEAST_IMAGES - 1))
    assert (small.verdict, small.reason) == (Verdict.UNKNOWN, "fewer than 100 images")
    old = judged(toy_sketch(200), None)
    assert (old.verdict, old.distances) == (Verdict.UNKNOWN, {})
    assert old.reason == "no reference: the model was saved by an earlier release"
    assert judged(Sketch.joined([])).distances == {}


def test_the_same_window_has_the_same_judgement() -> None:
    window = sketch(TEST.images[:200])
    first = judged(window)
    chances.cache_clear()
    assert judged(window) == first


def test_chance_is_resampled_once_for_windows_of_nearly_the_same_size() -> None:
    chances.cache_clear()
    for images in (1008, 1009, 1023):
        judged(toy_sketch(images))
    judged(toy_sketch(1008), toy_sketch(500))
    assert chances.cache_info()[:2] == (2, 2)


def test_chance_is_that_of_a_window_that_is_at_most_slightly_smaller() -> None:
    for images in range(1, 10_000):
        size = size_for_chance(images)
        assert images * 31 / 32 < size <= images
    assert len({size_for_chance(images) for images in range(1024, 2048)}) == 32
