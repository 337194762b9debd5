"""Figures of robustness against their definitions, written naively."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.evaluation.robustness import (
    Cell,
    Corruption,
    Robustness,
    auroc,
    corruption_accuracy,
    detect,
    mean_interval,
    scores,
)

values = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=8).map(np.array)


@given(values, values)
def test_auroc_is_the_share_of_pairs_in_the_right_order(higher: np.ndarray, lower: np.ndarray) -> None:  # type: ignore[type-arg]
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in higher for b in lower]
    assert auroc(higher, lower) == pytest.approx(np.mean(pairs))


def test_scores_are_the_highest_probability_and_the_log_of_the_sum() -> None:
    logits = np.array([[1, 2, 3], [900, 0, 0]], np.float32)
    found = scores(logits)
    assert found["maximum probability"] == pytest.approx([np.exp(3) / np.exp([1, 2, 3]).sum(), 1])
    assert found["energy"] == pytest.approx([np.log(np.exp([1, 2, 3]).sum()), 900])


def test_threshold_of_false_alarms_is_of_val_alone() -> None:
    val = np.zeros((100, 2), np.float32)
    val[:, 0] = np.arange(100)  # 95 % of these have an energy of 4.95 or more
    outside = np.array([[4, -99], [6, -99]], np.float32)
    sure, far = np.full((5, 2), 50, np.float32), np.full((5, 2), -50, np.float32)
    for inside, area in ((sure, 1.0), (far, 0.0)):
        energy = detect(inside, val, {"noise": outside})[1]
        assert (energy.outside, energy.score, energy.auroc, energy.false_alarms) == ("noise", "energy", area, 0.5)


def test_mean_over_cells_is_that_over_images_and_has_an_interval() -> None:
    cells = {corruption: [Cell(10, right, 0.5, 0.1) for right in (9, 8, 7, 6, 5)] for corruption in Corruption}
    hits = np.array([55] * 5 + [22] * 5)
    found = Robustness(clean=Cell(10, 10, 0.9, 0.05), cells=cells, hits=hits, examples={}, detections=[])
    assert found.accuracy == found.relative == pytest.approx(0.7)
    assert found.interval == pytest.approx((0.7 - 1.96 * 0.3 / 10**0.5, 0.7 + 1.96 * 0.3 / 10**0.5), abs=1e-4)
    assert (found.at(0), found.at(1).accuracy, found.at(5).accuracy) == (found.clean, 0.9, 0.5)


@pytest.mark.parametrize("hits", range(56))
def test_accuracy_is_exactly_the_share_of_hits(hits: int) -> None:
    assert corruption_accuracy(np.full(10_000, hits)) == hits / 55


def test_interval_of_equal_values_has_no_width() -> None:
    assert mean_interval(np.full(7, 0.25)) == (0.25, 0.25)
