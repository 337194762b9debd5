"""Metrics of pieces are those of the whole."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.evaluation.metrics import softmax
from fmnist.domain.model.evaluation.report import Measurement, SplitPredictions
from fmnist.domain.model.evaluation.tally import Tally
from fmnist.testing.data import toy_images


@given(st.integers(1, 300), st.lists(st.integers(0, 300), max_size=4), st.integers(0, 9))
def test_metrics_do_not_depend_on_how_the_answers_are_cut(n: int, cuts: list[int], seed: int) -> None:
    data, rng = toy_images(n, seed), np.random.default_rng(seed)
    logits = rng.standard_normal((n, 10)).astype(np.float32)
    logits[np.arange(n), data.labels] += 2
    probabilities = softmax(logits)
    whole = Measurement.of("test", "1", "0", SplitPredictions(data.images, data.labels, logits, 1.0))

    tally, bounds = Tally(), [0, *sorted(min(cut, n) for cut in cuts), n]
    for start, stop in pairwise(bounds):
        tally.add("a", np.arange(start, stop), data.labels[start:stop], probabilities[start:stop])
    found, expected = tally.evaluation, whole.evaluation
    assert tally.images == n
    assert np.array_equal(found.confusion, expected.confusion)
    for name in ("loss", "accuracy", "precision", "recall", "f1", "ece"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-6), name
    assert np.array_equal(tally.reliability.count, whole.reliability.count)
    assert np.array_equal(tally.reliability.right, whole.reliability.right)
    np.testing.assert_allclose(tally.reliability.confidence, whole.reliability.confidence, atol=1e-6)
    assert [(each.row, each.truth, each.answer, each.confidence) for each in tally.worst] == [
        (each.row, each.truth, each.answer, each.confidence) for each in whole.mistakes
    ]
