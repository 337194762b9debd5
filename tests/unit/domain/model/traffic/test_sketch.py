"""Sketches: what they count, and that they add up."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.traffic.sketch import EDGES, Sketch, Statistic, features_of
from fmnist.testing.data import toy_images

N = 60
IMAGES = toy_images(N).images
LOGITS = np.random.default_rng(0).normal(0, 3, (N, 10)).astype(np.float32)
WHOLE = Sketch.of(features_of(IMAGES), LOGITS)


@given(st.permutations(range(N)), st.lists(st.integers(0, N), max_size=5))
def test_any_division_of_the_images_gives_the_same_sketch(order: list[int], cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), N]
    rows = [order[start:stop] for start, stop in itertools.pairwise(bounds)]
    pieces = [Sketch.of(features_of(IMAGES[part]), LOGITS[part]) for part in rows if part]
    assert Sketch.joined(pieces) == WHOLE


def test_every_statistic_counts_every_image() -> None:
    assert all(sum(WHOLE.counts[statistic]) == N for statistic in Statistic)
    assert all(len(WHOLE.counts[statistic]) == len(EDGES[statistic]) - 1 for statistic in Statistic)
    assert all(counts == (0,) * len(counts) for counts in Sketch.joined([]).counts.values())


def test_statistics_of_known_images() -> None:
    image = np.zeros((1, 28, 28), np.uint8)
    image[:, :14] = 200
    logits = np.zeros((1, 10), np.float32)
    logits[0, 4] = 20
    sketch = Sketch.of(features_of(image), logits)
    found = {statistic: EDGES[statistic][np.argmax(counts)] for statistic, counts in sketch.counts.items()}
    assert found[Statistic.PIXEL_MEAN] == 96  # 100, in bins of 8
    assert found[Statistic.PIXEL_SPREAD] == 100
    assert found[Statistic.INK_SHARE] == pytest.approx(0.5)
    assert found[Statistic.CLASS] == 4
    assert found[Statistic.CONFIDENCE] == pytest.approx(0.95)
    assert found[Statistic.ENTROPY] == 0
    assert found[Statistic.ENERGY] == 20


def test_values_beyond_the_edges_are_in_the_last_bins() -> None:
    logits = np.array([[500.0] + 9 * [-500.0], 10 * [-500.0]], np.float32)
    counts = Sketch.of(features_of(IMAGES[:2]), logits).counts[Statistic.ENERGY]
    assert (counts[0], counts[-1]) == (1, 1)


def test_expected_accuracy_is_the_mean_confidence() -> None:
    value, low, high = WHOLE.expected_accuracy()
    shifted = np.exp(LOGITS - LOGITS.max(axis=1, keepdims=True))
    confidence = 1 / shifted.sum(axis=1)
    assert value == pytest.approx(confidence.mean(), abs=1e-5)
    assert high - value == pytest.approx(1.96 * np.sqrt((confidence * (1 - confidence)).sum()) / N, abs=1e-5)
    assert low < value < high


def test_interval_of_expected_accuracy_covers_calibrated_answers() -> None:
    random, covered = np.random.default_rng(1), 0
    for _ in range(400):
        logits = random.normal(0, 2, (200, 10)).astype(np.float32)
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        right = random.random(200) < probabilities.max(axis=1)
        _, low, high = Sketch.of(np.zeros((200, 3), np.int64), logits).expected_accuracy()
        covered += low <= right.mean() <= high
    assert 0.92 < covered / 400 < 0.98
